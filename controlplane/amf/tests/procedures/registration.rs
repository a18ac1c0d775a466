//! Registration (TS 24.501, 5.5.1) with its common procedures, and what goes wrong in them.

use crate::gmm;
use crate::network::{Quiet as _, *};
use crate::phone::{Phone, RES_STAR};
use coeur_model::Snssai;
use coeur_nf::event::Event;
use coeur_nf::services::nausf::*;
use coeur_nf::services::nsmf::SmfRequest;
use coeur_nf::services::nudm::*;
use coeur_nf::store::StoreOp;
use oxirush_nas::nas_5gs::*;
use oxirush_ngap::NgapPduKind as Kind;
use oxirush_ngap::ngap::{Cause, CauseNas};
use std::time::Duration;

const T35XX: Duration = Duration::from_secs(6);

fn cause(reject: &NasRegistrationReject) -> GmmCause {
    reject.fgmm_cause.cause().unwrap()
}

/// The phone is refused with this cause, its connection released, and nothing of it kept.
fn expect_reject(network: &mut Network, phone: &mut Phone, expected: GmmCause) -> NasRegistrationReject {
    let reject = gmm!(network.downlink(phone), RegistrationReject);
    assert_eq!(cause(&reject), expected);
    network.expect_release(phone);
    network.expect_nothing();
    assert_eq!(network.amf.counts().connected, 0);
    assert_eq!(network.amf.counts().registered, 0);
    reject
}

#[test]
fn a_known_guti_that_verifies_needs_no_authentication() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    network.go_idle(&mut phone);
    let (asked, before) = (network.to_ausf.len(), phone.guti);
    let request = phone.initial_registration();
    network.initial(&mut phone, request);
    let accept = gmm!(network.downlink(&mut phone), RegistrationAccept);
    assert_eq!(network.to_ausf.len(), asked);
    assert_ne!(accept.fg_guti.unwrap().as_guti(), before, "a new 5G-GUTI each time");
}

#[test]
fn a_deregistered_phone_registers_again_with_its_kept_keys() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    let request = phone.deregistration(true);
    let request = phone.protected(request);
    network.uplink(&phone, request);
    network.expect_release(&mut phone);
    let asked = network.to_ausf.len();
    let request = phone.initial_registration();
    network.initial(&mut phone, request);
    gmm!(network.downlink(&mut phone), RegistrationAccept);
    assert_eq!(network.to_ausf.len(), asked);
    network.pass(Duration::from_secs(3_700));
    assert!(network.amf.ue(&phone.supi()).unwrap().registered, "the hour of kept keys is over, the phone is not");
}

#[test]
fn kept_keys_of_a_deregistered_phone_go_after_an_hour() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    let request = phone.deregistration(true);
    let request = phone.protected(request);
    network.uplink(&phone, request);
    network.expect_release(&mut phone);
    network.pass(Duration::from_secs(3_601));
    assert!(network.amf.ue(&phone.supi()).is_none());
}

#[test]
fn a_stolen_guti_gets_authenticated_and_the_owner_is_not_touched() {
    let (mut network, mut owner) = (Network::new(), Phone::new(1));
    network.register(&mut owner);
    network.establish(&mut owner, 5);
    network.go_idle(&mut owner);
    let mut thief = Phone::new(2);
    thief.guti = owner.guti;
    let request = thief.registration(RegistrationType::InitialRegistration);
    network.initial(&mut thief, Phone::plain(request));
    assert_eq!(
        network.to_ausf.last(),
        Some(&AusfRequest::Authenticate {
            identity: Identity::Supi(owner.supi()),
            serving_network_name: "5G:mnc001.mcc001.3gppnetwork.org".into(),
            resynchronisation: None
        })
    );
    gmm!(network.downlink(&mut thief), AuthenticationRequest);
    // TS 24.501, 5.4.1.3.5: wrong RES* after a 5G-GUTI: who is it really?
    network.uplink(&thief, Phone::authentication_response([0; 16]));
    let request = gmm!(network.downlink(&mut thief), IdentityRequest);
    assert_eq!(request.identity_type.identity_type(), Some(MobileIdentityType::Suci));
    let request = owner.service_request(ServiceType::Data, &[5]);
    network.initial(&mut owner, request);
    gmm!(network.downlink(&mut owner), ServiceAccept);
    assert_eq!(network.amf.ue(&owner.supi()).unwrap().sessions.len(), 1);
}

