//! Create FAR (TS 29.244 table 7.5.2.3-1), Update FAR (7.5.4.3-1), and their forwarding parameters.

use coeur_rules::{Action, Change, Far, FarUpdate, Forwarding, Interface, RemoteTunnel, RuleId, Unsupported};
use rs_pfcp::ie::IeType;
use rs_pfcp::ie::cause::CauseValue;
use rs_pfcp::ie::outer_header_creation::OuterHeaderCreation;

use super::{Wanted, id, is_host, keep_first, unsupported};
use crate::wire::Refusal;
use crate::wire::reader::{Element, Elements};

#[derive(Default)]
struct Parts {
    action: Option<Action>,
    forwarding: Option<ForwardingParts>,
}

#[derive(Clone, Copy, Default)]
struct ForwardingParts {
    destination_interface: Option<Interface>,
    outer_header: Option<RemoteTunnel>,
    end_marker: bool,
}

pub(super) fn create(group: &Elements<'_>) -> Result<Change, Refusal> {
    let id = id(group, IeType::FarId)?;
    let parts = parts(id, group)?;
    let action = parts.action.ok_or(Refusal::missing(IeType::ApplyAction))?;
    let forwarding = match parts.forwarding {
        Some(ForwardingParts { destination_interface, outer_header, .. }) => Some(Forwarding {
            destination_interface: destination_interface.ok_or(Refusal::missing(IeType::DestinationInterface))?,
            outer_header,
        }),
        // Table 7.5.2.3-1: present when the action asks to forward.
        None if action == Action::Forward => return Err(Refusal::missing_conditional(IeType::ForwardingParameters)),
        None => None,
    };
    Ok(Change::CreateFar(Far { id, action, forwarding }))
}

pub(super) fn update(group: &Elements<'_>) -> Result<Wanted, Refusal> {
    let id = id(group, IeType::FarId)?;
    let Parts { action, forwarding } = parts(id, group)?;
    let ForwardingParts { destination_interface, outer_header, end_marker } = forwarding.unwrap_or_default();
    let change = Change::UpdateFar(FarUpdate { id, action, destination_interface, outer_header });
    Ok(Wanted { end_marker, ..change.into() })
}

fn parts(id: u32, group: &Elements<'_>) -> Result<Parts, Refusal> {
    let mut parts = Parts::default();
    let refuse = |what| Err(unsupported(RuleId::Far(id), what));
    for element in group.clone() {
        let element = element?;
        match element.kind {
            IeType::ApplyAction => keep_first(&mut parts.action, apply_action(id, element)?),
            IeType::ForwardingParameters | IeType::UpdateForwardingParameters if parts.forwarding.is_none() => {
                parts.forwarding = Some(forwarding(id, element)?);
            }
            IeType::DuplicatingParameters | IeType::UpdateDuplicatingParameters => {
                return refuse(Unsupported::Duplicating);
            }
            IeType::BarId => return refuse(Unsupported::Buffering),
            IeType::RedundantTransmissionForwardingParameters => return refuse(Unsupported::Duplicating),
            _ => {}
        }
    }
    Ok(parts)
}

/// TS 29.244 8.2.26. The second octet, of later releases, holds refinements of what is not supported anyway.
fn apply_action(id: u32, element: Element<'_>) -> Result<Action, Refusal> {
    const DROP: u8 = 0x01;
    const FORW: u8 = 0x02;
    const BUFF: u8 = 0x04;
    const NOCP: u8 = 0x08;
    const DUPL: u8 = 0x10;
    let flags = element.u8()?;
    let refinements = element.value.get(1).copied().unwrap_or(0);
    match flags {
        _ if refinements != 0 => Err(unsupported(RuleId::Far(id), Unsupported::Action)),
        DROP => Ok(Action::Drop),
        FORW => Ok(Action::Forward),
        _ if flags & (BUFF | NOCP) != 0 => Err(unsupported(RuleId::Far(id), Unsupported::Buffering)),
        _ if flags & DUPL != 0 => Err(unsupported(RuleId::Far(id), Unsupported::Duplicating)),
        // Neither or both: the clause lets exactly one of DROP, FORW and BUFF be set.
        _ if flags & !(DROP | FORW) == 0 => Err(Refusal::incorrect(IeType::ApplyAction)),
        _ => Err(unsupported(RuleId::Far(id), Unsupported::Action)),
    }
}

fn forwarding(id: u32, element: Element<'_>) -> Result<ForwardingParts, Refusal> {
    let mut parts = ForwardingParts::default();
    let refuse = |what| Err(unsupported(RuleId::Far(id), what));
    for element in Elements::of(element) {
        let element = element?;
        match element.kind {
            IeType::DestinationInterface => keep_first(&mut parts.destination_interface, interface(id, element)?),
            IeType::OuterHeaderCreation => keep_first(&mut parts.outer_header, outer_header(id, element)?),
            // TS 29.244 8.2.32: SNDEM.
            IeType::PfcpsmReqFlags => parts.end_marker |= element.u8()? & 0x02 != 0,
            IeType::ForwardingPolicy => {
                return Err(Refusal {
                    cause: CauseValue::InvalidForwardingPolicy,
                    ..unsupported(RuleId::Far(id), Unsupported::ForwardingTreatment)
                });
            }
            IeType::TrafficEndpointId => return refuse(Unsupported::TrafficEndpoint),
            IeType::RedirectInformation
            | IeType::TransportLevelMarking
            | IeType::HeaderEnrichment
            | IeType::Proxying
            | IeType::IpAddressAndPortNumberReplacement => return refuse(Unsupported::ForwardingTreatment),
            _ => {}
        }
    }
    Ok(parts)
}

/// TS 29.244 table 8.2.24-1.
fn interface(id: u32, element: Element<'_>) -> Result<Interface, Refusal> {
    match element.u8()? & 0x0f {
        0 => Ok(Interface::Access),
        1 | 2 => Ok(Interface::Core),
        _ => Err(unsupported(RuleId::Far(id), Unsupported::DestinationInterface)),
    }
}

/// TS 29.244 8.2.56.
fn outer_header(id: u32, element: Element<'_>) -> Result<RemoteTunnel, Refusal> {
    let [description, refinements] = element.octets()?;
    match description {
        0x01 if refinements == 0 => {}
        // GTP-U/UDP/IPv6, alone or as well.
        _ if description & 0x02 != 0 => return Err(unsupported(RuleId::Far(id), Unsupported::Ipv6)),
        _ => return Err(unsupported(RuleId::Far(id), Unsupported::OuterHeaderCreation)),
    }
    let header = element.decode(OuterHeaderCreation::unmarshal)?;
    match (header.teid, header.ipv4_address) {
        // TS 29.281 5.1: TEID 0 is for signalling.
        (Some(teid), Some(address)) if teid.0 != 0 && is_host(address) => Ok(RemoteTunnel { address, teid: teid.0 }),
        _ => Err(Refusal::incorrect(IeType::OuterHeaderCreation)),
    }
}
