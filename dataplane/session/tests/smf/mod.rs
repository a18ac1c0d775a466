//! A control plane for tests: its messages are made and its responses read by `rs-pfcp`, not by the code under test.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)] // helpers of tests are tests; not every test needs all

use std::net::Ipv4Addr;

use rs_pfcp::ie::cause::CauseValue;
use rs_pfcp::ie::destination_interface::{DestinationInterface, Interface};
use rs_pfcp::ie::f_teid::Fteid;
use rs_pfcp::ie::failed_rule_id::FailedRuleId;
use rs_pfcp::ie::fseid::Fseid;
use rs_pfcp::ie::gate_status::{GateStatus, GateStatusValue};
use rs_pfcp::ie::node_id::NodeId;
use rs_pfcp::ie::outer_header_creation::OuterHeaderCreation;
use rs_pfcp::ie::source_interface::{SourceInterface, SourceInterfaceValue};
use rs_pfcp::ie::ue_ip_address::UeIpAddress;
use rs_pfcp::ie::{Ie, IeIterator, IeType};
use rs_pfcp::message::MsgType;
use rs_pfcp::message::header::Header;

pub(crate) const SMF: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
pub(crate) const GNB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
pub(crate) const N3: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const CP_SEID: u64 = 0xc0ffee;

/// A message from its elements.
pub(crate) fn message(kind: MsgType, seid: Option<u64>, sequence_number: u32, ies: &[Ie]) -> Vec<u8> {
    let mut header = Header::new(kind, seid.is_some(), seid.unwrap_or(0), sequence_number);
    let body: Vec<u8> = ies.iter().flat_map(Ie::marshal).collect();
    header.length = (usize::from(header.len()) - 4 + body.len()) as u16;
    [header.marshal(), body].concat()
}

/// A response, taken apart.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) header: Header,
    pub(crate) ies: Vec<Ie>,
}

impl Response {
    pub(crate) fn parse(octets: &[u8]) -> Self {
        let header = Header::unmarshal(octets).unwrap();
        assert_eq!(usize::from(header.length) + 4, octets.len(), "the length of the header");
        let ies = IeIterator::new(&octets[usize::from(header.len())..]).map(Result::unwrap).collect();
        Self { header, ies }
    }

    pub(crate) fn ie(&self, kind: IeType) -> Option<&Ie> {
        self.ies.iter().find(|ie| ie.ie_type == kind)
    }

    pub(crate) fn cause(&self) -> CauseValue {
        CauseValue::from(self.ie(IeType::Cause).expect("a cause").payload[0])
    }

    pub(crate) fn offending_ie(&self) -> Option<u16> {
        self.ie(IeType::OffendingIe).map(|ie| ie.as_u16().unwrap())
    }

    pub(crate) fn failed_rule(&self) -> Option<FailedRuleId> {
        self.ie(IeType::FailedRuleId).map(|ie| FailedRuleId::unmarshal(&ie.payload).unwrap())
    }

    pub(crate) fn up_seid(&self) -> u64 {
        Fseid::unmarshal(&self.ie(IeType::Fseid).expect("an F-SEID").payload).unwrap().seid.0
    }

    /// PDR ID and F-TEID of each Created PDR.
    pub(crate) fn created(&self) -> Vec<(u16, Fteid)> {
        let created = self.ies.iter().filter(|ie| ie.ie_type == IeType::CreatedPdr);
        created
            .map(|ie| rs_pfcp::ie::created_pdr::CreatedPdr::unmarshal(&ie.payload).unwrap())
            .map(|created| (created.pdr_id.value, created.f_teid.unwrap()))
            .collect()
    }
}

pub(crate) fn group(kind: IeType, ies: Vec<Ie>) -> Ie {
    Ie::new_grouped(kind, ies)
}

pub(crate) fn number(kind: IeType, value: u32) -> Ie {
    Ie::new(kind, value.to_be_bytes().to_vec())
}

pub(crate) fn pdr_id(id: u16) -> Ie {
    Ie::new(IeType::PdrId, id.to_be_bytes().to_vec())
}

pub(crate) fn node_id() -> Ie {
    NodeId::new_ipv4(SMF).to_ie()
}

pub(crate) fn recovery(stamp: u32) -> Ie {
    number(IeType::RecoveryTimeStamp, stamp)
}

pub(crate) fn cp_fseid() -> Ie {
    Ie::new(IeType::Fseid, Fseid::new(CP_SEID, Some(SMF), None).marshal())
}