#[test]
fn an_unknown_guti_leads_to_identification_with_t3570() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    phone.guti = Some(Guti::new(oxirush_nas::common::Plmn::new("001", "01").unwrap(), 1, 1, 0, 0x00AA_AAAA).unwrap());
    let request = phone.registration(RegistrationType::InitialRegistration);
    let nas = phone.initial(request.clone());
    network.initial(&mut phone, nas);
    for _ in 0..5 {
        gmm!(network.downlink(&mut phone), IdentityRequest);
        network.expect_nothing();
        network.pass(T35XX);
    }
    // 5.4.3.6 b): at the fifth expiry the procedure ends.
    assert_eq!(network.expect_release(&mut phone), Cause::nas(CauseNas::unspecified));
    assert_eq!(network.counter("coeur_amf_nas_retransmissions_total", &[("timer", "T3570")]), 4);

    let nas = phone.initial(request.clone());
    network.initial(&mut phone, nas);
    gmm!(network.downlink(&mut phone), IdentityRequest);
    let response = NasIdentityResponse::new(phone.suci());
    network.uplink(&phone, Phone::plain(response));
    network.authenticate(&mut phone, &request);
}

#[test]
fn an_identity_response_without_a_suci_is_not_taken_or_refused() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    phone.guti = Some(Guti::new(oxirush_nas::common::Plmn::new("001", "01").unwrap(), 1, 1, 0, 0x00AA_AAAA).unwrap());
    let request = phone.initial_registration();
    network.initial(&mut phone, request);
    gmm!(network.downlink(&mut phone), IdentityRequest);
    // 4.4.4.3: unprotected, only a SUCI may come.
    let imei = NasFGsMobileIdentity::from_imeisv("4901542032375101").unwrap();
    network.uplink(&phone, Phone::plain(NasIdentityResponse::new(imei)));
    network.expect_nothing();
    assert_eq!(network.counter("coeur_amf_nas_discarded_total", &[]), 1);
}

#[test]
fn mobility_updating_with_a_guti_of_nobody_is_refused_with_9() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    phone.guti = Some(Guti::new(oxirush_nas::common::Plmn::new("001", "01").unwrap(), 1, 1, 0, 0x00AA_AAAA).unwrap());
    for kind in [RegistrationType::MobilityRegistrationUpdating, RegistrationType::PeriodicRegistrationUpdating] {
        let request = phone.registration(kind);
        let nas = phone.initial(request);
        network.initial(&mut phone, nas);
        expect_reject(&mut network, &mut phone, GmmCause::UeIdentityCannotBeDerivedByTheNetwork);
    }
}

#[test]
fn requests_that_cannot_be_served_get_their_cause() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    let emergency = phone.registration(RegistrationType::EmergencyRegistration);
    let onboarding = phone.registration(RegistrationType::SnpnOnboardingRegistration);
    let mut incapable = phone.registration(RegistrationType::InitialRegistration);
    incapable.ue_security_capability = None;
    for (request, expected) in [
        (emergency, GmmCause::PeiNotAccepted),
        (onboarding, GmmCause::OnboardingServicesTerminated),
        (incapable, GmmCause::ConditionalIeError),
    ] {
        network.initial(&mut phone, Phone::plain(request));
        expect_reject(&mut network, &mut phone, expected);
    }
    // 5.5.1.2.8 b): a 5GS mobile identity that is cut short.
    let mut octets = phone.initial_registration();
    octets.truncate(8);
    network.initial(&mut phone, octets);
    expect_reject(&mut network, &mut phone, GmmCause::InvalidMandatoryInformation);
}

#[test]
fn a_phone_without_an_integrity_algorithm_is_refused_with_23() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    phone.capability = NasUeSecurityCapability::from_capabilities(0xF0, 0x80);
    let request = phone.initial_registration();
    network.initial(&mut phone, request);
    gmm!(network.downlink(&mut phone), AuthenticationRequest);
    network.uplink(&phone, Phone::authentication_response(RES_STAR));
    expect_reject(&mut network, &mut phone, GmmCause::UeSecurityCapabilitiesMismatch);
}

