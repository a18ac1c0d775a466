use crate::testing::*;
use coeur_nf::event::Event;
use coeur_nf::services::namf::{AmfRequest, N2SmInfo};
use coeur_nf::services::nsmf::*;
use coeur_nf::store::SessionRecord;
use oxirush_ngap::ngap::PDUSessionResourceModifyRequestTransfer;
use std::time::Duration;

const GNB: Option<(u32, [u8; 4])> = Some((0x11, [10, 0, 2, 1]));

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// PFCP session requests since the last look.
fn session_requests(world: &mut World) -> usize {
    let sent = std::mem::take(&mut world.pfcp);
    sent.iter().filter(|octets| crate::n4::wire::Message::read(octets).unwrap().is_session_related()).count()
}

#[test]
fn after_a_restart_of_the_core_the_session_and_its_traffic_go_on() {
    for retained in [true, false] {
        let (mut world, context) = World::with_session();
        world.upf.retained = retained;
        let (before, upf) = (world.smf.sessions().next().unwrap(), world.upf_sessions());
        session_requests(&mut world);
        world.restart_core();
        // The user plane says that it kept its sessions; or else each is asked for, and nothing is changed.
        assert_eq!(session_requests(&mut world), usize::from(!retained));
        assert_eq!(world.upf_sessions(), upf);
        let after = world.smf.sessions().next().unwrap();
        assert_eq!((&after.ipv4, &after.upf, &after.supi), (&before.ipv4, &before.upf, &before.supi));

        // The AMF goes on with the SM context that it had.
        world.update(context, SmContextUpdate::Deactivate).unwrap();
        assert_eq!(world.upf_sessions()[0].gnb, None);
        let answer = world.update(context, SmContextUpdate::Activate);
        assert!(matches!(answer, Ok(SmfResponse::Updated { n2_sm: Some(N2SmInfo::SetupRequest(_)), .. })));
        world.request(SmfRequest::ReleaseSmContext { context }).unwrap();
        world.assert_empty();
    }
}

#[test]
fn a_restored_address_is_not_given_to_another() {
    let (mut world, _) = World::with_session();
    world.restart_core();
    let other = SmfRequest::CreateSmContext {
        supi: "001010000000002".parse().unwrap(),
        session: session_id(),
        snssai: "1".parse().unwrap(),
        dnn: None,
        n1_sm: establishment_request(""),
    };
    world.request(other).unwrap();
    let mut given: Vec<_> = world.upf_sessions().iter().map(|session| session.ue[3]).collect();
    given.sort_unstable();
    assert_eq!(given, [1, 2]);
}

#[test]
fn a_restarted_user_plane_gets_its_sessions_back_and_the_gnb_the_new_tunnel() {
    let (mut world, context) = World::with_session();
    let before = world.smf.sessions().next().unwrap();
    world.restart_upf();
    world.pass(seconds(10));
    assert_eq!(world.upf_sessions()[0].gnb, GNB);
    assert_eq!(world.upf_sessions()[0].ue, before.ipv4.octets());
    let after = world.smf.sessions().next().unwrap();
    assert_ne!(after.upf.unwrap().teid, before.upf.unwrap().teid);
    let (n1_sm, Some(N2SmInfo::ModifyRequest(n2_sm))) = transfer(&world.to_amf) else { panic!("{:?}", world.to_amf) };
    assert_eq!(n1_sm, None);
    assert_eq!(PDUSessionResourceModifyRequestTransfer::check(&n2_sm).unwrap(), []);
    let teid = after.upf.unwrap().teid.0.to_be_bytes();
    assert!(n2_sm.windows(4).any(|window| window == teid));
    assert_eq!(world.counter("coeur_smf_sessions_reestablished_total", None), 1);

    // What was stored is the new life: a restart of the core finds it.
    world.restart_core();
    assert_eq!(world.smf.sessions().next().unwrap().upf, after.upf);
    world.request(SmfRequest::ReleaseSmContext { context }).unwrap();
    world.assert_empty();
}

#[test]
fn an_idle_phones_session_comes_back_and_nobody_is_told() {
    let (mut world, context) = World::with_session();
    world.update(context, SmContextUpdate::Deactivate).unwrap();
    world.restart_upf();
    world.pass(seconds(10));
    assert_eq!(world.upf_sessions()[0].gnb, None);
    assert!(world.to_amf.is_empty());
    let Ok(SmfResponse::Updated { n2_sm: Some(N2SmInfo::SetupRequest(n2_sm)), .. }) =
        world.update(context, SmContextUpdate::Activate)
    else {
        panic!()
    };
    let teid = world.smf.sessions().next().unwrap().upf.unwrap().teid.0.to_be_bytes();
    assert!(n2_sm.windows(4).any(|window| window == teid), "the new tunnel");
}

#[test]
fn both_restart() {
    let (mut world, context) = World::with_session();
    world.restart_upf();
    world.restart_core();
    assert_eq!(world.upf_sessions()[0].ue, [10, 45, 0, 1]);
    assert_eq!(world.upf_sessions()[0].gnb, None, "no access network is known");
    world.update(context, SmContextUpdate::Activate).unwrap();
    world.update(context, SmContextUpdate::SetupResponse(setup_response())).unwrap();
    assert_eq!(world.upf_sessions()[0].gnb, GNB);
}

