//! The TEIDs that this user plane chooses (TS 29.244 5.5.3): generation | index.
//!
//! The index is the slot of the uplink table, so that a lookup is one array access; the generation tells a packet of a
//! session that is gone from one of the session that has its slot now. A freed index goes to the end of a queue: with
//! `n` free slots, `n - 1` other allocations come first, and only then the same index returns under the next generation.

use std::collections::VecDeque;

use coeur_ebpf_abi::{TEID_SLOTS_MAX, teid, teid_generation, teid_index};

/// Hands out TEIDs; the number of slots is fixed when it is made.
#[derive(Debug)]
pub struct TeidAllocator {
    slots: Vec<Slot>,
    free: VecDeque<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Its generation now, or with its next allocation.
    generation: u8,
    in_use: bool,
}

impl TeidAllocator {
    /// `slots` is cut to [`TEID_SLOTS_MAX`]. `generation` is where all indices start: a daemon that lost its memory takes a
    /// different one each time, so that packets of sessions that it has forgotten do not match.
    pub fn new(slots: u32, generation: u8) -> Self {
        let slots = slots.clamp(1, TEID_SLOTS_MAX);
        let slot = Slot { generation: generation.max(1), in_use: false };
        Self { slots: vec![slot; slots as usize], free: (0..slots).collect() }
    }

    pub fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub fn free(&self) -> u32 {
        self.free.len() as u32
    }

    /// None: every slot is in use (the peer hears cause "no resources available").
    pub fn allocate(&mut self) -> Option<u32> {
        let index = self.free.pop_front()?;
        let slot = &mut self.slots[index as usize];
        slot.in_use = true;
        Some(teid(index, slot.generation))
    }

    /// Gives the slot back. False: this TEID is not allocated, nothing changed.
    pub fn release(&mut self, teid: u32) -> bool {
        if !self.is_allocated(teid) {
            return false;
        }
        let index = teid_index(teid);
        let slot = &mut self.slots[index as usize];
        // Past 255 comes 1: generation 0 is never used.
        *slot = Slot { generation: slot.generation.checked_add(1).unwrap_or(1), in_use: false };
        self.free.push_back(index);
        true
    }

    pub fn is_allocated(&self, teid: u32) -> bool {
        let slot = self.slots.get(teid_index(teid) as usize);
        slot.is_some_and(|slot| slot.in_use && slot.generation == teid_generation(teid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn a_full_table_refuses_and_a_freed_slot_returns_under_another_teid() {
        let mut teids = TeidAllocator::new(3, 7);
        let first: Vec<_> = (0..3).map(|_| teids.allocate().unwrap()).collect();
        assert_eq!(teids.allocate(), None);
        assert!(teids.release(first[1]));
        assert!(!teids.release(first[1]), "twice");
        let again = teids.allocate().unwrap();
        assert_eq!(teid_index(again), teid_index(first[1]));
        assert_ne!(again, first[1]);
        assert!(!teids.is_allocated(first[1]), "the old TEID is nobody's");
    }

    #[test]
    fn a_freed_slot_waits_behind_all_others() {
        let mut teids = TeidAllocator::new(100, 0);
        let first = teids.allocate().unwrap();
        teids.release(first);
        for _ in 0..99 {
            assert_ne!(teid_index(teids.allocate().unwrap()), teid_index(first));
        }
    }

    #[test]
    fn the_generation_wraps_past_zero() {
        let mut teids = TeidAllocator::new(1, 255);
        let top = teids.allocate().unwrap();
        teids.release(top);
        assert_eq!((teid_generation(top), teid_generation(teids.allocate().unwrap())), (255, 1));
    }

    proptest! {
        #[test]
        fn no_teid_is_zero_or_given_twice(slots in 1u32..40, generation: u8, steps in prop::collection::vec(any::<(bool, u8)>(), 0..300)) {
            let mut teids = TeidAllocator::new(slots, generation);
            let mut held: Vec<u32> = Vec::new();
            for (take, which) in steps {
                if take {
                    let got = teids.allocate();
                    prop_assert_eq!(got.is_none(), held.len() == slots as usize);
                    held.extend(got);
                } else if !held.is_empty() {
                    let gone = held.swap_remove(usize::from(which) % held.len());
                    prop_assert!(teids.release(gone));
                }
                let distinct: HashSet<_> = held.iter().map(|teid| teid_index(*teid)).collect();
                prop_assert_eq!(distinct.len(), held.len());
                prop_assert!(held.iter().all(|teid| *teid != 0 && teids.is_allocated(*teid)));
            }
        }
    }
}
