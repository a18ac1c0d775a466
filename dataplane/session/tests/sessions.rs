//! Sessions from their establishment to their end (TS 29.244 6.3).
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

mod rig;
mod smf;

use std::net::Ipv4Addr;

use coeur_ebpf_abi::{Action, Be32, teid_index};
use coeur_rules::{DownlinkSlot, RemoteTunnel, UplinkSlot};
use coeur_session::{Event, Input, Limits, Slot, Usage};
use rig::Rig;
use rs_pfcp::ie::cause::CauseValue;
use rs_pfcp::ie::usage_report::UsageReport;
use rs_pfcp::ie::{Ie, IeType};
use rs_pfcp::message::{MsgType, SessionEstablishmentResponse};
use smf::*;

const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 2);

#[test]
fn ts_29_244_6_3_2_a_session_is_established_and_its_tunnel_chosen_here() {
    let mut rig = Rig::associated();
    let response = rig.establish(&session(UE));
    assert_eq!(response.cause(), CauseValue::RequestAccepted);
    assert_eq!(response.header.seid.0, CP_SEID);
    let [(1, ref fteid)] = response.created()[..] else { panic!("{response:?}") };
    assert_eq!((fteid.ipv4_address, fteid.ch), (Some(N3), false));
    let record = rig.uplink[&UplinkSlot::Index(teid_index(fteid.teid.0))];
    assert_eq!((record.teid, record.ue_address), (Be32::new(fteid.teid.0), UE.into()));
    assert_eq!((record.action, record.qfi), (Action::Forward as u8, 9));
    assert_eq!(rig.downlink[&DownlinkSlot::Index(2)].action, Action::Drop as u8, "no gNB yet");
    assert!(rig.up.is_tunnel(fteid.teid.0));
    assert_eq!(rig.up.sessions(), 1);
}

/// The typed decoder of `rs-pfcp` reads the response as well: mandatory elements are there and well formed.
#[test]
fn responses_are_understood_by_another_decoder() {
    use rs_pfcp::message::Message;
    let mut rig = Rig::associated();
    let octets = rig.exchange(&message(MsgType::SessionEstablishmentRequest, Some(0), 9, &session(UE))).unwrap();
    let response = SessionEstablishmentResponse::unmarshal(&octets).unwrap();
    assert_eq!(response.cause().unwrap().value, CauseValue::RequestAccepted);
    assert_eq!(response.fseid().unwrap().ipv4_address, Some(Ipv4Addr::new(127, 0, 0, 8)));
    assert_eq!(response.created_pdrs().len(), 1);
}

#[test]
fn ts_29_244_6_3_3_a_modification_activates_the_downlink_and_another_idles_it() {
    let mut rig = Rig::associated();
    let seid = rig.establish(&session(UE)).up_seid();
    let response = rig.ask(MsgType::SessionModificationRequest, Some(seid), &[activate(2, 0x77)]);
    assert_eq!((response.cause(), response.header.seid.0), (CauseValue::RequestAccepted, CP_SEID));
    let record = rig.downlink[&DownlinkSlot::Index(2)];
    assert_eq!((record.action, record.gnb_teid), (Action::Forward as u8, Be32::new(0x77)));
    assert_eq!(record.gnb_address, GNB.into());
    let idle = group(IeType::UpdateFar, vec![number(IeType::FarId, 2), Ie::new(IeType::ApplyAction, vec![0x01])]);
    rig.ask(MsgType::SessionModificationRequest, Some(seid), &[idle]);
    assert_eq!(rig.downlink[&DownlinkSlot::Index(2)].action, Action::Drop as u8);
}

#[test]
fn ts_23_501_5_8_2_9_a_tunnel_that_is_left_is_closed_by_an_end_marker() {
    let mut rig = Rig::associated();
    let seid = rig.establish(&session(UE)).up_seid();
    let to = |teid, flags: u8| {
        let parameters = vec![to_gnb(teid), Ie::new(IeType::PfcpsmReqFlags, vec![flags])];
        let forwarding = group(IeType::UpdateForwardingParameters, parameters);
        group(IeType::UpdateFar, vec![number(IeType::FarId, 2), forwarding])
    };
    rig.ask(MsgType::SessionModificationRequest, Some(seid), &[activate(2, 0x77)]);
    rig.ask(MsgType::SessionModificationRequest, Some(seid), &[to(0x78, 0)]);
    assert_eq!(rig.end_markers, [], "not asked for");
    rig.ask(MsgType::SessionModificationRequest, Some(seid), &[to(0x79, 0x02)]);
    assert_eq!(rig.end_markers, [RemoteTunnel { address: GNB, teid: 0x78 }]);
    rig.ask(MsgType::SessionModificationRequest, Some(seid), &[to(0x79, 0x02)]);
    assert_eq!(rig.end_markers.len(), 1, "the tunnel is not left");
    assert_eq!(rig.downlink[&DownlinkSlot::Index(2)].gnb_teid, Be32::new(0x79));
}

