//! A 5G phone, from its USIM to its PDU sessions, seen from N1.
//!
//! ```text
//!                  Register              accept
//!   DEREGISTERED ───────────► REGISTERING ──────► REGISTERED ◄─────────┐ accept
//!        ▲    ▲                    │ reject,        │  │ │  RequestService
//!        │    └────────────────────┘ T3510          │  │ └──► SERVICE REQUEST
//!        │ accept, T3521                 Deregister │  │ release, paging
//!        └───────────────────── DEREGISTERING ◄─────┘  └─ CM-IDLE ⇄ CM-CONNECTED
//! ```
//!
//! It reads no clock and draws no random number: `now` is an argument, its timers are [`Ue::next_deadline`]. It checks what
//! the network sends and reports each fault as a [`Violation`]; nothing the network sends makes it panic.
//!
//! It does not model: non-3GPP access, EPS interworking, roaming, emergency services, EAP methods, SMS, slice-specific
//! authentication.

mod authentication;
mod config;
mod deregistration;
mod identity;
mod receive;
mod registration;
mod security;
mod security_mode;
mod service;
mod session;
mod timer;

pub use config::{SessionRequest, UeConfig, UeProfile, UeTimers};
pub use registration::RegistrationKind;
pub use session::SessionInfo;
pub use timer::Timer;

use crate::usim::Usim;
use crate::violation::Violation;
use oxirush_nas::nas_5gs::{Guti, Nas5gmmMessage, Nas5gsMessage, STmsi};
use registration::Attempt;
use security::Security;
use session::Session;
use std::time::{Duration, Instant};
use timer::Timers;

/// What happens to a UE.
#[derive(Debug)]
pub enum Input<'a> {
    Register(RegistrationKind),
    EstablishSession(SessionRequest),
    ReleaseSession {
        psi: u8,
    },
    /// Leaves CM-IDLE; with `data`, user plane resources of all sessions are asked for.
    RequestService {
        data: bool,
    },
    Deregister {
        switch_off: bool,
    },
    /// A downlink NAS message, as the gNB delivered it.
    Nas(&'a [u8]),
    /// The NAS signalling connection is released: CM-IDLE.
    Released,
    /// The gNB paged this UE's 5G-S-TMSI.
    Paged,
    /// Access stratum security starts with this KgNB, which the AMF gave the gNB.
    Kgnb([u8; 32]),
}

/// What a UE wants done.
#[derive(Debug)]
pub enum Output {
    /// The first NAS message of a signalling connection.
    Initial {
        nas: Vec<u8>,
        cause: EstablishmentCause,
        identity: Option<STmsi>,
    },
    Uplink {
        nas: Vec<u8>,
    },
    /// The UE lets the connection go by itself.
    LocalRelease,
    Event(Event),
}

/// RRC establishment cause (TS 24.501, table 4.5.6.1; TS 38.413, 9.3.1.111).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EstablishmentCause {
    MoSignalling,
    MoData,
    MtAccess,
}

/// What became of what was asked, and what was noticed.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Registered {
        guti: Option<Guti>,
    },
    /// Ended without registration. `retry`: a timer will try again by itself.
    RegistrationFailed {
        failure: Failure,
        retry: bool,
    },
    Deregistered {
        failure: Option<Failure>,
        register_again: bool,
    },
    SessionEstablished(SessionInfo),
    SessionFailed {
        psi: u8,
        failure: Failure,
    },
    SessionReleased {
        psi: u8,
        failure: Option<Failure>,
    },
    ServiceAccepted {
        reactivation_failed: Vec<u8>,
    },
    ServiceFailed {
        failure: Failure,
    },
    /// CM-IDLE from here on.
    Idle,
    /// AUTS was sent: the network is to resynchronise its SQN.
    SynchFailure,
    ConfigurationUpdated,
    GmmStatus {
        cause: u8,
    },
    GsmStatus {
        psi: u8,
        cause: u8,
    },
    TimerExpired(Timer),
    Violation(Violation),
}

