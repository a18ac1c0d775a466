//! The SMF's end of N4: one association with the configured user plane (TS 29.244, 6.2), and reliable delivery of session
//! requests over it (6.4). It knows no session: what a request was for is a [`Purpose`] that comes back with its answer.
//!
//! ```text
//!            setup request every 100 ms … T1          heartbeats unanswered N1 times,
//!   ┌──────┐ ───────────────────────────► ┌────┐      restarted, released, cause #72      ┌──────┐
//!   │ down │                              │ up │ ───────────────────────────────────────► │ down │
//!   └──────┘ ◄─ refused: wait, again ──── └────┘                                          └──────┘
//! ```

mod answer;
mod memory;
mod request;
pub(crate) mod rules;
pub(crate) mod wire;

pub(crate) use answer::{Answer, N4Failure, NO_RESOURCES, NO_SESSION};
pub(crate) use request::{ERIR, Report};

use crate::session::Deletion;
use coeur_model::config::{N4Config, TimerConfig};
use coeur_nf::Timers;
use coeur_nf::services::nsmf::{SmContextId, SmfOutput};
use memory::Memory;
use rs_pfcp::ie::recovery_time_stamp::RecoveryTimeStamp;
use rs_pfcp::ie::{Ie, IeType};
use rs_pfcp::message::MsgType;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};
use wire::{Malformed, Message, encode, node_id};

/// Most requests that wait for the user plane; one beyond fails at once.
pub const REQUEST_MAX: usize = 65_536;

/// The first pause between two association setup requests: the user plane often starts a moment after the core. It
/// doubles up to T1.
const SETUP_PAUSE_MIN: Duration = Duration::from_millis(100);

/// The pause after the user plane refused an association, or ended it.
const SETUP_PAUSE_REFUSED: Duration = Duration::from_secs(5);

/// What a session request was sent for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Purpose {
    Establish(SmContextId),
    Modify(SmContextId),
    Delete(Deletion),
}

/// What N4 tells the sessions.
#[derive(Debug)]
pub(crate) enum N4Event {
    /// The association is there. `retained`: the user plane says that it kept its sessions.
    Up {
        recovery: u32,
        retained: bool,
    },
    /// It is gone; requests under way have failed already.
    Down,
    /// A heartbeat was answered.
    Alive,
    Answered(Purpose, Result<Answer, N4Failure>),
    Reported(Report),
}

pub(crate) struct N4 {
    node: IpAddr,
    upf: SocketAddr,
    /// When this SMF started.
    recovery: SystemTime,
    t1: Duration,
    n1: u8,
    heartbeat: Duration,
    association: Association,
    /// The association setup request under way.
    setup: Option<Setup>,
    last_sequence: u32,
    pending: HashMap<u32, Pending>,
    timers: Timers<N4Timer>,
    memory: Memory,
    pub(crate) figures: Figures,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Association {
    Down,
    /// `recovery`: the user plane's recovery time stamp, seconds since 1900.
    Up {
        recovery: u32,
        /// The first octets of UP Function Features, as announced.
        features: u32,
    },
}

/// Bit 5 of octet 5 of UP Function Features: the user plane chooses F-TEIDs (TS 29.244, table 8.2.25-1).
pub(crate) const FEATURE_FTUP: u32 = 1 << 4;

struct Setup {
    sequence: u32,
    octets: Vec<u8>,
    pause: Duration,
}

struct Pending {
    octets: Vec<u8>,
    request: Request,
    /// How often it may be sent again.
    left: u8,
}

enum Request {
    Heartbeat,
    Release,
    Session(Purpose),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum N4Timer {
    /// Sends the association setup request, or sends it again.
    Setup,
    Heartbeat,
    T1 {
        sequence: u32,
    },
}

#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) retransmissions: u64,
    pub(crate) unanswered: u64,
    pub(crate) repeated: u64,
    /// Messages discarded, by the reason and its clause.
    pub(crate) discarded: BTreeMap<&'static str, u64>,
    pub(crate) refused: BTreeMap<u8, u64>,
    pub(crate) reports: BTreeMap<&'static str, u64>,
}

impl Figures {
    fn discard(&mut self, reason: &'static str) {
        *self.discarded.entry(reason).or_default() += 1;
    }
}

impl N4 {
    /// `sequence`: where sequence numbers start. Drawn at random, so that the user plane's memory of a former SMF's
    /// requests answers none of this one's.
    pub(crate) fn new(
        config: &N4Config,
        timers: &TimerConfig,
        recovery: SystemTime,
        sequence: u32,
        now: Instant,
    ) -> Self {
        let mut n4 = Self {
            node: config.local.ip(),
            upf: config.upf,
            recovery,
            t1: Duration::from_millis(timers.pfcp_t1_ms.into()),
            n1: timers.pfcp_n1,
            heartbeat: Duration::from_secs(timers.pfcp_heartbeat_s.max(1).into()),
            association: Association::Down,
            setup: None,
            last_sequence: sequence & SEQUENCE_MAX,
            pending: HashMap::new(),
            timers: Timers::default(),
            memory: Memory::default(),
            figures: Figures::default(),
        };
        n4.set_up_at(now);
        n4
    }