#[test]
fn ts_29_244_6_3_4_a_deleted_session_leaves_nothing() {
    let mut rig = Rig::associated();
    let response = rig.establish(&session(UE));
    let (seid, teid) = (response.up_seid(), response.created()[0].1.teid.0);
    let response = rig.ask(MsgType::SessionDeletionRequest, Some(seid), &[]);
    assert_eq!((response.cause(), response.header.seid.0), (CauseValue::RequestAccepted, CP_SEID));
    assert!(rig.uplink.is_empty() && rig.downlink.is_empty());
    assert!(!rig.up.is_tunnel(teid));
    let again = rig.ask(MsgType::SessionDeletionRequest, Some(seid), &[]);
    assert_eq!((again.cause(), again.header.seid.0), (CauseValue::SessionContextNotFound, 0));
    // The same address is free for the next session, whose SEID and TEID are others.
    let next = rig.establish(&session(UE));
    assert_ne!((next.up_seid(), next.created()[0].1.teid.0), (seid, teid));
}

#[test]
fn ts_29_244_6_4_a_repeated_request_is_answered_from_memory_and_applied_once() {
    let mut rig = Rig::associated();
    let request = message(MsgType::SessionEstablishmentRequest, Some(0), 77, &session(UE));
    let first = rig.exchange(&request).unwrap();
    let writes = rig.writes_made;
    assert_eq!(rig.exchange(&request), Some(first.clone()), "the same octets");
    assert_eq!((rig.writes_made, rig.up.sessions()), (writes, 1));
    // Also a deletion, which would otherwise find no session.
    let seid = Response::parse(&first).up_seid();
    let deletion = message(MsgType::SessionDeletionRequest, Some(seid), 78, &[]);
    let gone = rig.exchange(&deletion).unwrap();
    assert_eq!(rig.exchange(&deletion), Some(gone));
}

#[test]
fn a_failed_write_leaves_nothing_half_made() {
    for writes in 0..2 {
        let mut rig = Rig::associated();
        rig.writes_left = Some(writes);
        let number = rig.sequence_number();
        let request = message(MsgType::SessionEstablishmentRequest, Some(0), number, &session(UE));
        let outputs = rig.up.handle(rig.now, Input::Datagram { from: rig::smf_address(), octets: &request });
        // The way back has to succeed: the table has room for less than before.
        let [coeur_session::Output::Apply { transaction, ref writes, .. }] = outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(writes.len(), 2);
        let failure = Err(coeur_session::ApplyFailure("no memory".to_owned()));
        let outputs = rig.up.handle(rig.now, Input::Applied { transaction, result: failure });
        rig.writes_left = None;
        let sent = rig.perform(outputs);
        assert_eq!(Response::parse(&sent[0].1).cause(), CauseValue::NoResourcesAvailable);
        assert!(rig.uplink.is_empty() && rig.downlink.is_empty());
        assert_eq!(rig.up.sessions(), 0);
        // Its address and all of its slots are free again.
        assert_eq!(rig.establish(&session(UE)).cause(), CauseValue::RequestAccepted);
    }
}