#[test]
fn every_configured_algorithm_works() {
    use coeur_model::config::{Nea, Nia};
    for (nia, nea) in [(Nia::Nia1, Nea::Nea1), (Nia::Nia2, Nea::Nea2), (Nia::Nia3, Nea::Nea3), (Nia::Nia2, Nea::Nea0)] {
        let mut network = Network::with(|settings| {
            settings.integrity = vec![nia];
            settings.ciphering = vec![nea];
        });
        network.connect_gnb(GNB, 1);
        network.sent.clear();
        let mut phone = Phone::new(1);
        network.register(&mut phone);
        let view = network.amf.ue(&phone.supi()).unwrap();
        assert_eq!(view.integrity, Some(format!("{nia:?}").to_uppercase()));
        assert_eq!(view.ciphering, Some(format!("{nea:?}").to_uppercase()));
    }
}

#[test]
fn a_wrong_answer_is_rejected_and_the_ausf_forgets() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    let request = phone.initial_registration();
    network.initial(&mut phone, request);
    gmm!(network.downlink(&mut phone), AuthenticationRequest);
    network.uplink(&phone, Phone::authentication_response([0x56; 16]));
    gmm!(network.downlink(&mut phone), AuthenticationReject);
    assert_eq!(network.expect_release(&mut phone), Cause::nas(CauseNas::authentication_failure));
    assert_eq!(network.to_ausf[1], AusfRequest::Confirm { context: AuthContextId(1), res_star: None });
    assert_eq!(network.counter("coeur_amf_authentications_total", &[("result", "rejected")]), 1);
    assert!(network.stored.is_empty());
}

#[test]
fn the_challenge_goes_out_five_times() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    let request = phone.initial_registration();
    network.initial(&mut phone, request);
    let first = gmm!(network.downlink(&mut phone), AuthenticationRequest);
    for _ in 0..4 {
        network.pass(T35XX);
        assert_eq!(gmm!(network.downlink(&mut phone), AuthenticationRequest), first);
        network.expect_nothing();
    }
    network.pass(T35XX);
    network.expect_release(&mut phone);
    assert!(network.amf.next_deadline_is_none());
}

fn failure(cause: GmmCause, auts: Option<[u8; 14]>) -> Vec<u8> {
    let mut failure = NasAuthenticationFailure::new(NasFGmmCause::from_cause(cause));
    if let Some(auts) = auts {
        failure.set_authentication_failure_parameter(NasAuthenticationFailureParameter::from_auts(auts));
    }
    Phone::plain(failure)
}

#[test]
fn a_synch_failure_is_resynchronised_once() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    let request = phone.registration(RegistrationType::InitialRegistration);
    network.initial(&mut phone, Phone::plain(request.clone()));
    let first = gmm!(network.downlink(&mut phone), AuthenticationRequest);
    network.uplink(&phone, failure(GmmCause::SynchFailure, Some([7; 14])));
    let AusfRequest::Authenticate { resynchronisation, .. } = &network.to_ausf[1] else { panic!() };
    assert_eq!(*resynchronisation, Some(Resynchronisation { rand: [1; 16], auts: [7; 14] }));
    let second = gmm!(network.downlink(&mut phone), AuthenticationRequest);
    assert_ne!(first.authentication_parameter_rand, second.authentication_parameter_rand);
    network.uplink(&phone, failure(GmmCause::SynchFailure, Some([7; 14])));
    gmm!(network.downlink(&mut phone), AuthenticationReject);
    network.expect_release(&mut phone);
}

#[test]
fn mac_failure_asks_who_the_phone_is_then_gives_up() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    let request = phone.initial_registration();
    network.initial(&mut phone, request);
    gmm!(network.downlink(&mut phone), AuthenticationRequest);
    network.uplink(&phone, failure(GmmCause::MacFailure, None));
    gmm!(network.downlink(&mut phone), IdentityRequest);
    let response = NasIdentityResponse::new(phone.suci());
    network.uplink(&phone, Phone::plain(response));
    gmm!(network.downlink(&mut phone), AuthenticationRequest);
    network.uplink(&phone, failure(GmmCause::MacFailure, None));
    gmm!(network.downlink(&mut phone), AuthenticationReject);
    network.expect_release(&mut phone);
}

#[test]
fn an_ngksi_in_use_is_replaced() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    let request = phone.registration(RegistrationType::InitialRegistration);
    network.initial(&mut phone, Phone::plain(request.clone()));
    let first = gmm!(network.downlink(&mut phone), AuthenticationRequest);
    network.uplink(&phone, failure(GmmCause::NgKsiAlreadyInUse, None));
    phone.ngksi = first.ngksi.value;
    network.authenticate(&mut phone, &request);
}