    pub(crate) fn node(&self) -> IpAddr {
        self.node
    }

    pub(crate) fn upf(&self) -> SocketAddr {
        self.upf
    }

    pub(crate) fn association(&self) -> Association {
        self.association
    }

    /// The user plane's recovery time stamp, while it is associated.
    pub(crate) fn is_up(&self) -> Option<u32> {
        match self.association {
            Association::Up { recovery, .. } => Some(recovery),
            Association::Down => None,
        }
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// Sends a session request. `build` gets its sequence number.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        purpose: Purpose,
        build: impl FnOnce(u32) -> Vec<u8>,
        out: &mut Vec<SmfOutput>,
    ) -> Result<(), (Purpose, N4Failure)> {
        if self.is_up().is_none() {
            return Err((purpose, N4Failure::Down));
        }
        if self.pending.len() >= REQUEST_MAX {
            return Err((purpose, N4Failure::Congestion));
        }
        self.request(now, Request::Session(purpose), build, out);
        Ok(())
    }

    fn request(
        &mut self,
        now: Instant,
        request: Request,
        build: impl FnOnce(u32) -> Vec<u8>,
        out: &mut Vec<SmfOutput>,
    ) {
        let sequence = self.next_sequence();
        let octets = build(sequence);
        out.push(SmfOutput::Pfcp { peer: self.upf, octets: octets.clone() });
        self.timers.start(N4Timer::T1 { sequence }, now + self.t1);
        self.pending.insert(sequence, Pending { octets, request, left: self.n1 });
    }

    /// Unique among the requests under way, which are far fewer than there are numbers.
    fn next_sequence(&mut self) -> u32 {
        loop {
            self.last_sequence = (self.last_sequence + 1) & SEQUENCE_MAX;
            if self.last_sequence != 0 && !self.pending.contains_key(&self.last_sequence) {
                return self.last_sequence;
            }
        }
    }

    /// One datagram.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        octets: &[u8],
        events: &mut Vec<N4Event>,
        out: &mut Vec<SmfOutput>,
    ) {
        match Message::read(octets) {
            Ok(message) if message.is_response() => self.response(now, peer, &message, events),
            Ok(message) => self.incoming(now, peer, &message, octets, events, out),
            Err(Malformed::Length) => self.figures.discard("7.6.3 length"),
            Err(Malformed::Version { sequence }) => {
                self.figures.discard("7.6.2 version");
                let octets = encode(MsgType::VersionNotSupportedResponse, None, sequence, &[]);
                out.push(SmfOutput::Pfcp { peer, octets });
            }
        }
    }

    fn response(&mut self, now: Instant, peer: SocketAddr, message: &Message<'_>, events: &mut Vec<N4Event>) {
        if peer.ip() != self.upf.ip() {
            return self.figures.discard("6.4 not the user plane");
        }
        if message.kind == MsgType::AssociationSetupResponse {
            return self.setup_response(now, message, events);
        }
        // 6.4: a response is that of the request with its sequence number; one to nothing is a late duplicate. 7.6.4: one
        // of another kind is no answer.
        match self.pending.get(&message.sequence) {
            None => return self.figures.discard("6.4 response to no request"),
            Some(pending) if !answer::is_answer_to(message.kind, pending.request_kind()) => {
                return self.figures.discard("7.6.4 response of another kind");
            }
            Some(_) => {}
        }
        let Some(pending) = self.pending.remove(&message.sequence) else { return };
        self.timers.stop(&N4Timer::T1 { sequence: message.sequence });
        match pending.request {
            Request::Heartbeat => self.heard(now, message, events),
            Request::Release => self.go_down(now, SETUP_PAUSE_REFUSED, events),
            Request::Session(purpose) => {
                let answer = answer::read(message);
                if let Err(N4Failure::Refused(cause)) = answer {
                    *self.figures.refused.entry(cause).or_default() += 1;
                }
                let no_association = answer == Err(N4Failure::Refused(answer::NO_ASSOCIATION));
                events.push(N4Event::Answered(purpose, answer));
                if no_association {
                    self.go_down(now, Duration::ZERO, events);
                }
            }
        }
    }