#[test]
fn a_failed_modification_puts_the_session_back() {
    let mut rig = Rig::associated();
    let seid = rig.establish(&session(UE)).up_seid();
    let before = (rig.uplink.clone(), rig.downlink.clone());
    let request = message(MsgType::SessionModificationRequest, Some(seid), 50, &[activate(2, 0x77)]);
    let outputs = rig.up.handle(rig.now, Input::Datagram { from: rig::smf_address(), octets: &request });
    let [coeur_session::Output::Apply { transaction, .. }] = outputs[..] else { panic!("{outputs:?}") };
    // A repetition while it is being worked on, and another request about the session: neither is answered.
    assert_eq!(rig.exchange(&request), None);
    let other = message(MsgType::SessionDeletionRequest, Some(seid), 51, &[]);
    assert_eq!(rig.exchange(&other), None);
    let failure = Err(coeur_session::ApplyFailure("busy".to_owned()));
    let outputs = rig.up.handle(rig.now, Input::Applied { transaction, result: failure });
    let sent = rig.perform(outputs);
    assert_eq!(Response::parse(&sent[0].1).cause(), CauseValue::NoResourcesAvailable);
    assert_eq!((rig.uplink.clone(), rig.downlink.clone()), before);
    assert_eq!(
        Response::parse(&rig.exchange(&other).unwrap()).cause(),
        CauseValue::RequestAccepted,
        "repeated, answered"
    );
}

#[test]
fn what_cannot_be_put_back_is_never_given_to_another() {
    let mut rig = Rig::associated();
    rig.writes_left = Some(1);
    let response = rig.establish(&session(UE));
    assert_eq!(response.cause(), CauseValue::NoResourcesAvailable);
    assert!(rig.events.iter().any(|event| matches!(event, Event::SlotsLost { .. })));
    rig.writes_left = None;
    // The address is still taken; another one is not.
    assert_eq!(rig.establish(&session(UE)).cause(), CauseValue::RuleCreationModificationFailure);
    assert_eq!(rig.establish(&session(Ipv4Addr::new(10, 45, 0, 3))).cause(), CauseValue::RequestAccepted);
    // It goes with its association.
    rig.ask(MsgType::AssociationReleaseRequest, None, &[node_id()]);
    assert_eq!(rig.up.sessions(), 0);
    assert!(rig.uplink.is_empty() && rig.downlink.is_empty());
}

#[test]
fn sessions_have_a_limit_with_an_answer() {
    let mut rig = Rig::with(Limits { sessions_max: 2, ..Limits::default() });
    rig.ask(MsgType::AssociationSetupRequest, None, &[node_id(), recovery(1)]);
    let ue = |last| session(Ipv4Addr::new(10, 45, 0, last));
    let seid = rig.establish(&ue(2)).up_seid();
    assert_eq!(rig.establish(&ue(3)).cause(), CauseValue::RequestAccepted);
    assert_eq!(rig.establish(&ue(4)).cause(), CauseValue::NoResourcesAvailable);
    rig.ask(MsgType::SessionDeletionRequest, Some(seid), &[]);
    assert_eq!(rig.establish(&ue(4)).cause(), CauseValue::RequestAccepted);
}

#[test]
fn two_sessions_do_not_share_an_address_or_a_tunnel() {
    let mut rig = Rig::associated();
    rig.establish(&session(UE));
    let response = rig.establish(&session(UE));
    assert_eq!(response.cause(), CauseValue::RuleCreationModificationFailure);
    assert_eq!(response.failed_rule().map(|rule| rule.rule_id()), Some(2));
    let with_tunnel = |ue: Ipv4Addr| {
        let mut ies = session(ue);
        ies[2] = create_pdr(1, uplink_pdi(given(0xabcd, N3)), 1, vec![outer_header_removal()]);
        ies
    };
    assert_eq!(rig.establish(&with_tunnel(Ipv4Addr::new(10, 45, 0, 3))).cause(), CauseValue::RequestAccepted);
    assert!(rig.uplink.contains_key(&UplinkSlot::Teid(0xabcd)));
    let response = rig.establish(&with_tunnel(Ipv4Addr::new(10, 45, 0, 4)));
    assert_eq!(response.failed_rule().map(|rule| rule.rule_id()), Some(1));
}

/// A modification repeats the F-TEID that was chosen here: the tunnel stays, and stays a chosen one.
#[test]
fn a_chosen_tunnel_may_be_repeated() {
    let mut rig = Rig::associated();
    let response = rig.establish(&session(UE));
    let (seid, teid) = (response.up_seid(), response.created()[0].1.teid.0);
    let before = rig.uplink.clone();
    let update = group(
        IeType::UpdatePdr,
        vec![pdr_id(1), number(IeType::Precedence, 10), group(IeType::Pdi, uplink_pdi(given(teid, N3)))],
    );
    assert_eq!(
        rig.ask(MsgType::SessionModificationRequest, Some(seid), &[update]).cause(),
        CauseValue::RequestAccepted
    );
    assert_eq!(rig.uplink, before);
    rig.ask(MsgType::SessionDeletionRequest, Some(seid), &[]);
    assert!(rig.uplink.is_empty());
}

