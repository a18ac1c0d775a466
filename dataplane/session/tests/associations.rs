//! Associations, heartbeats, and peers that lose their memory (TS 29.244 6.2, TS 23.527 4).
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

mod rig;
mod smf;

use std::net::Ipv4Addr;
use std::time::Duration;

use coeur_session::{Event, Limits};
use rig::Rig;
use rs_pfcp::ie::cause::CauseValue;
use rs_pfcp::ie::node_id::NodeId;
use rs_pfcp::ie::up_function_features::UPFunctionFeatures;
use rs_pfcp::ie::{Ie, IeType};
use rs_pfcp::message::MsgType;
use smf::*;

fn ue(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 45, 0, last)
}

#[test]
fn ts_29_244_6_2_6_an_association_announces_what_works_and_nothing_else() {
    let mut rig = Rig::new();
    let response = rig.ask(MsgType::AssociationSetupRequest, None, &[node_id(), recovery(1)]);
    assert_eq!(response.cause(), CauseValue::RequestAccepted);
    assert_eq!(response.ie(IeType::NodeId).unwrap().payload, b"\x02\x03upf\x07example");
    // 1,700,000,000 s after 1970.
    assert_eq!(response.ie(IeType::RecoveryTimeStamp).unwrap().as_u32().unwrap(), 3_908_988_800);
    let features = UPFunctionFeatures::unmarshal(&response.ie(IeType::UpFunctionFeatures).unwrap().payload).unwrap();
    let expected = UPFunctionFeatures::FTUP | UPFunctionFeatures::EMPU | UPFunctionFeatures::MNOP;
    assert_eq!(features.octets(), expected.octets());
    for missing in [IeType::NodeId, IeType::RecoveryTimeStamp] {
        let ies: Vec<_> = [node_id(), recovery(1)].into_iter().filter(|ie| ie.ie_type != missing).collect();
        let response = rig.ask(MsgType::AssociationSetupRequest, None, &ies);
        assert_eq!(response.cause(), CauseValue::MandatoryIeMissing);
    }
}

#[test]
fn associations_have_a_limit_with_an_answer() {
    let mut rig = Rig::with(Limits { associations_max: 1, ..Limits::default() });
    rig.ask(MsgType::AssociationSetupRequest, None, &[node_id(), recovery(1)]);
    let other = NodeId::new_fqdn("other.example").to_ie();
    let response = rig.ask(MsgType::AssociationSetupRequest, None, &[other, recovery(1)]);
    assert_eq!(response.cause(), CauseValue::NoResourcesAvailable);
}

#[test]
fn ts_29_244_6_2_6_2_2_a_second_setup_ends_the_sessions_of_the_first() {
    let mut rig = Rig::associated();
    let seid = rig.establish(&session(ue(1))).up_seid();
    let response = rig.ask(MsgType::AssociationSetupRequest, None, &[node_id(), recovery(2000)]);
    assert_eq!(response.cause(), CauseValue::RequestAccepted);
    assert_eq!((rig.up.sessions(), rig.up.associations()), (0, 1));
    assert!(rig.uplink.is_empty() && rig.downlink.is_empty());
    let response = rig.ask(MsgType::SessionDeletionRequest, Some(seid), &[]);
    assert_eq!(response.cause(), CauseValue::SessionContextNotFound);
    assert_eq!(rig.establish(&session(ue(1))).cause(), CauseValue::RequestAccepted);
}

/// A core that restarted and remembers its sessions: no packet is lost.
#[test]
fn ts_29_244_6_2_6_2_2_a_setup_may_retain_sessions() {
    let retention = |addresses: Vec<rs_pfcp::ie::Ie>| group(IeType::PfcpSessionRetentionInformation, addresses);
    let address = |last| Ie::new(IeType::CpPfcpEntityIpAddress, vec![0x02, 127, 0, 0, last]);
    for (information, kept) in
        [(retention(vec![]), 1), (retention(vec![address(1)]), 1), (retention(vec![address(9)]), 0)]
    {
        let mut rig = Rig::associated();
        let seid = rig.establish(&session(ue(1))).up_seid();
        rig.ask(MsgType::HeartbeatRequest, None, &[recovery(2000)]);
        let response = rig.ask(MsgType::AssociationSetupRequest, None, &[node_id(), recovery(2000), information]);
        assert_eq!(response.ie(IeType::PfcpasRspFlags).unwrap().payload, [0x01]);
        assert_eq!((rig.up.sessions(), rig.uplink.len(), rig.downlink.len()), (kept, kept, kept));
        rig.advance(Duration::from_secs(61));
        assert_eq!(rig.up.sessions(), kept, "nobody waits any more");
        let expected = [CauseValue::SessionContextNotFound, CauseValue::RequestAccepted][kept];
        assert_eq!(rig.ask(MsgType::SessionDeletionRequest, Some(seid), &[]).cause(), expected);
    }
    // A user plane that knows nothing retains nothing, and does not say that it does.
    let mut rig = Rig::new();
    let ies = [node_id(), recovery(1), retention(vec![])];
    assert!(rig.ask(MsgType::AssociationSetupRequest, None, &ies).ie(IeType::PfcpasRspFlags).is_none());
}

