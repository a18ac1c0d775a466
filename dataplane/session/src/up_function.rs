//! The UP function: what arrives finds its procedure here, and every request its one response.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use coeur_rules::RemoteTunnel;
use rs_pfcp::ie::IeType;
use rs_pfcp::ie::cause::CauseValue;
use rs_pfcp::ie::recovery_time_stamp::RecoveryTimeStamp;
use rs_pfcp::message::MsgType;
use rs_pfcp::message::header::Header;

use crate::association::Association;
use crate::config::Config;
use crate::event::{Discard, Event, Input, Output};
use crate::figures::{Figures, Outcome, message_name};
use crate::memory::{Memory, Recall, RequestKey};
use crate::request::Requests;
use crate::seats::Seats;
use crate::transaction::Transaction;
use crate::wire::Refusal;
use crate::wire::writer::Writer;

/// The PFCP entity of a user plane.
#[derive(Debug)]
pub struct UpFunction {
    pub(crate) config: Config,
    /// When this value was made, as `config.started` on the other clock.
    pub(crate) born: Instant,
    pub(crate) associations: Vec<Association>,
    pub(crate) associations_made: u32,
    pub(crate) seats: Seats,
    pub(crate) memory: Memory,
    pub(crate) transactions: HashMap<u64, Transaction>,
    pub(crate) transactions_made: u64,
    pub(crate) requests: Requests,
    pub(crate) figures: Figures,
    /// A rate limit was seen, and said not to be enforced.
    pub(crate) rate_limits_seen: bool,
    pub(crate) outputs: Vec<Output>,
}

/// A request of a peer that is to be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) kind: MsgType,
    pub(crate) key: RequestKey,
    /// Whose session the response is about, as the peer calls it; 0 while that is not known.
    pub(crate) cp_seid: u64,
}

/// How far a request got at once.
pub(crate) enum Progress {
    Answer(Vec<u8>),
    /// A transaction answers it.
    Pending,
    /// Something else works on the same session.
    Busy,
}

impl UpFunction {
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            born: now,
            associations: Vec::new(),
            associations_made: 0,
            seats: Seats::new(config.limits.sessions_max, config.seed),
            memory: Memory::new(config.limits.responses_max, config.timers.response_age()),
            transactions: HashMap::new(),
            transactions_made: 0,
            requests: Requests::new(config.limits.requests_max),
            figures: Figures::default(),
            rate_limits_seen: false,
            outputs: Vec::new(),
            config,
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Vec<Output> {
        match input {
            Input::Datagram { from, octets } => self.handle_datagram(now, from, octets),
            Input::Applied { transaction, result } => self.handle_applied(now, transaction, result),
            Input::LostTunnel(remote) => self.handle_lost_tunnel(now, remote),
        }
        std::mem::take(&mut self.outputs)
    }

