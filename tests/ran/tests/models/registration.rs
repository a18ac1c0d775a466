//! TS 24.501, 5.5 and 5.6: registration, deregistration, service request.

use crate::network::{Script, ngksi};
use coeur_ran::ue::{Event, Failure, Input, RegistrationKind, Timer};
use oxirush_nas::nas_5gs::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn without_a_context_only_cleartext_ies_go_out_and_the_rest_in_security_mode_complete() {
    let mut script = Script::new();
    script.handle(Input::Register(RegistrationKind::Initial));
    let Nas5gmmMessage::RegistrationRequest(request) = script.read_one() else { panic!("no REGISTRATION REQUEST") };
    assert_eq!(request.ngksi.key_set_identifier(), KeySetIdentifier::NoKey);
    assert!(request.requested_nssai.is_none() && request.fgmm_capability.is_none());
    assert_eq!(request.fgs_mobile_identity.identity_type(), Some(MobileIdentityType::Suci));

    let challenge = script.network.challenge();
    script.receive(&challenge);
    let Nas5gmmMessage::AuthenticationResponse(response) = script.read_one() else { panic!("no response") };
    let parameter = response.authentication_response_parameter.unwrap();
    assert_eq!(parameter.res_star().copied(), script.network.res_star);

    let command = script.network.mode_command(IntegrityAlgorithm::NIA2, CipheringAlgorithm::NEA2);
    script.receive(&command);
    let complete = script.one();
    assert_eq!(complete[1] & 0x0F, 0x4, "integrity protected and ciphered with new context");
    let Nas5gmmMessage::SecurityModeComplete(complete) = script.network.read(&complete) else { panic!("no complete") };
    assert_eq!(complete.imeisv.unwrap().as_imeisv().unwrap().to_string(), "3560920400000101");
    let whole = complete.nas_message_container.unwrap().decode_as_nas_message().unwrap();
    let Nas5gsMessage::Gmm(_, Nas5gmmMessage::RegistrationRequest(whole)) = whole else { panic!("no container") };
    assert_eq!(whole.requested_nssai.unwrap().parse_all().len(), 1);
    assert_eq!(whole.fgs_mobile_identity, request.fgs_mobile_identity);

    let accept = script.network.accept();
    script.receive(&accept);
    assert!(matches!(script.read_one(), Nas5gmmMessage::RegistrationComplete(_)));
    assert!(script.ue.is_registered());
    assert_eq!(script.events.len(), 1, "no violation: {:?}", script.events);
}

#[test]
fn every_algorithm_registers() {
    use {CipheringAlgorithm as Nea, IntegrityAlgorithm as Nia};
    for nia in [Nia::NIA1, Nia::NIA2, Nia::NIA3] {
        for nea in [Nea::NEA0, Nea::NEA1, Nea::NEA2, Nea::NEA3] {
            let mut script = Script::new();
            script.handle(Input::Register(RegistrationKind::Initial));
            let challenge = script.network.challenge();
            script.receive(&challenge);
            script.sent.clear();
            let command = script.network.mode_command(nia, nea);
            script.receive(&command);
            assert!(matches!(script.read_one(), Nas5gmmMessage::SecurityModeComplete(_)), "{nia:?} {nea:?}");
            let accept = script.network.accept();
            script.receive(&accept);
            assert!(script.ue.is_registered(), "{nia:?} {nea:?}");
        }
    }
}

#[test]
fn with_a_context_the_guti_goes_out_protected_and_no_challenge_is_needed() {
    let mut script = Script::new();
    script.register();
    let guti = script.ue.guti();
    script.handle(Input::Released);
    script.handle(Input::Register(RegistrationKind::Mobility));
    let request = script.one();
    assert_eq!(request[1] & 0x0F, 0x1, "integrity protected");
    let Nas5gmmMessage::RegistrationRequest(request) = script.network.read(&request) else { panic!("no request") };
    assert_eq!(request.fgs_mobile_identity.as_guti(), guti);
    assert!(request.requested_nssai.is_some(), "in the ciphered container");
    let accept = script.network.accept();
    script.receive(&accept);
    assert!(script.ue.is_registered());
    assert_ne!(script.ue.guti(), guti);
}

