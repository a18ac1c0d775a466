//! A rule set to records: no PDR -> FAR -> QER chain is left for the packet to walk.

use std::net::Ipv4Addr;

use coeur_ebpf_abi::{
    Action as RecordAction, Be32, DownlinkRecord, FLAG_GATE_CLOSED, NEXT_HOP_N6_DEFAULT, UplinkRecord, teid_index,
};

use crate::model::{Action, End, Far, Gate, Interface, LocalTunnel, Pdr, Qer, RuleId, Unsupported};
use crate::pool::Pools;
use crate::set::{Reason, RuleError, RuleSet};

/// Where an uplink record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UplinkSlot {
    Index(u32),
    Teid(u32),
}

/// Where a downlink record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DownlinkSlot {
    Index(u32),
    Address(Ipv4Addr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkEntry {
    pub slot: UplinkSlot,
    pub record: UplinkRecord,
    /// The rule it comes from.
    pub pdr: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownlinkEntry {
    pub slot: DownlinkSlot,
    pub record: DownlinkRecord,
    pub pdr: u16,
    pub ue_address: Ipv4Addr,
}

/// The records of one session. A slot occurs once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    pub uplink: Vec<UplinkEntry>,
    pub downlink: Vec<DownlinkEntry>,
}

/// Counters are zero and downlink next hops are `NEXT_HOP_NONE`: whoever applies the records knows the way to a gNB.
pub fn compile(rules: &RuleSet, pools: &Pools) -> Result<Compiled, RuleError> {
    let mut compiled = Compiled::default();
    let session_address = session_address(rules)?;
    for pdr in &rules.pdrs {
        match pdr.pdi.source_interface {
            Interface::Access => {
                let entry = uplink(rules, pdr, session_address)?;
                if compiled.uplink.iter().any(|other| other.slot == entry.slot) {
                    return Err(RuleId::Pdr(pdr.id).error(Unsupported::SeveralFlows));
                }
                compiled.uplink.push(entry);
            }
            Interface::Core => {
                let entry = downlink(rules, pdr, pools)?;
                if compiled.downlink.iter().any(|other| other.slot == entry.slot) {
                    return Err(RuleId::Pdr(pdr.id).error(Unsupported::SeveralFlows));
                }
                compiled.downlink.push(entry);
            }
        }
    }
    Ok(compiled)
}

/// The one UE address of the session: an uplink rule need not repeat it.
fn session_address(rules: &RuleSet) -> Result<Option<Ipv4Addr>, RuleError> {
    let mut found = None;
    for pdr in &rules.pdrs {
        let Some(ue) = pdr.pdi.ue_address else { continue };
        // TS 29.244 8.2.62: the UE is the source of what comes from access, the destination of what comes from the core.
        let end = match pdr.pdi.source_interface {
            Interface::Access => End::Source,
            Interface::Core => End::Destination,
        };
        if ue.end != end {
            return Err(RuleId::Pdr(pdr.id).error(Reason::WrongEnd));
        }
        match found {
            Some(address) if address != ue.address => return Err(RuleId::Pdr(pdr.id).error(Reason::UeAddressDiffers)),
            _ => found = Some(ue.address),
        }
    }
    Ok(found)
}

fn uplink(rules: &RuleSet, pdr: &Pdr, session_address: Option<Ipv4Addr>) -> Result<UplinkEntry, RuleError> {
    let wrong = |reason: Reason| RuleId::Pdr(pdr.id).error(reason);
    let tunnel = pdr.pdi.local_tunnel.ok_or(wrong(Reason::NothingToMatch))?;
    if !pdr.outer_header_removal {
        return Err(wrong(Reason::NoOuterHeaderRemoval));
    }
    let ue_address = session_address.ok_or(wrong(Reason::NoUeAddress))?;
    let far = far(rules, pdr)?;
    let action = match far.action {
        Action::Drop => RecordAction::Drop,
        Action::Forward => {
            let fault = |reason: Reason| RuleId::Far(far.id).error(reason);
            let forwarding = far.forwarding.ok_or(fault(Reason::NoForwarding))?;
            match (forwarding.destination_interface, forwarding.outer_header) {
                (Interface::Core, None) => RecordAction::Forward,
                (Interface::Core, Some(_)) => return Err(fault(Unsupported::CoreTunnel.into())),
                (Interface::Access, _) => return Err(fault(Unsupported::AccessToAccess.into())),
            }
        }
    };
    let quality = quality(rules, pdr)?;
    let record = UplinkRecord {
        ue_address: ue_address.into(),
        teid: Be32::new(tunnel.teid()),
        action: action as u8,
        flags: flags(quality.uplink_gate),
        qfi: quality.qfi.or(pdr.pdi.qfi).unwrap_or(0),
        next_hop: NEXT_HOP_N6_DEFAULT,
        ..UplinkRecord::EMPTY
    };
    let slot = match tunnel {
        LocalTunnel::Chosen(teid) => UplinkSlot::Index(teid_index(teid)),
        LocalTunnel::Given(teid) => UplinkSlot::Teid(teid),
    };
    Ok(UplinkEntry { slot, record, pdr: pdr.id })
}

fn downlink(rules: &RuleSet, pdr: &Pdr, pools: &Pools) -> Result<DownlinkEntry, RuleError> {
    let wrong = |reason: Reason| RuleId::Pdr(pdr.id).error(reason);
    if pdr.pdi.local_tunnel.is_some() {
        return Err(wrong(Unsupported::CoreTunnel.into()));
    }
    if pdr.outer_header_removal {
        return Err(wrong(Reason::NoTunnel));
    }
    let ue_address = pdr.pdi.ue_address.ok_or(wrong(Reason::NothingToMatch))?.address;
    let far = far(rules, pdr)?;
    let mut record = DownlinkRecord { action: RecordAction::Drop as u8, ..DownlinkRecord::EMPTY };
    if far.action == Action::Forward {
        let fault = |reason: Reason| RuleId::Far(far.id).error(reason);
        let forwarding = far.forwarding.ok_or(fault(Reason::NoForwarding))?;
        if forwarding.destination_interface == Interface::Core {
            return Err(fault(Unsupported::CoreToCore.into()));
        }
        let tunnel = forwarding.outer_header.ok_or(fault(Reason::NoOuterHeader))?;
        record.action = RecordAction::Forward as u8;
        record.gnb_address = tunnel.address.into();
        record.gnb_teid = Be32::new(tunnel.teid);
    }
    let quality = quality(rules, pdr)?;
    record.flags = flags(quality.downlink_gate);
    record.qfi = quality.qfi.unwrap_or(0);
    let slot = pools.index(ue_address).map_or(DownlinkSlot::Address(ue_address), DownlinkSlot::Index);
    Ok(DownlinkEntry { slot, record, pdr: pdr.id, ue_address })
}

fn far<'a>(rules: &'a RuleSet, pdr: &Pdr) -> Result<&'a Far, RuleError> {
    let wrong = |reason: Reason| RuleId::Pdr(pdr.id).error(reason);
    let id = pdr.far.ok_or(wrong(Reason::NoFar))?;
    rules.far(id).ok_or(wrong(Reason::Dangling(RuleId::Far(id))))
}

