//! N2 SM information: the transfers of NGAP that SMF and gNB exchange through the AMF (TS 38.413, 9.3.4).

use crate::session::{Session, Tunnel, default_qfi};
use coeur_model::{Arp, BitRate, Teid};
use oxirush_ngap::aper::BitString;
use oxirush_ngap::build_ngap_ie;
use oxirush_ngap::ngap::{
    AllocationAndRetentionPriority, Cause, CauseNas, FiveQI, GTPTEID, GTPTunnel, NonDynamic5QIDescriptor,
    PDUSessionAggregateMaximumBitRate, PDUSessionResourceModifyRequestTransfer,
    PDUSessionResourceReleaseCommandTransfer, PDUSessionResourceSetupRequestTransfer,
    PDUSessionResourceSetupResponseTransfer, PDUSessionResourceSetupUnsuccessfulTransfer, PDUSessionType,
    PreEmptionCapability, PreEmptionVulnerability, PriorityLevelARP, ProtocolIEContainer, QosCharacteristics,
    QosFlowIdentifier, QosFlowLevelQosParameters, QosFlowSetupRequestItem, QosFlowSetupRequestList,
    TransportLayerAddress, ULNGUUPTNLModifyItem, ULNGUUPTNLModifyList, UPTransportLayerInformation, decode_open_type,
    encode_open_type,
};
use std::net::Ipv4Addr;

/// Why a transfer from the gNB is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransferError {
    #[error("abstract syntax error (TS 38.413, 10.3)")]
    Syntax,
    /// A tunnel without an IPv4 address: this core's N3 has no IPv6.
    #[error("no IPv4 transport layer address (9.3.2.2)")]
    Address,
    /// The gNB left out the only flow of the session.
    #[error("the default QoS flow was not set up (9.3.4.2)")]
    QosFlow,
}

/// PDU Session Resource Setup Request Transfer (9.3.4.1), its elements in the order of the specification.
pub(crate) fn setup_request(session: &Session, uplink: Tunnel) -> Option<Vec<u8>> {
    let ambr =
        PDUSessionAggregateMaximumBitRate::new(bit_rate(session.ambr.downlink), bit_rate(session.ambr.uplink), None);
    let five_qi = NonDynamic5QIDescriptor::new(FiveQI(session.five_qi.0.into()), None, None, None, None);
    let qos = QosFlowLevelQosParameters::new(
        QosCharacteristics::nonDynamic5QI(five_qi),
        priority(session.arp),
        None,
        None,
        None,
        None,
    );
    let flow = QosFlowSetupRequestItem::new(QosFlowIdentifier(default_qfi().get().into()), qos, None, None);
    let ies = vec![
        build_ngap_ie!(PDUSessionResourceSetupRequestTransfer, PDUSessionAggregateMaximumBitRate(ambr)).ok()?,
        build_ngap_ie!(PDUSessionResourceSetupRequestTransfer, UL_NGU_UP_TNLInformation(tunnel_information(uplink)))
            .ok()?,
        build_ngap_ie!(PDUSessionResourceSetupRequestTransfer, PDUSessionType(PDUSessionType::ipv4)).ok()?,
        build_ngap_ie!(
            PDUSessionResourceSetupRequestTransfer,
            QosFlowSetupRequestList(QosFlowSetupRequestList(vec![flow]))
        )
        .ok()?,
    ];
    let transfer = PDUSessionResourceSetupRequestTransfer::new(ProtocolIEContainer(ies));
    encode_open_type(&transfer).ok().map(|octets| octets.to_vec())
}

