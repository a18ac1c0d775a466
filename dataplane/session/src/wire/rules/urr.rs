//! Create URR (TS 29.244 table 7.5.2.4-1), Update URR (7.5.4.4-1): volume, reported on request and at the end.

use coeur_rules::{Change, RuleId, Unsupported, Urr};
use rs_pfcp::ie::IeType;

use super::{id, unsupported};
use crate::wire::Refusal;
use crate::wire::reader::{Element, Elements};

pub(super) fn create(group: &Elements<'_>) -> Result<Change, Refusal> {
    let id = id(group, IeType::UrrId)?;
    check(id, group)?;
    for kind in [IeType::MeasurementMethod, IeType::ReportingTriggers] {
        group.first(kind)?.ok_or(Refusal::missing(kind))?;
    }
    Ok(Change::CreateUrr(Urr { id }))
}

pub(super) fn update(group: &Elements<'_>) -> Result<Change, Refusal> {
    let id = id(group, IeType::UrrId)?;
    check(id, group)?;
    Ok(Change::UpdateUrr(id))
}

fn check(id: u32, group: &Elements<'_>) -> Result<(), Refusal> {
    let refuse = |what| Err(unsupported(RuleId::Urr(id), what));
    for element in group.clone() {
        let element = element?;
        match element.kind {
            // TS 29.244 8.2.40: volume alone.
            IeType::MeasurementMethod if element.u8()? & 0x07 != 0x02 => return refuse(Unsupported::Measurement),
            // TS 29.244 8.2.19: any trigger is a report before the end.
            IeType::ReportingTriggers if any(element)? => return refuse(Unsupported::ReportingTrigger),
            // TS 29.244 8.2.68: only MNOP, packets are counted too.
            IeType::MeasurementInformation if element.u8()? & !0x10 != 0 => return refuse(Unsupported::Measurement),
            IeType::MeasurementPeriod
            | IeType::VolumeThreshold
            | IeType::VolumeQuota
            | IeType::TimeThreshold
            | IeType::TimeQuota
            | IeType::EventThreshold
            | IeType::EventQuota
            | IeType::QuotaHoldingTime
            | IeType::QuotaValidityTime
            | IeType::DroppedDlTrafficThreshold
            | IeType::LinkedUrrId
            | IeType::EthernetInactivityTimer
            | IeType::NumberOfReports => return refuse(Unsupported::ReportingTrigger),
            IeType::MonitoringTime
            | IeType::SubsequentVolumeThreshold
            | IeType::SubsequentTimeThreshold
            | IeType::SubsequentVolumeQuota
            | IeType::SubsequentTimeQuota
            | IeType::SubsequentEventThreshold
            | IeType::SubsequentEventQuota
            | IeType::AdditionalMonitoringTime => return refuse(Unsupported::Time),
            IeType::InactivityDetectionTime | IeType::TimeQuotaMechanism | IeType::AggregatedUrrs => {
                return refuse(Unsupported::Measurement);
            }
            // Traffic that exceeds a quota: there is none.
            _ => {}
        }
    }
    Ok(())
}

fn any(triggers: Element<'_>) -> Result<bool, Refusal> {
    triggers.u8().map(|_| triggers.value.iter().any(|octet| *octet != 0))
}
