//! What is refused, with which cause, and which rule or element is named (TS 29.244 7.6, 8.2.1).
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

mod rig;
mod smf;

use std::net::Ipv4Addr;

use coeur_session::Discard;
use rig::Rig;
use rs_pfcp::ie::cause::CauseValue;
use rs_pfcp::ie::destination_interface::Interface;
use rs_pfcp::ie::failed_rule_id::FailedRuleId;
use rs_pfcp::ie::source_interface::SourceInterfaceValue;
use rs_pfcp::ie::{Ie, IeType};
use rs_pfcp::message::MsgType;
use smf::*;

const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 2);

/// A session whose elements are changed: cause and offending element, or failed rule, of the refusal.
fn refused(change: impl FnOnce(&mut Vec<Ie>)) -> (CauseValue, Option<u16>, Option<FailedRuleId>) {
    let mut rig = Rig::associated();
    let mut ies = session(UE);
    change(&mut ies);
    let response = rig.establish(&ies);
    assert_eq!(rig.up.sessions(), 0, "nothing is left behind");
    assert!(rig.uplink.is_empty() && rig.downlink.is_empty());
    // The tunnels that were chosen on the way are free again, all hundred of them.
    for last in 0..100 {
        assert_eq!(rig.establish(&session(Ipv4Addr::new(10, 45, 1, last))).cause(), CauseValue::RequestAccepted);
    }
    (response.cause(), response.offending_ie(), response.failed_rule())
}

#[test]
fn ts_29_244_7_6_6_missing_elements_are_named() {
    let missing = |kind: IeType| refused(|ies| ies.retain(|ie| ie.ie_type != kind));
    for kind in [IeType::NodeId, IeType::Fseid, IeType::CreatePdr, IeType::CreateFar] {
        assert_eq!(missing(kind), (CauseValue::MandatoryIeMissing, Some(kind as u16), None), "{kind:?}");
    }
    let within = |position: usize, kind: IeType| {
        refused(|ies| {
            let outer = ies[position].ie_type;
            let inner = rs_pfcp::ie::IeIterator::new(&ies[position].payload).map(Result::unwrap);
            ies[position] = group(outer, inner.filter(|ie| ie.ie_type != kind).collect());
        })
    };
    let cases = [
        (2, IeType::PdrId, CauseValue::MandatoryIeMissing),
        (2, IeType::Precedence, CauseValue::MandatoryIeMissing),
        (2, IeType::Pdi, CauseValue::MandatoryIeMissing),
        (4, IeType::FarId, CauseValue::MandatoryIeMissing),
        (4, IeType::ApplyAction, CauseValue::MandatoryIeMissing),
        (4, IeType::ForwardingParameters, CauseValue::ConditionalIeMissing),
        (6, IeType::QerId, CauseValue::MandatoryIeMissing),
        (6, IeType::GateStatus, CauseValue::MandatoryIeMissing),
    ];
    for (position, kind, cause) in cases {
        assert_eq!(within(position, kind), (cause, Some(kind as u16), None), "{kind:?}");
    }
}

#[test]
fn ts_29_244_7_6_7_and_7_6_8_wrong_lengths_and_values_are_named() {
    let replaced = |position: usize, ie: Ie| refused(|ies| ies[position] = ie);
    assert_eq!(
        replaced(1, Ie::new(IeType::Fseid, vec![2, 0, 0])),
        (CauseValue::InvalidLength, Some(IeType::Fseid as u16), None)
    );
    assert_eq!(
        replaced(0, Ie::new(IeType::NodeId, vec![7, 1, 2, 3, 4])),
        (CauseValue::MandatoryIeIncorrect, Some(IeType::NodeId as u16), None)
    );
    let far = group(IeType::CreateFar, vec![number(IeType::FarId, 2), Ie::new(IeType::ApplyAction, vec![0x03])]);
    assert_eq!(replaced(5, far), (CauseValue::MandatoryIeIncorrect, Some(IeType::ApplyAction as u16), None));
    let far = group(IeType::CreateFar, vec![Ie::new(IeType::FarId, vec![0, 0])]);
    assert_eq!(replaced(5, far), (CauseValue::InvalidLength, Some(IeType::FarId as u16), None));
}

