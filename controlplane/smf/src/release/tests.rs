use crate::SessionState;
use crate::testing::*;
use coeur_nf::event::Event;
use coeur_nf::services::namf::{AmfProblem, AmfRequest, N2SmInfo};
use coeur_nf::services::nsmf::*;
use std::time::Duration;

/// PDU SESSION RELEASE REQUEST, COMPLETE and COMMAND of session 5 (TS 24.501, 8.3.12 to 8.3.15).
const REQUEST: &str = "2e0502d1";
const COMPLETE: &str = "2e0502d4";
const COMMAND: &str = "2e0502d3 24";
const NETWORK_COMMAND: &str = "2e0500d3 24";
const NETWORK_COMPLETE: &str = "2e0500d4";
const RELEASED: SmContextUpdate = SmContextUpdate::ReleaseResponse(Vec::new());

fn n2_release() -> Option<N2SmInfo> {
    // Cause NAS, normal release (TS 38.413, 9.3.1.2).
    Some(N2SmInfo::ReleaseCommand(hex("10")))
}

fn begun() -> (World, SmContextId) {
    let (mut world, context) = World::with_session();
    let answer = world.update(context, SmContextUpdate::N1(hex(REQUEST)));
    assert_eq!(answer, Ok(SmfResponse::Updated { n1_sm: Some(hex(COMMAND)), n2_sm: n2_release() }));
    (world, context)
}

fn assert_released(world: &World) {
    assert!(matches!(world.to_amf.last(), Some(AmfRequest::SmContextReleased { .. })), "{:?}", world.to_amf);
    assert!(matches!(world.events.last(), Some(Event::SessionReleased { .. })));
    world.assert_empty();
}

#[test]
fn the_phone_releases_its_session_whichever_answer_comes_first() {
    for complete_first in [true, false] {
        let (mut world, context) = begun();
        assert!(world.upf.sessions.is_empty() && world.stored.is_empty(), "gone before anybody is told");
        assert_eq!(world.smf.sessions().next().unwrap().state, SessionState::Releasing);
        let mut answers = [SmContextUpdate::N1(hex(COMPLETE)), RELEASED];
        if !complete_first {
            answers.reverse();
        }
        for answer in answers {
            assert_eq!(world.smf.sessions().count(), 1);
            world.update(context, answer).unwrap();
        }
        assert_released(&world);
        assert_eq!(world.counter("coeur_smf_sessions_ended_total", Some("released")), 1);
    }
}

#[test]
fn an_idle_session_is_released_without_n2() {
    let (mut world, context) = World::with_session();
    world.update(context, SmContextUpdate::Deactivate).unwrap();
    let answer = world.update(context, SmContextUpdate::N1(hex(REQUEST)));
    assert_eq!(answer, Ok(SmfResponse::Updated { n1_sm: Some(hex(COMMAND)), n2_sm: None }));
    world.update(context, SmContextUpdate::N1(hex(COMPLETE))).unwrap();
    assert_released(&world);
}

#[test]
fn a_request_that_is_repeated_gets_the_command_again() {
    let (mut world, context) = begun();
    assert_eq!(world.n1(context, REQUEST), Some(hex(COMMAND)));
    // Of another transaction: the release goes on.
    assert_eq!(world.n1(context, "2e0503d1"), None);
    assert_eq!(world.smf.sessions().count(), 1);
}

#[test]
fn t3592_repeats_the_command_four_times_and_then_releases_all_the_same() {
    let (mut world, context) = begun();
    for expiry in 1..=4 {
        world.pass(Duration::from_secs(16));
        assert_eq!(world.to_amf.len(), expiry);
        let again = world.to_amf.last().unwrap().clone();
        assert_eq!(transfer(&[again]), (Some(hex(COMMAND)), None));
    }
    world.pass(Duration::from_secs(15));
    assert_eq!(world.smf.sessions().count(), 1);
    world.pass(Duration::from_secs(1));
    assert_released(&world);
    assert_eq!(world.counter("coeur_smf_sessions_ended_total", Some("no_answer")), 1);
    let refusal = world.update(context, RELEASED).unwrap_err();
    assert_eq!(refusal.problem, SmfProblem::ContextNotFound);
}

#[test]
fn a_gnb_that_does_not_answer_holds_the_session_until_t3592_only() {
    let (mut world, context) = begun();
    world.n1(context, COMPLETE);
    assert_eq!(world.smf.sessions().count(), 1);
    world.pass(Duration::from_secs(16));
    assert_released(&world);
}

#[test]
fn the_loss_of_the_connection_answers_for_the_gnb() {
    let (mut world, context) = begun();
    world.n1(context, COMPLETE);
    world.update(context, SmContextUpdate::Deactivate).unwrap();
    assert_released(&world);
}