#[test]
fn ts_29_244_6_2_8_a_release_ends_all_sessions_and_then_answers() {
    let mut rig = Rig::with(Limits { sessions_max: 2000, ..Limits::default() });
    rig.ask(MsgType::AssociationSetupRequest, None, &[node_id(), recovery(1)]);
    for number in 0..1000u16 {
        let [high, low] = number.to_be_bytes();
        assert_eq!(rig.establish(&session(Ipv4Addr::new(10, 45, high, low))).cause(), CauseValue::RequestAccepted);
    }
    assert_eq!((rig.uplink.len(), rig.downlink.len()), (1000, 1000));
    let response = rig.ask(MsgType::AssociationReleaseRequest, None, &[node_id()]);
    assert_eq!(response.cause(), CauseValue::RequestAccepted);
    assert_eq!((rig.up.sessions(), rig.up.associations()), (0, 0));
    assert!(rig.uplink.is_empty() && rig.downlink.is_empty());
}

#[test]
fn ts_29_244_6_2_7_an_update_of_features_is_accepted() {
    let mut rig = Rig::associated();
    let response = rig.ask(MsgType::AssociationUpdateRequest, None, &[node_id()]);
    assert_eq!(response.cause(), CauseValue::RequestAccepted);
}

#[test]
fn ts_29_244_6_2_2_heartbeats_of_anybody_are_answered() {
    let mut rig = Rig::new();
    let response = rig.ask(MsgType::HeartbeatRequest, None, &[recovery(1)]);
    assert_eq!(response.ie(IeType::RecoveryTimeStamp).unwrap().as_u32().unwrap(), 3_908_988_800);
}

#[test]
fn a_silent_peer_is_noticed_and_its_sessions_go_on() {
    let mut rig = Rig::associated();
    rig.establish(&session(ue(1)));
    let sent = rig.advance(Duration::from_secs(10));
    let request = Response::parse(&sent[0].1);
    assert_eq!(request.header.message_type, MsgType::HeartbeatRequest);
    for _ in 0..3 {
        assert_eq!(rig.advance(Duration::from_secs(3)), sent, "repeated");
    }
    assert!(rig.advance(Duration::from_secs(3)).iter().all(|(_, octets)| *octets != sent[0].1), "given up");
    assert!(rig.events.iter().any(|event| matches!(event, Event::PeerSilent { .. })));
    assert_eq!(rig.up.sessions(), 1);
    // The next heartbeat finds it again.
    let mut sent = rig.advance(Duration::from_secs(12));
    while sent.is_empty() {
        sent = rig.advance(Duration::from_secs(1));
    }
    let number = Response::parse(&sent[0].1).header.sequence_number.0;
    assert_eq!(rig.exchange(&message(MsgType::HeartbeatResponse, None, number, &[recovery(1000)])), None);
    assert!(rig.events.iter().any(|event| matches!(event, Event::PeerAnswers { .. })));
    assert_eq!(rig.up.sessions(), 1);
}

#[test]
fn ts_23_527_4_3_2_a_heartbeat_shows_that_the_peer_restarted() {
    // In a heartbeat of its own, and in the answer to ours.
    for in_request in [true, false] {
        let mut rig = Rig::associated();
        rig.establish(&session(ue(1)));
        let heartbeat = |rig: &mut Rig, stamp| {
            if in_request {
                rig.ask(MsgType::HeartbeatRequest, None, &[recovery(stamp)]);
            } else {
                let sent = rig.advance(Duration::from_secs(10));
                let number = Response::parse(&sent[0].1).header.sequence_number.0;
                rig.exchange(&message(MsgType::HeartbeatResponse, None, number, &[recovery(stamp)]));
            }
        };
        heartbeat(&mut rig, 1000);
        assert_eq!(rig.up.sessions(), 1);
        heartbeat(&mut rig, 1001);
        assert!(rig.events.iter().any(|event| matches!(event, Event::PeerRestarted { sessions: 1, .. })));
        assert_eq!(rig.up.sessions(), 1, "traffic goes on until it sets up its association");
        let response = rig.establish(&session(ue(2)));
        assert_eq!(response.cause(), CauseValue::NoEstablishedPfcpAssociation);
        // It does not come back.
        rig.advance(Duration::from_secs(60));
        assert_eq!((rig.up.sessions(), rig.up.associations()), (0, 0));
        assert!(rig.uplink.is_empty() && rig.downlink.is_empty());
    }
}

#[test]
fn there_is_always_a_next_deadline_while_somebody_is_associated() {
    let mut rig = Rig::new();
    assert_eq!(rig.up.next_deadline(), None);
    rig.ask(MsgType::AssociationSetupRequest, None, &[node_id(), recovery(1)]);
    for _ in 0..50 {
        let deadline = rig.up.next_deadline().expect("a heartbeat");
        assert!(deadline > rig.now, "no deadline is left in the past");
        rig.advance(deadline - rig.now);
    }
}