    /// `retain`: there are sessions that the user plane may have kept.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        retain: bool,
        events: &mut Vec<N4Event>,
        out: &mut Vec<SmfOutput>,
    ) {
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                N4Timer::Setup => self.set_up(now, retain, out),
                N4Timer::Heartbeat => {
                    let recovery = self.recovery_ie();
                    let build = |sequence| encode(MsgType::HeartbeatRequest, None, sequence, &[recovery]);
                    self.request(now, Request::Heartbeat, build, out);
                }
                N4Timer::T1 { sequence } => self.t1_expired(now, sequence, events, out),
            }
        }
    }

    fn t1_expired(&mut self, now: Instant, sequence: u32, events: &mut Vec<N4Event>, out: &mut Vec<SmfOutput>) {
        let Some(pending) = self.pending.get_mut(&sequence) else { return };
        if let Some(left) = pending.left.checked_sub(1) {
            pending.left = left;
            self.figures.retransmissions += 1;
            out.push(SmfOutput::Pfcp { peer: self.upf, octets: pending.octets.clone() });
            self.timers.start(N4Timer::T1 { sequence }, now + self.t1);
            return;
        }
        self.figures.unanswered += 1;
        match self.pending.remove(&sequence).map(|pending| pending.request) {
            Some(Request::Session(purpose)) => events.push(N4Event::Answered(purpose, Err(N4Failure::NoAnswer))),
            // 6.2.2: no heartbeat in N1 times T1 is the end of the path.
            Some(Request::Heartbeat) => self.go_down(now, Duration::ZERO, events),
            Some(Request::Release) => self.go_down(now, SETUP_PAUSE_REFUSED, events),
            None => {}
        }
    }

    fn set_up_at(&mut self, when: Instant) {
        self.setup = None;
        self.timers.start(N4Timer::Setup, when);
    }

    /// Association setup (6.2.6.2). Unlike other requests it is sent until it is answered, one and the same.
    fn set_up(&mut self, now: Instant, retain: bool, out: &mut Vec<SmfOutput>) {
        let longest = self.t1.max(SETUP_PAUSE_MIN);
        let setup = match self.setup.take() {
            Some(setup) => {
                self.figures.retransmissions += 1;
                Setup { pause: (setup.pause * 2).min(longest), ..setup }
            }
            None => {
                let sequence = self.next_sequence();
                Setup { sequence, octets: self.setup_request(sequence, retain), pause: SETUP_PAUSE_MIN }
            }
        };
        out.push(SmfOutput::Pfcp { peer: self.upf, octets: setup.octets.clone() });
        self.timers.start(N4Timer::Setup, now + setup.pause);
        self.setup = Some(setup);
    }

    fn setup_request(&self, sequence: u32, retain: bool) -> Vec<u8> {
        let mut ies = vec![node_id(self.node), self.recovery_ie()];
        if retain {
            // 6.2.6.2.1: without this the user plane clears what it holds for this SMF.
            ies.push(Ie::new(IeType::PfcpSessionRetentionInformation, cp_entity_address(self.node)));
        }
        encode(MsgType::AssociationSetupRequest, None, sequence, &ies)
    }

    fn setup_response(&mut self, now: Instant, message: &Message<'_>, events: &mut Vec<N4Event>) {
        if self.setup.as_ref().is_none_or(|setup| setup.sequence != message.sequence) {
            return self.figures.discard("6.4 response to no request");
        }
        let cause = message.ie(IeType::Cause).and_then(<[u8]>::first).copied();
        let recovery = message.ie(IeType::RecoveryTimeStamp).and_then(<[u8]>::first_chunk);
        match (cause, recovery) {
            (Some(answer::ACCEPTED), Some(recovery)) => {
                let flags = message.ie(IeType::PfcpasRspFlags).and_then(<[u8]>::first).copied().unwrap_or(0);
                self.go_up(now, u32::from_be_bytes(*recovery), features(message), flags & PSREI != 0, events);
            }
            (Some(answer::ACCEPTED) | None, _) => self.figures.discard("7.6.6 mandatory element missing"),
            (Some(cause), _) => {
                *self.figures.refused.entry(cause).or_default() += 1;
                self.set_up_at(now + SETUP_PAUSE_REFUSED);
            }
        }
    }

    fn go_up(&mut self, now: Instant, recovery: u32, features: u32, retained: bool, events: &mut Vec<N4Event>) {
        self.setup = None;
        self.timers.stop(&N4Timer::Setup);
        self.association = Association::Up { recovery, features };
        self.timers.start(N4Timer::Heartbeat, now + self.heartbeat);
        events.push(N4Event::Up { recovery, retained });
    }

    /// The association is gone: what was asked over it fails, and it is set up again after `pause`.
    fn go_down(&mut self, now: Instant, pause: Duration, events: &mut Vec<N4Event>) {
        if self.is_up().is_none() {
            return;
        }
        self.association = Association::Down;
        self.timers.stop(&N4Timer::Heartbeat);
        for (sequence, pending) in self.pending.drain() {
            self.timers.stop(&N4Timer::T1 { sequence });
            if let Request::Session(purpose) = pending.request {
                events.push(N4Event::Answered(purpose, Err(N4Failure::Down)));
            }
        }
        events.push(N4Event::Down);
        self.set_up_at(now + pause);
    }

    /// A heartbeat of the user plane, request or response, tells when it started (6.2.2, TS 23.007, 19A).
    fn heard(&mut self, now: Instant, message: &Message<'_>, events: &mut Vec<N4Event>) {
        let Association::Up { recovery: known, .. } = self.association else { return };
        if message.kind == MsgType::HeartbeatResponse {
            self.timers.start(N4Timer::Heartbeat, now + self.heartbeat);
            events.push(N4Event::Alive);
        }
        match message.ie(IeType::RecoveryTimeStamp).and_then(<[u8]>::first_chunk) {
            // Newer, modulo the wrap of 2036. An older one is a late datagram of the former life.
            Some(ts) if u32::from_be_bytes(*ts).wrapping_sub(known).cast_signed() > 0 => {
                self.go_down(now, Duration::ZERO, events);
            }
            Some(_) => {}
            None => self.figures.discard("7.6.6 mandatory element missing"),
        }
    }

    fn recovery_ie(&self) -> Ie {
        RecoveryTimeStamp::new(self.recovery).to_ie()
    }
}

