//! The association, and reliable delivery, as the user plane sees them.

use super::wire::{Message, encode, node_id};
use super::*;
use crate::testing::*;
use coeur_nf::event::Event;
use coeur_nf::services::nsmf::{SmfInput, SmfResponse};

const FOREIGNER: &str = "192.0.2.1:8805";

fn ie(kind: IeType, value: &[u8]) -> Ie {
    Ie::new(kind, value.to_vec())
}

fn upf_node() -> Ie {
    node_id([127, 0, 0, 8].into())
}

fn kinds(octets: &[Vec<u8>]) -> Vec<MsgType> {
    octets.iter().map(|octets| Message::read(octets).unwrap().kind).collect()
}

fn cause_of(octets: &[u8]) -> u8 {
    Message::read(octets).unwrap().ie(IeType::Cause).unwrap()[0]
}

fn heartbeat(sequence: u32, recovery: u32) -> Vec<u8> {
    encode(MsgType::HeartbeatRequest, None, sequence, &[ie(IeType::RecoveryTimeStamp, &recovery.to_be_bytes())])
}

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn the_association_is_asked_for_until_the_user_plane_is_there() {
    let mut world = World::new();
    world.upf.silent = true;
    world.pass(seconds(3));
    // At 0, 0.1, 0.3, 0.7, 1.5 and 2.5 s: doubling up to T1.
    assert_eq!(world.pfcp.len(), 6);
    assert!(world.pfcp.iter().all(|octets| *octets == world.pfcp[0]), "one request");
    let request = Message::read(&world.pfcp[0]).unwrap();
    assert_eq!(request.kind, MsgType::AssociationSetupRequest);
    assert_eq!(request.ie(IeType::NodeId), Some(&[0, 127, 0, 0, 1][..]));
    // 1,000 s after 1970, counted from 1900 (TS 29.244, 8.2.65).
    assert_eq!(request.ie(IeType::RecoveryTimeStamp), Some(&(2_208_988_800u32 + 1_000).to_be_bytes()[..]));
    assert_eq!(request.ie(IeType::PfcpSessionRetentionInformation), None, "nothing to retain");
    world.upf.silent = false;
    world.pass(seconds(1));
    let view = world.smf.upf();
    assert!(view.associated && view.chooses_teids);
    assert_eq!(view.recovery_time_stamp, Some(0xE000_0001));
    assert_eq!(world.events, [Event::UpfAssociated { node: UPF.into() }]);
}

#[test]
fn a_refused_association_is_asked_for_again_later() {
    let mut world = World::new();
    world.upf.silent = true;
    world.pass(Duration::ZERO);
    let sequence = Message::read(&world.pfcp[0]).unwrap().sequence;
    let refusal = encode(
        MsgType::AssociationSetupResponse,
        None,
        sequence,
        &[upf_node(), ie(IeType::Cause, &[64]), ie(IeType::RecoveryTimeStamp, &[0; 4])],
    );
    world.upf_says(refusal);
    world.pass(Duration::from_millis(4_900));
    assert_eq!(world.pfcp.len(), 1);
    world.pass(Duration::from_millis(100));
    assert_eq!(world.pfcp.len(), 2);
    assert_ne!(Message::read(&world.pfcp[1]).unwrap().sequence, sequence);
}

#[test]
fn a_setup_response_must_be_complete_and_come_from_the_user_plane() {
    let mut world = World::new();
    world.upf.silent = true;
    world.pass(Duration::ZERO);
    let sequence = Message::read(&world.pfcp[0]).unwrap().sequence;
    let (cause, recovery) = (ie(IeType::Cause, &[1]), ie(IeType::RecoveryTimeStamp, &[1; 4]));
    let response = |sequence, ies: &[Ie]| encode(MsgType::AssociationSetupResponse, None, sequence, ies);
    let whole = response(sequence, &[upf_node(), cause.clone(), recovery.clone()]);
    world.peer_says(FOREIGNER, whole.clone());
    world.upf_says(response(sequence + 1, &[upf_node(), cause.clone(), recovery.clone()]));
    world.upf_says(response(sequence, &[upf_node(), cause]));
    world.upf_says(response(sequence, &[upf_node(), recovery]));
    assert!(!world.smf.upf().associated);
    assert_eq!(world.counter("coeur_smf_pfcp_discards_total", Some("7.6.6 mandatory element missing")), 2);
    world.upf_says(whole);
    assert!(world.smf.upf().associated);
}

