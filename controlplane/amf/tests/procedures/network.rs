//! The world around an AMF in a test: a gNB, and AUSF, UDM, SMF and store that answer at once unless told otherwise.

use crate::phone::{KSEAF, Phone, RES_STAR};
use coeur_amf::{Amf, AmfSettings};
use coeur_model::config::CoreConfig;
use coeur_model::{Ambr, Secret, Snssai, Supi};
use coeur_nf::event::Event;
use coeur_nf::metric::{Sample, Value};
use coeur_nf::services::namf::*;
use coeur_nf::services::nausf::*;
use coeur_nf::services::nsmf::*;
use coeur_nf::services::nudm::*;
use coeur_nf::store::*;
use coeur_nf::{AssociationId, CommandId, Entropy, Env, ExchangeId, NetworkFunction, StoreToken};
use oxirush_nas::nas_5gs::{ImsiSuci, Nas5gsMessage};
use oxirush_ngap::helpers::*;
use oxirush_ngap::ngap::*;
use oxirush_ngap::{NgapPduKind, build_ngap, ie};
use oxirush_security::Rand;
use oxirush_security::nas_5gs::{XresStar, compute_hxres_star};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub(crate) const GNB: AssociationId = AssociationId(1);
pub(crate) const OTHER_GNB: AssociationId = AssociationId(2);
const CONFIG: &str = r#"
name = "plant"
plmn = "00101"
tacs = [1, 2]
slices = ["1", "2"]
n2 = { address = "10.0.0.1" }
n4 = { local = "127.0.0.1:8805", upf = "127.0.0.8:8805" }
amf = { gnb_max = 2, ue_max = 100 }

[[dnn]]
name = "internet"
pool = "10.45.0.0/16"
"#;

/// Different octets at each draw, the same in each run.
pub(crate) struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, octets: &mut [u8]) {
        for octet in octets {
            self.0 = self.0.wrapping_mul(5).wrapping_add(17);
            *octet = self.0;
        }
    }
}

pub(crate) struct Network {
    pub(crate) amf: Amf,
    pub(crate) now: Instant,
    entropy: Counter,
    /// NGAP messages to gNBs that no test has looked at.
    pub(crate) sent: VecDeque<(AssociationId, u16, NGAP_PDU)>,
    pub(crate) closed: Vec<AssociationId>,
    pub(crate) events: Vec<Event>,
    pub(crate) responses: Vec<Result<AmfResponse, AmfProblem>>,
    pub(crate) commands: Vec<(CommandId, Result<(), AmfCommandError>)>,
    pub(crate) to_smf: Vec<SmfRequest>,
    pub(crate) to_ausf: Vec<AusfRequest>,
    pub(crate) to_udm: Vec<UdmRequest>,
    pub(crate) stored: Vec<StoreOp>,
    /// What the next requests are answered with; empty: success.
    pub(crate) ausf: VecDeque<Result<AusfResponse, AusfProblem>>,
    pub(crate) udm: VecDeque<Result<UdmResponse, UdmProblem>>,
    pub(crate) smf: VecDeque<Result<SmfResponse, SmfRefusal>>,
    /// Hold the store's replies back here.
    pub(crate) hold_store: bool,
    pub(crate) held: Vec<StoreToken>,
    pub(crate) store_fails: bool,
    pub(crate) subscribed: Vec<(Snssai, bool)>,
    /// What gNBs sent, when a test wants to have it.
    pub(crate) record: Option<Vec<Vec<u8>>>,
    identity: Option<Supi>,
    challenges: u8,
}

impl Network {
    /// A network with one gNB set up.
    pub(crate) fn new() -> Self {
        let mut network = Self::without_gnb();
        network.connect_gnb(GNB, 1);
        network.sent.clear();
        network.events.clear();
        network
    }

    pub(crate) fn without_gnb() -> Self {
        Self::with(|_| {})
    }

    #[allow(clippy::disallowed_methods, reason = "a test has a clock")]
    pub(crate) fn with(change: impl FnOnce(&mut AmfSettings)) -> Self {
        let mut settings = AmfSettings::new(&CoreConfig::from_toml(CONFIG).unwrap()).unwrap();
        change(&mut settings);
        Self {
            amf: Amf::new(settings),
            now: Instant::now(),
            entropy: Counter(1),
            sent: VecDeque::new(),
            closed: Vec::new(),
            events: Vec::new(),
            responses: Vec::new(),
            commands: Vec::new(),
            to_smf: Vec::new(),
            to_ausf: Vec::new(),
            to_udm: Vec::new(),
            stored: Vec::new(),
            ausf: VecDeque::new(),
            udm: VecDeque::new(),
            smf: VecDeque::new(),
            hold_store: false,
            held: Vec::new(),
            store_fails: false,
            subscribed: vec![(Snssai::new(1, None), true), (Snssai::new(2, None), false)],
            record: None,
            identity: None,
            challenges: 0,
        }
    }

