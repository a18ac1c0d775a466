//! Old and new records to map writes.
//!
//! Each write replaces one record as a whole, and a record either forwards as the old rules say or as the new ones do; so
//! what is left to order are the writes of one session:
//! 1. downlink records that are new or changed, then uplink records: an answer finds its way before the question is asked;
//! 2. then uplink records that are gone, and downlink records last: for the same reason, backwards.
//!
//! A session that moves to another tunnel or address thus has both for a moment, never none.

use std::net::Ipv4Addr;

use coeur_ebpf_abi::{DownlinkRecord, UplinkRecord};

use crate::compile::{Compiled, DownlinkSlot, UplinkSlot};

/// One write to one table. An all-zero record, or none, is an empty slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapWrite {
    Uplink { index: u32, record: UplinkRecord },
    UplinkByTeid { teid: u32, record: Option<UplinkRecord> },
    Downlink { index: u32, record: DownlinkRecord },
    DownlinkByAddress { address: Ipv4Addr, record: Option<DownlinkRecord> },
}

/// The writes that lead from `old` to `new`; none where a record stays the same.
pub fn plan(old: &Compiled, new: &Compiled) -> Vec<MapWrite> {
    let had_uplink = |slot| old.uplink.iter().find(|entry| entry.slot == slot);
    let had_downlink = |slot| old.downlink.iter().find(|entry| entry.slot == slot);
    let has_uplink = |slot| new.uplink.iter().any(|entry| entry.slot == slot);
    let has_downlink = |slot| new.downlink.iter().any(|entry| entry.slot == slot);

    let mut writes = Vec::with_capacity(new.uplink.len() + new.downlink.len());
    let changed =
        new.downlink.iter().filter(|entry| had_downlink(entry.slot).is_none_or(|was| was.record != entry.record));
    writes.extend(changed.map(|entry| downlink(entry.slot, Some(entry.record))));
    let changed = new.uplink.iter().filter(|entry| had_uplink(entry.slot).is_none_or(|was| was.record != entry.record));
    writes.extend(changed.map(|entry| uplink(entry.slot, Some(entry.record))));
    let gone = old.uplink.iter().filter(|entry| !has_uplink(entry.slot));
    writes.extend(gone.map(|entry| uplink(entry.slot, None)));
    let gone = old.downlink.iter().filter(|entry| !has_downlink(entry.slot));
    writes.extend(gone.map(|entry| downlink(entry.slot, None)));
    writes
}

fn uplink(slot: UplinkSlot, record: Option<UplinkRecord>) -> MapWrite {
    match slot {
        UplinkSlot::Index(index) => MapWrite::Uplink { index, record: record.unwrap_or(UplinkRecord::EMPTY) },
        UplinkSlot::Teid(teid) => MapWrite::UplinkByTeid { teid, record },
    }
}