#[test]
fn what_ausf_and_udm_refuse_reaches_the_phone_with_its_cause() {
    for (problem, expected) in [
        (AusfProblem::Udm(UdmProblem::UserNotFound), GmmCause::IllegalUe),
        (AusfProblem::Udm(UdmProblem::AuthenticationRejected), GmmCause::IllegalUe),
        (AusfProblem::ServingNetworkNotAuthorized, GmmCause::ServingNetworkNotAuthorized),
        (AusfProblem::Congestion, GmmCause::Congestion),
        (AusfProblem::Udm(UdmProblem::SystemFailure), GmmCause::Congestion),
    ] {
        let (mut network, mut phone) = (Network::new(), Phone::new(1));
        network.ausf.push_back(Err(problem));
        let request = phone.initial_registration();
        network.initial(&mut phone, request);
        expect_reject(&mut network, &mut phone, expected);
    }
    for (problem, expected) in [
        (UdmProblem::DataNotFound, GmmCause::FiveGsServicesNotAllowed),
        (UdmProblem::UserNotFound, GmmCause::IllegalUe),
        (UdmProblem::SystemFailure, GmmCause::Congestion),
    ] {
        let (mut network, mut phone) = (Network::new(), Phone::new(1));
        network.udm.push_back(Err(problem));
        secured(&mut network, &mut phone);
        let reject = expect_reject(&mut network, &mut phone, expected);
        assert_eq!(reject.t3346_value.is_some(), expected == GmmCause::Congestion);
    }
}

/// Up to Security Mode Complete; what follows is for the caller.
fn secured(network: &mut Network, phone: &mut Phone) {
    let request = phone.registration(RegistrationType::InitialRegistration);
    network.initial(phone, Phone::plain(request.clone()));
    secured_with(network, phone, &request);
}

fn secured_with(network: &mut Network, phone: &mut Phone, request: &NasRegistrationRequest) {
    gmm!(network.downlink(phone), AuthenticationRequest);
    network.uplink(phone, Phone::authentication_response(RES_STAR));
    let command = gmm!(network.downlink(phone), SecurityModeCommand);
    let complete = phone.take_keys(&command, request);
    network.uplink(phone, complete);
}

#[test]
fn security_mode_is_repeated_and_may_be_refused_by_the_phone() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    let request = phone.initial_registration();
    network.initial(&mut phone, request);
    gmm!(network.downlink(&mut phone), AuthenticationRequest);
    network.uplink(&phone, Phone::authentication_response(RES_STAR));
    let command = gmm!(network.downlink(&mut phone), SecurityModeCommand);
    assert!(command.imeisv_request.is_some() && command.additional_5g_security_information.unwrap().rinmr());
    network.pass(T35XX);
    gmm!(network.downlink(&mut phone), SecurityModeCommand);
    let reject = NasSecurityModeReject::new(NasFGmmCause::from_cause(GmmCause::UeSecurityCapabilitiesMismatch));
    network.uplink(&phone, Phone::plain(reject));
    network.expect_release(&mut phone);
    assert_eq!(network.counter("coeur_amf_security_modes_total", &[("result", "#23")]), 1);
}

#[test]
fn the_complete_request_counts_whatever_was_read_in_clear() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    let clear = phone.registration(RegistrationType::InitialRegistration);
    let nssai = NasNssai::from_snssais(&[NasSNssai::from_sst_sd(2, None), NasSNssai::from_sst_sd(9, None)]);
    let complete = clear.clone().with_requested_nssai(nssai.unwrap());
    network.initial(&mut phone, Phone::plain(clear));
    let accept = network.authenticate(&mut phone, &complete);
    let allowed = accept.allowed_nssai.unwrap().parse_all();
    assert_eq!((allowed.len(), allowed[0].sst), (1, 2));
    let rejected = accept.rejected_nssai.unwrap().entries();
    assert_eq!((rejected[0].0, rejected[0].1.sst), (RejectedNssaiCause::NotAvailableInPlmnOrSnpn, 9));
}

#[test]
fn no_slice_at_all_is_62() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.subscribed = vec![(Snssai::new(2, None), false)];
    secured(&mut network, &mut phone);
    expect_reject(&mut network, &mut phone, GmmCause::NoNetworkSlicesAvailable);
}