pub(crate) fn choose() -> Ie {
    Fteid::new_with_choose(true, false, true, false, 0, None, None, 0).to_ie()
}

pub(crate) fn given(teid: u32, address: Ipv4Addr) -> Ie {
    Fteid::new(true, false, teid, Some(address), None, 0).to_ie()
}

pub(crate) fn source_interface(value: SourceInterfaceValue) -> Ie {
    SourceInterface::new(value).to_ie()
}

pub(crate) fn ue_ip(address: Ipv4Addr, destination: bool) -> Ie {
    UeIpAddress { source_destination: destination, ..UeIpAddress::new(Some(address), None) }.to_ie()
}

pub(crate) fn uplink_pdi(fteid: Ie) -> Vec<Ie> {
    vec![source_interface(SourceInterfaceValue::Access), fteid]
}

pub(crate) fn downlink_pdi(ue: Ipv4Addr) -> Vec<Ie> {
    vec![source_interface(SourceInterfaceValue::Core), ue_ip(ue, true)]
}

pub(crate) fn create_pdr(id: u16, pdi: Vec<Ie>, far: u32, more: Vec<Ie>) -> Ie {
    let mut ies =
        vec![pdr_id(id), number(IeType::Precedence, 255), group(IeType::Pdi, pdi), number(IeType::FarId, far)];
    ies.extend(more);
    group(IeType::CreatePdr, ies)
}

pub(crate) fn outer_header_removal() -> Ie {
    Ie::new(IeType::OuterHeaderRemoval, vec![0])
}

pub(crate) fn destination(interface: Interface) -> Ie {
    DestinationInterface::new(interface).to_ie()
}

pub(crate) fn to_gnb(teid: u32) -> Ie {
    Ie::new(IeType::OuterHeaderCreation, OuterHeaderCreation::gtpu_ipv4(teid, GNB).marshal())
}

pub(crate) fn create_far(id: u32, action: u8, forwarding: Vec<Ie>) -> Ie {
    let mut ies = vec![number(IeType::FarId, id), Ie::new(IeType::ApplyAction, vec![action])];
    if !forwarding.is_empty() {
        ies.push(group(IeType::ForwardingParameters, forwarding));
    }
    group(IeType::CreateFar, ies)
}

pub(crate) fn create_qer(id: u32, more: Vec<Ie>) -> Ie {
    let gates = GateStatus::new(GateStatusValue::Open, GateStatusValue::Open);
    let mut ies = vec![number(IeType::QerId, id), Ie::new(IeType::GateStatus, gates.marshal().to_vec())];
    ies.extend(more);
    group(IeType::CreateQer, ies)
}

pub(crate) fn qfi(value: u8) -> Ie {
    Ie::new(IeType::Qfi, vec![value])
}

pub(crate) fn mbr(uplink_kbps: u64, downlink_kbps: u64) -> Ie {
    Ie::new(IeType::Mbr, rs_pfcp::ie::mbr::Mbr::new(uplink_kbps, downlink_kbps).marshal().to_vec())
}

/// Volume, without a trigger.
pub(crate) fn create_urr(id: u32) -> Ie {
    let method = Ie::new(IeType::MeasurementMethod, vec![0x02]);
    group(IeType::CreateUrr, vec![number(IeType::UrrId, id), method, Ie::new(IeType::ReportingTriggers, vec![0, 0, 0])])
}

/// What an SMF sends for a session with one flow, before the gNB's tunnel is known.
pub(crate) fn session(ue: Ipv4Addr) -> Vec<Ie> {
    let qer = || vec![number(IeType::QerId, 1)];
    vec![
        node_id(),
        cp_fseid(),
        create_pdr(1, uplink_pdi(choose()), 1, [vec![outer_header_removal()], qer()].concat()),
        create_pdr(2, downlink_pdi(ue), 2, qer()),
        create_far(1, 0x02, vec![destination(Interface::Core)]),
        create_far(2, 0x01, vec![]),
        create_qer(1, vec![qfi(9)]),
        Ie::new(IeType::PdnType, vec![1]),
    ]
}

/// The gNB's tunnel is known.
pub(crate) fn activate(far: u32, teid: u32) -> Ie {
    group(
        IeType::UpdateFar,
        vec![
            number(IeType::FarId, far),
            Ie::new(IeType::ApplyAction, vec![0x02]),
            group(IeType::UpdateForwardingParameters, vec![destination(Interface::Access), to_gnb(teid)]),
        ],
    )
}
