//! What the tests of this crate share: an SMF in a world of scripted peers. The AMF, UDM and store are asked and answered
//! step by step; the user plane either answers by itself ([`World::settle`]) or is played by the test.

use crate::Smf;
use crate::n4::wire::{Ies, Message, encode};
use coeur_model::config::CoreConfig;
use coeur_model::{Dnn, DnnSubscription, PduSessionId, Supi};
use coeur_nf::event::Event;
use coeur_nf::metric::{Sample, Value};
use coeur_nf::services::namf::{AmfProblem, AmfRequest, AmfResponse, N2SmInfo};
use coeur_nf::services::nsmf::*;
use coeur_nf::services::nudm::{UdmProblem, UdmRequest, UdmResponse};
use coeur_nf::store::{SessionRecord, StoreError, StoreOp, StoreReply};
use coeur_nf::{CommandId, Entropy, Env, ExchangeId, NetworkFunction};
use rs_pfcp::ie::{Ie, IeType};
use rs_pfcp::message::MsgType;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) const CONFIG: &str = r#"
name = "test"
plmn = "00101"
tacs = [1]
slices = ["1"]
n2 = { address = "127.0.0.1" }
n4 = { local = "127.0.0.1:8805", upf = "127.0.0.8:8805" }

[[dnn]]
name = "internet"
pool = "10.45.0.0/29"
dns = ["8.8.8.8"]
"#;

pub(crate) const UPF: &str = "127.0.0.8:8805";
/// N3 address of the scripted user plane.
pub(crate) const N3: [u8; 4] = [10, 0, 3, 1];

pub(crate) fn supi() -> Supi {
    "001010000000001".parse().unwrap()
}