#[test]
fn the_operator_releases_a_session() {
    let (mut world, context) = World::with_session();
    world.command_release();
    assert_eq!(transfer(&world.to_amf), (Some(hex(NETWORK_COMMAND)), n2_release()));
    assert!(world.commands.is_empty(), "not before the phone has answered");
    world.update(context, RELEASED).unwrap();
    assert_eq!(world.n1(context, NETWORK_COMPLETE), None);
    assert_eq!(world.commands, [Ok(())]);
    assert_released(&world);

    world.command_release();
    assert_eq!(world.commands[1], Err(SmfCommandError::NoSuchSession));
}

#[test]
fn the_operators_command_outlives_no_silence() {
    let (mut world, _) = World::with_session();
    world.command_release();
    world.command_release();
    assert_eq!(world.commands, [Err(SmfCommandError::NoSuchSession)], "it is being released");
    world.pass(Duration::from_secs(80));
    assert_eq!(world.commands[1], Err(SmfCommandError::NoAnswer));
    assert_released(&world);
}

#[test]
fn a_phone_out_of_reach_loses_its_session_at_once() {
    for problem in [AmfProblem::UeIdle, AmfProblem::ContextNotFound] {
        let (mut world, _) = World::with_session();
        world.amf_answer = Err(problem);
        world.command_release();
        assert_eq!(world.commands, [Err(SmfCommandError::NoAnswer)]);
        assert_released(&world);
    }
}

#[test]
fn the_network_wins_a_collision() {
    // TS 24.501, 6.3.3.5
    let (mut world, context) = World::with_session();
    world.command_release();
    assert_eq!(world.n1(context, REQUEST), None);
    assert_eq!(world.n1(context, "2e0504c9"), None, "a modification, too");
    assert_eq!(world.n1(context, COMPLETE), Some(hex("2e0502d6 2f")), "another transaction's: #47");
    assert_eq!(world.smf.sessions().count(), 1);
    world.update(context, RELEASED).unwrap();
    world.n1(context, NETWORK_COMPLETE);
    assert_released(&world);
}

#[test]
fn the_amf_releases_a_context_without_the_phone() {
    let (mut world, context) = World::with_session();
    assert_eq!(world.request(SmfRequest::ReleaseSmContext { context }), Ok(SmfResponse::Released));
    assert!(world.to_amf.is_empty(), "it knows");
    world.assert_empty();
    let refusal = world.request(SmfRequest::ReleaseSmContext { context }).unwrap_err();
    assert_eq!(refusal.problem, SmfProblem::ContextNotFound);
}

#[test]
fn the_amf_ends_a_release_that_is_under_way() {
    let (mut world, context) = World::with_session();
    world.command_release();
    world.request(SmfRequest::ReleaseSmContext { context }).unwrap();
    assert_eq!(world.commands, [Ok(())]);
    world.assert_empty();
}

#[test]
fn a_setup_that_crosses_a_release_changes_nothing() {
    let (mut world, context) = begun();
    let refusal = world.update(context, SmContextUpdate::SetupResponse(setup_response())).unwrap_err();
    assert_eq!(refusal.problem, SmfProblem::ContextNotFound);
    let refusal = world.update(context, SmContextUpdate::Activate).unwrap_err();
    assert_eq!(refusal.problem, SmfProblem::ContextNotFound);
    assert!(world.upf.sessions.is_empty());
}

#[test]
fn requests_that_wait_are_answered_when_the_session_goes() {
    let (mut world, context) = World::with_session();
    world.upf.silent = true;
    let update = SmContextUpdate::Deactivate;
    let request = SmfRequest::UpdateSmContext { context, update };
    world.handle(SmfInput::Request(coeur_nf::ExchangeId(60), request));
    world.request(SmfRequest::ReleaseSmContext { context }).unwrap();
    assert!(matches!(world.responses[..], [(coeur_nf::ExchangeId(60), Err(_))]));
    world.upf.silent = false;
    world.pass(Duration::from_secs(1));
    world.assert_empty();
}

#[test]
fn a_release_answers_what_waits_for_the_user_plane() {
    let mut world = World::up();
    let context = world.create();
    world.upf.silent = true;
    let update = SmContextUpdate::SetupResponse(setup_response());
    world.handle(SmfInput::Request(coeur_nf::ExchangeId(60), SmfRequest::UpdateSmContext { context, update }));
    assert!(world.responses.is_empty());
    let Ok(SmfResponse::Updated { n2_sm, .. }) = world.update(context, SmContextUpdate::N1(hex(REQUEST))) else {
        panic!()
    };
    assert_eq!(n2_sm, n2_release());
    assert!(matches!(world.responses[..], [(coeur_nf::ExchangeId(60), Err(_))]));
    world.upf.silent = false;
    world.pass(Duration::from_secs(1));
    world.n1(context, COMPLETE);
    world.update(context, RELEASED).unwrap();
    assert_released(&world);
}
