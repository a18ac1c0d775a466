//! `kill -9`: what was committed comes back, and no key stream is used twice.

use crate::gmm;
use crate::network::*;
use crate::phone::Phone;
use coeur_nf::services::namf::*;
use coeur_nf::services::nsmf::*;
use coeur_nf::store::{StoreOp, UeRecord};
use oxirush_nas::nas_5gs::*;
use oxirush_ngap::NgapPduKind as Kind;

fn downlink_count(phone: &Phone) -> u32 {
    phone.security.as_ref().unwrap().nas_count(Direction::Downlink, NasConnection::ThreeGpp).unwrap().get()
}

#[test]
fn a_phone_goes_on_after_a_restart_without_authentication() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    network.establish(&mut phone, 5);
    let before = downlink_count(&phone);
    network.restart();
    let view = network.amf.ue(&phone.supi()).unwrap();
    assert!(view.registered && !view.connected && view.sessions.len() == 1);
    let request = phone.service_request(ServiceType::Data, &[5]);
    network.initial(&mut phone, request);
    let accept = gmm!(network.downlink(&mut phone), ServiceAccept);
    assert_eq!(accept.pdu_session_status.unwrap().active_sessions(), [5]);
    assert!(downlink_count(&phone) > before + 32, "counting goes on above everything that was reserved");
    let context = SmContextId(105);
    let update = SmContextUpdate::Activate;
    assert_eq!(network.to_smf.last(), Some(&SmfRequest::UpdateSmContext { context, update }));
}

#[test]
fn after_a_restart_nothing_is_protected_before_new_counts_are_committed() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    network.restart();
    network.hold_store = true;
    let request = phone.service_request(ServiceType::Signalling, &[]);
    network.initial(&mut phone, request);
    network.expect_nothing();
    let token = network.held.remove(0);
    network.commit(token);
    gmm!(network.downlink(&mut phone), ServiceAccept);
}

#[test]
fn a_store_that_refuses_ends_the_service_request() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    network.restart();
    network.store_fails = true;
    let request = phone.service_request(ServiceType::Signalling, &[]);
    network.initial(&mut phone, request);
    network.expect_release(&mut phone);
    network.expect_nothing();
}

#[test]
fn periodic_updating_works_after_a_restart() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    network.restart();
    let asked = network.to_ausf.len();
    let request = phone.registration(RegistrationType::PeriodicRegistrationUpdating);
    let nas = phone.initial(request);
    network.initial(&mut phone, nas);
    gmm!(network.downlink(&mut phone), RegistrationAccept);
    assert_eq!(network.to_ausf.len(), asked);
}

#[test]
fn a_request_from_before_the_restart_is_no_use_after_it() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    network.go_idle(&mut phone);
    let recorded = phone.service_request(ServiceType::Signalling, &[]);
    network.initial(&mut phone, recorded.clone());
    gmm!(network.downlink(&mut phone), ServiceAccept);
    network.restart();
    let mut replayer = Phone::new(2);
    network.initial(&mut replayer, recorded);
    let reject = gmm!(network.downlink(&mut replayer), ServiceReject);
    assert_eq!(reject.fgmm_cause.cause(), Some(GmmCause::UeIdentityCannotBeDerivedByTheNetwork));
}

#[test]
fn a_talkative_connection_reserves_more_counts_in_time() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    let writes = network.stored.len();
    for _ in 0..300 {
        let transport = phone.transport(5, &Nas5gsMessage::new_5gsm(NasPduSessionReleaseRequest::new(), 5, 2));
        let nas = phone.protected(transport);
        network.uplink(&phone, nas);
        gmm!(network.downlink(&mut phone), DlNasTransport);
    }
    let written = network.stored.len() - writes;
    assert!((4..=12).contains(&written), "{written} writes for 300 messages");
}

#[test]
fn a_damaged_record_is_reported_removed_and_harms_nobody() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    let Some(StoreOp::PutUe { record, .. }) = network.stored.last().cloned() else { panic!() };
    let stranger = Phone::new(2).supi();
    let mut fresh = Network::without_gnb();
    fresh.input(AmfInput::Restore(vec![
        UeRecord { supi: stranger.clone(), record: record[..record.len() / 2].to_vec() },
        UeRecord { supi: phone.supi(), record },
    ]));
    assert_eq!(fresh.amf.ues().count(), 1);
    assert_eq!(fresh.stored, [StoreOp::RemoveUe { supi: stranger }]);
    fresh.connect_gnb(GNB, 1);
    fresh.expect(Kind::Successful_NGSetup);
}