    /// Repeats requests, sends heartbeats, gives up peers: what is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Output> {
        self.repeat_requests(now);
        self.send_heartbeats(now);
        self.end_waiting(now);
        std::mem::take(&mut self.outputs)
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        let associations = self.associations.iter();
        let due =
            associations.flat_map(|association| association.gone_at.into_iter().chain([association.heartbeat_due]));
        due.min().into_iter().chain(self.requests.next_deadline()).min()
    }

    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    pub fn sessions(&self) -> usize {
        self.seats.len()
    }

    pub fn associations(&self) -> usize {
        self.associations.len()
    }

    /// Responses held for requests that may be repeated.
    pub fn responses(&self) -> usize {
        self.memory.len()
    }

    /// Whether a G-PDU with this TEID belongs to a session.
    pub fn is_tunnel(&self, teid: u32) -> bool {
        self.seats.is_tunnel(teid)
    }

    /// Whether a session sends to this tunnel end point of a peer.
    pub fn is_remote(&self, remote: RemoteTunnel) -> bool {
        self.seats.of_remote(remote).is_some()
    }

    fn handle_datagram(&mut self, now: Instant, from: SocketAddr, octets: &[u8]) {
        // TS 29.244 7.6.3.
        let Ok(header) = Header::unmarshal(octets) else { return self.figures.discard(Discard::Truncated) };
        let sequence_number = header.sequence_number.0;
        if header.version != 1 {
            return self.refuse_version(from, header.message_type, sequence_number);
        }
        let key = RequestKey { from, sequence_number };
        let end = 4 + usize::from(header.length);
        let body = octets.get(usize::from(header.len())..end);
        match header.message_type {
            MsgType::HeartbeatRequest => self.handle_heartbeat_request(now, key, body),
            MsgType::HeartbeatResponse | MsgType::SessionReportResponse => {
                self.handle_response(now, from, &header, body);
            }
            MsgType::Unknown => self.figures.discard(Discard::UnknownMessage),
            // Only a UP function sends these.
            MsgType::NodeReportRequest | MsgType::SessionReportRequest => {
                self.figures.discard(Discard::UnexpectedRequest);
            }
            kind if is_request(kind) => {
                // TS 29.244 7.2.2.1: the SEID is in messages about sessions, and in no other.
                if header.has_seid != is_about_session(kind) {
                    return self.figures.discard(Discard::UnexpectedRequest);
                }
                self.handle_request(now, Request { kind, key, cp_seid: 0 }, header.seid.0, body, octets);
            }
            // TS 29.244 7.6.5.
            _ => self.figures.discard(Discard::UnexpectedResponse),
        }
    }

    /// TS 29.244 7.6.2. A refusal of a version is not refused itself.
    fn refuse_version(&mut self, from: SocketAddr, kind: MsgType, sequence_number: u32) {
        if kind == MsgType::VersionNotSupportedResponse {
            return self.figures.discard(Discard::UnexpectedResponse);
        }
        self.figures.request(kind, Outcome::Refused);
        self.send(from, Writer::node(MsgType::VersionNotSupportedResponse, sequence_number).finish());
    }

    fn handle_request(&mut self, now: Instant, mut request: Request, seid: u64, body: Option<&[u8]>, octets: &[u8]) {
        match self.memory.recall(now, request.key, octets) {
            Recall::New => {}
            Recall::InProgress => return self.figures.discard(Discard::InProgress),
            Recall::Answered(response) => {
                let octets = response.to_vec();
                self.figures.request(request.kind, Outcome::Repeated);
                return self.send(request.key.from, octets);
            }
        }
        let result = match body {
            // TS 29.244 7.6.3: the header promises more than arrived.
            None => Err(Refusal::new(CauseValue::InvalidLength)),
            Some(body) => self.serve(now, &mut request, seid, body),
        };
        match result {
            Ok(Progress::Answer(response)) => self.accept(request, response),
            Ok(Progress::Pending) => {}
            Ok(Progress::Busy) => {
                self.memory.forget(request.key);
                self.figures.discard(Discard::InProgress);
            }
            Err(refusal) => self.refuse(request, &refusal),
        }
    }

    fn serve(&mut self, now: Instant, request: &mut Request, seid: u64, body: &[u8]) -> Result<Progress, Refusal> {
        match request.kind {
            MsgType::AssociationSetupRequest => self.set_up_association(now, *request, body),
            MsgType::AssociationUpdateRequest => self.update_association(*request, body),
            MsgType::AssociationReleaseRequest => self.release_association(*request, body),
            MsgType::SessionEstablishmentRequest => self.establish(now, request, body),
            MsgType::SessionModificationRequest => self.modify(now, request, seid, body),
            MsgType::SessionDeletionRequest => self.delete(now, request, seid),
            // PFDs, FQ-CSIDs and SMF sets: none of the features is announced.
            _ => Err(Refusal::new(CauseValue::ServiceNotSupported)),
        }
    }

    /// The one way out of a request that succeeded.
    pub(crate) fn accept(&mut self, request: Request, response: Vec<u8>) {
        self.figures.request(request.kind, Outcome::Accepted);
        self.memory.answered(request.key, &response);
        self.send(request.key.from, response);
    }

    /// The one way out of a request that did not.
    pub(crate) fn refuse(&mut self, request: Request, refusal: &Refusal) {
        self.figures.request(request.kind, Outcome::Refused);
        self.figures.refusals[usize::from(refusal.cause as u8)] += 1;
        self.outputs.push(Output::Event(Event::Refused {
            message: message_name(request.kind as u8).unwrap_or("unknown"),
            cause: refusal.cause as u8,
            offending_ie: refusal.offending_ie,
            rule: refusal.rule,
        }));
        let response = self.refusal_response(request, refusal);
        self.memory.answered(request.key, &response);
        self.send(request.key.from, response);
    }

    fn refusal_response(&self, request: Request, refusal: &Refusal) -> Vec<u8> {
        let mut response = self.response(request);
        match request.kind {
            MsgType::SessionModificationRequest | MsgType::SessionDeletionRequest | MsgType::PfdManagementRequest => {}
            _ => response.ie(IeType::NodeId, &self.config.node_id.encode()),
        }
        match request.kind {
            // TS 29.244 tables 7.4.4.2-1, 7.4.4.4-1, 7.4.4.6-1: no offending IE.
            MsgType::AssociationSetupRequest => {
                response.ie(IeType::Cause, &[refusal.cause as u8]);
                response.ie(IeType::RecoveryTimeStamp, &self.recovery_time_stamp());
            }
            MsgType::AssociationUpdateRequest | MsgType::AssociationReleaseRequest => {
                response.ie(IeType::Cause, &[refusal.cause as u8]);
            }
            _ => response.refusal(refusal),
        }
        if let Some(rule) = refusal.failed_rule().filter(|_| is_about_session(request.kind)) {
            response.failed_rule(rule);
        }
        response.finish()
    }

    /// The head of the response to a request.
    pub(crate) fn response(&self, request: Request) -> Writer {
        // TS 29.244 table 7.3-1: a response has the number after its request's.
        let kind = MsgType::from(request.kind as u8 + 1);
        if is_about_session(request.kind) {
            Writer::session(kind, request.cp_seid, request.key.sequence_number)
        } else {
            Writer::node(kind, request.key.sequence_number)
        }
    }

    pub(crate) fn send(&mut self, to: SocketAddr, octets: Vec<u8>) {
        self.outputs.push(Output::Send { to, octets });
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push(Output::Event(event));
    }

    pub(crate) fn recovery_time_stamp(&self) -> [u8; 4] {
        RecoveryTimeStamp::new(self.config.started).marshal()
    }

    /// The date, in seconds since 1900.
    pub(crate) fn date(&self, now: Instant) -> u32 {
        let date: SystemTime = self.config.started + now.saturating_duration_since(self.born);
        RecoveryTimeStamp::new(date).ntp_seconds()
    }
}

fn is_request(kind: MsgType) -> bool {
    matches!(
        kind,
        MsgType::PfdManagementRequest
            | MsgType::AssociationSetupRequest
            | MsgType::AssociationUpdateRequest
            | MsgType::AssociationReleaseRequest
            | MsgType::SessionSetDeletionRequest
            | MsgType::SessionSetModificationRequest
    ) || is_about_session(kind)
}

fn is_about_session(kind: MsgType) -> bool {
    matches!(
        kind,
        MsgType::SessionEstablishmentRequest | MsgType::SessionModificationRequest | MsgType::SessionDeletionRequest
    )
}
