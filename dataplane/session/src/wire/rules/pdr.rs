//! Create PDR (TS 29.244 table 7.5.2.2-1), PDI (7.5.2.2-2), Update PDR (7.5.4.2-1).

use std::net::Ipv4Addr;

use coeur_rules::{Change, End, Interface, Pdi, Pdr, PdrUpdate, RuleId, UeAddress, Unsupported};
use rs_pfcp::ie::IeType;
use rs_pfcp::ie::cause::CauseValue;
use rs_pfcp::ie::f_teid::Fteid;
use rs_pfcp::ie::ue_ip_address::UeIpAddress;

use super::{Wanted, is_host, keep_first, pdr_id, unsupported};
use crate::wire::Refusal;
use crate::wire::reader::{Element, Elements};

/// The tunnel end point that a PDI asks for (TS 29.244 8.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TunnelWish {
    /// Any; all rules of one message with the same CHOOSE ID get the same.
    Choose(Option<u8>),
    Given {
        teid: u32,
        address: Ipv4Addr,
    },
}

/// All elements of a Create or Update PDR.
#[derive(Default)]
struct Parts {
    precedence: Option<u32>,
    pdi: Option<(Pdi, Option<TunnelWish>)>,
    outer_header_removal: Option<bool>,
    far: Option<u32>,
    qers: Option<Vec<u32>>,
    urrs: Option<Vec<u32>>,
}

pub(super) fn create(group: &Elements<'_>) -> Result<Wanted, Refusal> {
    let id = pdr_id(group)?;
    let parts = parts(id, group)?;
    let precedence = parts.precedence.ok_or(Refusal::missing(IeType::Precedence))?;
    let (pdi, tunnel) = parts.pdi.ok_or(Refusal::missing(IeType::Pdi))?;
    let pdr = Pdr {
        id,
        precedence,
        pdi,
        outer_header_removal: parts.outer_header_removal.unwrap_or(false),
        far: parts.far,
        qers: parts.qers.unwrap_or_default(),
        urrs: parts.urrs.unwrap_or_default(),
    };
    Ok(Wanted { tunnel, ..Change::CreatePdr(pdr).into() })
}

pub(super) fn update(group: &Elements<'_>) -> Result<Wanted, Refusal> {
    let id = pdr_id(group)?;
    let Parts { precedence, pdi, outer_header_removal, far, qers, urrs } = parts(id, group)?;
    let (pdi, tunnel) = pdi.unzip();
    let tunnel = tunnel.flatten();
    if matches!(tunnel, Some(TunnelWish::Choose(_))) {
        // A tunnel that moves under a rule is asked for by creating a rule.
        return Err(Refusal {
            rule: Some(RuleId::Pdr(id).error(Unsupported::RuleKind)),
            ..Refusal::naming(CauseValue::InvalidFteidAllocationOption, IeType::Fteid)
        });
    }
    let update = PdrUpdate { id, precedence, pdi, outer_header_removal, far, qers, urrs };
    Ok(Wanted { tunnel, ..Change::UpdatePdr(update).into() })
}

fn parts(id: u16, group: &Elements<'_>) -> Result<Parts, Refusal> {
    let mut parts = Parts::default();
    let refuse = |what| Err(unsupported(RuleId::Pdr(id), what));
    for element in group.clone() {
        let element = element?;
        match element.kind {
            IeType::Precedence => keep_first(&mut parts.precedence, element.u32()?),
            IeType::Pdi if parts.pdi.is_none() => parts.pdi = Some(pdi(id, element)?),
            IeType::OuterHeaderRemoval => {
                keep_first(&mut parts.outer_header_removal, outer_header_removal(id, element)?);
            }
            IeType::FarId => keep_first(&mut parts.far, element.u32()?),
            IeType::QerId => parts.qers.get_or_insert_default().push(element.u32()?),
            IeType::UrrId => parts.urrs.get_or_insert_default().push(element.u32()?),
            IeType::ActivatePredefinedRules | IeType::DeactivatePredefinedRules => {
                return Err(Refusal {
                    cause: CauseValue::UnknownPredefinedRule,
                    ..unsupported(RuleId::Pdr(id), Unsupported::PredefinedRule)
                });
            }
            IeType::ActivationTime | IeType::DeactivationTime => return refuse(Unsupported::Time),
            IeType::PacketReplicationAndDetectionCarryOnInformation => return refuse(Unsupported::Duplicating),
            IeType::UeIpAddressPoolIdentity => return refuse(Unsupported::UeAddressChoice),
            IeType::MarId
            | IeType::IpMulticastAddressingInfo
            | IeType::MptcpApplicableIndication
            | IeType::TransportDelayReporting => return refuse(Unsupported::RuleKind),
            _ => {}
        }
    }
    Ok(parts)
}