#[test]
fn addresses_that_no_host_has_are_incorrect() {
    for address in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
        let pdr = create_pdr(2, downlink_pdi(address), 2, vec![]);
        let incorrect = (CauseValue::MandatoryIeIncorrect, Some(IeType::UeIpAddress as u16), None);
        assert_eq!(refused(|ies| ies[3] = pdr), incorrect);
    }
    let far = create_far(2, 0x02, vec![destination(Interface::Access), to_gnb(0)]);
    let incorrect = (CauseValue::MandatoryIeIncorrect, Some(IeType::OuterHeaderCreation as u16), None);
    assert_eq!(refused(|ies| ies[5] = far), incorrect);
}

#[test]
fn what_is_not_supported_names_its_rule() {
    let pdr = |more: Ie| create_pdr(2, [downlink_pdi(UE), vec![more]].concat(), 2, vec![]);
    let sdf = |text: &str| {
        let mut value = vec![0x01, 0, 0, text.len() as u8];
        value.extend(text.bytes());
        Ie::new(IeType::SdfFilter, value)
    };
    let rule_failure = |rule| (CauseValue::RuleCreationModificationFailure, None, Some(rule));
    let cases: Vec<(usize, Ie, FailedRuleId)> = vec![
        (3, pdr(sdf("permit out 17 from any to assigned 53")), FailedRuleId::pdr(2)),
        (3, pdr(Ie::new(IeType::ApplicationId, b"video".to_vec())), FailedRuleId::pdr(2)),
        (3, pdr(Ie::new(IeType::TrafficEndpointId, vec![1])), FailedRuleId::pdr(2)),
        (3, create_pdr(2, vec![source_interface(SourceInterfaceValue::CpFunction)], 2, vec![]), FailedRuleId::pdr(2)),
        (
            3,
            create_pdr(2, downlink_pdi(UE), 2, vec![Ie::new(IeType::OuterHeaderRemoval, vec![1])]),
            FailedRuleId::pdr(2),
        ),
        (3, create_pdr(2, downlink_pdi(UE), 9, vec![]), FailedRuleId::pdr(2)),
        (5, create_far(2, 0x0c, vec![]), FailedRuleId::far(2)),
        (5, create_far(2, 0x12, vec![destination(Interface::Access), to_gnb(1)]), FailedRuleId::far(2)),
        (5, create_far(2, 0x02, vec![destination(Interface::Access)]), FailedRuleId::far(2)),
        (5, create_far(2, 0x02, vec![destination(Interface::CpFunction)]), FailedRuleId::far(2)),
        (6, create_qer(1, vec![Ie::new(IeType::Gbr, vec![0, 0, 0, 0, 1, 0, 0, 0, 0, 1])]), FailedRuleId::qer(1)),
        (6, create_qer(1, vec![Ie::new(IeType::Rqi, vec![1])]), FailedRuleId::qer(1)),
        (
            7,
            group(IeType::CreateUrr, vec![number(IeType::UrrId, 3), Ie::new(IeType::MeasurementMethod, vec![1])]),
            FailedRuleId::urr(3),
        ),
        (
            7,
            group(IeType::CreateUrr, vec![number(IeType::UrrId, 3), Ie::new(IeType::ReportingTriggers, vec![2, 0, 0])]),
            FailedRuleId::urr(3),
        ),
    ];
    for (position, ie, rule) in cases {
        let what = format!("{ie:?}");
        assert_eq!(refused(|ies| ies[position] = ie), rule_failure(rule), "{what}");
    }
}

#[test]
fn what_asks_for_a_service_that_is_not_there_is_refused() {
    for ie in [
        Ie::new(IeType::UserPlaneInactivityTimer, vec![0, 0, 0, 60]),
        group(IeType::CreateBar, vec![Ie::new(IeType::BarId, vec![1])]),
        Ie::new(IeType::TraceInformation, vec![0; 12]),
        Ie::new(IeType::PfcpseReqFlags, vec![1]),
    ] {
        let kind = ie.ie_type as u16;
        assert_eq!(refused(|ies| ies.push(ie)), (CauseValue::ServiceNotSupported, Some(kind), None));
    }
    let ipv6 = (CauseValue::ServiceNotSupported, Some(IeType::PdnType as u16), None);
    assert_eq!(refused(|ies| ies[7] = Ie::new(IeType::PdnType, vec![2])), ipv6);
}

