//! Bad input: each has its answer or its counted discard, and none reaches another phone.

use crate::gmm;
use crate::network::{Quiet as _, *};
use crate::phone::Phone;
use coeur_nf::services::namf::*;
use oxirush_nas::nas_5gs::*;

fn discarded(network: &Network) -> u64 {
    network.counter("coeur_amf_nas_discarded_total", &[])
}

#[test]
fn replayed_forged_and_plain_messages_are_discarded_silently() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    let request = phone.session_request(5, RequestTypeValue::InitialRequest);
    network.uplink(&phone, request.clone());
    network.sent.clear();
    let before = discarded(&network);
    let mut forged = phone.session_request(6, RequestTypeValue::InitialRequest);
    let last = forged.len() - 1;
    forged[last] ^= 0x80;
    let plain = Phone::plain(phone.deregistration(false));
    for octets in [
        request,
        forged,
        plain,
        vec![],
        vec![0x7E],
        vec![0x2E, 5, 1, 0xC1],
        vec![0x7E, 2, 0, 0],
        vec![0x7E, 9, 0, 0, 0, 0, 0, 0],
    ] {
        network.uplink(&phone, octets);
        network.expect_nothing();
    }
    assert_eq!(discarded(&network), before + 8);
    assert_eq!(network.to_smf.len(), 1);
    assert!(network.amf.ue(&phone.supi()).unwrap().registered);
}

#[test]
fn authentic_nonsense_is_answered_with_status() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    let header = Nas5gsSecurityHeaderType::IntegrityProtectedAndCiphered;
    for (payload, cause) in [
        (&[0x7E, 0x00, 0x01][..], GmmCause::MessageTypeNonExistentOrNotImplemented),
        (&[0x7E, 0x00, 0x67, 0x01, 0x00], GmmCause::InvalidMandatoryInformation),
    ] {
        let security = phone.security.as_mut().unwrap();
        let octets = security.protect_opaque_payload(payload.to_vec(), header, Direction::Uplink).unwrap();
        network.uplink(&phone, octets);
        let status = gmm!(network.downlink(&mut phone), FiveGmmStatus);
        assert_eq!(status.fgmm_cause.cause(), Some(cause), "{payload:02x?}");
    }
    // A status is not answered (5.4.6.2).
    let status = phone.protected(NasFGmmStatus::new(NasFGmmCause::from_cause(GmmCause::ProtocolErrorUnspecified)));
    network.uplink(&phone, status);
    network.expect_nothing();
}

#[test]
fn an_initial_message_that_is_none_is_answered_and_released() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    for octets in [vec![], vec![0x7E], vec![0x2E, 1, 2, 0xC1], vec![0x7E, 0x00, 0x43], vec![0xFF; 40]] {
        network.initial(&mut phone, octets);
        gmm!(network.downlink(&mut phone), FiveGmmStatus);
        network.expect_release(&mut phone);
        network.expect_nothing();
    }
    assert_eq!(network.amf.ues().count(), 0);
    assert!(network.amf.next_deadline_is_none(), "no timer of theirs is left");
}

#[test]
fn a_phone_that_never_proves_itself_is_let_go() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    let request = phone.initial_registration();
    network.initial(&mut phone, request);
    // It keeps the procedure alive by a failure that is answered each time.
    for _ in 0..200 {
        network.pass(std::time::Duration::from_secs(1));
        if network.sent.iter().any(|(_, _, pdu)| pdu.kind() == oxirush_ngap::NgapPduKind::Initiating_UEContextRelease) {
            return;
        }
    }
    panic!("still there after 200 s");
}

/// A small generator of pseudo-random numbers (xorshift): a failure is found again by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn mutate(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut octets = octets.to_vec();
        for _ in 0..=self.below(4) {
            match self.below(4) {
                0 => octets.truncate(self.below(octets.len() + 1)),
                1 => octets.extend((0..self.below(9)).map(|_| self.0 as u8)),
                _ if octets.is_empty() => {}
                _ => {
                    let at = self.below(octets.len());
                    octets[at] = self.next() as u8;
                }
            }
        }
        octets
    }
}