fn pdi(id: u16, element: Element<'_>) -> Result<(Pdi, Option<TunnelWish>), Refusal> {
    let mut source_interface = None;
    let (mut tunnel, mut ue_address, mut qfi) = (None, None, None);
    let refuse = |what| Err(unsupported(RuleId::Pdr(id), what));
    for element in Elements::of(element) {
        let element = element?;
        match element.kind {
            IeType::SourceInterface => keep_first(&mut source_interface, interface(id, element)?),
            IeType::Fteid => keep_first(&mut tunnel, tunnel_wish(id, element)?),
            IeType::UeIpAddress => {
                let address = ue_ip_address(id, element)?;
                if ue_address.is_some_and(|other| other != address) {
                    return refuse(Unsupported::SeveralFlows);
                }
                ue_address = Some(address);
            }
            IeType::Qfi => {
                let value = element.u8()? & 0x3f;
                if qfi.is_some_and(|other| other != value) {
                    return refuse(Unsupported::SeveralQfis);
                }
                qfi = Some(value);
            }
            IeType::SdfFilter => sdf_filter(id, element)?,
            IeType::ApplicationId => return refuse(Unsupported::Application),
            IeType::TrafficEndpointId => return refuse(Unsupported::TrafficEndpoint),
            IeType::EthernetPduSessionInformation | IeType::EthernetPacketFilter => {
                return refuse(Unsupported::Ethernet);
            }
            IeType::FramedRoute | IeType::FramedRouting | IeType::FramedIpv6Route => {
                return refuse(Unsupported::FramedRoute);
            }
            IeType::RedundantTransmissionParameters | IeType::IpMulticastAddressingInfo => {
                return refuse(Unsupported::RuleKind);
            }
            // One N3 and one N6: the network instance and the 3GPP interface type say nothing more than the interface.
            _ => {}
        }
    }
    let source_interface = source_interface.ok_or(Refusal::missing(IeType::SourceInterface))?;
    Ok((Pdi { source_interface, local_tunnel: None, ue_address, qfi }, tunnel))
}

/// TS 29.244 table 8.2.2-1.
fn interface(id: u16, element: Element<'_>) -> Result<Interface, Refusal> {
    match element.u8()? & 0x0f {
        0 => Ok(Interface::Access),
        1 | 2 => Ok(Interface::Core),
        _ => Err(unsupported(RuleId::Pdr(id), Unsupported::SourceInterface)),
    }
}

fn tunnel_wish(id: u16, element: Element<'_>) -> Result<TunnelWish, Refusal> {
    let fteid = element.decode(Fteid::unmarshal)?;
    if fteid.v6 {
        return Err(unsupported(RuleId::Pdr(id), Unsupported::Ipv6));
    }
    if fteid.ch {
        // TS 29.244 8.2.3: at least one of V4 and V6.
        return if fteid.v4 {
            Ok(TunnelWish::Choose(fteid.chid.then_some(fteid.choose_id)))
        } else {
            Err(Refusal::incorrect(IeType::Fteid))
        };
    }
    match fteid.ipv4_address {
        Some(address) if fteid.teid.0 != 0 => Ok(TunnelWish::Given { teid: fteid.teid.0, address }),
        _ => Err(Refusal::incorrect(IeType::Fteid)),
    }
}

fn ue_ip_address(id: u16, element: Element<'_>) -> Result<UeAddress, Refusal> {
    let ue = element.decode(UeIpAddress::unmarshal)?;
    if ue.choose_ipv4 || ue.choose_ipv6 {
        return Err(unsupported(RuleId::Pdr(id), Unsupported::UeAddressChoice));
    }
    if ue.v6 {
        return Err(unsupported(RuleId::Pdr(id), Unsupported::Ipv6));
    }
    let address = ue.ipv4_address.filter(|address| is_host(*address)).ok_or(Refusal::incorrect(IeType::UeIpAddress))?;
    let end = if ue.source_destination { End::Destination } else { End::Source };
    Ok(UeAddress { address, end })
}

/// TS 29.244 8.2.64: 0 is GTP-U/UDP/IPv4, 6 is GTP-U/UDP/IP.
fn outer_header_removal(id: u16, element: Element<'_>) -> Result<bool, Refusal> {
    match element.u8()? {
        0 | 6 => Ok(true),
        _ => Err(unsupported(RuleId::Pdr(id), Unsupported::OuterHeaderRemoval)),
    }
}

/// TS 29.244 8.2.5. The filter that many send for the default flow matches all packets of the UE, as no filter does.
fn sdf_filter(id: u16, element: Element<'_>) -> Result<(), Refusal> {
    const FLOW_DESCRIPTION: u8 = 0x01;
    const FILTER_ID: u8 = 0x10;
    let [flags, _spare] = element.octets()?;
    let all = || {
        let (length, text) = element.value[2..].split_first_chunk::<2>()?;
        let text = text.get(..usize::from(u16::from_be_bytes(*length)))?;
        Some(matches!(text, b"permit out ip from any to assigned" | b"permit out ip from any to any"))
    };
    if flags & !FILTER_ID == FLOW_DESCRIPTION && all().ok_or(Refusal::length(IeType::SdfFilter))? {
        return Ok(());
    }
    Err(unsupported(RuleId::Pdr(id), Unsupported::SdfFilter))
}