/// Sequence numbers have 24 bits (7.2.2.2).
const SEQUENCE_MAX: u32 = 0x00FF_FFFF;

/// PFCPASRsp-Flags: PFCP Session Retained Indication (8.2.142).
const PSREI: u8 = 0x01;

impl Pending {
    fn request_kind(&self) -> MsgType {
        match self.request {
            Request::Heartbeat => MsgType::HeartbeatRequest,
            Request::Release => MsgType::AssociationReleaseRequest,
            Request::Session(Purpose::Establish(_)) => MsgType::SessionEstablishmentRequest,
            Request::Session(Purpose::Modify(_)) => MsgType::SessionModificationRequest,
            Request::Session(Purpose::Delete(_)) => MsgType::SessionDeletionRequest,
        }
    }
}

/// Little-endian by octet, as the table of the features counts: octet 5 is the lowest.
fn features(message: &Message<'_>) -> u32 {
    let mut features = [0; 4];
    for (bits, announced) in features.iter_mut().zip(message.ie(IeType::UpFunctionFeatures).unwrap_or_default()) {
        *bits = *announced;
    }
    u32::from_le_bytes(features)
}

/// CP PFCP Entity IP Address (8.2.140) as the one member of PFCP Session Retention Information.
fn cp_entity_address(node: IpAddr) -> Vec<u8> {
    let value = match node {
        IpAddr::V4(v4) => [&[0x02][..], &v4.octets()].concat(),
        IpAddr::V6(v6) => [&[0x01][..], &v6.octets()].concat(),
    };
    Ie::new(IeType::CpPfcpEntityIpAddress, value).marshal()
}

#[cfg(test)]
mod tests;