/// Messages of a whole life of a phone, as its gNB sends them.
fn recorded() -> Vec<Vec<u8>> {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.record = Some(Vec::new());
    network.register(&mut phone);
    network.establish(&mut phone, 5);
    network.go_idle(&mut phone);
    let request = phone.service_request(ServiceType::Data, &[5]);
    network.initial(&mut phone, request);
    gmm!(network.downlink(&mut phone), ServiceAccept);
    network.context_set_up(&phone);
    let leave = phone.deregistration(false);
    let leave = phone.protected(leave);
    network.uplink(&phone, leave);
    network.record.take().unwrap()
}

#[test]
fn mutated_messages_of_one_gnb_never_reach_the_phone_of_another() {
    let messages = recorded();
    for seed in 1..=20 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let mut network = Network::new();
        network.connect_gnb(OTHER_GNB, 2);
        network.sent.clear();
        let mut phone = Phone::new(7);
        network.register(&mut phone);
        network.establish(&mut phone, 5);
        for _ in 0..300 {
            let message = &messages[random.below(messages.len())];
            let octets = random.mutate(message);
            network.n2(OTHER_GNB, octets);
            network.sent.clear();
            if random.below(20) == 0 {
                network.pass(std::time::Duration::from_secs(7));
                network.sent.clear();
            }
        }
        let view = network.amf.ue(&phone.supi()).unwrap();
        assert!(view.registered && view.connected && view.sessions[0].user_plane, "seed {seed}");
        let request = phone.session_request(6, RequestTypeValue::InitialRequest);
        network.uplink(&phone, request);
        assert_eq!(network.amf.ue(&phone.supi()).unwrap().sessions.len(), 2, "seed {seed}");
    }
}

#[test]
fn answers_that_nobody_awaits_change_nothing() {
    use coeur_nf::services::{nausf::*, nsmf::*, nudm::*};
    use coeur_nf::{ExchangeId, StoreToken};
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    for id in 0..40 {
        network.input(AmfInput::Ausf(ExchangeId(id), Err(AusfProblem::Congestion)));
        network.input(AmfInput::Udm(ExchangeId(id), Ok(UdmResponse::Done)));
        network.input(AmfInput::Smf(ExchangeId(id), Ok(SmfResponse::Created { context: SmContextId(id) })));
        network.input(AmfInput::Stored(StoreToken(id), Ok(coeur_nf::store::StoreReply::Done)));
    }
    network.expect_nothing();
    assert!(network.amf.ue(&phone.supi()).unwrap().sessions.is_empty());
}

#[test]
fn phones_without_proof_are_limited_by_gnb() {
    let mut network = Network::with(|settings| settings.ue_max = 100_000);
    network.connect_gnb(GNB, 1);
    network.connect_gnb(OTHER_GNB, 2);
    let request = Phone::new(1).initial_registration();
    let mut phone = Phone::new(1);
    for _ in 0..4_096 {
        network.initial(&mut phone, request.clone());
    }
    network.sent.clear();
    network.initial(&mut phone, request.clone());
    let reject = gmm!(network.downlink(&mut phone), RegistrationReject);
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::Congestion));
    network.expect_release(&mut phone);
    // Another gNB has its own share.
    network.initial_at(OTHER_GNB, &mut phone, request);
    gmm!(network.downlink(&mut phone), AuthenticationRequest);
}

#[test]
fn the_figures_are_well_formed() {
    use coeur_nf::NetworkFunction as _;
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    let mut samples = Vec::new();
    network.amf.samples(&mut samples);
    let mut helps = std::collections::BTreeMap::new();
    for sample in &samples {
        assert!(sample.name.starts_with("coeur_amf_") && sample.help.ends_with('.'), "{}", sample.name);
        assert_eq!(helps.entry(sample.name).or_insert(sample.help), &sample.help);
        let digits = phone.imsi.as_str();
        assert!(sample.labels.iter().all(|(name, value)| !name.is_empty() && !value.contains(digits)));
    }
    assert_eq!(network.counter("coeur_amf_registrations_total", &[("type", "initial"), ("result", "success")]), 1);
    assert_eq!(network.counter("coeur_amf_registration_requests_total", &[("type", "initial")]), 1);
}
