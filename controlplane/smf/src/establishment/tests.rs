use crate::n1;
use crate::testing::*;
use coeur_model::{DnnSubscription, FiveQi, SessionType};
use coeur_nf::ExchangeId;
use coeur_nf::event::Event;
use coeur_nf::services::namf::{AmfProblem, N2SmInfo};
use coeur_nf::services::nsmf::*;
use coeur_nf::services::nudm::{UdmProblem, UdmRequest};
use coeur_nf::store::StoreOp;
use oxirush_nas::nas_5gs::{GsmCause, Nas5gsMessage, Nas5gsmMessage};
use oxirush_ngap::ngap::PDUSessionResourceSetupRequestTransfer;
use std::time::Duration;

/// PDU SESSION ESTABLISHMENT REJECT of session 5, PTI 1 with a cause, and what follows it.
fn reject(cause: GsmCause, more: &str) -> Option<Vec<u8>> {
    Some([&[0x2E, 5, 1, 0xC3, cause as u8][..], &hex(more)].concat())
}

fn subscribed(change: impl FnOnce(&mut DnnSubscription)) -> Result<DnnSubscription, UdmProblem> {
    let mut subscription = DnnSubscription::new("internet".parse().unwrap());
    change(&mut subscription);
    Ok(subscription)
}

#[test]
fn a_session_is_accepted_with_address_rule_flow_and_tunnel() {
    let mut world = World::up();
    let context = world.create();
    let (n1_sm, n2_sm) = transfer(&world.to_amf);
    let accept = hex("2e0501c2 11 0009 01 0006 31 31 0101 ff 01 06 03f424 03f424 \
         2905 01 0a2d0001 2201 01 790006 01 20 41 01 01 09 2509 08 696e7465726e6574");
    assert_eq!(n1_sm, Some(accept));
    let Some(N2SmInfo::SetupRequest(n2_sm)) = n2_sm else { panic!("{n2_sm:?}") };
    assert_eq!(PDUSessionResourceSetupRequestTransfer::check(&n2_sm).unwrap(), []);
    let teid = [0x00, 0x01, 0x00, 0x01]; // Recovery 0xE0000001 << 16 | first session.
    assert!(n2_sm.windows(8).any(|window| window == [&N3[..], &teid].concat()), "{n2_sm:02x?}");

    assert_eq!(world.upf_sessions()[0].ue, [10, 45, 0, 1]);
    assert_eq!(world.upf_sessions()[0].gnb, None);
    assert!(world.stored.contains_key(&(supi(), session_id())));
    let view = world.smf.sessions().next().unwrap();
    assert_eq!((view.ipv4, view.state), ([10, 45, 0, 1].into(), crate::SessionState::Active));
    assert!(matches!(world.events.last(), Some(Event::SessionEstablished { .. })));
    assert_eq!(world.counter("coeur_smf_sessions_created_total", None), 1);
    assert_ne!(context, SmContextId(0));
}

#[test]
fn the_seid_has_the_shard_in_its_top_byte() {
    let mut world = World::up();
    world.create();
    assert_eq!(world.upf_sessions()[0].cp_seid >> 56, 0);
}

#[test]
fn nobody_hears_of_a_session_before_it_is_committed() {
    let mut world = World::up();
    let request = World::create_request(None, establishment_request(""));
    let mut outputs = world.handle_unsettled(SmfInput::Request(ExchangeId(1), request));
    let mut committed = None;
    // Each step gets its answer; the store's is kept back.
    while let Some(output) = outputs.pop() {
        match output {
            SmfOutput::Store(token, op @ StoreOp::PutSession { .. }) => {
                committed = Some((token, world.store(op)));
            }
            SmfOutput::Respond(..) | SmfOutput::Amf(..) => panic!("{output:?}"),
            other => world.settle_into(other, &mut outputs),
        }
    }
    let (token, reply) = committed.unwrap();
    world.handle(SmfInput::Stored(token, reply));
    assert!(matches!(world.responses[..], [(ExchangeId(1), Ok(SmfResponse::Created { .. }))]));
    assert_eq!(world.to_amf.len(), 1);
}

#[test]
fn what_the_phone_asks_for_besides_is_answered() {
    let mut world = World::up();
    // Type IPv4v6, SSC mode 1, always-on, ePCO with DNS server and MTU.
    world.create_with(establishment_request("93 a1 b1 7b0007 80 000d00 001000")).unwrap();
    let n1_sm = transfer(&world.to_amf).0.unwrap();
    let message = Nas5gsMessage::decode(&n1_sm).unwrap();
    let Nas5gsMessage::Gsm(_, Nas5gsmMessage::PduSessionEstablishmentAccept(accept)) = message else { panic!() };
    assert_eq!(accept.fgsm_cause.map(|cause| cause.cause_raw()), Some(50));
    assert!(!accept.always_on_pdu_session_indication.unwrap().apsi());
    let options = accept.extended_protocol_configuration_options.unwrap().value;
    assert_eq!(options, hex("80 000d04 08080808 001002 0578"));
}