#[test]
fn heartbeats_go_both_ways() {
    let mut world = World::up();
    world.pfcp.clear();
    world.pass(seconds(35));
    assert_eq!(kinds(&world.pfcp), [MsgType::HeartbeatRequest; 3]);
    // From anybody, also without an association (TS 29.244, 6.2.2.1).
    for peer in [UPF, FOREIGNER] {
        let answers = world.peer_says(peer, heartbeat(9, 0xE000_0001));
        let answer = Message::read(&answers[0]).unwrap();
        assert_eq!((answer.kind, answer.sequence), (MsgType::HeartbeatResponse, 9));
        assert!(answer.ie(IeType::RecoveryTimeStamp).is_some());
    }
    assert!(world.smf.upf().associated);
}

#[test]
fn a_path_without_heartbeats_is_down_and_comes_back() {
    let (mut world, _) = World::with_session();
    world.upf.silent = true;
    world.pass(seconds(10 + 3));
    assert!(world.smf.upf().associated);
    world.pass(seconds(1));
    assert!(!world.smf.upf().associated);
    assert_eq!(world.events, [Event::UpfLost { node: UPF.into() }]);
    assert_eq!(world.smf.sessions().count(), 1, "the phone's session goes on");
    world.pass(seconds(1));
    let request = Message::read(world.pfcp.last().unwrap()).unwrap();
    let retention = request.ie(IeType::PfcpSessionRetentionInformation).unwrap();
    assert_eq!(inside(retention, IeType::CpPfcpEntityIpAddress), Some(&[0x02, 127, 0, 0, 1][..]));
    world.upf.silent = false;
    world.pass(seconds(1));
    assert!(world.smf.upf().associated);
    assert!(world.upf_sessions()[0].gnb.is_some());
}

#[test]
fn a_newer_recovery_time_stamp_ends_the_association_an_older_one_does_not() {
    for (recovery, associated) in [(0xE000_0001, true), (0xE000_0000, true), (0xE000_0002, false)] {
        let mut world = World::up();
        world.upf.silent = true;
        world.upf_says(heartbeat(1, recovery));
        assert_eq!(world.smf.upf().associated, associated, "{recovery:#x}");
    }
    // A foreigner's says nothing.
    let mut world = World::up();
    world.peer_says(FOREIGNER, heartbeat(1, 0xE000_0002));
    assert!(world.smf.upf().associated);
}

#[test]
fn no_established_association_sets_it_up_anew() {
    let mut world = World::up();
    world.upf.refuses = Some(72);
    world.create_with(establishment_request("")).unwrap_err();
    assert_eq!(world.events.iter().filter(|event| matches!(event, Event::UpfLost { .. })).count(), 1);
    world.upf.refuses = None;
    world.pass(Duration::ZERO);
    assert!(matches!(world.create_with(establishment_request("")), Ok(SmfResponse::Created { .. })));
}

#[test]
fn what_answers_nothing_is_discarded_by_its_clause() {
    let mut world = World::up();
    let sequence = Message::read(world.pfcp.last().unwrap()).unwrap().sequence;
    let accepted = || [ie(IeType::Cause, &[1])];
    let late = encode(MsgType::SessionModificationResponse, Some(1), sequence + 7, &accepted());
    assert!(world.upf_says(late).is_empty());
    assert_eq!(world.counter("coeur_smf_pfcp_discards_total", Some("6.4 response to no request")), 1);
    assert!(world.peer_says(FOREIGNER, encode(MsgType::SessionDeletionResponse, Some(1), 1, &accepted())).is_empty());
    assert_eq!(world.counter("coeur_smf_pfcp_discards_total", Some("6.4 not the user plane")), 1);
    assert!(world.upf_says(vec![0x20]).is_empty());
    assert_eq!(world.counter("coeur_smf_pfcp_discards_total", Some("7.6.3 length")), 1);
    // A type that does not exist, and a request that only a control plane sends.
    for octets in [vec![0x20, 99, 0, 4, 0, 0, 1, 0], encode(MsgType::SessionDeletionRequest, Some(1), 1, &[])] {
        assert!(world.upf_says(octets).is_empty());
    }
    let unexpected = "7.6.4 unknown or unexpected message";
    assert_eq!(world.counter("coeur_smf_pfcp_discards_total", Some(unexpected)), 2);
    let answers = world.upf_says(vec![0x40, 1, 0, 4, 0, 0, 0x2A, 0]);
    assert_eq!(answers, [vec![0x20, 11, 0, 4, 0, 0, 0x2A, 0]], "Version Not Supported");
}