/// PDU Session Resource Modify Request Transfer (9.3.4.3): a new uplink tunnel beside the gNB's own, which stays.
pub(crate) fn modify_request(uplink: Tunnel, downlink: Tunnel) -> Option<Vec<u8>> {
    let item = ULNGUUPTNLModifyItem::new(tunnel_information(uplink), tunnel_information(downlink), None);
    let list = ULNGUUPTNLModifyList(vec![item]);
    let ies = vec![build_ngap_ie!(PDUSessionResourceModifyRequestTransfer, UL_NGU_UP_TNLModifyList(list)).ok()?];
    let transfer = PDUSessionResourceModifyRequestTransfer::new(ProtocolIEContainer(ies));
    encode_open_type(&transfer).ok().map(|octets| octets.to_vec())
}

/// PDU Session Resource Release Command Transfer (9.3.4.12).
pub(crate) fn release_command() -> Option<Vec<u8>> {
    let transfer = PDUSessionResourceReleaseCommandTransfer::new(Cause::nas(CauseNas::normal_release), None);
    encode_open_type(&transfer).ok().map(|octets| octets.to_vec())
}

/// PDU Session Resource Setup Response Transfer (9.3.4.2): the gNB's end of the tunnel.
pub(crate) fn setup_response(octets: &[u8]) -> Result<Tunnel, TransferError> {
    let transfer: PDUSessionResourceSetupResponseTransfer<'_> =
        decode_open_type(octets).map_err(|_| TransferError::Syntax)?;
    let tnl = transfer.dl_qos_flow_per_tnl_information;
    let qfi = u64::from(default_qfi().get());
    if !tnl.associated_qos_flow_list.0.iter().any(|flow| flow.qos_flow_identifier.0 == qfi) {
        return Err(TransferError::QosFlow);
    }
    let UPTransportLayerInformation::gTPTunnel(tunnel) = tnl.up_transport_layer_information else {
        return Err(TransferError::Address);
    };
    let address = ipv4(&tunnel.transport_layer_address.0).ok_or(TransferError::Address)?;
    Ok(Tunnel { teid: Teid(u32::from_be_bytes(tunnel.gtp_teid.0)), address })
}

/// PDU Session Resource Setup Unsuccessful Transfer (9.3.4.16): why, in words.
pub(crate) fn setup_unsuccessful(octets: &[u8]) -> Result<String, TransferError> {
    let transfer: PDUSessionResourceSetupUnsuccessfulTransfer =
        decode_open_type(octets).map_err(|_| TransferError::Syntax)?;
    Ok(format!("{:?}", transfer.cause))
}

/// 32 bits: IPv4; 160: IPv4, then IPv6 (TS 38.414, 5.1). No group or broadcast address ends a tunnel.
fn ipv4(address: &BitString<'_>) -> Option<Ipv4Addr> {
    let octets = matches!(address.len(), 32 | 160).then(|| address.as_octets().first_chunk::<4>()).flatten()?;
    let address = Ipv4Addr::from(*octets);
    let usable = !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast();
    usable.then_some(address)
}

fn tunnel_information(tunnel: Tunnel) -> UPTransportLayerInformation<'static> {
    let address = TransportLayerAddress(BitString::from(tunnel.address.octets()));
    UPTransportLayerInformation::gTPTunnel(GTPTunnel::new(address, GTPTEID(tunnel.teid.0.to_be_bytes()), None))
}

fn bit_rate(rate: BitRate) -> oxirush_ngap::ngap::BitRate {
    oxirush_ngap::ngap::BitRate(rate.bps())
}

fn priority(arp: Arp) -> AllocationAndRetentionPriority {
    let capability = match arp.may_preempt {
        true => PreEmptionCapability::may_trigger_pre_emption,
        false => PreEmptionCapability::shall_not_trigger_pre_emption,
    };
    let vulnerability = match arp.preemptable {
        true => PreEmptionVulnerability::pre_emptable,
        false => PreEmptionVulnerability::not_pre_emptable,
    };
    // 9.3.1.19: 1 to 15; 0 would not encode.
    let level = PriorityLevelARP(arp.priority.clamp(1, 15));
    AllocationAndRetentionPriority::new(level, capability, vulnerability, None)
}
