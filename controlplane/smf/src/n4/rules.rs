//! The rules of a session, as they go to the user plane (TS 29.244, 7.5.2 and 7.5.4; TS 23.501, 5.8.2.11).
//!
//! ```text
//! PDR 1  access, F-TEID by CHOOSE, UE address, QFI ─► remove GTP-U ─► FAR 1 forward to core   ┐
//! PDR 2  core, UE address                         ─────────────────► FAR 2 drop, or forward  ├─ QER 1: AMBR, gates, QFI
//!                                                                     to the gNB's tunnel    ┘
//! ```
//!
//! The user plane chooses the F-TEID (feature FTUP). While the gNB has no tunnel the downlink FAR drops: no user plane of
//! this issue announces buffering.

use super::wire::{cp_fseid, encode, node_id};
use crate::session::{Downlink, Tunnel};
use coeur_model::{Ambr, BitRate, Dnn, Qfi, Seid, Snssai};
use rs_pfcp::ie::apply_action::ApplyAction;
use rs_pfcp::ie::create_far::CreateFar;
use rs_pfcp::ie::create_pdr::CreatePdr;
use rs_pfcp::ie::create_qer::CreateQer;
use rs_pfcp::ie::destination_interface::{DestinationInterface, Interface};
use rs_pfcp::ie::f_teid::Fteid;
use rs_pfcp::ie::far_id::FarId;
use rs_pfcp::ie::forwarding_parameters::ForwardingParameters;
use rs_pfcp::ie::gate_status::{GateStatus, GateStatusValue};
use rs_pfcp::ie::mbr::Mbr;
use rs_pfcp::ie::network_instance::NetworkInstance;
use rs_pfcp::ie::outer_header_creation::OuterHeaderCreation;
use rs_pfcp::ie::outer_header_removal::OuterHeaderRemoval;
use rs_pfcp::ie::pdi::Pdi;
use rs_pfcp::ie::pdn_type::{PdnType, PdnTypeValue};
use rs_pfcp::ie::pdr_id::PdrId;
use rs_pfcp::ie::precedence::Precedence;
use rs_pfcp::ie::qer_id::QerId;
use rs_pfcp::ie::source_interface::{SourceInterface, SourceInterfaceValue};
use rs_pfcp::ie::ue_ip_address::UeIpAddress;
use rs_pfcp::ie::update_far::UpdateFar;
use rs_pfcp::ie::update_forwarding_parameters::UpdateForwardingParameters;
use rs_pfcp::ie::{Ie, IeType};
use rs_pfcp::message::MsgType;
use std::net::{IpAddr, Ipv4Addr};

pub(crate) const PDR_UPLINK: u16 = 1;
pub(crate) const PDR_DOWNLINK: u16 = 2;
pub(crate) const FAR_UPLINK: u32 = 1;
pub(crate) const FAR_DOWNLINK: u32 = 2;
const QER: u32 = 1;

/// One default flow a session: the precedence only has to be there.
const PRECEDENCE: u32 = 255;

/// Outer Header Removal Description: GTP-U/UDP/IPv4 (table 8.2.64-1).
const GTP_U_UDP_IPV4: u8 = 0;

/// What a user plane has to know of a session.
#[derive(Clone, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) ipv4: Ipv4Addr,
    pub(crate) dnn: &'a Dnn,
    pub(crate) snssai: Snssai,
    pub(crate) ambr: Ambr,
    pub(crate) qfi: Qfi,
    pub(crate) downlink: Downlink,
}

pub(crate) fn establishment(sequence: u32, node: IpAddr, cp_seid: Seid, rules: &Rules<'_>) -> Vec<u8> {
    let ies = [
        node_id(node),
        cp_fseid(cp_seid.0, node),
        uplink_pdr(rules).to_ie(),
        downlink_pdr(rules).to_ie(),
        uplink_far(rules).to_ie(),
        downlink_far(rules).to_ie(),
        qer(rules).to_ie(),
        PdnType::new(PdnTypeValue::Ipv4).to_ie(),
        slice(rules.snssai),
        dnn(rules.dnn),
    ];
    // 7.2.2.4.2: the user plane's SEID is not known yet, and 0.
    encode(MsgType::SessionEstablishmentRequest, Some(0), sequence, &ies)
}

/// Turns the downlink; [`Downlink::AsIs`] changes nothing and only asks whether the session is still there.
pub(crate) fn modification(sequence: u32, up_seid: u64, downlink: Downlink) -> Vec<u8> {
    let far = UpdateFar::builder(FarId::new(FAR_DOWNLINK));
    let far = match downlink {
        Downlink::AsIs => None,
        Downlink::Drop => far.apply_action(ApplyAction::DROP).build().ok(),
        Downlink::Forward(tunnel) => {
            let access = UpdateForwardingParameters::new()
                .with_destination_interface(DestinationInterface::new(Interface::Access))
                .with_outer_header_creation(outer_header(tunnel));
            far.apply_action(ApplyAction::FORW).update_forwarding_parameters(access).build().ok()
        }
    };
    let ies: Vec<Ie> = far.iter().map(UpdateFar::to_ie).collect();
    encode(MsgType::SessionModificationRequest, Some(up_seid), sequence, &ies)
}