/// What the QERs of a PDR come to.
struct Quality {
    uplink_gate: Gate,
    downlink_gate: Gate,
    qfi: Option<u8>,
}

/// A gate is open if all are; at most one QFI (a session QER has none, a flow QER has one).
fn quality(rules: &RuleSet, pdr: &Pdr) -> Result<Quality, RuleError> {
    let wrong = |reason: Reason| RuleId::Pdr(pdr.id).error(reason);
    let mut quality = Quality { uplink_gate: Gate::Open, downlink_gate: Gate::Open, qfi: None };
    for id in &pdr.qers {
        let qer: &Qer = rules.qer(*id).ok_or(wrong(Reason::Dangling(RuleId::Qer(*id))))?;
        if qer.uplink_gate == Gate::Closed {
            quality.uplink_gate = Gate::Closed;
        }
        if qer.downlink_gate == Gate::Closed {
            quality.downlink_gate = Gate::Closed;
        }
        match (quality.qfi, qer.qfi) {
            (Some(one), Some(other)) if one != other => return Err(wrong(Reason::QfisDiffer)),
            _ => quality.qfi = quality.qfi.or(qer.qfi),
        }
    }
    Ok(quality)
}

fn flags(gate: Gate) -> u8 {
    match gate {
        Gate::Open => 0,
        Gate::Closed => FLAG_GATE_CLOSED,
    }
}
