//! Service request (TS 24.501, 5.6.1).

use crate::gmm;
use crate::network::*;
use crate::phone::Phone;
use coeur_nf::services::nsmf::*;
use oxirush_nas::nas_5gs::*;
use oxirush_ngap::NgapPduKind as Kind;
use oxirush_ngap::ie;

fn idle() -> (Network, Phone) {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    network.establish(&mut phone, 5);
    network.go_idle(&mut phone);
    (network, phone)
}

fn expect_reject(network: &mut Network, phone: &mut Phone, cause: GmmCause) {
    let reject = gmm!(network.downlink(phone), ServiceReject);
    assert_eq!(reject.fgmm_cause.cause(), Some(cause));
    network.expect_release(phone);
    network.expect_nothing();
}

#[test]
fn signalling_brings_no_session_back() {
    let (mut network, mut phone) = idle();
    let request = phone.service_request(ServiceType::Signalling, &[]);
    network.initial(&mut phone, request);
    let (_, stream, setup) = &network.sent[0];
    assert_ne!(*stream, 0, "TS 38.412, 7: stream 0 is not for phones");
    assert!(setup.ie::<ie::PDUSessionResourceSetupListCxtReq>().is_none());
    assert!(setup.ie::<ie::UEAggregateMaximumBitRate>().is_none(), "conditional: only with a session");
    let accept = gmm!(network.downlink(&mut phone), ServiceAccept);
    assert!(accept.pdu_session_reactivation_result.is_none());
    assert!(!network.amf.ue(&phone.supi()).unwrap().sessions[0].user_plane);
}

#[test]
fn kgnb_is_derived_from_the_count_of_the_request() {
    use oxirush_security::nas_5gs::{KSeaf, Supi, derive_kamf, derive_kgnb};
    let (mut network, mut phone) = idle();
    let count = phone.security.as_ref().unwrap().nas_count(Direction::Uplink, NasConnection::ThreeGpp).unwrap();
    let request = phone.service_request(ServiceType::Signalling, &[]);
    network.initial(&mut phone, request);
    let identity = phone.supi().expose();
    let kamf = derive_kamf(&KSeaf::new(&crate::phone::KSEAF), &Supi::parse(&identity).unwrap(), &[0, 0]).unwrap();
    let setup = network.expect(Kind::Initiating_InitialContextSetup);
    let key = setup.ie::<ie::SecurityKey>().unwrap().unwrap();
    assert_eq!(key.0.as_octets(), derive_kgnb(&kamf, count).as_octets());
}

#[test]
fn a_stranger_and_a_forger_get_9_and_the_owner_keeps_everything() {
    let (mut network, mut phone) = idle();
    let mut stranger = Phone::new(2);
    stranger.guti =
        Some(Guti::new(oxirush_nas::common::Plmn::new("001", "01").unwrap(), 1, 1, 0, 0x0012_3456).unwrap());
    let request = stranger.service_request(ServiceType::Data, &[5]);
    network.initial(&mut stranger, request);
    expect_reject(&mut network, &mut stranger, GmmCause::UeIdentityCannotBeDerivedByTheNetwork);

    let mut forged = phone.service_request(ServiceType::Data, &[5]);
    forged[3] ^= 1;
    let mut forger = Phone::new(3);
    network.initial(&mut forger, forged);
    expect_reject(&mut network, &mut forger, GmmCause::UeIdentityCannotBeDerivedByTheNetwork);

    let request = phone.service_request(ServiceType::Data, &[5]);
    network.initial(&mut phone, request.clone());
    gmm!(network.downlink(&mut phone), ServiceAccept);
    // The same octets once more: their COUNT was used (4.4.3.1).
    let mut replayer = Phone::new(4);
    network.initial(&mut replayer, request);
    expect_reject(&mut network, &mut replayer, GmmCause::UeIdentityCannotBeDerivedByTheNetwork);
    assert!(network.amf.ue(&phone.supi()).unwrap().connected);
}

#[test]
fn a_phone_that_was_deregistered_meanwhile_gets_10() {
    let (mut network, mut phone) = idle();
    network.pass(std::time::Duration::from_secs(3_600 + 241));
    assert!(!network.amf.ue(&phone.supi()).unwrap().registered, "implicitly (5.3.7)");
    let request = phone.service_request(ServiceType::Signalling, &[]);
    network.initial(&mut phone, request);
    expect_reject(&mut network, &mut phone, GmmCause::ImplicitlyDeregistered);
}

#[test]
fn a_session_that_does_not_come_back_is_named_with_its_cause() {
    let (mut network, mut phone) = idle();
    let problem = SmfProblem::UpfNotResponding;
    network.smf.push_back(Err(SmfRefusal { problem, n1_sm: None }));
    let request = phone.service_request(ServiceType::Data, &[5]);
    network.initial(&mut phone, request);
    let accept = gmm!(network.downlink(&mut phone), ServiceAccept);
    assert_eq!(accept.pdu_session_reactivation_result.unwrap().failed_sessions(), [5]);
    let causes = accept.pdu_session_reactivation_result_error_cause.unwrap().entries();
    assert_eq!(causes, [(5, GmmCause::InsufficientUserPlaneResourcesForThePduSession)]);
}

#[test]
fn a_session_that_the_smf_lost_is_not_in_the_status() {
    let (mut network, mut phone) = idle();
    network.smf.push_back(Err(SmfRefusal { problem: SmfProblem::ContextNotFound, n1_sm: None }));
    let request = phone.service_request(ServiceType::Data, &[5]);
    network.initial(&mut phone, request);
    let accept = gmm!(network.downlink(&mut phone), ServiceAccept);
    assert!(accept.pdu_session_status.unwrap().active_sessions().is_empty());
}

#[test]
fn a_connected_phone_asks_for_its_user_plane() {
    let (mut network, mut phone) = idle();
    let request = phone.service_request(ServiceType::Signalling, &[]);
    network.initial(&mut phone, request);
    gmm!(network.downlink(&mut phone), ServiceAccept);
    network.context_set_up(&phone);
    let request = phone.service_request(ServiceType::Data, &[5]);
    network.uplink(&phone, request);
    let (_, _, setup) = &network.sent[0];
    assert_eq!(setup.kind(), Kind::Initiating_PDUSessionResourceSetup);
    gmm!(network.downlink(&mut phone), ServiceAccept);
}