#[test]
fn ts_29_244_5_2_2_usage_is_counted_and_reported_at_the_end() {
    let mut rig = Rig::associated();
    let mut ies = session(UE);
    ies.push(create_urr(4));
    let urr = || vec![number(IeType::UrrId, 4)];
    ies[2] = create_pdr(1, uplink_pdi(choose()), 1, [vec![outer_header_removal()], urr()].concat());
    ies[3] = create_pdr(2, downlink_pdi(UE), 2, urr());
    let response = rig.establish(&ies);
    let (seid, teid) = (response.up_seid(), response.created()[0].1.teid.0);
    let (up, down) = (Slot::Uplink(UplinkSlot::Index(teid_index(teid))), Slot::Downlink(DownlinkSlot::Index(2)));
    rig.usage.insert(up, Usage { packets: 3, octets: 300 });
    rig.usage.insert(down, Usage { packets: 5, octets: 5000 });
    // Asked for once in between: the next report starts from there.
    let query = group(IeType::QueryUrr, urr());
    let response = rig.ask(MsgType::SessionModificationRequest, Some(seid), &[query]);
    let report = |response: &Response, kind| UsageReport::unmarshal(&response.ie(kind).unwrap().payload).unwrap();
    let immediate = report(&response, IeType::UsageReportWithinSessionModificationResponse);
    let volume = immediate.volume_measurement.unwrap();
    assert_eq!((volume.uplink_volume, volume.downlink_volume), (Some(300), Some(5000)));
    rig.usage.insert(up, Usage { packets: 4, octets: 420 });
    let response = rig.ask(MsgType::SessionDeletionRequest, Some(seid), &[]);
    let last = report(&response, IeType::UsageReportWithinSessionDeletionResponse);
    assert_eq!((last.urr_id.id, last.ur_seqn.sequence_number()), (4, 1));
    let volume = last.volume_measurement.unwrap();
    assert_eq!((volume.uplink_volume, volume.downlink_volume, volume.total_volume), (Some(120), Some(0), Some(120)));
    assert_eq!((volume.uplink_packets, volume.total_packets), (Some(1), Some(1)));
}

#[test]
fn ts_23_527_5_3_3_1_a_lost_tunnel_is_reported_once_and_repeated_until_answered() {
    let mut rig = Rig::associated();
    let seid = rig.establish(&session(UE)).up_seid();
    rig.ask(MsgType::SessionModificationRequest, Some(seid), &[activate(2, 0x77)]);
    let lost = RemoteTunnel { address: GNB, teid: 0x77 };
    let outputs = rig.up.handle(rig.now, Input::LostTunnel(lost));
    let sent = rig.perform(outputs);
    let report = Response::parse(&sent[0].1);
    assert_eq!((report.header.message_type, report.header.seid.0), (MsgType::SessionReportRequest, CP_SEID));
    assert_eq!(report.ie(IeType::ReportType).unwrap().payload, [0x04]);
    assert!(rig.up.handle(rig.now, Input::LostTunnel(lost)).is_empty(), "said already");
    assert!(rig.up.handle(rig.now, Input::LostTunnel(RemoteTunnel { teid: 0x78, ..lost })).is_empty(), "nobody's");
    let again = rig.advance(std::time::Duration::from_secs(3));
    assert_eq!(again[0].1, sent[0].1);
    let cause = Ie::new(IeType::Cause, vec![1]);
    let number = report.header.sequence_number.0;
    rig.exchange(&message(MsgType::SessionReportResponse, Some(seid), number, &[cause]));
    assert!(rig.advance(std::time::Duration::from_secs(3)).is_empty());
}

#[test]
fn a_rate_limit_is_accepted_and_said_not_to_be_enforced() {
    let mut rig = Rig::associated();
    let mut ies = session(UE);
    ies[6] = create_qer(1, vec![qfi(9), mbr(1000, 2000)]);
    let seid = rig.establish(&ies).up_seid();
    assert_eq!(rig.up.figures().rate_limits_not_enforced, 1);
    assert!(rig.events.contains(&Event::RateLimitNotEnforced));
    rig.ask(MsgType::SessionDeletionRequest, Some(seid), &[]);
    assert_eq!(rig.up.figures().rate_limits_not_enforced, 0);
}