pub(crate) fn session_id() -> PduSessionId {
    PduSessionId::new(5).unwrap()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// PDU SESSION ESTABLISHMENT REQUEST: session 5, PTI 1, full data rate, then `more`.
pub(crate) fn establishment_request(more: &str) -> Vec<u8> {
    hex(&format!("2e0501c1ffff{more}"))
}

/// PDU Session Resource Setup Response Transfer of a gNB at 10.0.2.1 with TEID 0x11, flow 1 (TS 38.413, 9.3.4.2).
pub(crate) fn setup_response() -> Vec<u8> {
    hex("0003e00a000201000000110001")
}

/// A seeded generator: xorshift.
pub(crate) struct Seeded(pub(crate) u64);

impl Entropy for Seeded {
    fn fill(&mut self, octets: &mut [u8]) {
        for octet in octets {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *octet = (self.0 >> 32) as u8;
        }
    }
}

/// A user plane of one table: what it holds, by its own SEID.
pub(crate) struct Upf {
    pub(crate) recovery: u32,
    pub(crate) retained: bool,
    pub(crate) sessions: BTreeMap<u64, UpfSession>,
    last: u64,
    /// Answers every session request with this cause instead.
    pub(crate) refuses: Option<u8>,
    pub(crate) silent: bool,
    pub(crate) ignores_deletions: bool,
    pub(crate) ignores_establishments: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UpfSession {
    pub(crate) cp_seid: u64,
    pub(crate) ue: [u8; 4],
    /// TEID and address of the gNB, while it forwards.
    pub(crate) gnb: Option<(u32, [u8; 4])>,
}

pub(crate) struct World {
    pub(crate) smf: Smf,
    pub(crate) now: Instant,
    pub(crate) entropy: Seeded,
    pub(crate) upf: Upf,
    /// What the store holds.
    pub(crate) stored: BTreeMap<(Supi, PduSessionId), Vec<u8>>,
    pub(crate) store_fails: bool,
    pub(crate) subscription: Result<DnnSubscription, UdmProblem>,
    pub(crate) amf_answer: Result<AmfResponse, AmfProblem>,
    last_exchange: u64,
    /// What the peers have heard.
    pub(crate) to_amf: Vec<AmfRequest>,
    pub(crate) responses: Vec<(ExchangeId, Result<SmfResponse, SmfRefusal>)>,
    pub(crate) commands: Vec<Result<(), SmfCommandError>>,
    pub(crate) events: Vec<Event>,
    pub(crate) asked_udm: Vec<UdmRequest>,
    pub(crate) pfcp: Vec<Vec<u8>>,
}

impl World {
    #[allow(clippy::disallowed_methods, reason = "a test has a clock")]
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let mut entropy = Seeded(0x5EED);
        let smf = Self::smf(now, &mut entropy, 1_000);
        Self {
            smf,
            now,
            entropy,
            upf: Upf {
                recovery: 0xE000_0001,
                retained: false,
                sessions: BTreeMap::new(),
                last: 0,
                refuses: None,
                silent: false,
                ignores_deletions: false,
                ignores_establishments: false,
            },
            stored: BTreeMap::new(),
            store_fails: false,
            subscription: Ok(DnnSubscription::new("internet".parse().unwrap())),
            amf_answer: Ok(AmfResponse::TransferInitiated),
            last_exchange: 0,
            to_amf: Vec::new(),
            responses: Vec::new(),
            commands: Vec::new(),
            events: Vec::new(),
            asked_udm: Vec::new(),
            pfcp: Vec::new(),
        }
    }

    fn smf(now: Instant, entropy: &mut Seeded, unix_s: u64) -> Smf {
        let config = CoreConfig::from_toml(CONFIG).unwrap();
        Smf::new(&config, &mut Env { now, unix_time: Duration::from_secs(unix_s), entropy })
    }

    /// A world whose association is up.
    pub(crate) fn up() -> Self {
        let mut world = Self::new();
        world.pass(Duration::ZERO);
        assert!(world.smf.upf().associated);
        world
    }

    /// A world with one session that a gNB forwards for.
    pub(crate) fn with_session() -> (Self, SmContextId) {
        let mut world = Self::up();
        let context = world.create();
        let answer = world.update(context, SmContextUpdate::SetupResponse(setup_response()));
        assert_eq!(answer, Ok(SmfResponse::Updated { n1_sm: None, n2_sm: None }));
        world.to_amf.clear();
        world.events.clear();
        (world, context)
    }

    /// The core dies and comes back with what the store holds.
    pub(crate) fn restart_core(&mut self) {
        self.smf = Self::smf(self.now, &mut self.entropy, 2_000);
        let record = |((supi, session), record): (&(Supi, PduSessionId), &Vec<u8>)| SessionRecord {
            supi: supi.clone(),
            session: *session,
            record: record.clone(),
        };
        let records = self.stored.iter().map(record).collect();
        self.handle(SmfInput::Restore(records));
        self.pass(Duration::ZERO);
    }

    pub(crate) fn handle_unsettled(&mut self, input: SmfInput) -> Vec<SmfOutput> {
        let mut out = Vec::new();
        let mut env = Env { now: self.now, unix_time: Duration::ZERO, entropy: &mut self.entropy };
        self.smf.handle(&mut env, input, &mut out);
        out
    }

    pub(crate) fn handle(&mut self, input: SmfInput) {
        let out = self.handle_unsettled(input);
        self.settle(out);
    }

    /// Time passes, and every timer on the way is handled when it is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..10_000 {
            match self.smf.next_deadline().filter(|deadline| *deadline <= end) {
                Some(deadline) => self.now = self.now.max(deadline),
                None => {
                    self.now = end;
                    return;
                }
            }
            let mut out = Vec::new();
            let mut env = Env { now: self.now, unix_time: Duration::ZERO, entropy: &mut self.entropy };
            self.smf.handle_timeout(&mut env, &mut out);
            self.settle(out);
        }
        panic!("timers without end");
    }

    /// Lets every peer answer, until nobody says anything any more.
    pub(crate) fn settle(&mut self, outputs: Vec<SmfOutput>) {
        let mut outputs: std::collections::VecDeque<_> = outputs.into();
        while let Some(output) = outputs.pop_front() {
            if let Some(input) = self.peer(output) {
                outputs.extend(self.handle_unsettled(input));
            }
        }
    }

    /// One output is answered, and what follows from the answer put behind.
    pub(crate) fn settle_into(&mut self, output: SmfOutput, outputs: &mut Vec<SmfOutput>) {
        if let Some(input) = self.peer(output) {
            outputs.extend(self.handle_unsettled(input));
        }
    }

    /// What a peer makes of an output.
    fn peer(&mut self, output: SmfOutput) -> Option<SmfInput> {
        match output {
            SmfOutput::Pfcp { peer, octets } => {
                self.pfcp.push(octets.clone());
                return self.upf_answer(&octets).map(|octets| SmfInput::Pfcp { peer, octets });
            }
            SmfOutput::Udm(exchange, request) => {
                self.asked_udm.push(request);
                return Some(SmfInput::Udm(exchange, self.subscription.clone().map(UdmResponse::SessionData)));
            }
            SmfOutput::Amf(exchange, request) => {
                self.to_amf.push(request);
                return Some(SmfInput::Amf(exchange, self.amf_answer));
            }
            SmfOutput::Store(token, op) => return Some(SmfInput::Stored(token, self.store(op))),
            SmfOutput::Respond(exchange, answer) => self.responses.push((exchange, answer)),
            SmfOutput::CommandDone(_, outcome) => self.commands.push(outcome),
            SmfOutput::Event(event) => self.events.push(event),
        }
        None
    }

    pub(crate) fn store(&mut self, op: StoreOp) -> Result<StoreReply, StoreError> {
        if self.store_fails {
            return Err(StoreError::Unavailable("disk full".into()));
        }
        match op {
            StoreOp::PutSession { supi, session, record } => {
                self.stored.insert((supi, session), record);
            }
            StoreOp::RemoveSession { supi, session } => {
                self.stored.remove(&(supi, session));
            }
            other => panic!("{other:?}"),
        }
        Ok(StoreReply::Done)
    }

    pub(crate) fn request(&mut self, request: SmfRequest) -> Result<SmfResponse, SmfRefusal> {
        self.last_exchange += 1;
        let exchange = ExchangeId(self.last_exchange);
        self.handle(SmfInput::Request(exchange, request));
        let at = self.responses.iter().position(|(answered, _)| *answered == exchange).expect("an answer");
        self.responses.remove(at).1
    }

    pub(crate) fn create_request(dnn: Option<&str>, n1_sm: Vec<u8>) -> SmfRequest {
        let dnn: Option<Dnn> = dnn.map(|dnn| dnn.parse().unwrap());
        SmfRequest::CreateSmContext { supi: supi(), session: session_id(), snssai: "1".parse().unwrap(), dnn, n1_sm }
    }

    pub(crate) fn create_with(&mut self, n1_sm: Vec<u8>) -> Result<SmfResponse, SmfRefusal> {
        self.request(Self::create_request(Some("internet"), n1_sm))
    }

    pub(crate) fn create(&mut self) -> SmContextId {
        match self.create_with(establishment_request("")) {
            Ok(SmfResponse::Created { context }) => context,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn update(&mut self, context: SmContextId, update: SmContextUpdate) -> Result<SmfResponse, SmfRefusal> {
        self.request(SmfRequest::UpdateSmContext { context, update })
    }

    /// An N1 message of the phone, and the N1 message that answers it.
    pub(crate) fn n1(&mut self, context: SmContextId, n1_sm: &str) -> Option<Vec<u8>> {
        match self.update(context, SmContextUpdate::N1(hex(n1_sm))) {
            Ok(SmfResponse::Updated { n1_sm, .. }) => n1_sm,
            Err(refusal) => refusal.n1_sm,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn command_release(&mut self) {
        let release = SmfCommand::Release { supi: supi(), session: session_id() };
        self.handle(SmfInput::Command(CommandId(1), release));
    }

    /// A datagram from the user plane, and the answers to it.
    pub(crate) fn upf_says(&mut self, octets: Vec<u8>) -> Vec<Vec<u8>> {
        self.peer_says(UPF, octets)
    }

    pub(crate) fn peer_says(&mut self, peer: &str, octets: Vec<u8>) -> Vec<Vec<u8>> {
        let peer: SocketAddr = peer.parse().unwrap();
        let outputs = self.handle_unsettled(SmfInput::Pfcp { peer, octets });
        let is_pfcp = |output: &SmfOutput| match output {
            SmfOutput::Pfcp { octets, .. } => Some(octets.clone()),
            _ => None,
        };
        let answers = outputs.iter().filter_map(is_pfcp).collect();
        self.settle(outputs);
        answers
    }

    pub(crate) fn upf_sessions(&self) -> Vec<UpfSession> {
        self.upf.sessions.values().cloned().collect()
    }

    /// The user plane dies and comes back empty; its next heartbeat says so.
    pub(crate) fn restart_upf(&mut self) {
        self.upf.recovery += 1;
        self.upf.sessions.clear();
    }

    /// No trace of any session, here or there.
    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.smf.sessions().count(), 0);
        assert!(self.smf.asking.is_empty() && self.smf.by_ue.is_empty() && self.smf.by_seid.is_empty());
        assert!(self.smf.doomed.is_empty() && self.smf.undeleted.is_empty(), "user plane");
        assert!(self.smf.udm.is_empty() && self.smf.amf.is_empty() && self.smf.stores.is_empty(), "exchanges");
        assert!(self.smf.timers.is_empty(), "timers");
        assert_eq!(self.smf.dnns.values().map(|(_, pool)| pool.taken()).sum::<usize>(), 0, "addresses");
        assert!(self.upf.sessions.is_empty(), "{:?}", self.upf.sessions);
        assert!(self.stored.is_empty(), "stored");
    }

    pub(crate) fn counter(&self, name: &str, label: Option<&str>) -> u64 {
        let mut samples = Vec::new();
        self.smf.samples(&mut samples);
        let wanted = |sample: &&Sample| {
            sample.name == name && label.is_none_or(|label| sample.labels.iter().any(|(_, value)| value == label))
        };
        match samples.iter().find(wanted).map(|sample| sample.value.clone()) {
            Some(Value::Counter(count)) => count,
            None => 0,
            other => panic!("{other:?}"),
        }
    }

    fn upf_answer(&mut self, octets: &[u8]) -> Option<Vec<u8>> {
        let message = Message::read(octets).unwrap();
        if self.upf.silent || message.is_response() {
            return None;
        }
        let sequence = message.sequence;
        let cause = |cause: u8| Ie::new(IeType::Cause, vec![cause]);
        let recovery = Ie::new(IeType::RecoveryTimeStamp, self.upf.recovery.to_be_bytes().to_vec());
        if let (Some(refusal), true) = (self.upf.refuses, message.is_session_related()) {
            let kind = MsgType::from(message.kind as u8 + 1);
            return Some(encode(kind, message.seid, sequence, &[cause(refusal)]));
        }
        Some(match message.kind {
            MsgType::HeartbeatRequest => encode(MsgType::HeartbeatResponse, None, sequence, &[recovery]),
            MsgType::AssociationSetupRequest => {
                let node = crate::n4::wire::node_id([127, 0, 0, 8].into());
                let features = Ie::new(IeType::UpFunctionFeatures, vec![0x10, 0x00]);
                let retain = message.ie(IeType::PfcpSessionRetentionInformation).is_some();
                if !retain {
                    self.upf.sessions.clear();
                }
                let flags = Ie::new(IeType::PfcpasRspFlags, vec![u8::from(self.upf.retained && retain)]);
                let ies = [node, cause(1), recovery, features, flags];
                encode(MsgType::AssociationSetupResponse, None, sequence, &ies)
            }
            MsgType::AssociationReleaseRequest => {
                self.upf.sessions.clear();
                encode(MsgType::AssociationReleaseResponse, None, sequence, &[cause(1)])
            }
            MsgType::SessionEstablishmentRequest if self.upf.ignores_establishments => return None,
            MsgType::SessionEstablishmentRequest => self.upf_establish(&message),
            MsgType::SessionModificationRequest => {
                let seid = message.seid.unwrap();
                let Some(session) = self.upf.sessions.get_mut(&seid) else {
                    return Some(encode(MsgType::SessionModificationResponse, Some(0), sequence, &[cause(65)]));
                };
                if let Some(far) = message.ie(IeType::UpdateFar) {
                    session.gnb = gnb(far, IeType::UpdateForwardingParameters);
                }
                encode(MsgType::SessionModificationResponse, Some(session.cp_seid), sequence, &[cause(1)])
            }
            MsgType::SessionDeletionRequest if self.upf.ignores_deletions => return None,
            MsgType::SessionDeletionRequest => {
                let code = if self.upf.sessions.remove(&message.seid.unwrap()).is_some() { 1 } else { 65 };
                encode(MsgType::SessionDeletionResponse, Some(1), sequence, &[cause(code)])
            }
            other => panic!("{other:?}"),
        })
    }

    fn upf_establish(&mut self, message: &Message<'_>) -> Vec<u8> {
        self.upf.last += 1;
        let seid = self.upf.last;
        let fseid = message.ie(IeType::Fseid).unwrap();
        let cp_seid = u64::from_be_bytes(*fseid[1..].first_chunk().unwrap());
        let group = |kind: IeType, id: IeType, value: &[u8]| {
            let mut groups = message.ies().filter(|(k, _)| *k == kind as u16).map(|(_, group)| group);
            groups.find(|group| inside(group, id) == Some(value)).unwrap()
        };
        let downlink = inside(group(IeType::CreatePdr, IeType::PdrId, &[0, 2]), IeType::Pdi).unwrap();
        let ue = *inside(downlink, IeType::UeIpAddress).unwrap()[1..].first_chunk().unwrap();
        let far = group(IeType::CreateFar, IeType::FarId, &[0, 0, 0, 2]);
        let gnb = gnb(far, IeType::ForwardingParameters);
        let uplink = inside(group(IeType::CreatePdr, IeType::PdrId, &[0, 1]), IeType::Pdi).unwrap();
        assert_eq!(inside(uplink, IeType::Fteid), Some(&[0x05][..]), "CHOOSE, IPv4");
        assert!(!self.upf.sessions.values().any(|session| session.ue == ue), "{ue:?} twice");
        self.upf.sessions.insert(seid, UpfSession { cp_seid, ue, gnb });

        let fseid = [&[0x02][..], &seid.to_be_bytes(), &[127, 0, 0, 8]].concat();
        // The user plane's life is in its TEIDs: after a restart they differ.
        let teid = (self.upf.recovery << 16 | seid as u32).to_be_bytes();
        let fteid = [&[0x01][..], &teid, &N3].concat();
        let created = vec![Ie::new(IeType::PdrId, vec![0, 1]), Ie::new(IeType::Fteid, fteid)];
        let ies = [
            crate::n4::wire::node_id([127, 0, 0, 8].into()),
            Ie::new(IeType::Cause, vec![1]),
            Ie::new(IeType::Fseid, fseid),
            Ie::new_grouped(IeType::CreatedPdr, created),
        ];
        encode(MsgType::SessionEstablishmentResponse, Some(cp_seid), message.sequence, &ies)
    }
}

/// The element of a kind in a grouped one.
pub(crate) fn inside(group: &[u8], kind: IeType) -> Option<&[u8]> {
    Ies::grouped(group).find(|(found, _)| *found == kind as u16).map(|(_, value)| value)
}

/// Where a FAR forwards to.
fn gnb(far: &[u8], parameters: IeType) -> Option<(u32, [u8; 4])> {
    let header = inside(inside(far, parameters)?, IeType::OuterHeaderCreation)?;
    assert_eq!(&header[..2], [0x01, 0x00], "GTP-U/UDP/IPv4");
    Some((u32::from_be_bytes(*header[2..].first_chunk()?), *header[6..].first_chunk()?))
}

/// The one N1N2MessageTransfer that the AMF was asked for.
pub(crate) fn transfer(requests: &[AmfRequest]) -> (Option<Vec<u8>>, Option<N2SmInfo>) {
    match requests {
        [AmfRequest::N1N2MessageTransfer { n1_sm, n2_sm, .. }] => (n1_sm.clone(), n2_sm.clone()),
        other => panic!("{other:?}"),
    }
}
