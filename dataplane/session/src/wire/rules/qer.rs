//! Create QER (TS 29.244 table 7.5.2.5-1), Update QER (7.5.4.5-1).

use coeur_rules::{BitRates, Change, Gate, Qer, QerUpdate, RuleId, Unsupported};
use rs_pfcp::ie::IeType;
use rs_pfcp::ie::mbr::Mbr;

use super::{id, keep_first, unsupported};
use crate::wire::Refusal;
use crate::wire::reader::{Element, Elements};

pub(super) fn create(group: &Elements<'_>) -> Result<Change, Refusal> {
    let QerUpdate { id, gates, qfi, mbr } = parts(group)?;
    let (uplink_gate, downlink_gate) = gates.ok_or(Refusal::missing(IeType::GateStatus))?;
    Ok(Change::CreateQer(Qer { id, uplink_gate, downlink_gate, qfi, mbr }))
}

pub(super) fn update(group: &Elements<'_>) -> Result<Change, Refusal> {
    parts(group).map(Change::UpdateQer)
}

fn parts(group: &Elements<'_>) -> Result<QerUpdate, Refusal> {
    let id = id(group, IeType::QerId)?;
    let mut parts = QerUpdate { id, ..QerUpdate::default() };
    let refuse = |what| Err(unsupported(RuleId::Qer(id), what));
    for element in group.clone() {
        let element = element?;
        match element.kind {
            IeType::GateStatus => keep_first(&mut parts.gates, gates(element)?),
            IeType::Qfi => keep_first(&mut parts.qfi, element.u8()? & 0x3f),
            IeType::Mbr => keep_first(&mut parts.mbr, rates(element)?),
            // A guarantee of nothing is kept.
            IeType::Gbr if rates(element)? != BitRates { uplink_kbps: 0, downlink_kbps: 0 } => {
                return refuse(Unsupported::Gbr);
            }
            IeType::PacketRate | IeType::PacketRateStatus => return refuse(Unsupported::PacketRate),
            IeType::Rqi if element.u8()? & 0x01 != 0 => return refuse(Unsupported::ReflectiveQos),
            IeType::DlFlowLevelMarking | IeType::PagingPolicyIndicator => {
                return refuse(Unsupported::ForwardingTreatment);
            }
            IeType::QerControlIndications => return refuse(Unsupported::RuleKind),
            _ => {}
        }
    }
    Ok(parts)
}

/// TS 29.244 8.2.7: uplink in bits 4 and 3, downlink in bits 2 and 1; 0 is open, 1 is closed, the others mean closed.
fn gates(element: Element<'_>) -> Result<(Gate, Gate), Refusal> {
    let octet = element.u8()?;
    let gate = |bits| if bits & 0x03 == 0 { Gate::Open } else { Gate::Closed };
    Ok((gate(octet >> 2), gate(octet)))
}

/// TS 29.244 8.2.8, 8.2.9: both have the same form.
fn rates(element: Element<'_>) -> Result<BitRates, Refusal> {
    let rates = element.decode(Mbr::unmarshal)?;
    Ok(BitRates { uplink_kbps: rates.uplink, downlink_kbps: rates.downlink })
}
