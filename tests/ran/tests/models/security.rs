//! TS 24.501, 4.4, 5.4.1 and 5.4.2: what the UE refuses.

use crate::network::{Script, config, plain};
use coeur_ran::Violation;
use coeur_ran::ue::{Event, Failure, Input, RegistrationKind};
use oxirush_nas::nas_5gs::*;

fn registering() -> Script {
    let mut script = Script::new();
    script.handle(Input::Register(RegistrationKind::Initial));
    script.sent.clear();
    script
}

fn failure(script: &mut Script) -> (Option<GmmCause>, Option<Vec<u8>>) {
    let Nas5gmmMessage::AuthenticationFailure(failure) = script.read_one() else { panic!("no failure") };
    let auts = failure.authentication_failure_parameter.map(|parameter| parameter.value.to_vec());
    (failure.fgmm_cause.cause(), auts)
}

#[test]
fn a_wrong_autn_mac_is_cause_20_and_the_third_ends_it() {
    let mut script = registering();
    for refused in 1..=3 {
        let challenge = script.network.challenge_with(|autn| autn[15] ^= 1);
        script.receive(&plain(challenge));
        assert_eq!(failure(&mut script), (Some(GmmCause::MacFailure), None));
        assert_eq!(script.violations(), [Violation::AutnMac]);
        assert_eq!(script.local_releases, u32::from(refused == 3));
    }
    let failure = Failure::NotAuthentic;
    assert_eq!(script.events, [Event::RegistrationFailed { failure, retry: true }]);
}

#[test]
fn a_stale_sqn_is_cause_21_with_auts() {
    let mut script = Script::of(coeur_ran::ue::UeConfig { sqn: 0x4000, ..config() });
    script.handle(Input::Register(RegistrationKind::Initial));
    script.sent.clear();
    let challenge = script.network.challenge();
    script.receive(&challenge);
    let (cause, auts) = failure(&mut script);
    assert_eq!(cause, Some(GmmCause::SynchFailure));
    assert_eq!(script.network.sqn_ms_of(&auts.unwrap()), 0x4000);
    script.network.sqn = 0x4000;
    let challenge = script.network.challenge();
    script.receive(&challenge);
    assert!(matches!(script.read_one(), Nas5gmmMessage::AuthenticationResponse(_)));
    assert_eq!(script.events, [Event::SynchFailure]);
}

#[test]
fn the_same_challenge_again_is_answered_from_memory() {
    let mut script = registering();
    let challenge = script.network.challenge();
    script.receive(&challenge);
    let first = script.one();
    script.receive(&challenge);
    assert_eq!(script.one(), first);
    assert!(script.events.is_empty());
}

#[test]
fn a_ngksi_in_use_is_cause_71() {
    let mut script = Script::new();
    script.register();
    script.network.ngksi = 6;
    let challenge = script.network.challenge_with(|_| {});
    let challenge = script.network.protect(challenge);
    script.receive(&challenge);
    assert_eq!(failure(&mut script).0, Some(GmmCause::NgKsiAlreadyInUse));
    assert_eq!(script.violations(), [Violation::NgKsiInUse(0)]);
}

#[test]
fn a_challenge_without_separation_bit_is_cause_26() {
    let mut script = registering();
    // AUTN's AMF field is not encrypted, but the MAC covers it: so a network that makes the MAC right is needed.
    let mut challenge = script.network.challenge_with(|_| {});
    let milenage = {
        use coeur_model::Secret;
        use oxirush_security::milenage::{K, Milenage, Opc};
        let octets = |hex: &str| *Secret::<16>::from_hex(hex).unwrap().expose();
        Milenage::new(&K::new(&octets(crate::network::K_HEX)), &Opc::new(&octets(crate::network::OPC_HEX)))
    };
    let rand: [u8; 16] = challenge.authentication_parameter_rand.as_ref().unwrap().value[..].try_into().unwrap();
    let vector = milenage.authentication_vector(
        &oxirush_security::Rand::new(&rand),
        &oxirush_security::milenage::Sqn::try_from(0x400).unwrap(),
        &oxirush_security::milenage::Amf::new(&[0x00, 0x00]),
    );
    let autn = NasAuthenticationParameterAutn::from_autn(*vector.autn().as_octets());
    challenge.set_authentication_parameter_autn(autn);
    script.receive(&plain(challenge));
    assert_eq!(failure(&mut script).0, Some(GmmCause::NonFiveGAuthenticationUnacceptable));
    assert_eq!(script.violations(), [Violation::SeparationBit]);
}

#[test]
fn authentication_reject_takes_guti_and_keys() {
    let mut script = registering();
    script.receive(&plain(NasAuthenticationReject::new()));
    let failure = Failure::AuthenticationRejected;
    assert!(script.events.contains(&Event::RegistrationFailed { failure, retry: false }));
    assert_eq!((script.ue.guti(), script.ue.next_deadline()), (None, None));
}

type Change = fn(&mut NasSecurityModeCommand);

