use crate::n4::wire::{Message, encode};
use crate::testing::*;
use coeur_nf::ExchangeId;
use coeur_nf::services::namf::AmfRequest;
use coeur_nf::services::nsmf::*;
use rs_pfcp::ie::{Ie, IeType};
use rs_pfcp::message::MsgType;
use std::time::Duration;

const GNB: Option<(u32, [u8; 4])> = Some((0x11, [10, 0, 2, 1]));
const UPDATED: Result<SmfResponse, SmfRefusal> = Ok(SmfResponse::Updated { n1_sm: None, n2_sm: None });

/// PDU Session Resource Setup Unsuccessful Transfer: radio network, unspecified (TS 38.413, 9.3.4.16).
fn unsuccessful() -> SmContextUpdate {
    SmContextUpdate::SetupUnsuccessful(hex("0000"))
}

fn not_responding() -> Result<SmfResponse, SmfRefusal> {
    Err(SmfRefusal { problem: SmfProblem::UpfNotResponding, n1_sm: None })
}

fn setup() -> SmContextUpdate {
    SmContextUpdate::SetupResponse(setup_response())
}

fn ask(world: &mut World, exchange: u64, context: SmContextId, update: SmContextUpdate) {
    let request = SmfRequest::UpdateSmContext { context, update };
    world.handle(SmfInput::Request(ExchangeId(exchange), request));
}

#[test]
fn the_gnbs_tunnel_turns_the_downlink_on() {
    let mut world = World::up();
    let context = world.create();
    assert_eq!(world.upf_sessions()[0].gnb, None);
    assert_eq!(world.update(context, setup()), UPDATED);
    assert_eq!(world.upf_sessions()[0].gnb, GNB);
    let gnb = world.smf.sessions().next().unwrap().gnb.unwrap();
    assert_eq!((gnb.teid.0, gnb.address.octets()), GNB.unwrap());
    // The same answer again changes nothing, and asks the user plane nothing.
    world.pfcp.clear();
    assert_eq!(world.update(context, setup()), UPDATED);
    assert!(world.pfcp.is_empty());
}

#[test]
fn a_transfer_of_no_use_is_an_n2_error_and_changes_nothing() {
    let mut world = World::up();
    let context = world.create();
    for (transfer, reason) in [
        ("", "syntax"),
        ("0003e0", "syntax"),
        ("ffffffffffffffff", "syntax"),
        ("0003e00a000201000000110002", "qos_flow"), // Flow 2, which nobody asked for.
        ("0003e000000000000000110001", "address"),  // 0.0.0.0
        ("0003e0e0000001000000110001", "address"),  // 224.0.0.1
    ] {
        let before = world.counter("coeur_smf_n2_unusable_total", Some(reason));
        let refusal = world.update(context, SmContextUpdate::SetupResponse(hex(transfer))).unwrap_err();
        assert_eq!(refusal.problem, SmfProblem::N2SmError, "{transfer}");
        assert_eq!(world.counter("coeur_smf_n2_unusable_total", Some(reason)), before + 1, "{transfer}");
        assert_eq!(world.upf_sessions()[0].gnb, None);
    }
    assert_eq!(world.update(context, setup()), UPDATED);
}

#[test]
fn resources_that_never_came_end_a_new_session() {
    let mut world = World::up();
    let context = world.create();
    world.to_amf.clear();
    let answer = world.update(context, unsuccessful());
    // The phone waits for an answer: the gNB carries the accept only with its resources.
    let n1_sm = Some(hex("2e0501c3 1a 37017e"));
    assert_eq!(answer, Ok(SmfResponse::Updated { n1_sm, n2_sm: None }));
    assert!(matches!(world.to_amf[..], [AmfRequest::SmContextReleased { .. }]));
    world.assert_empty();
}

#[test]
fn resources_that_did_not_come_back_leave_the_session_idle() {
    let (mut world, context) = World::with_session();
    world.update(context, SmContextUpdate::Deactivate).unwrap();
    world.update(context, SmContextUpdate::Activate).unwrap();
    for transfer in [unsuccessful(), SmContextUpdate::SetupUnsuccessful(vec![])] {
        assert_eq!(world.update(context, transfer), UPDATED);
    }
    assert_eq!((world.smf.sessions().count(), world.upf_sessions()[0].gnb), (1, None));
    assert_eq!(world.counter("coeur_smf_access_setups_failed_total", None), 2);
}