#[test]
fn each_refusal_has_its_cause_and_leaves_nothing() {
    use GsmCause::*;
    let ok = || subscribed(|_| {});
    let not_ipv4 = |session_type| subscribed(|subscription| subscription.session_type = session_type);
    for (more, subscription, problem, cause) in [
        ("92", ok(), SmfProblem::PduTypeNotSupported, PduSessionTypeIpv4OnlyAllowed),
        ("94", ok(), SmfProblem::PduTypeNotSupported, UnknownPduSessionType),
        ("95", ok(), SmfProblem::PduTypeNotSupported, UnknownPduSessionType),
        ("", not_ipv4(SessionType::Ipv6), SmfProblem::PduTypeNotSupported, PduSessionTypeIpv6OnlyAllowed),
        ("", not_ipv4(SessionType::Ethernet), SmfProblem::PduTypeNotSupported, PduSessionTypeEthernetOnlyAllowed),
        ("", Err(UdmProblem::NotSubscribed), SmfProblem::SubscriptionDenied, RequestedServiceOptionNotSubscribed),
        ("", Err(UdmProblem::UserNotFound), SmfProblem::SubscriptionDenied, UserAuthenticationOrAuthorizationFailed),
        ("", Err(UdmProblem::SystemFailure), SmfProblem::SystemFailure, NetworkFailure),
        ("", subscribed(|s| s.dnn = "ims".parse().unwrap()), SmfProblem::DnnNotSupported, MissingOrUnknownDnn),
        ("", subscribed(|s| s.five_qi = FiveQi(1)), SmfProblem::SubscriptionDenied, Unsupported5QiValue),
    ] {
        let mut world = World::up();
        world.subscription = subscription;
        let refusal = world.create_with(establishment_request(more)).unwrap_err();
        assert_eq!((refusal.problem, refusal.n1_sm), (problem, reject(cause, "")), "{more} {cause:?}");
        assert_eq!(world.counter("coeur_smf_refusals_total", Some(&(cause as u8).to_string())), 1);
        assert!(matches!(world.events.last(), Some(Event::ProcedureFailed { .. })));
        world.assert_empty();
    }
}

#[test]
fn an_ssc_mode_that_is_not_there_is_refused_with_the_one_that_is() {
    let mut world = World::up();
    for mode in ["a2", "a3"] {
        let refusal = world.create_with(establishment_request(mode)).unwrap_err();
        assert_eq!(refusal.n1_sm, reject(GsmCause::NotSupportedSscMode, "f1"));
    }
    world.assert_empty();
}

#[test]
fn no_dnn_and_no_default_one_is_a_missing_dnn() {
    let mut world = World::up();
    world.subscription = Err(UdmProblem::NotSubscribed);
    let refusal = world.request(World::create_request(None, establishment_request(""))).unwrap_err();
    assert_eq!(refusal.n1_sm, reject(GsmCause::MissingOrUnknownDnn, ""));
}

#[test]
fn a_dnn_is_looked_up_without_its_operator_identifier() {
    for (asked, looked_up) in [
        ("internet.mnc001.mcc001.gprs", "internet"),
        ("a.b.mnc001.mcc001.gprs", "a.b"),
        ("mnc001.mcc001.gprs", "mnc001.mcc001.gprs"),
        ("internet", "internet"),
    ] {
        let mut world = World::up();
        let _ = world.request(World::create_request(Some(asked), establishment_request("")));
        let Some(UdmRequest::SessionData { dnn: Some(dnn), .. }) = world.asked_udm.pop() else { panic!() };
        assert_eq!(dnn.as_str(), looked_up);
    }
}