#[test]
fn a_wrong_security_mode_command_is_rejected_with_its_cause() {
    let unspecified = Some(GmmCause::SecurityModeRejectedUnspecified);
    let capabilities: Change =
        |command| command.replayed_ue_security_capabilities = NasUeSecurityCapability::from_capabilities(0xF0, 0x60);
    let longer: Change = |command| {
        command.replayed_ue_security_capabilities = NasUeSecurityCapability::new(vec![0xF0, 0x70, 0, 0]);
    };
    let null: Change = |command| {
        let algorithms = NasSecurityAlgorithms::from_algorithms(CipheringAlgorithm::NEA0, IntegrityAlgorithm::NIA0);
        command.selected_nas_security_algorithms = algorithms;
    };
    let key: Change = |command| command.ngksi = crate::network::ngksi(5);
    let mismatch = Some(GmmCause::UeSecurityCapabilitiesMismatch);
    for (change, expected, violation) in [
        (capabilities, mismatch, Some(Violation::ReplayedCapabilities)),
        (longer, None, None),
        (null, unspecified, Some(Violation::Algorithms)),
        (key, unspecified, Some(Violation::NgKsiUnknown(5))),
    ] {
        let mut script = registering();
        let challenge = script.network.challenge();
        script.receive(&challenge);
        script.sent.clear();
        let (nia, nea) = (IntegrityAlgorithm::NIA2, CipheringAlgorithm::NEA2);
        let mut command = script.network.mode_command_message(nia, nea);
        change(&mut command);
        let command = script.network.protect_new(command, nia, nea);
        script.receive(&command);
        assert_eq!(script.violations(), violation.into_iter().collect::<Vec<_>>());
        match (script.read_one(), expected) {
            (Nas5gmmMessage::SecurityModeReject(reject), Some(cause)) => {
                assert_eq!(reject.fgmm_cause.cause(), Some(cause));
            }
            (Nas5gmmMessage::SecurityModeComplete(_), None) => {}
            (other, expected) => panic!("{other:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn a_security_mode_command_with_a_wrong_mac_is_discarded() {
    let mut script = registering();
    let challenge = script.network.challenge();
    script.receive(&challenge);
    script.sent.clear();
    let mut command = script.network.mode_command(IntegrityAlgorithm::NIA2, CipheringAlgorithm::NEA2);
    command[3] ^= 1;
    script.receive(&command);
    assert_eq!((script.violations(), script.sent.len()), (vec![Violation::WrongMac], 0));
    command[3] ^= 1;
    script.receive(&command);
    assert!(matches!(script.read_one(), Nas5gmmMessage::SecurityModeComplete(_)));
}

#[test]
fn plain_messages_are_discarded_once_there_is_secure_exchange() {
    let mut script = Script::new();
    script.register();
    let suci = NasFGsIdentityType::from_identity_type(MobileIdentityType::Suci).unwrap();
    let messages =
        [plain(NasIdentityRequest::new(suci)), plain(NasAuthenticationReject::new()), script.network.challenge()];
    for message in messages {
        script.receive(&message);
        assert!(matches!(script.violations()[..], [Violation::Unprotected { .. }]));
        assert!(script.sent.is_empty() && script.ue.is_registered());
    }
}

#[test]
fn before_that_only_those_of_4_4_4_2_are_taken() {
    let identity = |kind| plain(NasIdentityRequest::new(NasFGsIdentityType::from_identity_type(kind).unwrap()));
    let mut script = registering();
    script.receive(&identity(MobileIdentityType::Suci));
    assert!(matches!(script.read_one(), Nas5gmmMessage::IdentityResponse(_)));
    let accept = plain(script.network.accept_message());
    for message in [identity(MobileIdentityType::Imeisv), accept] {
        script.receive(&message);
        assert!(matches!(script.violations()[..], [Violation::Unprotected { .. }]));
        assert!(script.sent.is_empty());
    }
}

#[test]
fn a_replayed_message_is_discarded() {
    let mut script = Script::new();
    script.register();
    let command = script.network.protect(NasConfigurationUpdateCommand::new());
    script.receive(&command);
    assert_eq!(script.events, [Event::ConfigurationUpdated]);
    script.receive(&command);
    assert_eq!(script.violations(), [Violation::WrongMac]);
}

#[test]
fn identities_are_told_once_secured() {
    let mut script = Script::new();
    script.register();
    for (kind, expected) in
        [(MobileIdentityType::Imeisv, "3560920400000101"), (MobileIdentityType::Imei, "35609204000001")]
    {
        let request = NasIdentityRequest::new(NasFGsIdentityType::from_identity_type(kind).unwrap());
        let request = script.network.protect(request);
        script.receive(&request);
        let Nas5gmmMessage::IdentityResponse(response) = script.read_one() else { panic!("no response") };
        assert_eq!(response.mobile_identity.identity_type(), Some(kind));
        assert!(response.mobile_identity.to_string().contains(expected), "{}", response.mobile_identity);
    }
}

#[test]
fn kgnb_is_checked() {
    let mut script = Script::new();
    script.register();
    script.handle(Input::Kgnb([0; 32]));
    assert_eq!(script.violations(), [Violation::Kgnb]);
}

#[test]
fn a_wrong_res_star_is_wrong() {
    let mut script = registering();
    script.ue.set_wrong_res_star(true);
    let challenge = script.network.challenge();
    script.receive(&challenge);
    let Nas5gmmMessage::AuthenticationResponse(response) = script.read_one() else { panic!("no response") };
    let parameter = response.authentication_response_parameter.unwrap();
    assert_ne!(parameter.res_star().copied(), script.network.res_star);
}