#[test]
fn idle_and_back_keeps_address_and_tunnel() {
    let mut world = World::up();
    let context = world.create();
    let first = transfer(&world.to_amf).1;
    world.update(context, setup()).unwrap();
    assert_eq!(world.update(context, SmContextUpdate::Deactivate), UPDATED);
    assert_eq!(world.upf_sessions()[0].gnb, None);

    let answer = world.update(context, SmContextUpdate::Activate);
    assert_eq!(answer, Ok(SmfResponse::Updated { n1_sm: None, n2_sm: first }));
    assert_eq!(world.upf_sessions()[0].gnb, None, "not before the gNB is ready");
    assert_eq!(world.update(context, setup()), UPDATED);
    assert_eq!(world.upf_sessions()[0].gnb, GNB);
}

#[test]
fn steps_that_overtake_the_user_plane_end_in_the_last_one() {
    let mut world = World::up();
    let context = world.create();
    world.upf.silent = true;
    ask(&mut world, 50, context, setup());
    ask(&mut world, 51, context, SmContextUpdate::Deactivate);
    assert!(world.responses.is_empty(), "one modification is under way, nobody is answered yet");
    world.upf.silent = false;
    world.pass(Duration::from_secs(1));
    assert_eq!(world.responses, [(ExchangeId(50), UPDATED), (ExchangeId(51), UPDATED)]);
    assert_eq!(world.upf_sessions()[0].gnb, None);
}

#[test]
fn requests_that_wait_are_limited() {
    let mut world = World::up();
    let context = world.create();
    world.upf.silent = true;
    for exchange in 0..=crate::session::WAITING_MAX as u64 {
        ask(&mut world, 100 + exchange, context, setup());
    }
    assert!(matches!(world.responses[..], [(_, Err(SmfRefusal { problem: SmfProblem::InsufficientResources, .. }))]));
}

#[test]
fn a_user_plane_that_does_not_answer_fails_a_setup_but_no_deactivation() {
    let mut world = World::up();
    let context = world.create();
    world.upf.silent = true;
    ask(&mut world, 50, context, setup());
    world.pass(Duration::from_secs(4));
    assert_eq!(world.responses, [(ExchangeId(50), not_responding())]);
    world.responses.clear();
    ask(&mut world, 51, context, SmContextUpdate::Deactivate);
    world.pass(Duration::from_secs(4));
    assert_eq!(world.responses, [(ExchangeId(51), UPDATED)]);
    assert_eq!(world.smf.sessions().count(), 1);
}

#[test]
fn a_session_that_the_user_plane_lost_is_established_again() {
    let mut world = World::up();
    let context = world.create();
    world.upf.sessions.clear();
    assert_eq!(world.update(context, setup()), not_responding());
    assert_eq!(world.upf_sessions()[0].gnb, GNB, "with the downlink that was asked for");
    assert_eq!(world.upf_sessions()[0].ue, [10, 45, 0, 1]);
}

#[test]
fn an_error_indication_turns_the_downlink_off() {
    let (mut world, context) = World::with_session();
    let cp_seid = world.upf_sessions()[0].cp_seid;
    let report = |cp_seid| {
        let ies = [Ie::new(IeType::ReportType, vec![0x04])];
        encode(MsgType::SessionReportRequest, Some(cp_seid), 77, &ies)
    };
    let answers = world.upf_says(report(cp_seid));
    let answer = Message::read(&answers[0]).unwrap();
    assert_eq!((answer.kind, answer.sequence), (MsgType::SessionReportResponse, 77));
    assert_eq!((answer.seid, answer.ie(IeType::Cause)), (Some(1), Some(&[1][..])));
    assert_eq!(world.upf_sessions()[0].gnb, None);

    // A session that nobody here knows.
    let answers = world.upf_says(report(cp_seid ^ 1));
    let answer = Message::read(&answers[0]).unwrap();
    assert_eq!((answer.seid, answer.ie(IeType::Cause)), (Some(0), Some(&[65][..])));
    assert_eq!(world.update(context, setup()), UPDATED);
    assert_eq!(world.counter("coeur_smf_pfcp_reports_total", Some("error_indication")), 2);
}