#[test]
fn an_n1_message_that_begins_no_session_is_answered_as_clause_7_says() {
    for (n1_sm, answer) in [
        ("", ""),                       // 7.2.1: too short
        ("2e0501", ""),                 // 7.2.1
        ("7e0041", ""),                 // not session management
        ("2e0501c1", "2e0501c360"),     // 7.5: mandatory information missing: reject, #96
        ("2e050199", "2e0501d661"),     // 7.4: unknown message type: STATUS, #97
        ("2e0501d1", "2e0501d662"),     // 7.4: RELEASE REQUEST without a session: STATUS, #98
        ("2e0500c1ffff", "2e0500c351"), // 7.3.1: no PTI: reject, #81
        ("2e05ffc1ffff", ""),           // 7.3.1: reserved PTI: ignored
        ("2e0601c1ffff", "2e0601c32b"), // 7.3.2: not the session of this request: reject, #43
    ] {
        let mut world = World::up();
        let refusal = world.create_with(hex(n1_sm)).unwrap_err();
        let answer = (!answer.is_empty()).then(|| hex(answer));
        assert_eq!((refusal.problem, refusal.n1_sm), (SmfProblem::N1SmError, answer), "{n1_sm}");
        world.assert_empty();
    }
}

#[test]
fn without_a_user_plane_there_is_no_session() {
    let mut world = World::new();
    let refusal = world.create_with(establishment_request("")).unwrap_err();
    assert_eq!(refusal.problem, SmfProblem::UpfNotResponding);
    assert_eq!(refusal.n1_sm, reject(GsmCause::NetworkFailure, ""));
    world.assert_empty();

    let mut world = World::up();
    world.upf.refuses = Some(64);
    let refusal = world.create_with(establishment_request("")).unwrap_err();
    assert_eq!(refusal.n1_sm, reject(GsmCause::NetworkFailure, ""));
    world.upf.refuses = Some(75);
    let refusal = world.create_with(establishment_request("")).unwrap_err();
    assert_eq!(refusal.n1_sm, reject(GsmCause::InsufficientResources, "37 01 7e"));
    world.assert_empty();
    assert_eq!(world.counter("coeur_smf_pfcp_refusals_total", Some("75")), 1);
}

#[test]
fn a_silent_user_plane_is_asked_n1_times_more_and_then_given_up() {
    let mut world = World::up();
    world.upf.silent = true;
    world.pfcp.clear();
    let request = World::create_request(None, establishment_request(""));
    world.handle(SmfInput::Request(ExchangeId(9), request));
    world.pass(Duration::from_millis(3_999));
    assert!(world.responses.is_empty());
    assert_eq!(world.pfcp.len(), 4);
    assert!(world.pfcp.iter().all(|octets| *octets == world.pfcp[0]), "the same octets each time");
    world.pass(Duration::from_millis(1));
    let [(ExchangeId(9), Err(refusal))] = &world.responses[..] else { panic!("{:?}", world.responses) };
    assert_eq!(refusal.problem, SmfProblem::UpfNotResponding);
    assert_eq!(world.counter("coeur_smf_pfcp_retransmissions_total", None), 3);
    world.assert_empty();
}

#[test]
fn a_user_plane_session_without_a_tunnel_is_deleted_again() {
    let mut world = World::up();
    world.upf.silent = true;
    world.handle(SmfInput::Request(ExchangeId(9), World::create_request(None, establishment_request(""))));
    let sent = crate::n4::wire::Message::read(world.pfcp.last().unwrap()).unwrap();
    let ies = [
        rs_pfcp::ie::Ie::new(rs_pfcp::ie::IeType::Cause, vec![1]),
        rs_pfcp::ie::Ie::new(rs_pfcp::ie::IeType::Fseid, hex("02 0000000000000077 7f000008")),
    ];
    let kind = rs_pfcp::message::MsgType::SessionEstablishmentResponse;
    let answer = crate::n4::wire::encode(kind, Some(1), sent.sequence, &ies);
    let sent = world.upf_says(answer);
    let deletion = crate::n4::wire::Message::read(&sent[0]).unwrap();
    assert_eq!(deletion.seid, Some(0x77));
    assert!(matches!(world.responses[..], [(_, Err(_))]));
    assert_eq!(world.smf.sessions().count(), 0);
}

#[test]
fn a_store_that_fails_undoes_the_session() {
    let mut world = World::up();
    world.store_fails = true;
    let refusal = world.create_with(establishment_request("")).unwrap_err();
    assert_eq!(refusal.problem, SmfProblem::SystemFailure);
    assert_eq!(refusal.n1_sm, reject(GsmCause::NetworkFailure, ""));
    assert!(world.to_amf.is_empty());
    world.assert_empty();
}

#[test]
fn a_phone_out_of_reach_has_no_session() {
    for problem in [AmfProblem::UeIdle, AmfProblem::ContextNotFound] {
        let mut world = World::up();
        world.amf_answer = Err(problem);
        world.create();
        world.assert_empty();
        assert!(matches!(world.events.last(), Some(Event::SessionReleased { .. })));
    }
}

