//! TS 24.501, clause 6 and 7.3: PDU sessions.

use crate::network::{Script, establishment_accept};
use coeur_ran::Violation;
use coeur_ran::ue::{Event, Failure, Input, SessionRequest, Timer};
use oxirush_nas::nas_5gs::*;
use std::time::Duration;

const T3580: Duration = Duration::from_secs(16);

fn registered() -> Script {
    let mut script = Script::new();
    script.register();
    script
}

fn request(psi: u8) -> Input<'static> {
    let dnn = Some(coeur_model::Dnn::new("internet").unwrap());
    let slice = Some(coeur_model::Snssai::new(1, None));
    Input::EstablishSession(SessionRequest { psi, dnn, slice })
}

#[test]
fn a_session_has_its_address_dns_and_mtu() {
    let mut script = registered();
    script.handle(request(5));
    let octets = script.one();
    let Nas5gmmMessage::UlNasTransport(transport) = script.network.read(&octets) else { panic!("no transport") };
    assert_eq!(transport.dnn.unwrap().to_string(), "internet");
    assert_eq!(transport.s_nssai.unwrap().parse().unwrap().sst, 1);
    assert!(transport.request_type.unwrap().is_initial());
    let Ok(Nas5gsMessage::Gsm(header, _)) = transport.payload_container.decode_as_n1_sm_message() else {
        panic!("no 5GSM message")
    };
    let pti = header.procedure_transaction_identity;
    let accept = script.network.session_message(establishment_accept([10, 45, 0, 9]), 5, pti);
    script.receive(&accept);
    let [Event::SessionEstablished(info)] = &script.events[..] else { panic!("{:?}", script.events) };
    assert_eq!((info.psi, info.ipv4.octets(), info.qfi), (5, [10, 45, 0, 9], 1));
    assert_eq!((info.dns[0].octets(), info.mtu), ([8, 8, 8, 8], Some(1400)));
    assert_eq!(script.ue.next_deadline(), None);
}

type Change = fn(&mut NasPduSessionEstablishmentAccept);

#[test]
fn an_accept_that_cannot_be_used_is_told_and_refused() {
    let changes: [Change; 4] = [
        |accept| accept.pdu_address = None,
        |accept| accept.pdu_address = Some(NasPduAddress::from_ipv4([0; 4])),
        |accept| accept.selected_ssc_mode = NasSscMode::from_mode(SscModeValue::Ssc2),
        // DQR off: no default rule.
        |accept| {
            accept.authorized_qos_rules = NasQosRules::new(vec![0x01, 0x00, 0x06, 0x21, 0x31, 0x01, 0x01, 0xFF, 0x01]);
        },
    ];
    for change in changes {
        let mut script = registered();
        script.handle(request(1));
        let (_, pti, _) = script.read_session();
        let mut accept = establishment_accept([10, 45, 0, 1]);
        change(&mut accept);
        let accept = script.network.session_message(accept, 1, pti);
        script.receive(&accept);
        assert!(matches!(script.violations()[..], [Violation::SessionAccept { psi: 1, .. }]));
        assert!(matches!(script.read_session(), (1, _, Nas5gsmMessage::FiveGsmStatus(_))));
        assert!(matches!(script.events[..], [Event::SessionFailed { psi: 1, .. }]));
    }
}

#[test]
fn a_reject_and_a_request_that_was_not_forwarded_fail_the_session() {
    let mut script = registered();
    script.handle(request(1));
    let (_, pti, _) = script.read_session();
    let reject = NasPduSessionEstablishmentReject::new(NasFGsmCause::from_cause(GsmCause::InsufficientResources));
    let reject = script.network.session_message(reject, 1, pti);
    script.receive(&reject);
    assert_eq!(script.events, [Event::SessionFailed { psi: 1, failure: Failure::Gsm(26) }]);

    let mut script = registered();
    script.handle(request(1));
    let Nas5gmmMessage::UlNasTransport(sent) = script.read_one() else { panic!("no transport") };
    let cause = NasFGmmCause::from_cause(GmmCause::DnnNotSupportedOrNotSubscribedInTheSlice);
    let kind = NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation);
    let back = NasDlNasTransport::new(kind, sent.payload_container)
        .with_pdu_session_id(NasPduSessionIdentity2::from_pdu_session_id(1))
        .with_fgmm_cause(cause);
    let back = script.network.protect(back);
    script.receive(&back);
    assert_eq!(script.events, [Event::SessionFailed { psi: 1, failure: Failure::Gmm(91) }]);
}