#[test]
fn what_changed_while_the_path_was_down_is_made_good() {
    let (mut world, context) = World::with_session();
    world.upf.silent = true;
    world.pass(seconds(14));
    assert!(!world.smf.upf().associated);
    world.update(context, SmContextUpdate::Deactivate).unwrap();
    assert_eq!(world.upf_sessions()[0].gnb, GNB, "the user plane could not be told");
    world.upf.retained = true;
    world.upf.silent = false;
    world.pass(seconds(1));
    assert_eq!(world.upf_sessions()[0].gnb, None);
}

#[test]
fn a_session_that_ended_while_the_path_was_down_is_deleted_later_and_its_address_kept_back() {
    for restarted in [false, true] {
        let (mut world, context) = World::with_session();
        world.upf.silent = true;
        world.pass(seconds(14));
        world.request(SmfRequest::ReleaseSmContext { context }).unwrap();
        assert_eq!((world.smf.undeleted.len(), world.upf.sessions.len()), (1, 1));
        assert_eq!(world.smf.dnns.values().next().unwrap().1.taken(), 1);
        world.upf.retained = true;
        world.upf.silent = false;
        if restarted {
            world.restart_upf();
        }
        world.pass(seconds(1));
        world.assert_empty();
    }
}

#[test]
fn a_session_that_cannot_come_back_is_released_for_the_phone_to_ask_again() {
    let (mut world, _) = World::with_session();
    world.restart_upf();
    world.upf.refuses = Some(75);
    world.pass(seconds(10));
    // Cause #39, reactivation requested (TS 24.501, 6.3.3.2).
    let (n1_sm, n2_sm) = transfer(&world.to_amf);
    assert_eq!(n1_sm, Some(hex("2e0500d3 27")));
    assert!(matches!(n2_sm, Some(N2SmInfo::ReleaseCommand(_))));
    world.pass(seconds(80));
    assert!(matches!(world.to_amf.last(), Some(AmfRequest::SmContextReleased { .. })));
    world.assert_empty();
}

#[test]
fn a_service_request_while_the_session_is_not_back_is_refused_and_hastens_it() {
    let (mut world, context) = World::with_session();
    world.restart_upf();
    world.pass(seconds(9));
    world.upf.silent = true;
    world.pass(seconds(5));
    assert!(!world.smf.upf().associated);
    // The path is there again, but not the answer to the session.
    world.upf.silent = false;
    world.pass(seconds(1));
    assert_eq!(world.upf_sessions()[0].ue, [10, 45, 0, 1]);
    assert!(world.update(context, SmContextUpdate::Activate).is_ok());
}

#[test]
fn many_sessions_come_back_a_window_at_a_time() {
    let mut world = World::up();
    for number in 1..=6 {
        let request = SmfRequest::CreateSmContext {
            supi: supi(),
            session: coeur_model::PduSessionId::new(number).unwrap(),
            snssai: "1".parse().unwrap(),
            dnn: None,
            n1_sm: [&[0x2E, number][..], &hex("01c1ffff")].concat(),
        };
        world.request(request).unwrap();
    }
    world.restart_upf();
    world.pass(seconds(10));
    assert_eq!(world.upf.sessions.len(), 6);
    assert!(world.smf.unreconciled.is_empty());
}

#[test]
fn a_record_that_cannot_be_read_is_told_and_harms_no_other() {
    let (mut world, _) = World::with_session();
    let good = world.stored.values().next().unwrap().clone();
    let text = String::from_utf8(good.clone()).unwrap();
    let record =
        |supi: &str, record: Vec<u8>| SessionRecord { supi: supi.parse().unwrap(), session: session_id(), record };
    world.restart_upf();
    world.stored.clear();
    world.restart_core();
    world.events.clear();
    world.handle(SmfInput::Restore(vec![
        record("001010000000009", b"{".to_vec()),
        record("001010000000008", text.replace("\"version\":1", "\"version\":2").into_bytes()),
        record("001010000000007", text.replace("internet", "elsewhere").into_bytes()),
        record("001010000000001", good.clone()),
        record("001010000000002", good), // The same SM context twice.
    ]));
    let told = world.events.iter().filter(|event| matches!(event, Event::ProcedureFailed { .. })).count();
    assert_eq!((told, world.smf.sessions().count()), (4, 1));
    assert_eq!(world.counter("coeur_smf_sessions_not_restored_total", None), 4);
}

#[test]
fn a_deletion_that_went_unanswered_is_repeated_with_the_next_heartbeat() {
    let (mut world, context) = World::with_session();
    world.upf.ignores_deletions = true;
    world.request(SmfRequest::ReleaseSmContext { context }).unwrap();
    world.pass(seconds(4));
    assert_eq!(world.smf.undeleted.len(), 1);
    assert!(world.smf.upf().associated);
    world.upf.ignores_deletions = false;
    world.pass(seconds(10));
    world.assert_empty();
}

#[test]
fn who_asks_while_a_session_is_brought_back_gets_an_answer() {
    for update in [SmContextUpdate::Deactivate, SmContextUpdate::SetupResponse(setup_response())] {
        let (mut world, context) = World::with_session();
        // The user plane forgets the session, and is silent when it is to be established again.
        world.upf.sessions.clear();
        world.upf.ignores_establishments = true;
        world.update(context, SmContextUpdate::Deactivate).unwrap();
        let request = SmfRequest::UpdateSmContext { context, update };
        world.handle(SmfInput::Request(coeur_nf::ExchangeId(90), request));
        assert!(world.responses.is_empty());
        world.upf.ignores_establishments = false;
        world.pass(seconds(1));
        assert!(matches!(world.responses[..], [(coeur_nf::ExchangeId(90), Ok(_))]), "{:?}", world.responses);
        assert_eq!(world.upf.sessions.len(), 1);
    }
}