fn downlink(slot: DownlinkSlot, record: Option<DownlinkRecord>) -> MapWrite {
    match slot {
        DownlinkSlot::Index(index) => MapWrite::Downlink { index, record: record.unwrap_or(DownlinkRecord::EMPTY) },
        DownlinkSlot::Address(address) => MapWrite::DownlinkByAddress { address, record },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{DownlinkEntry, UplinkEntry};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Tables {
        uplink: BTreeMap<UplinkSlot, UplinkRecord>,
        downlink: BTreeMap<DownlinkSlot, DownlinkRecord>,
    }

    impl Tables {
        fn of(compiled: &Compiled) -> Self {
            Self {
                uplink: compiled.uplink.iter().map(|entry| (entry.slot, entry.record)).collect(),
                downlink: compiled.downlink.iter().map(|entry| (entry.slot, entry.record)).collect(),
            }
        }

        fn apply(&mut self, write: MapWrite) {
            match write {
                MapWrite::Uplink { index, record } if record.is_empty() => {
                    self.uplink.remove(&UplinkSlot::Index(index));
                }
                MapWrite::Uplink { index, record } => {
                    self.uplink.insert(UplinkSlot::Index(index), record);
                }
                MapWrite::UplinkByTeid { teid, record: None } => {
                    self.uplink.remove(&UplinkSlot::Teid(teid));
                }
                MapWrite::UplinkByTeid { teid, record: Some(record) } => {
                    self.uplink.insert(UplinkSlot::Teid(teid), record);
                }
                MapWrite::Downlink { index, record } if record.is_empty() => {
                    self.downlink.remove(&DownlinkSlot::Index(index));
                }
                MapWrite::Downlink { index, record } => {
                    self.downlink.insert(DownlinkSlot::Index(index), record);
                }
                MapWrite::DownlinkByAddress { address, record: None } => {
                    self.downlink.remove(&DownlinkSlot::Address(address));
                }
                MapWrite::DownlinkByAddress { address, record: Some(record) } => {
                    self.downlink.insert(DownlinkSlot::Address(address), record);
                }
            }
        }
    }

    fn uplinks() -> impl Strategy<Value = Vec<UplinkEntry>> {
        let slot = prop_oneof![(0u32..4).prop_map(UplinkSlot::Index), (0u32..4).prop_map(UplinkSlot::Teid)];
        let record = (1u8..3, 0u8..2).prop_map(|(action, flags)| UplinkRecord { action, flags, ..UplinkRecord::EMPTY });
        prop::collection::btree_map(slot, record, 0..6).prop_map(|entries| {
            entries.into_iter().map(|(slot, record)| UplinkEntry { slot, record, pdr: 1 }).collect()
        })
    }

    fn downlinks() -> impl Strategy<Value = Vec<DownlinkEntry>> {
        let address = Ipv4Addr::new(10, 0, 0, 1);
        let slot = prop_oneof![
            (0u32..4).prop_map(DownlinkSlot::Index),
            (0u32..4).prop_map(|last| DownlinkSlot::Address(Ipv4Addr::from_bits(last)))
        ];
        let record =
            (1u8..3, 0u8..2).prop_map(|(action, flags)| DownlinkRecord { action, flags, ..DownlinkRecord::EMPTY });
        prop::collection::btree_map(slot, record, 0..6).prop_map(move |entries| {
            let entry = |(slot, record)| DownlinkEntry { slot, record, pdr: 2, ue_address: address };
            entries.into_iter().map(entry).collect()
        })
    }

    fn compiled() -> impl Strategy<Value = Compiled> {
        (uplinks(), downlinks()).prop_map(|(uplink, downlink)| Compiled { uplink, downlink })
    }

    proptest! {
        /// Whatever the old state: the plan ends in the new one, and on the way every slot holds the old or the new record,
        /// never none if both sides have one; no answer is lost while both sides have a downlink.
        #[test]
        fn a_plan_leads_from_any_old_state_to_the_new_one(old in compiled(), new in compiled()) {
            let (before, after) = (Tables::of(&old), Tables::of(&new));
            let mut tables = before.clone();
            for write in plan(&old, &new) {
                tables.apply(write);
                for (slot, record) in &tables.uplink {
                    prop_assert!(before.uplink.get(slot) == Some(record) || after.uplink.get(slot) == Some(record));
                }
                for (slot, record) in &tables.downlink {
                    prop_assert!(before.downlink.get(slot) == Some(record) || after.downlink.get(slot) == Some(record));
                }
                prop_assert!(before.uplink.keys().filter(|slot| after.uplink.contains_key(slot)).all(|slot| tables.uplink.contains_key(slot)));
                let one_side_has_none = before.downlink.is_empty() || after.downlink.is_empty();
                prop_assert!(one_side_has_none || !tables.downlink.is_empty());
                // An uplink record of the new state implies the whole downlink of the new state.
                let uplink_is_new = tables.uplink.iter().any(|(slot, record)| before.uplink.get(slot) != Some(record));
                prop_assert!(!uplink_is_new || after.downlink.iter().all(|(slot, record)| tables.downlink.get(slot) == Some(record)));
            }
            prop_assert_eq!(tables, after);
        }

        #[test]
        fn nothing_is_written_where_nothing_changes(state in compiled()) {
            prop_assert_eq!(plan(&state, &state), vec![]);
        }
    }
}