#[test]
fn t3512_leads_to_a_periodic_update_once_idle() {
    let mut script = Script::new();
    script.register();
    assert_eq!(script.ue.next_deadline(), None, "connected: T3512 does not run");
    script.handle(Input::Released);
    assert_eq!(script.events, [Event::Idle]);
    script.wait(600 * SECOND);
    let Nas5gmmMessage::RegistrationRequest(request) = script.read_one() else { panic!("no request") };
    let kind = request.fgs_registration_type.registration_type();
    assert_eq!(kind, Some(RegistrationType::PeriodicRegistrationUpdating));
}

#[test]
fn t3510_and_t3511_lead_to_five_attempts_and_then_t3502() {
    let mut script = Script::new();
    script.handle(Input::Register(RegistrationKind::Initial));
    for attempt in 1..=5 {
        script.sent.clear();
        script.wait(15 * SECOND);
        assert_eq!(script.local_releases, attempt);
        let failure = Failure::Expired(Timer::T3510);
        assert_eq!(script.events.pop(), Some(Event::RegistrationFailed { failure, retry: true }));
        script.wait(if attempt < 5 { 10 * SECOND } else { 720 * SECOND });
        assert_eq!((script.sent.len(), script.connections), (1, attempt + 1));
    }
}

#[test]
fn a_reject_is_final_or_tried_again_by_its_cause() {
    for (cause, retry) in [
        (GmmCause::IllegalUe, false),
        (GmmCause::PlmnNotAllowed, false),
        (GmmCause::NoNetworkSlicesAvailable, false),
        (GmmCause::ProtocolErrorUnspecified, true),
        (GmmCause::Congestion, true),
    ] {
        let mut script = Script::new();
        script.handle(Input::Register(RegistrationKind::Initial));
        let reject = NasRegistrationReject::new(NasFGmmCause::from_cause(cause));
        script.receive(&crate::network::plain(reject));
        let failure = Failure::Gmm(cause as u8);
        assert_eq!(script.events, [Event::RegistrationFailed { failure, retry }], "{cause:?}");
        assert_eq!(script.ue.next_deadline().is_some(), retry, "{cause:?}");
    }
}

#[test]
fn an_update_that_the_network_does_not_know_starts_over_with_suci() {
    let mut script = Script::new();
    script.register();
    script.handle(Input::Released);
    script.events.clear();
    script.handle(Input::Register(RegistrationKind::Mobility));
    script.sent.clear();
    let cause = NasFGmmCause::from_cause(GmmCause::UeIdentityCannotBeDerivedByTheNetwork);
    script.receive(&crate::network::plain(NasRegistrationReject::new(cause)));
    let Nas5gmmMessage::RegistrationRequest(request) = script.read_one() else { panic!("no request") };
    assert_eq!(request.fgs_mobile_identity.identity_type(), Some(MobileIdentityType::Suci));
    assert_eq!(request.ngksi.key_set_identifier(), KeySetIdentifier::NoKey);
}

#[test]
fn a_service_request_brings_sessions_back_and_paging_asks_for_one() {
    for paged in [false, true] {
        let mut script = Script::new();
        script.register();
        script.establish(1);
        script.handle(Input::Released);
        script.events.clear();
        script.handle(if paged { Input::Paged } else { Input::RequestService { data: true } });
        let Nas5gmmMessage::ServiceRequest(request) = script.read_one() else { panic!("no SERVICE REQUEST") };
        let kind = if paged { ServiceType::MobileTerminatedServices } else { ServiceType::Data };
        assert_eq!(request.service_type.service_type(), Some(kind));
        assert_eq!(request.fg_s_tmsi.as_s_tmsi(), script.ue.guti().map(|guti| guti.s_tmsi()));
        assert!(request.uplink_data_status.unwrap().has_data(1));
        let accept = NasServiceAccept::new().with_pdu_session_status(NasPduSessionStatus::from_sessions(&[1]).unwrap());
        let accept = script.network.protect(accept);
        script.receive(&accept);
        assert_eq!(script.events, [Event::ServiceAccepted { reactivation_failed: vec![] }]);
    }
}