#[test]
fn the_pool_is_refilled_by_what_ends_and_refuses_when_empty() {
    let mut world = World::up();
    let other = |number: u8| SmfRequest::CreateSmContext {
        supi: supi(),
        session: coeur_model::PduSessionId::new(number).unwrap(),
        snssai: "1".parse().unwrap(),
        dnn: None,
        n1_sm: [&[0x2E, number][..], &hex("01c1ffff")].concat(),
    };
    let mut contexts = Vec::new();
    for number in 1..=6 {
        let Ok(SmfResponse::Created { context }) = world.request(other(number)) else { panic!("{number}") };
        contexts.push(context);
    }
    let refusal = world.request(other(7)).unwrap_err();
    assert_eq!(refusal.problem, SmfProblem::InsufficientResources);
    assert_eq!(refusal.n1_sm.unwrap()[4], GsmCause::InsufficientResources as u8);
    world.request(SmfRequest::ReleaseSmContext { context: contexts[2] }).unwrap();
    world.request(other(7)).unwrap();
    let given: Vec<_> = world.smf.sessions().map(|view| view.ipv4.octets()[3]).collect();
    assert!(given.contains(&3));
    for view in world.smf.sessions().collect::<Vec<_>>() {
        let context = world.smf.by_ue[&(view.supi, view.session)];
        world.request(SmfRequest::ReleaseSmContext { context }).unwrap();
    }
    world.assert_empty();
}

#[test]
fn a_fixed_address_belongs_to_its_subscriber() {
    let mut world = World::up();
    world.subscription = subscribed(|subscription| subscription.ipv4 = Some([10, 45, 0, 6].into()));
    world.create();
    // Again, under the same identity: the former session makes room.
    world.create();
    assert_eq!(world.smf.sessions().next().unwrap().ipv4, std::net::Ipv4Addr::new(10, 45, 0, 6));
    let other = SmfRequest::CreateSmContext {
        supi: "001010000000002".parse().unwrap(),
        session: session_id(),
        snssai: "1".parse().unwrap(),
        dnn: None,
        n1_sm: establishment_request(""),
    };
    let refusal = world.request(other).unwrap_err();
    assert_eq!(refusal.problem, SmfProblem::InsufficientResources);
}

#[test]
fn a_second_request_under_the_same_identity_replaces_the_session() {
    let (mut world, former) = World::with_session();
    let context = world.create();
    assert_ne!(context, former);
    assert_eq!((world.smf.sessions().count(), world.upf.sessions.len(), world.stored.len()), (1, 1, 1));
    // The AMF knows: it asked.
    assert!(matches!(world.to_amf[..], [coeur_nf::services::namf::AmfRequest::N1N2MessageTransfer { .. }]));
    let gone = world.update(former, SmContextUpdate::Deactivate).unwrap_err();
    assert_eq!(gone.problem, SmfProblem::ContextNotFound);
}

#[test]
fn a_request_that_is_replaced_half_way_leaves_nothing_behind() {
    let mut world = World::up();
    world.upf.silent = true;
    world.handle(SmfInput::Request(ExchangeId(70), World::create_request(None, establishment_request(""))));
    let first = world.pfcp.last().unwrap().clone();
    world.handle(SmfInput::Request(ExchangeId(71), World::create_request(None, establishment_request(""))));
    assert!(matches!(world.responses[..], [(ExchangeId(70), Err(_))]));
    assert_eq!(world.smf.doomed.len(), 1);
    // The user plane wakes up: T1 asks again for both.
    world.upf.silent = false;
    world.pass(Duration::from_secs(1));
    assert!(matches!(world.responses[1], (ExchangeId(71), Ok(SmfResponse::Created { .. }))));
    assert_eq!(world.upf.sessions.len(), 1, "the first session was deleted");
    assert!(world.smf.doomed.is_empty() && world.pfcp.contains(&first));
}

#[test]
fn a_request_that_waits_for_the_udm_can_be_replaced() {
    let mut world = World::up();
    let ask = |n| SmfInput::Request(ExchangeId(n), World::create_request(None, establishment_request("")));
    let first = world.handle_unsettled(ask(70));
    let second = world.handle_unsettled(ask(71));
    assert!(matches!(second[0], SmfOutput::Respond(ExchangeId(70), Err(_))));
    world.settle(first);
    world.settle(second);
    assert_eq!((world.smf.sessions().count(), world.upf.sessions.len()), (1, 1));
    assert!(world.smf.udm.is_empty());
}

#[test]
fn the_codec_encodes_every_refusal() {
    for cause in 0..=255u8 {
        if let Some(cause) = GsmCause::from_u8(cause) {
            assert!(n1::establishment_reject(5, 1, cause).is_some());
            assert!(n1::status(5, 1, cause).is_some());
        }
    }
}