#[test]
fn the_filter_of_all_packets_is_no_filter() {
    let mut rig = Rig::associated();
    let mut ies = session(UE);
    let mut value = vec![0x01, 0, 0, 34];
    value.extend(b"permit out ip from any to assigned");
    ies[3] = create_pdr(2, [downlink_pdi(UE), vec![Ie::new(IeType::SdfFilter, value)]].concat(), 2, vec![]);
    assert_eq!(rig.establish(&ies).cause(), CauseValue::RequestAccepted);
}

#[test]
fn ts_29_244_7_6_9_and_7_6_10_unknown_and_repeated_elements_are_ignored() {
    let mut rig = Rig::associated();
    let mut ies = session(UE);
    ies.push(Ie::new_unknown(32_000, vec![1, 2, 3]).unwrap());
    ies.push(Ie::new_vendor_specific(0x8001, 10, vec![9]).unwrap());
    ies.push(Ie::new(IeType::Fseid, vec![0]));
    ies[6] = create_qer(1, vec![qfi(9), qfi(3)]);
    assert_eq!(rig.establish(&ies).cause(), CauseValue::RequestAccepted);
    assert!(rig.uplink.values().all(|record| record.qfi == 9));
}

#[test]
fn ways_of_choosing_a_tunnel_do_not_mix() {
    let (cause, offending, _) = refused(|ies| {
        ies.push(create_pdr(3, uplink_pdi(given(5, N3)), 1, vec![outer_header_removal()]));
    });
    assert_eq!((cause, offending), (CauseValue::InvalidFteidAllocationOption, Some(IeType::Fteid as u16)));
    let elsewhere = Ipv4Addr::new(192, 0, 2, 200);
    let (cause, _, rule) = refused(|ies| {
        ies[2] = create_pdr(1, uplink_pdi(given(5, elsewhere)), 1, vec![outer_header_removal()]);
    });
    assert_eq!((cause, rule), (CauseValue::RuleCreationModificationFailure, Some(FailedRuleId::pdr(1))));
}

#[test]
fn a_refused_modification_changes_nothing() {
    let mut rig = Rig::associated();
    let seid = rig.establish(&session(UE)).up_seid();
    let before = (rig.uplink.clone(), rig.downlink.clone());
    let buffering = group(IeType::UpdateFar, vec![number(IeType::FarId, 2), Ie::new(IeType::ApplyAction, vec![0x0c])]);
    let response = rig.ask(MsgType::SessionModificationRequest, Some(seid), &[activate(1, 7), buffering]);
    assert_eq!(response.header.seid.0, CP_SEID);
    assert_eq!(response.failed_rule(), Some(FailedRuleId::far(2)));
    let unknown = group(IeType::RemoveFar, vec![number(IeType::FarId, 77)]);
    let response = rig.ask(MsgType::SessionModificationRequest, Some(seid), &[unknown]);
    assert_eq!(response.failed_rule(), Some(FailedRuleId::far(77)));
    assert_eq!((rig.uplink.clone(), rig.downlink.clone()), before);
}

#[test]
fn strangers_and_unknown_sessions_are_told_so() {
    let mut rig = Rig::new();
    let response = rig.establish(&session(UE));
    assert_eq!((response.cause(), response.header.seid.0), (CauseValue::NoEstablishedPfcpAssociation, CP_SEID));
    for kind in [MsgType::AssociationUpdateRequest, MsgType::AssociationReleaseRequest] {
        assert_eq!(rig.ask(kind, None, &[node_id()]).cause(), CauseValue::NoEstablishedPfcpAssociation);
    }
    for kind in [MsgType::SessionModificationRequest, MsgType::SessionDeletionRequest] {
        let response = rig.ask(kind, Some(0x1_0000_0000), &[]);
        assert_eq!((response.cause(), response.header.seid.0), (CauseValue::SessionContextNotFound, 0));
    }
}