#[test]
fn nothing_is_accepted_before_it_is_committed() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.hold_store = true;
    secured(&mut network, &mut phone);
    network.expect_nothing();
    assert!(matches!(network.stored[..], [StoreOp::PutUe { .. }]));
    let token = network.held.remove(0);
    network.commit(token);
    gmm!(network.downlink(&mut phone), RegistrationAccept);
}

#[test]
fn a_store_that_refuses_is_congestion_for_the_phone() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.store_fails = true;
    secured(&mut network, &mut phone);
    let reject = gmm!(network.downlink(&mut phone), RegistrationReject);
    assert_eq!(cause(&reject), GmmCause::Congestion);
}

#[test]
fn an_unanswered_accept_goes_out_five_times_and_both_gutis_stay_valid() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    network.go_idle(&mut phone);
    let old = phone.guti;
    let request = phone.initial_registration();
    network.initial(&mut phone, request);
    let accept = gmm!(network.downlink(&mut phone), RegistrationAccept);
    network.context_set_up(&phone);
    for _ in 0..4 {
        network.pass(T35XX);
        assert_eq!(gmm!(network.downlink(&mut phone), RegistrationAccept).fg_guti, accept.fg_guti);
    }
    network.pass(T35XX);
    network.expect_nothing();
    network.go_idle(&mut phone);
    assert!(network.amf.ue(&phone.supi()).unwrap().registered);
    for guti in [old, accept.fg_guti.unwrap().as_guti()] {
        phone.guti = guti;
        let request = phone.service_request(ServiceType::Signalling, &[]);
        network.initial(&mut phone, request);
        gmm!(network.downlink(&mut phone), ServiceAccept);
        network.context_set_up(&phone);
        network.go_idle(&mut phone);
    }
}

#[test]
fn the_same_request_again_repeats_the_accept_and_another_one_begins_anew() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    let request = phone.registration(RegistrationType::MobilityRegistrationUpdating);
    let nas = phone.protected(request.clone());
    network.uplink(&phone, nas.clone());
    let accept = gmm!(network.downlink(&mut phone), RegistrationAccept);
    // Replayed octets have a COUNT that was used: silently discarded (4.4.3.1).
    network.uplink(&phone, nas);
    network.expect_nothing();
    let other = phone.registration(RegistrationType::InitialRegistration);
    let nas = phone.protected(other);
    network.uplink(&phone, nas);
    let anew = gmm!(network.downlink(&mut phone), RegistrationAccept);
    assert_ne!(anew.fg_guti, accept.fg_guti);
    assert_eq!(
        network.counter("coeur_amf_registrations_total", &[("type", "mobility updating"), ("result", "superseded")]),
        1
    );
}

#[test]
fn a_plain_request_repeated_before_the_accept_is_ignored() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    let request = phone.initial_registration();
    network.initial(&mut phone, request.clone());
    gmm!(network.downlink(&mut phone), AuthenticationRequest);
    // 5.5.1.2.8 e) 2)
    network.uplink(&phone, request);
    network.expect_nothing();
    // e) 1)
    let mut other = phone.registration(RegistrationType::InitialRegistration);
    other.ngksi = NasKeySetIdentifier::new(3);
    network.uplink(&phone, Phone::plain(other));
    gmm!(network.downlink(&mut phone), AuthenticationRequest);
}

#[test]
fn periodic_updating_needs_nobody_and_ends_in_idle() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    network.establish(&mut phone, 5);
    network.go_idle(&mut phone);
    let (ausf, udm) = (network.to_ausf.len(), network.to_udm.len());
    let mut request = phone.registration(RegistrationType::PeriodicRegistrationUpdating);
    request.fgs_registration_type.set_follow_on_request(false);
    let request = request.with_pdu_session_status(NasPduSessionStatus::from_sessions(&[5]).unwrap());
    let nas = phone.initial(request);
    network.initial(&mut phone, nas);
    let accept = gmm!(network.downlink(&mut phone), RegistrationAccept);
    assert_eq!(accept.pdu_session_status.unwrap().active_sessions(), [5]);
    network.context_set_up(&phone);
    let complete = phone.protected(NasRegistrationComplete::new());
    network.uplink(&phone, complete);
    assert_eq!(network.expect_release(&mut phone), Cause::nas(CauseNas::normal_release));
    assert_eq!((network.to_ausf.len(), network.to_udm.len()), (ausf, udm));
    assert_eq!(network.amf.ue(&phone.supi()).unwrap().sessions.len(), 1);
}