pub(crate) fn deletion(sequence: u32, up_seid: u64) -> Vec<u8> {
    encode(MsgType::SessionDeletionRequest, Some(up_seid), sequence, &[])
}

fn uplink_pdr(rules: &Rules<'_>) -> CreatePdr {
    let mut pdi = Pdi::new(SourceInterface::new(SourceInterfaceValue::Access));
    pdi.f_teid = Some(Fteid::new_with_choose(true, false, true, false, 0u32, None, None, 0));
    // The phone's own address as the source: what else comes up the tunnel matches no rule and is dropped.
    pdi.ue_ip_addresses = vec![UeIpAddress::new(Some(rules.ipv4), None)];
    pdi.qfis = vec![rs_pfcp::ie::qfi::Qfi::of(rules.qfi.get())];
    let mut pdr = CreatePdr::new(PdrId::new(PDR_UPLINK), Precedence::new(PRECEDENCE), pdi);
    pdr.outer_header_removal = Some(OuterHeaderRemoval::new(GTP_U_UDP_IPV4));
    pdr.far_id = Some(FarId::new(FAR_UPLINK));
    pdr.qer_ids = vec![QerId::new(QER)];
    pdr
}

fn downlink_pdr(rules: &Rules<'_>) -> CreatePdr {
    let mut pdi = Pdi::new(SourceInterface::new(SourceInterfaceValue::Core));
    pdi.network_instance = Some(NetworkInstance::new(rules.dnn.as_str()));
    let mut address = UeIpAddress::new(Some(rules.ipv4), None);
    address.source_destination = true;
    pdi.ue_ip_addresses = vec![address];
    let mut pdr = CreatePdr::new(PdrId::new(PDR_DOWNLINK), Precedence::new(PRECEDENCE), pdi);
    pdr.far_id = Some(FarId::new(FAR_DOWNLINK));
    pdr.qer_ids = vec![QerId::new(QER)];
    pdr
}

fn uplink_far(rules: &Rules<'_>) -> CreateFar {
    let core = ForwardingParameters::new(DestinationInterface::new(Interface::Core))
        .with_network_instance(NetworkInstance::new(rules.dnn.as_str()));
    CreateFar::new(FarId::new(FAR_UPLINK), ApplyAction::FORW).with_forwarding_parameters(core)
}

fn downlink_far(rules: &Rules<'_>) -> CreateFar {
    let far = FarId::new(FAR_DOWNLINK);
    match rules.downlink {
        Downlink::Drop | Downlink::AsIs => CreateFar::new(far, ApplyAction::DROP),
        Downlink::Forward(tunnel) => {
            let access = ForwardingParameters::new(DestinationInterface::new(Interface::Access))
                .with_outer_header_creation(outer_header(tunnel));
            CreateFar::new(far, ApplyAction::FORW).with_forwarding_parameters(access)
        }
    }
}

fn qer(rules: &Rules<'_>) -> CreateQer {
    let mut qer = CreateQer::new(QerId::new(QER));
    qer.gate_status = Some(GateStatus::new(GateStatusValue::Open, GateStatusValue::Open));
    qer.mbr = Some(Mbr::new(kbps(rules.ambr.uplink), kbps(rules.ambr.downlink)));
    qer.qfi = Some(rs_pfcp::ie::qfi::Qfi::of(rules.qfi.get()));
    qer
}

fn outer_header(tunnel: Tunnel) -> OuterHeaderCreation {
    OuterHeaderCreation::gtpu_ipv4(tunnel.teid.0, tunnel.address)
}

/// MBR counts in kilobits; what is promised is not cut off (8.2.8).
fn kbps(rate: BitRate) -> u64 {
    rate.bps().div_ceil(1_000)
}

/// S-NSSAI (8.2.176): always four octets, with the SD that means none (TS 23.003, 28.4.2).
fn slice(snssai: Snssai) -> Ie {
    let [a, b, c] = snssai.sd.unwrap_or([0xFF; 3]);
    Ie::new(IeType::Snssai, vec![snssai.sst, a, b, c])
}

/// APN/DNN (8.2.103): length and octets of each label, no root label at the end (TS 23.003, 9.1).
fn dnn(dnn: &Dnn) -> Ie {
    // A label of a `Dnn` has 63 octets at most.
    let labels = dnn.as_str().split('.').flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat());
    Ie::new(IeType::ApnDnn, labels.collect())
}
