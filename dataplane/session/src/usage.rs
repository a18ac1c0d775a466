//! Usage of a session's URRs (TS 29.244 5.2.2): the counters of the records, attributed to the rules that count them.

use coeur_rules::{Compiled, RuleSet};
use rs_pfcp::ie::IeType;

use crate::event::{Slot, Usage};
use crate::wire::writer::Writer;

/// One session's measurements.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    /// Readings that were attributed already, by slot.
    read: Vec<(Slot, Usage)>,
    urrs: Vec<Measured>,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    urr: u32,
    uplink: Usage,
    downlink: Usage,
    /// Seconds since 1900, as TS 29.244 8.2.52 counts them.
    since: u32,
    reports: u32,
}

/// Why a report is made (TS 29.244 8.2.41).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Immediate,
    Termination,
}

impl Trigger {
    fn octets(self) -> [u8; 3] {
        match self {
            Self::Immediate => [0x80, 0, 0],
            Self::Termination => [0, 0x08, 0],
        }
    }
}

impl Meter {
    /// The slots to read before records change; none if nothing is measured.
    pub(crate) fn slots(&self, rules: &RuleSet, compiled: &Compiled) -> Vec<Slot> {
        if rules.urrs.is_empty() {
            return Vec::new();
        }
        let uplink = compiled.uplink.iter().map(|entry| Slot::Uplink(entry.slot));
        uplink.chain(compiled.downlink.iter().map(|entry| Slot::Downlink(entry.slot))).collect()
    }

    /// A URR begins to count.
    pub(crate) fn start(&mut self, urr: u32, now: u32) {
        if !self.urrs.iter().any(|measured| measured.urr == urr) {
            let none = Usage::default();
            self.urrs.push(Measured { urr, uplink: none, downlink: none, since: now, reports: 0 });
        }
    }

    /// Attributes what was counted since the last reading, by the rules that were in force until now.
    pub(crate) fn attribute(&mut self, rules: &RuleSet, compiled: &Compiled, readings: &[(Slot, Usage)]) {
        for (slot, reading) in readings {
            let pdr = match slot {
                Slot::Uplink(slot) => compiled.uplink.iter().find(|entry| entry.slot == *slot).map(|entry| entry.pdr),
                Slot::Downlink(slot) => {
                    compiled.downlink.iter().find(|entry| entry.slot == *slot).map(|entry| entry.pdr)
                }
            };
            let before =
                self.read.iter().find(|(known, _)| known == slot).map_or(Usage::default(), |(_, usage)| *usage);
            let counted = since(before, *reading);
            for urr in pdr.and_then(|pdr| rules.pdr(pdr)).map_or(&[][..], |pdr| &pdr.urrs) {
                if let Some(measured) = self.urrs.iter_mut().find(|measured| measured.urr == *urr) {
                    let direction = match slot {
                        Slot::Uplink(_) => &mut measured.uplink,
                        Slot::Downlink(_) => &mut measured.downlink,
                    };
                    direction.packets += counted.packets;
                    direction.octets += counted.octets;
                }
            }
        }
        self.read = readings.to_vec();
    }

    /// Forgets slots that are empty now: what is counted there later is somebody else's.
    pub(crate) fn keep_slots(&mut self, compiled: &Compiled) {
        self.read.retain(|(slot, _)| match slot {
            Slot::Uplink(slot) => compiled.uplink.iter().any(|entry| entry.slot == *slot),
            Slot::Downlink(slot) => compiled.downlink.iter().any(|entry| entry.slot == *slot),
        });
    }

    /// Writes a usage report (TS 29.244 tables 7.5.5.2-1, 7.5.7.2-1) and starts the next period.
    pub(crate) fn report(&mut self, writer: &mut Writer, kind: IeType, urr: u32, trigger: Trigger, now: u32) {
        let Some(measured) = self.urrs.iter_mut().find(|measured| measured.urr == urr) else { return };
        writer.group(kind, |report| {
            report.ie(IeType::UrrId, &urr.to_be_bytes());
            report.ie(IeType::UrSeqn, &measured.reports.to_be_bytes());
            report.ie(IeType::UsageReportTrigger, &trigger.octets());
            report.ie(IeType::StartTime, &measured.since.to_be_bytes());
            report.ie(IeType::EndTime, &now.to_be_bytes());
            report.ie(IeType::VolumeMeasurement, &volume(measured.uplink, measured.downlink));
        });
        measured.reports += 1;
        measured.since = now;
        (measured.uplink, measured.downlink) = (Usage::default(), Usage::default());
        if trigger == Trigger::Termination {
            self.urrs.retain(|measured| measured.urr != urr);
        }
    }
}

/// A counter below the last reading was cleared in between.
fn since(before: Usage, reading: Usage) -> Usage {
    let difference = |now: u64, then: u64| now.checked_sub(then).unwrap_or(now);
    Usage { packets: difference(reading.packets, before.packets), octets: difference(reading.octets, before.octets) }
}

/// TS 29.244 8.2.44: total, uplink and downlink, in octets and in packets.
fn volume(uplink: Usage, downlink: Usage) -> Vec<u8> {
    let octets = [uplink.octets + downlink.octets, uplink.octets, downlink.octets];
    let packets = [uplink.packets + downlink.packets, uplink.packets, downlink.packets];
    let mut value = vec![0x3f];
    value.extend(octets.iter().chain(&packets).flat_map(|count| count.to_be_bytes()));
    value
}