#[test]
fn a_session_that_the_network_lost_is_released_locally() {
    let mut script = Script::new();
    script.register();
    script.establish(1);
    script.handle(Input::Released);
    script.handle(Input::RequestService { data: true });
    script.read_one();
    script.events.clear();
    let accept = NasServiceAccept::new().with_pdu_session_status(NasPduSessionStatus::from_sessions(&[]).unwrap());
    let accept = script.network.protect(accept);
    script.receive(&accept);
    let gone = Event::SessionReleased { psi: 1, failure: Some(Failure::NotAtNetwork) };
    assert_eq!(script.events[0], gone);
    assert_eq!(script.ue.sessions().count(), 0);
}

#[test]
fn a_service_reject_with_cause_9_starts_a_registration() {
    let mut script = Script::new();
    script.register();
    script.handle(Input::Released);
    script.handle(Input::RequestService { data: false });
    script.sent.clear();
    let cause = NasFGmmCause::from_cause(GmmCause::UeIdentityCannotBeDerivedByTheNetwork);
    script.receive(&crate::network::plain(NasServiceReject::new(cause)));
    assert!(matches!(script.read_one(), Nas5gmmMessage::RegistrationRequest(_)));
    assert_eq!(script.ue.guti(), None);
}

#[test]
fn deregistration_is_sent_five_times_and_then_done_anyway() {
    let mut script = Script::new();
    script.register();
    script.handle(Input::Deregister { switch_off: false });
    for sent in 1..=5 {
        let Nas5gmmMessage::DeregistrationRequestUeOriginating(request) = script.read_one() else { panic!("{sent}") };
        assert!(!request.de_registration_type.switch_off());
        script.wait(15 * SECOND);
    }
    let failure = Some(Failure::Expired(Timer::T3521));
    assert_eq!(script.events.last(), Some(&Event::Deregistered { failure, register_again: false }));
    assert!(script.sent.is_empty());
}

#[test]
fn switch_off_waits_for_nobody() {
    let mut script = Script::new();
    script.register();
    script.establish(1);
    script.handle(Input::Deregister { switch_off: true });
    let Nas5gmmMessage::DeregistrationRequestUeOriginating(request) = script.read_one() else { panic!("no request") };
    assert!(request.de_registration_type.switch_off());
    assert!(script.events.contains(&Event::Deregistered { failure: None, register_again: false }));
    assert_eq!((script.ue.next_deadline(), script.ue.sessions().count()), (None, 0));
}

#[test]
fn the_network_deregisters_and_may_ask_to_come_back() {
    for again in [false, true] {
        let mut script = Script::new();
        script.register();
        let kind = NasDeRegistrationType::new(0x01).with_re_registration_required(again);
        let request = script.network.protect(NasDeregistrationRequestUeTerminated::new(kind));
        script.receive(&request);
        assert!(matches!(script.read_one(), Nas5gmmMessage::DeregistrationAcceptUeTerminated(_)));
        assert_eq!(script.events, [Event::Deregistered { failure: None, register_again: again }]);
    }
}

#[test]
fn a_configuration_update_gives_a_new_guti_and_is_acknowledged_if_asked() {
    let mut script = Script::new();
    script.register();
    let guti = script.network.guti();
    let command = NasConfigurationUpdateCommand::new()
        .with_fg_guti(NasFGsMobileIdentity::from_guti(guti))
        .with_configuration_update_indication(NasConfigurationUpdateIndication::from_flags(true, false));
    let command = script.network.protect(command);
    script.receive(&command);
    assert!(matches!(script.read_one(), Nas5gmmMessage::ConfigurationUpdateComplete(_)));
    assert_eq!(script.ue.guti(), Some(guti));
}

#[test]
fn a_second_authentication_of_a_registered_ue_changes_its_context() {
    let mut script = Script::new();
    script.register();
    let challenge = script.network.challenge_with(|_| {});
    let challenge = script.network.protect(challenge);
    script.receive(&challenge);
    assert!(matches!(script.read_one(), Nas5gmmMessage::AuthenticationResponse(_)));
    let command = script.network.mode_command(IntegrityAlgorithm::NIA1, CipheringAlgorithm::NEA1);
    script.receive(&command);
    let Nas5gmmMessage::SecurityModeComplete(complete) = script.read_one() else { panic!("no complete") };
    assert!(complete.nas_message_container.is_none(), "no initial message to repeat");
    assert_eq!(ngksi(script.network.ngksi), ngksi(1));
}