#[test]
fn sessions_that_the_phone_lost_are_released_and_wanted_ones_come_back() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    network.establish(&mut phone, 5);
    network.establish(&mut phone, 6);
    network.go_idle(&mut phone);
    let request = phone
        .registration(RegistrationType::MobilityRegistrationUpdating)
        .with_pdu_session_status(NasPduSessionStatus::from_sessions(&[6]).unwrap())
        .with_uplink_data_status(NasUplinkDataStatus::from_sessions(&[6]).unwrap());
    let nas = phone.initial(request);
    network.initial(&mut phone, nas);
    let (_, _, setup) = &network.sent[0];
    assert_eq!(setup.kind(), Kind::Initiating_InitialContextSetup);
    assert!(setup.ie::<oxirush_ngap::ie::PDUSessionResourceSetupListCxtReq>().is_some());
    let accept = gmm!(network.downlink(&mut phone), RegistrationAccept);
    assert_eq!(accept.pdu_session_status.unwrap().active_sessions(), [6]);
    let context = coeur_nf::services::nsmf::SmContextId(105);
    assert!(network.to_smf.contains(&SmfRequest::ReleaseSmContext { context }));
}

#[test]
fn a_phone_that_appears_elsewhere_leaves_its_old_place() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    network.establish(&mut phone, 5);
    let mut again = Phone::new(1);
    again.ran_id = 5000;
    let request = again.registration(RegistrationType::InitialRegistration);
    network.initial(&mut again, Phone::plain(request.clone()));
    gmm!(network.downlink(&mut again), AuthenticationRequest);
    assert!(network.amf.ue(&phone.supi()).unwrap().connected, "nothing happens to it before it is proven");
    network.uplink(&again, Phone::authentication_response(RES_STAR));
    let command = gmm!(network.downlink(&mut again), SecurityModeCommand);
    let complete = again.take_keys(&command, &request);
    network.uplink(&again, complete);
    network.expect_release(&mut phone);
    gmm!(network.downlink(&mut again), RegistrationAccept);
    // TS 24.501, 5.5.1.2.4: an initial registration begins without sessions.
    let context = coeur_nf::services::nsmf::SmContextId(105);
    assert!(network.to_smf.contains(&SmfRequest::ReleaseSmContext { context }));
    assert_eq!(network.amf.counts().registered, 1);
}

#[test]
fn beyond_the_limit_of_phones_the_answer_is_congestion() {
    let mut network = Network::with(|settings| settings.ue_max = 2);
    network.connect_gnb(GNB, 1);
    network.sent.clear();
    let mut phones = [Phone::new(1), Phone::new(2), Phone::new(3)];
    network.register(&mut phones[0]);
    network.register(&mut phones[1]);
    let request = phones[2].initial_registration();
    network.initial(&mut phones[2], request.clone());
    let reject = gmm!(network.downlink(&mut phones[2]), RegistrationReject);
    assert_eq!(cause(&reject), GmmCause::Congestion);
    assert_eq!(reject.t3346_value.unwrap().to_seconds(), Some(60));
    network.expect_release(&mut phones[2]);
    // One leaves: there is room again, its kept keys give way.
    let leave = phones[0].deregistration(true);
    let leave = phones[0].protected(leave);
    network.uplink(&phones[0], leave);
    network.expect_release(&mut phones[0]);
    network.initial(&mut phones[2], request);
    gmm!(network.downlink(&mut phones[2]), AuthenticationRequest);
}

#[test]
fn messages_out_of_place_are_answered_with_98() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register(&mut phone);
    let complete = phone.protected(NasRegistrationComplete::new());
    network.uplink(&phone, complete);
    let status = gmm!(network.downlink(&mut phone), FiveGmmStatus);
    assert_eq!(status.fgmm_cause.cause(), Some(GmmCause::MessageTypeNotCompatibleWithTheProtocolState));
}

#[test]
fn a_connection_lost_after_the_accept_leaves_the_phone_registered() {
    let (mut network, mut phone) = (Network::new(), Phone::new(1));
    network.register_until_accept(&mut phone);
    network.release_request(&phone);
    network.expect_release(&mut phone);
    assert!(network.events.contains(&Event::UeRegistered { supi: phone.supi() }));
    let request = phone.service_request(ServiceType::Signalling, &[]);
    network.initial(&mut phone, request);
    gmm!(network.downlink(&mut phone), ServiceAccept);
}