    /// The same world with a new AMF process: what was committed is all that it has.
    pub(crate) fn restart(&mut self) {
        let mut records = std::collections::BTreeMap::new();
        for op in &self.stored {
            match op {
                StoreOp::PutUe { supi, record } => {
                    records.insert(supi.clone(), record.clone());
                }
                StoreOp::RemoveUe { supi } => {
                    records.remove(supi);
                }
                _ => {}
            }
        }
        let fresh = Self::without_gnb();
        self.amf = fresh.amf;
        self.sent.clear();
        let records = records.into_iter().map(|(supi, record)| UeRecord { supi, record }).collect();
        self.input(AmfInput::Restore(records));
        self.connect_gnb(GNB, 1);
        self.sent.clear();
        self.events.clear();
    }

    pub(crate) fn input(&mut self, input: AmfInput) {
        let mut out = Vec::new();
        let unix_time = Duration::from_secs(1_700_000_000);
        let mut env = Env { now: self.now, unix_time, entropy: &mut self.entropy };
        self.amf.handle(&mut env, input, &mut out);
        self.carry_out(out);
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.amf.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline.max(self.now);
            let mut out = Vec::new();
            let mut env = Env { now: self.now, unix_time: Duration::ZERO, entropy: &mut self.entropy };
            self.amf.handle_timeout(&mut env, &mut out);
            self.carry_out(out);
        }
        self.now = end;
    }

    fn carry_out(&mut self, out: Vec<AmfOutput>) {
        for output in out {
            match output {
                AmfOutput::N2(N2Action::Send { association, stream, octets }) => {
                    let pdu = NGAP_PDU::decode(&octets).expect("the AMF sends NGAP");
                    assert_eq!(pdu.check().unwrap(), [], "{pdu}");
                    self.sent.push_back((association, stream, pdu));
                }
                AmfOutput::N2(N2Action::Close { association }) => self.closed.push(association),
                AmfOutput::Respond(_, result) => self.responses.push(result),
                AmfOutput::Ausf(id, request) => {
                    let answer = self.answer_ausf(&request);
                    self.to_ausf.push(request);
                    self.input(AmfInput::Ausf(id, answer));
                }
                AmfOutput::Udm(id, request) => {
                    let answer = self.udm.pop_front().unwrap_or_else(|| Ok(self.udm_success(&request)));
                    self.to_udm.push(request);
                    self.input(AmfInput::Udm(id, answer));
                }
                AmfOutput::Smf(id, request) => {
                    let answer = self.smf.pop_front().unwrap_or_else(|| Ok(smf_success(&request)));
                    self.to_smf.push(request);
                    self.input(AmfInput::Smf(id, answer));
                }
                AmfOutput::Store(token, op) => {
                    self.stored.push(op);
                    match self.hold_store {
                        true => self.held.push(token),
                        false => self.commit(token),
                    }
                }
                AmfOutput::CommandDone(command, result) => self.commands.push((command, result)),
                AmfOutput::Event(event) => self.events.push(event),
            }
        }
    }

    pub(crate) fn commit(&mut self, token: StoreToken) {
        let result = match self.store_fails {
            true => Err(StoreError::Unavailable("disk full".into())),
            false => Ok(StoreReply::Done),
        };
        self.input(AmfInput::Stored(token, result));
    }

    fn answer_ausf(&mut self, request: &AusfRequest) -> Result<AusfResponse, AusfProblem> {
        if let AusfRequest::Authenticate { identity, .. } = request {
            self.identity = Some(match identity {
                Identity::Supi(supi) => supi.clone(),
                Identity::Suci(suci) => {
                    let (suci, _) = ImsiSuci::from_nas_octets_tolerant(suci.nas_octets()).unwrap();
                    suci.imsi().unwrap().to_string().parse().unwrap()
                }
            });
        }
        if let Some(answer) = self.ausf.pop_front() {
            return answer;
        }
        match request {
            AusfRequest::Authenticate { .. } => {
                self.challenges = self.challenges.wrapping_add(1);
                let rand = [self.challenges; 16];
                let hxres_star = *compute_hxres_star(&Rand::new(&rand), &XresStar::new(&RES_STAR)).as_octets();
                Ok(AusfResponse::Challenge { context: AuthContextId(1), rand, autn: [0xA0; 16], hxres_star })
            }
            AusfRequest::Confirm { res_star: Some(_), .. } => {
                Ok(AusfResponse::Confirmed { supi: self.identity.clone().unwrap(), kseaf: Secret::new(KSEAF) })
            }
            AusfRequest::Confirm { res_star: None, .. } => Err(AusfProblem::AuthenticationFailure),
        }
    }

    fn udm_success(&self, request: &UdmRequest) -> UdmResponse {
        match request {
            UdmRequest::AccessData { .. } => {
                UdmResponse::AccessData(AccessData { ue_ambr: Ambr::default(), slices: self.subscribed.clone() })
            }
            _ => UdmResponse::Done,
        }
    }

    pub(crate) fn n2(&mut self, association: AssociationId, octets: Vec<u8>) {
        if let Some(record) = &mut self.record {
            record.push(octets.clone());
        }
        self.input(AmfInput::N2(N2Event::Message { association, stream: 0, octets }));
    }

    pub(crate) fn gnb_sends(&mut self, association: AssociationId, pdu: &NGAP_PDU) {
        self.n2(association, pdu.encode().unwrap());
    }

    pub(crate) fn connect_gnb(&mut self, association: AssociationId, gnb_id: u32) {
        let peer = ([10, 0, 0, 10 + gnb_id as u8], 38412).into();
        self.input(AmfInput::N2(N2Event::Up { association, peer }));
        let request = setup_request(gnb_id, "00101", [0, 0, 1], &[1, 2]);
        self.gnb_sends(association, &request);
    }

    /// The phone's NAS message in an Initial UE Message, under a new RAN UE NGAP ID.
    pub(crate) fn initial(&mut self, phone: &mut Phone, nas: Vec<u8>) {
        self.initial_at(GNB, phone, nas);
    }

    pub(crate) fn initial_at(&mut self, association: AssociationId, phone: &mut Phone, nas: Vec<u8>) {
        phone.ran_id += 1000;
        phone.amf_id = None;
        phone.association = association;
        let plmn = plmn("001", "01").unwrap();
        let cell = nr_cgi(plmn, 1, 24, 1).unwrap();
        let location = UserLocationInformationNR::new(cell, tai(plmn, [0, 0, 1]), None, None);
        let message = build_ngap!(
            InitiatingMessage,
            InitialUEMessage,
            InitialUEMessage,
            RAN_UE_NGAP_ID(phone.ran_id),
            NAS_PDU(nas),
            UserLocationInformation(UserLocationInformation::userLocationInformationNR(location)),
            RRCEstablishmentCause(RRCEstablishmentCause::mo_Signalling),
            UEContextRequest(UEContextRequest::requested),
        );
        self.gnb_sends(association, &message.unwrap());
    }

    pub(crate) fn uplink(&mut self, phone: &Phone, nas: Vec<u8>) {
        let plmn = plmn("001", "01").unwrap();
        let cell = nr_cgi(plmn, 1, 24, 1).unwrap();
        let location = UserLocationInformationNR::new(cell, tai(plmn, [0, 0, 1]), None, None);
        let message = build_ngap!(
            InitiatingMessage,
            UplinkNASTransport,
            UplinkNASTransport,
            AMF_UE_NGAP_ID(phone.amf_id.expect("the phone has an AMF UE NGAP ID")),
            RAN_UE_NGAP_ID(phone.ran_id),
            NAS_PDU(nas),
            UserLocationInformation(UserLocationInformation::userLocationInformationNR(location)),
        );
        self.gnb_sends(phone.association, &message.unwrap());
    }

    /// The next NGAP message, which must be of this kind.
    pub(crate) fn expect(&mut self, kind: NgapPduKind) -> NGAP_PDU {
        let Some((_, _, pdu)) = self.sent.pop_front() else { panic!("{kind:?} expected, nothing was sent") };
        assert_eq!(pdu.kind(), kind, "{pdu}");
        pdu
    }

    pub(crate) fn expect_nothing(&self) {
        assert!(self.sent.is_empty(), "nothing expected, but {}", self.sent[0].2);
    }

    /// The NAS message in the next NGAP message, of whatever kind, as the phone reads it.
    pub(crate) fn downlink(&mut self, phone: &mut Phone) -> Nas5gsMessage {
        let Some((_, _, pdu)) = self.sent.pop_front() else { panic!("a NAS message expected, nothing was sent") };
        phone.notes(&pdu);
        let nas = nas_of(&pdu).unwrap_or_else(|| panic!("no NAS message in {pdu}"));
        phone.receive(&nas)
    }

    pub(crate) fn expect_error_indication(&mut self) -> Cause {
        let pdu = self.expect(NgapPduKind::Initiating_ErrorIndication);
        pdu.ie::<ie::Cause>().unwrap().unwrap()
    }

    /// UE Context Release Command, and the gNB's answer to it.
    pub(crate) fn expect_release(&mut self, phone: &mut Phone) -> Cause {
        let pdu = self.expect(NgapPduKind::Initiating_UEContextRelease);
        let Some(Ok(UENGAPIDs::uE_NGAP_ID_pair(pair))) = pdu.ie::<ie::UE_NGAP_IDs>() else { panic!("{pdu}") };
        assert_eq!(pair.ran_ue_ngap_id.0, phone.ran_id);
        let complete = build_ngap!(
            SuccessfulOutcome,
            UEContextRelease,
            UEContextReleaseComplete,
            AMF_UE_NGAP_ID(pair.amf_ue_ngap_id.0),
            RAN_UE_NGAP_ID(phone.ran_id),
        );
        self.gnb_sends(phone.association, &complete.unwrap());
        phone.amf_id = None;
        pdu.ie::<ie::Cause>().unwrap().unwrap()
    }

    pub(crate) fn context_set_up(&mut self, phone: &Phone) {
        let response = build_ngap!(
            SuccessfulOutcome,
            InitialContextSetup,
            InitialContextSetupResponse,
            AMF_UE_NGAP_ID(phone.amf_id.unwrap()),
            RAN_UE_NGAP_ID(phone.ran_id),
        );
        self.gnb_sends(phone.association, &response.unwrap());
    }

    pub(crate) fn release_request(&mut self, phone: &Phone) {
        let request = build_ngap!(
            InitiatingMessage,
            UEContextReleaseRequest,
            UEContextReleaseRequest,
            AMF_UE_NGAP_ID(phone.amf_id.unwrap()),
            RAN_UE_NGAP_ID(phone.ran_id),
            Cause(Cause::radioNetwork(CauseRadioNetwork::user_inactivity)),
        );
        self.gnb_sends(phone.association, &request.unwrap());
    }

    pub(crate) fn request(&mut self, request: AmfRequest) -> Result<AmfResponse, AmfProblem> {
        self.input(AmfInput::Request(ExchangeId(77), request));
        self.responses.pop().expect("a request is answered at once")
    }

    /// The value of a counter with all these labels; the sum when several fit.
    pub(crate) fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let mut samples: Vec<Sample> = Vec::new();
        self.amf.samples(&mut samples);
        let fits = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| sample.labels.iter().any(|(l, v)| l == label && v == value))
        };
        let value = |sample: &Sample| match sample.value {
            Value::Counter(value) => value,
            _ => panic!("{name} is no counter"),
        };
        samples.iter().filter(fits).map(value).sum()
    }
}