#[test]
fn an_answer_of_another_kind_leaves_the_request_waiting() {
    let mut world = World::up();
    world.upf.silent = true;
    let request = World::create_request(None, establishment_request(""));
    world.handle(SmfInput::Request(coeur_nf::ExchangeId(1), request));
    let sequence = Message::read(world.pfcp.last().unwrap()).unwrap().sequence;
    world.upf_says(encode(MsgType::SessionDeletionResponse, Some(1), sequence, &[ie(IeType::Cause, &[1])]));
    assert_eq!((world.smf.upf().pending, world.responses.len()), (1, 0));
    world.upf.silent = false;
    world.pass(seconds(1));
    assert!(matches!(world.responses[..], [(_, Ok(_))]));
}

#[test]
fn a_repeated_request_is_answered_from_memory_and_not_carried_out_twice() {
    let (mut world, _) = World::with_session();
    let cp_seid = world.upf_sessions()[0].cp_seid;
    let report = encode(MsgType::SessionReportRequest, Some(cp_seid), 5, &[ie(IeType::ReportType, &[0x02])]);
    let first = world.upf_says(report.clone());
    assert_eq!(cause_of(&first[0]), 1);
    assert_eq!(world.upf_says(report), first);
    assert_eq!(world.counter("coeur_smf_pfcp_reports_total", Some("usage")), 1);
    assert_eq!(world.counter("coeur_smf_pfcp_repetitions_total", None), 1);
    // The same number on another request is another request.
    let other = encode(MsgType::SessionReportRequest, Some(cp_seid + 1), 5, &[ie(IeType::ReportType, &[0x02])]);
    assert_eq!(cause_of(&world.upf_says(other)[0]), 65);
}

#[test]
fn requests_that_lack_something_say_what() {
    let mut world = World::up();
    for (kind, seid, ies, missing) in [
        (MsgType::AssociationSetupRequest, None, vec![], IeType::NodeId),
        (MsgType::AssociationSetupRequest, None, vec![upf_node()], IeType::RecoveryTimeStamp),
        (MsgType::AssociationUpdateRequest, None, vec![], IeType::NodeId),
        (MsgType::NodeReportRequest, None, vec![], IeType::NodeId),
        (MsgType::SessionReportRequest, Some(1), vec![], IeType::ReportType),
    ] {
        let answers = world.upf_says(encode(kind, seid, 5, &ies));
        let answer = Message::read(&answers[0]).unwrap();
        assert_eq!(answer.kind as u8, kind as u8 + 1);
        assert_eq!(cause_of(&answers[0]), 66);
        assert_eq!(answer.ie(IeType::OffendingIe), Some(&(missing as u16).to_be_bytes()[..]), "{kind:?}");
    }
    assert!(world.smf.upf().associated);
}

#[test]
fn requests_out_of_place_are_refused_with_their_cause() {
    let mut world = World::up();
    let recovery = ie(IeType::RecoveryTimeStamp, &[1; 4]);
    let setup = encode(MsgType::AssociationSetupRequest, None, 1, &[upf_node(), recovery]);
    assert_eq!(cause_of(&world.peer_says(FOREIGNER, setup)[0]), 64);
    let update = encode(MsgType::AssociationUpdateRequest, None, 2, &[upf_node()]);
    assert_eq!(cause_of(&world.peer_says(FOREIGNER, update)[0]), 72);
    let report = encode(MsgType::SessionReportRequest, Some(1), 3, &[ie(IeType::ReportType, &[2])]);
    assert_eq!(cause_of(&world.peer_says(FOREIGNER, report)[0]), 72);
    for kind in
        [MsgType::PfdManagementRequest, MsgType::SessionSetDeletionRequest, MsgType::SessionSetModificationRequest]
    {
        assert_eq!(cause_of(&world.upf_says(encode(kind, None, 4, &[upf_node()]))[0]), 76, "{kind:?}");
    }
}