/// Why something did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Failure {
    #[error("5GMM cause #{0}")]
    Gmm(u8),
    #[error("5GSM cause #{0}")]
    Gsm(u8),
    #[error("AUTHENTICATION REJECT")]
    AuthenticationRejected,
    #[error("{0:?} expired")]
    Expired(Timer),
    #[error("connection lost")]
    ConnectionLost,
    #[error("the network is not authentic")]
    NotAuthentic,
    #[error("not possible in state {0}")]
    State(&'static str),
    #[error("{0}")]
    Identity(#[from] crate::suci::ConcealmentError),
    #[error("PDU session identity {0} is in use or not 1 to 15")]
    PduSessionIdentity(u8),
    #[error("deregistered")]
    Deregistered,
    #[error("the network has no such session")]
    NotAtNetwork,
}

/// State of 5GMM (TS 24.501, 5.1.3.2.1).
#[derive(Debug)]
enum Mm {
    Deregistered,
    Registering(Box<Attempt>),
    Registered,
    RequestingService,
    Deregistering { switch_off: bool, sent: u8 },
}

pub struct Ue {
    config: UeConfig,
    usim: Usim,
    security: Security,
    mm: Mm,
    connected: bool,
    guti: Option<Guti>,
    /// Set while the network knows this UE; survives a failed update.
    sessions: Vec<Session>,
    timers: Timers,
    /// Registration attempt counter (TS 24.501, 5.5.1.2.2).
    attempts: u8,
    /// Consecutive challenges that were not the network's (TS 24.501, 5.4.1.3.7).
    challenges_refused: u8,
    pti_last: u8,
    t3512: Option<Duration>,
    t3502: Option<Duration>,
    wrong_res_star: bool,
}

impl Ue {
    pub fn new(config: UeConfig) -> Self {
        let usim = Usim::new(&config.k, &config.operator).with_sqn(config.sqn);
        Self {
            config,
            usim,
            security: Security::default(),
            mm: Mm::Deregistered,
            connected: false,
            guti: None,
            sessions: Vec::new(),
            timers: Timers::default(),
            attempts: 0,
            challenges_refused: 0,
            pti_last: 0,
            t3512: None,
            t3502: None,
            wrong_res_star: false,
        }
    }

    pub fn config(&self) -> &UeConfig {
        &self.config
    }

    pub fn usim(&self) -> &Usim {
        &self.usim
    }

    pub fn guti(&self) -> Option<Guti> {
        self.guti
    }

    pub fn is_registered(&self) -> bool {
        matches!(self.mm, Mm::Registered | Mm::RequestingService)
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// The sessions that are up.
    pub fn sessions(&self) -> impl Iterator<Item = &SessionInfo> {
        self.sessions.iter().filter_map(Session::info)
    }

    /// From now on, RES* is wrong: the network has to refuse this UE.
    pub fn set_wrong_res_star(&mut self, wrong: bool) {
        self.wrong_res_star = wrong;
    }

    pub fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Register(kind) => self.register(now, kind, out),
            Input::EstablishSession(request) => self.establish_session(now, request, out),
            Input::ReleaseSession { psi } => self.release_session(now, psi, out),
            Input::RequestService { data } => self.request_service(now, data, EstablishmentCause::MoData, out),
            Input::Deregister { switch_off } => self.deregister(now, switch_off, out),
            Input::Nas(octets) => self.receive(now, octets, out),
            Input::Released => self.released(now, out),
            Input::Paged => self.paged(now, out),
            Input::Kgnb(kgnb) => {
                if self.security.kgnb() != Some(kgnb) {
                    out.push(violation(Violation::Kgnb));
                }
            }
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// Handles all timers that are due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Output>) {
        // Bounded: each timer that fires restarts in the future, and there are at most two a session and ten others.
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                // Expected to run out: the network asked for the wait.
                Timer::T3346 | Timer::T3511 | Timer::T3502 => self.retry_registration(now, out),
                Timer::T3512 => self.register(now, RegistrationKind::Periodic, out),
                Timer::T3510 => self.registration_expired(now, out),
                // RES* is kept for a repeated challenge no longer (TS 24.501, 5.4.1.3.2).
                Timer::T3516 => self.security.pending = None,
                Timer::T3517 => self.service_expired(out),
                Timer::T3520 => self.network_not_authentic(now, out),
                Timer::T3521 => self.deregistration_expired(now, out),
                Timer::T3580(psi) => self.establishment_expired(now, psi, out),
                Timer::T3582(psi) => self.release_expired(now, psi, out),
            }
        }
    }

    /// The NAS signalling connection is gone.
    fn released(&mut self, now: Instant, out: &mut Vec<Output>) {
        let was_connected = std::mem::replace(&mut self.connected, false);
        self.security.disconnect();
        for timer in [Timer::T3516, Timer::T3520] {
            self.timers.stop(timer);
        }
        if !was_connected {
            return;
        }
        out.push(Output::Event(Event::Idle));
        match std::mem::replace(&mut self.mm, Mm::Deregistered) {
            Mm::Registering(attempt) => {
                self.mm = Mm::Registering(attempt);
                self.registration_failed(now, Failure::ConnectionLost, out);
            }
            // TS 24.501 5.6.1.7 b): lower layer failure aborts the procedure.
            Mm::RequestingService => {
                self.mm = Mm::Registered;
                self.timers.stop(Timer::T3517);
                out.push(Output::Event(Event::ServiceFailed { failure: Failure::ConnectionLost }));
            }
            // TS 24.501 5.5.2.2.6 b): the UE is deregistered all the same.
            Mm::Deregistering { .. } => self.deregistered(None, false, out),
            mm => self.mm = mm,
        }
        self.start_t3512(now);
    }

    /// T3512 runs in CM-IDLE only (TS 24.501, 5.3.7).
    fn start_t3512(&mut self, now: Instant) {
        let idle = matches!(self.mm, Mm::Registered) && !self.connected;
        match self.t3512.filter(|duration| idle && !duration.is_zero()) {
            Some(duration) => self.timers.start(Timer::T3512, now, duration),
            None => self.timers.stop(Timer::T3512),
        }
    }

    /// Sends in the NAS signalling connection that there is, protected once secure exchange is established.
    fn send(&mut self, message: impl Into<Nas5gmmMessage>, out: &mut Vec<Output>) {
        let message = Nas5gsMessage::new_5gmm(message);
        let octets = match self.security.exchanging {
            true => self.security.protect(&message),
            false => message.encode().ok(),
        };
        // `None`: the uplink NAS COUNT is used up, and the context protects nothing more (TS 24.501, 4.4.3.5). What waits
        // for this message runs into its timer.
        if let Some(nas) = octets {
            out.push(Output::Uplink { nas });
        }
    }

    /// Sends a message that may be the first of a connection (TS 24.501, 4.4.6). `clear`: what goes out without a context.
    fn send_initial(
        &mut self,
        message: &Nas5gsMessage,
        clear: &Nas5gsMessage,
        cause: EstablishmentCause,
        out: &mut Vec<Output>,
    ) {
        let Some(nas) = self.security.protect_initial(message).or_else(|| clear.encode().ok()) else { return };
        if std::mem::replace(&mut self.connected, true) {
            out.push(Output::Uplink { nas });
        } else {
            self.timers.stop(Timer::T3512);
            out.push(Output::Initial { nas, cause, identity: self.guti.map(|guti| guti.s_tmsi()) });
        }
    }

    fn state(&self) -> &'static str {
        match self.mm {
            Mm::Deregistered => "5GMM-DEREGISTERED",
            Mm::Registering(_) => "5GMM-REGISTERED-INITIATED",
            Mm::Registered => "5GMM-REGISTERED",
            Mm::RequestingService => "5GMM-SERVICE-REQUEST-INITIATED",
            Mm::Deregistering { .. } => "5GMM-DEREGISTERED-INITIATED",
        }
    }
}

impl std::fmt::Debug for Ue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ue").field("supi", &self.config.supi).field("state", &self.state()).finish_non_exhaustive()
    }
}

fn violation(violation: Violation) -> Output {
    Output::Event(Event::Violation(violation))
}