#[test]
fn an_accept_with_another_pti_is_a_pti_mismatch() {
    let mut script = registered();
    script.handle(request(1));
    let (_, pti, _) = script.read_session();
    let accept = script.network.session_message(establishment_accept([10, 45, 0, 1]), 1, pti + 1);
    script.receive(&accept);
    let (_, _, Nas5gsmMessage::FiveGsmStatus(status)) = script.read_session() else { panic!("no status") };
    assert_eq!(status.fgsm_cause.cause(), Some(GsmCause::PtiMismatch));
    assert!(matches!(script.violations()[..], [Violation::Pti { .. }]));
    assert!(script.events.is_empty(), "the session still waits");
}

#[test]
fn t3580_sends_five_times_with_one_pti() {
    let mut script = registered();
    script.handle(request(1));
    let mut ptis = Vec::new();
    for _ in 0..5 {
        ptis.push(script.read_session().1);
        script.wait(T3580);
    }
    ptis.dedup();
    assert_eq!(ptis.len(), 1);
    let failure = Failure::Expired(Timer::T3580(1));
    assert_eq!(script.events.last(), Some(&Event::SessionFailed { psi: 1, failure }));
    assert!(script.sent.is_empty());
}

#[test]
fn released_by_the_ue() {
    let mut script = registered();
    script.establish(1);
    script.handle(Input::ReleaseSession { psi: 1 });
    let (_, pti, message) = script.read_session();
    assert!(matches!(message, Nas5gsmMessage::PduSessionReleaseRequest(_)));
    let cause = NasFGsmCause::from_cause(GsmCause::RegularDeactivation);
    let command = script.network.session_message(NasPduSessionReleaseCommand::new(cause), 1, pti);
    script.receive(&command);
    assert!(matches!(script.read_session(), (1, of, Nas5gsmMessage::PduSessionReleaseComplete(_)) if of == pti));
    assert_eq!(script.events, [Event::SessionReleased { psi: 1, failure: None }]);
}

#[test]
fn released_by_the_network_and_unknown_sessions_are_told() {
    let mut script = registered();
    script.establish(1);
    let command = || NasPduSessionReleaseCommand::new(NasFGsmCause::from_cause(GsmCause::NetworkFailure));
    let octets = script.network.session_message(command(), 1, 0);
    script.receive(&octets);
    assert!(matches!(script.read_session(), (1, 0, Nas5gsmMessage::PduSessionReleaseComplete(_))));
    assert_eq!(script.events, [Event::SessionReleased { psi: 1, failure: Some(Failure::Gsm(38)) }]);
    script.events.clear();
    let octets = script.network.session_message(command(), 1, 0);
    script.receive(&octets);
    assert!(matches!(script.read_session(), (1, 0, Nas5gsmMessage::FiveGsmStatus(_))));
    assert!(matches!(script.violations()[..], [Violation::PduSession { psi: 1, .. }]));
}

#[test]
fn an_idle_ue_asks_for_a_connection_first() {
    let mut script = registered();
    script.handle(Input::Released);
    script.events.clear();
    script.handle(request(1));
    assert!(matches!(script.read_one(), Nas5gmmMessage::ServiceRequest(_)));
    let accept = script.network.protect(NasServiceAccept::new());
    script.receive(&accept);
    assert!(matches!(script.read_session(), (1, _, Nas5gsmMessage::PduSessionEstablishmentRequest(_))));
}

#[test]
fn what_cannot_be_asked_for_fails_at_once() {
    let mut script = Script::new();
    script.handle(request(1));
    assert!(matches!(script.events.pop(), Some(Event::SessionFailed { failure: Failure::State(_), .. })));
    let mut script = registered();
    script.establish(1);
    for psi in [0, 1, 16] {
        script.handle(request(psi));
        let failure = Failure::PduSessionIdentity(psi);
        assert_eq!(script.events.pop(), Some(Event::SessionFailed { psi, failure }));
    }
}
