//! A gNB, seen from N2 (TS 38.413), and the tunnels of N3 that it agrees on.
//!
//! ```text
//!   UEs ──NAS──► Gnb ──NGAP──► AMF        one Gnb is one NG interface instance
//!                 │
//!                 └── Tunnel: where a UE's packets go on N3, and under which TEID they come back
//! ```
//!
//! There is no radio: a UE's messages arrive at once, and every UE is always reachable. Not modelled: handover, dual
//! connectivity, multicast, positioning, several PLMNs.

mod context;
mod interface;
mod receive;
mod release;
mod session;

pub use session::Tunnel;

use crate::ue::EstablishmentCause;
use crate::violation::Violation;
use coeur_model::{Plmn, Snssai, Tac};
use context::Contexts;
use oxirush_nas::nas_5gs::STmsi;
use oxirush_ngap::aper::Error;
use oxirush_ngap::ngap::NGAPPDU;
use std::net::Ipv4Addr;
use std::time::Instant;

/// A UE, as the owner of the models numbers it.
pub type UeKey = u32;

#[derive(Clone, Debug)]
pub struct GnbConfig {
    pub plmn: Plmn,
    /// gNB identity, `id_bits` (22 to 32) wide.
    pub id: u32,
    pub id_bits: u8,
    pub name: String,
    pub tac: Tac,
    pub slices: Vec<Snssai>,
    /// Where N3 comes back to.
    pub n3: Ipv4Addr,
    /// The first TEID given; several gNBs behind one N3 address need ranges of their own.
    pub teid_base: u32,
    /// Most UE contexts. A UE beyond is refused on the spot, as a full cell does.
    pub ue_max: u32,
}

/// What happens to a gNB.
#[derive(Debug)]
pub enum Input<'a> {
    /// The SCTP association is up, with this many outbound streams.
    Up {
        streams: u16,
    },
    Down,
    Ngap(&'a [u8]),
    /// The first NAS message of a UE's connection.
    Initial {
        ue: UeKey,
        nas: Vec<u8>,
        cause: EstablishmentCause,
        identity: Option<STmsi>,
    },
    Uplink {
        ue: UeKey,
        nas: Vec<u8>,
    },
    /// AN release (TS 38.413, 8.3.2): the UE was silent for long, or is gone.
    RequestRelease {
        ue: UeKey,
        cause: ReleaseCause,
    },
    /// NG reset of the whole interface (TS 38.413, 8.7.4.2.2): all UEs are gone.
    Reset,
    /// RAN configuration update (TS 38.413, 8.7.2) with the configuration as it is.
    UpdateConfiguration,
    /// Error indication (TS 38.413, 8.7.5) without UE.
    IndicateError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseCause {
    UserInactivity,
    ConnectionLost,
}

/// What a gNB wants done.
#[derive(Debug)]
pub enum Output {
    Ngap {
        stream: u16,
        octets: Vec<u8>,
    },
    Downlink {
        ue: UeKey,
        nas: Vec<u8>,
    },
    /// Access stratum security starts.
    Kgnb {
        ue: UeKey,
        key: [u8; 32],
    },
    /// The UE's connection is gone.
    Released {
        ue: UeKey,
    },
    Page {
        identity: STmsi,
    },
    TunnelUp(Tunnel),
    TunnelDown {
        ue: UeKey,
        psi: u8,
        teid: u32,
    },
    Event(Event),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    SetupDone {
        amf: String,
    },
    /// `retry`: the AMF told when to try again, and the gNB will.
    SetupFailed {
        cause: String,
        retry: bool,
    },
    ConfigurationUpdated,
    ConfigurationUpdateFailed {
        cause: String,
    },
    /// The AMF reset, or acknowledged our reset.
    Reset,
    Overload {
        start: bool,
    },
    /// A UE could not be served: the gNB is full, or its interface is not set up.
    Refused {
        ue: UeKey,
        reason: &'static str,
    },
    /// What the gNB was to send cannot be encoded: its configuration is at fault.
    Unencodable(String),
    Violation(Violation),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interface {
    Down,
    SettingUp,
    /// The AMF refused, and told to wait until then.
    Waiting(Instant),
    Refused,
    Ready,
}

#[derive(Debug)]
pub struct Gnb {
    config: GnbConfig,
    interface: Interface,
    streams: u16,
    contexts: Contexts,
    teid_next: u32,
    wrong_ids: bool,
}

impl Gnb {
    pub fn new(config: GnbConfig) -> Self {
        let teid_next = config.teid_base.max(1);
        Self {
            config,
            interface: Interface::Down,
            streams: 1,
            contexts: Contexts::default(),
            teid_next,
            wrong_ids: false,
        }
    }

    pub fn config(&self) -> &GnbConfig {
        &self.config
    }

    pub fn is_ready(&self) -> bool {
        self.interface == Interface::Ready
    }

    /// How many UE contexts there are.
    pub fn ues(&self) -> usize {
        self.contexts.len()
    }

    /// From now on, uplink messages carry an AMF UE NGAP ID that the AMF did not give.
    pub fn set_wrong_ids(&mut self, wrong: bool) {
        self.wrong_ids = wrong;
    }

    pub fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Up { streams } => self.up(streams, out),
            Input::Down => self.down(out),
            Input::Ngap(octets) => self.receive(now, octets, out),
            Input::Initial { ue, nas, cause, identity } => self.initial(ue, nas, cause, identity, out),
            Input::Uplink { ue, nas } => self.uplink(ue, nas, out),
            Input::RequestRelease { ue, cause } => self.request_release(ue, cause, out),
            Input::Reset => self.reset(out),
            Input::UpdateConfiguration => self.update_configuration(out),
            Input::IndicateError => self.indicate_error(None, None, None, out),
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        match self.interface {
            Interface::Waiting(until) => Some(until),
            _ => None,
        }
    }

    pub fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Output>) {
        if matches!(self.interface, Interface::Waiting(until) if until <= now) {
            self.set_up(out);
        }
    }

    /// Sends on stream 0: signalling that belongs to no UE (TS 38.412, 7).
    fn send(&self, pdu: Result<NGAPPDU<'_>, Error>, out: &mut Vec<Output>) {
        push(0, pdu, out);
    }

    /// Sends on the stream of a UE: any but 0, and always the same (TS 38.412, 7).
    fn send_for(&self, ran_id: u32, pdu: Result<NGAPPDU<'_>, Error>, out: &mut Vec<Output>) {
        let stream = match self.streams {
            0 | 1 => 0,
            streams => 1 + (ran_id % u32::from(streams - 1)) as u16,
        };
        push(stream, pdu, out);
    }
}

fn push(stream: u16, pdu: Result<NGAPPDU<'_>, Error>, out: &mut Vec<Output>) {
    match pdu.and_then(|pdu| pdu.encode()) {
        Ok(octets) => out.push(Output::Ngap { stream, octets }),
        Err(error) => out.push(Output::Event(Event::Unencodable(error.to_string()))),
    }
}

fn violation(violation: Violation) -> Output {
    Output::Event(Event::Violation(violation))
}