#[test]
fn the_user_plane_may_set_up_update_and_end_the_association() {
    let mut world = World::new();
    world.upf.silent = true;
    let recovery = ie(IeType::RecoveryTimeStamp, &0xE000_0001u32.to_be_bytes());
    let setup = encode(MsgType::AssociationSetupRequest, None, 1, &[upf_node(), recovery]);
    let answers = world.upf_says(setup);
    assert_eq!(cause_of(&answers[0]), 1);
    assert!(Message::read(&answers[0]).unwrap().ie(IeType::RecoveryTimeStamp).is_some());
    assert!(world.smf.upf().associated && !world.smf.upf().chooses_teids);

    let features = ie(IeType::UpFunctionFeatures, &[0x10, 0]);
    let update = encode(MsgType::AssociationUpdateRequest, None, 2, &[upf_node(), features]);
    assert_eq!(cause_of(&world.upf_says(update)[0]), 1);
    assert!(world.smf.upf().chooses_teids);

    // Its wish to end: the control plane releases (6.2.8), and sets up again after a while.
    world.upf.silent = false;
    let wish = ie(IeType::PfcpAssociationReleaseRequest, &[0x01]);
    let update = encode(MsgType::AssociationUpdateRequest, None, 3, &[upf_node(), wish]);
    let sent = world.upf_says(update);
    assert!(kinds(&sent).contains(&MsgType::AssociationReleaseRequest), "{:?}", kinds(&sent));
    assert!(!world.smf.upf().associated);
    world.pass(seconds(5));
    assert!(world.smf.upf().associated);

    let release = encode(MsgType::AssociationReleaseRequest, None, 4, &[upf_node()]);
    assert_eq!(cause_of(&world.upf_says(release)[0]), 1);
    assert!(!world.smf.upf().associated);
}

#[test]
fn the_rules_of_a_session_are_those_of_ts_29_244() {
    let (world, _) = World::with_session();
    let sent: Vec<_> = world.pfcp.iter().map(|octets| Message::read(octets).unwrap()).collect();
    let find = |kind| sent.iter().find(|message| message.kind == kind).unwrap();
    let establishment = find(MsgType::SessionEstablishmentRequest);
    assert_eq!(establishment.seid, Some(0));
    let groups = |kind: IeType| establishment.ies().filter(move |(k, _)| *k == kind as u16).map(|(_, group)| group);
    let uplink = groups(IeType::CreatePdr).next().unwrap();
    assert_eq!(inside(uplink, IeType::OuterHeaderRemoval), Some(&[0][..]));
    assert_eq!(inside(uplink, IeType::FarId), Some(&[0, 0, 0, 1][..]));
    let pdi = inside(uplink, IeType::Pdi).unwrap();
    assert_eq!(inside(pdi, IeType::SourceInterface), Some(&[0][..]));
    assert_eq!(inside(pdi, IeType::UeIpAddress), Some(&[0x02, 10, 45, 0, 1][..]));
    assert_eq!(inside(pdi, IeType::Qfi), Some(&[1][..]));
    let downlink = groups(IeType::CreatePdr).nth(1).unwrap();
    let pdi = inside(downlink, IeType::Pdi).unwrap();
    assert_eq!(inside(pdi, IeType::SourceInterface), Some(&[1][..]));
    assert_eq!(inside(pdi, IeType::UeIpAddress), Some(&[0x06, 10, 45, 0, 1][..]), "as the destination");
    let actions: Vec<_> = groups(IeType::CreateFar).map(|far| inside(far, IeType::ApplyAction).unwrap()[0]).collect();
    assert_eq!(actions, [0x02, 0x01], "uplink forwards, downlink drops");
    let qer = groups(IeType::CreateQer).next().unwrap();
    // 1 Gbps each way, in kbps.
    assert_eq!(inside(qer, IeType::Mbr), Some(&hex("00000f4240 00000f4240")[..]));
    assert_eq!(inside(qer, IeType::GateStatus), Some(&[0][..]));
    assert_eq!(establishment.ie(IeType::Snssai), Some(&[1, 0xFF, 0xFF, 0xFF][..]));
    assert_eq!(establishment.ie(IeType::ApnDnn), Some(&b"\x08internet"[..]));

    let far = find(MsgType::SessionModificationRequest).ie(IeType::UpdateFar).unwrap();
    assert_eq!(inside(far, IeType::ApplyAction).unwrap()[0], 0x02);
    let parameters = inside(far, IeType::UpdateForwardingParameters).unwrap();
    assert_eq!(inside(parameters, IeType::OuterHeaderCreation), Some(&hex("0100 00000011 0a000201")[..]));
}

#[test]
fn the_typed_codec_reads_what_is_sent() {
    let (mut world, context) = World::with_session();
    world.request(coeur_nf::services::nsmf::SmfRequest::ReleaseSmContext { context }).unwrap();
    assert!(world.pfcp.len() >= 4);
    for octets in &world.pfcp {
        let message = rs_pfcp::message::parse(octets).unwrap();
        assert_eq!(message.marshal(), *octets, "{}", message.msg_name());
    }
}