fn smf_success(request: &SmfRequest) -> SmfResponse {
    match request {
        SmfRequest::CreateSmContext { session, .. } => {
            SmfResponse::Created { context: SmContextId(u64::from(session.get()) + 100) }
        }
        SmfRequest::UpdateSmContext { update: SmContextUpdate::Activate, .. } => {
            SmfResponse::Updated { n1_sm: None, n2_sm: Some(N2SmInfo::SetupRequest(vec![0x5E])) }
        }
        SmfRequest::UpdateSmContext { .. } => SmfResponse::Updated { n1_sm: None, n2_sm: None },
        SmfRequest::ReleaseSmContext { .. } => SmfResponse::Released,
    }
}

pub(crate) fn setup_request(gnb_id: u32, plmn_text: &str, tac: [u8; 3], slices: &[u8]) -> NGAP_PDU {
    let network = plmn(&plmn_text[..3], &plmn_text[3..]).unwrap();
    let gnb = GlobalRANNodeID::globalGNB_ID(global_gnb_id(network, gnb_id, 24).unwrap());
    let slices = slices.iter().map(|sst| SliceSupportItem::new(s_nssai(*sst, None), None)).collect();
    let plmns = BroadcastPLMNList(vec![BroadcastPLMNItem::new(network, SliceSupportList(slices), None)]);
    let request = build_ngap!(
        InitiatingMessage,
        NGSetup,
        NGSetupRequest,
        GlobalRANNodeID(gnb),
        RANNodeName("gnb"),
        SupportedTAList(SupportedTAList(vec![SupportedTAItem::new(TAC(tac), plmns, None)])),
        DefaultPagingDRX(PagingDRX::v128),
    );
    request.unwrap()
}

/// The NAS-PDU of a message, or of its first session.
pub(crate) fn nas_of(pdu: &NGAP_PDU) -> Option<Vec<u8>> {
    if let Some(nas) = pdu.ie::<ie::NAS_PDU>() {
        return Some(nas.unwrap().0.into_vec());
    }
    if let Some(list) = pdu.ie::<ie::PDUSessionResourceSetupListSUReq>() {
        return list.unwrap().0.remove(0).pdu_session_nas_pdu.map(|nas| nas.0.into_vec());
    }
    None
}

/// What a test wants to know of an AMF's timers.
pub(crate) trait Quiet {
    fn next_deadline_is_none(&self) -> bool;
}

impl Quiet for Amf {
    fn next_deadline_is_none(&self) -> bool {
        self.next_deadline().is_none()
    }
}