#[test]
fn procedures_of_features_that_are_not_announced_are_refused() {
    let mut rig = Rig::associated();
    for kind in
        [MsgType::PfdManagementRequest, MsgType::SessionSetDeletionRequest, MsgType::SessionSetModificationRequest]
    {
        assert_eq!(rig.ask(kind, None, &[node_id()]).cause(), CauseValue::ServiceNotSupported);
    }
}

#[test]
fn ts_29_244_7_6_2_another_version_is_refused_once() {
    let mut rig = Rig::new();
    let mut request = message(MsgType::HeartbeatRequest, None, 0x0a0b0c, &[recovery(1)]);
    request[0] = 0x40;
    let response = Response::parse(&rig.exchange(&request).unwrap());
    assert_eq!(response.header.message_type, MsgType::VersionNotSupportedResponse);
    assert_eq!((response.header.sequence_number.0, response.header.version), (0x0a0b0c, 1));
    let mut answer = message(MsgType::VersionNotSupportedResponse, None, 1, &[]);
    answer[0] = 0x40;
    assert_eq!(rig.exchange(&answer), None);
}

#[test]
fn what_has_no_response_is_counted() {
    let mut rig = Rig::associated();
    let mut session_without_seid = message(MsgType::SessionEstablishmentRequest, None, 5, &session(UE));
    session_without_seid[0] &= !1;
    let cases: Vec<(Vec<u8>, Discard)> = vec![
        (vec![], Discard::Truncated),
        (vec![0x20, 1, 0, 4], Discard::Truncated),
        (vec![0x20, 200, 0, 4, 0, 0, 1, 0], Discard::UnknownMessage),
        (message(MsgType::HeartbeatResponse, None, 999, &[recovery(1)]), Discard::UnexpectedResponse),
        (message(MsgType::SessionEstablishmentResponse, Some(1), 9, &[]), Discard::UnexpectedResponse),
        (message(MsgType::NodeReportRequest, None, 9, &[]), Discard::UnexpectedRequest),
        (session_without_seid, Discard::UnexpectedRequest),
        (message(MsgType::HeartbeatRequest, None, 9, &[]), Discard::Malformed),
    ];
    for (octets, reason) in cases {
        let before = rig.up.figures().discards[reason as usize];
        assert_eq!(rig.exchange(&octets), None, "{octets:02x?}");
        assert_eq!(rig.up.figures().discards[reason as usize], before + 1, "{reason:?}");
    }
}

#[test]
fn ts_29_244_7_6_3_a_request_that_is_cut_short_is_refused() {
    let mut rig = Rig::associated();
    let whole = message(MsgType::AssociationSetupRequest, None, 500, &[node_id(), recovery(1)]);
    let response = Response::parse(&rig.exchange(&whole[..whole.len() - 1]).unwrap());
    assert_eq!(response.cause(), CauseValue::InvalidLength);
}

/// Every prefix and every one-octet change of a session establishment: an answer or a count, never a panic; and whatever
/// was accepted can be released without a trace.
#[test]
fn damaged_messages_do_no_harm() {
    let whole = message(MsgType::SessionEstablishmentRequest, Some(0), 1, &session(UE));
    let mut rig = Rig::associated();
    let mut number = 1000u32;
    let mut send = |rig: &mut Rig, mut octets: Vec<u8>| {
        number += 1;
        if let Some(place) = octets.get_mut(12..15) {
            place.copy_from_slice(&number.to_be_bytes()[1..]);
        }
        rig.exchange(&octets);
    };
    for cut in 0..whole.len() {
        send(&mut rig, whole[..cut].to_vec());
    }
    for position in 0..whole.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut octets = whole.clone();
            octets[position] = value;
            send(&mut rig, octets);
        }
    }
    rig.ask(MsgType::AssociationReleaseRequest, None, &[node_id()]);
    assert_eq!(rig.up.sessions(), 0);
    assert!(rig.uplink.is_empty() && rig.downlink.is_empty());
}
