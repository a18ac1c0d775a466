//! Writes plans into the session tables, and reads what sessions used.
//!
//! A record is replaced under the eyes of the programs, in the order that `coeur_ebpf_abi`'s module on records asks for:
//! word 0 before word 1, and a slot is emptied by word 1 alone. Counters live on until an empty slot is filled, so that
//! what a session used can still be read when it is gone.

use std::{net::Ipv4Addr, sync::atomic::Ordering};

use aya::maps::{HashMap, MapData, MapError};
use coeur_ebpf_abi::{Action, Be32, DownlinkRecord, UplinkRecord};
use coeur_rules::MapWrite;

use crate::{
    error::ApplyError,
    table::{Table, word_of},
};

/// A record as the generic maps take it.
type Words = [u64; 8];

const WORD_PACKETS: usize = 2;
const WORD_BYTES: usize = 3;

/// What a session's direction forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub packets: u64,
    pub bytes: u64,
}

pub(crate) struct Sessions {
    pub(crate) uplink: Table<UplinkRecord>,
    pub(crate) downlink: Table<DownlinkRecord>,
    pub(crate) by_teid: HashMap<MapData, u32, Words>,
    pub(crate) by_address: HashMap<MapData, u32, Words>,
}

impl Sessions {
    pub(crate) fn new(
        uplink: Table<UplinkRecord>,
        downlink: Table<DownlinkRecord>,
        by_teid: HashMap<MapData, u32, Words>,
        by_address: HashMap<MapData, u32, Words>,
    ) -> Self {
        Self { uplink, downlink, by_teid, by_address }
    }

    pub(crate) fn apply(&mut self, write: &MapWrite) -> Result<(), ApplyError> {
        match *write {
            MapWrite::Uplink { index, ref record } => {
                let slots = self.uplink.slots();
                replace(&self.uplink, index, record).ok_or(ApplyError::NoUplinkSlot { index, slots })
            }
            MapWrite::Downlink { index, ref record } => {
                let slots = self.downlink.slots();
                replace(&self.downlink, index, record).ok_or(ApplyError::NoDownlinkSlot { index, slots })
            }
            MapWrite::UplinkByTeid { teid, ref record } => {
                let words = record.as_ref().map(words_of);
                put(&mut self.by_teid, Be32::new(teid), words).map_err(|error| ApplyError::ByTeid { teid, error })
            }
            MapWrite::DownlinkByAddress { address, ref record } => {
                let words = record.as_ref().map(words_of);
                put(&mut self.by_address, Be32::from(address), words)
                    .map_err(|error| ApplyError::ByAddress { address, error })
            }
        }
    }

    pub(crate) fn uplink_usage(&self, index: u32) -> Option<Usage> {
        usage(&self.uplink, index)
    }

    pub(crate) fn downlink_usage(&self, index: u32) -> Option<Usage> {
        usage(&self.downlink, index)
    }

    pub(crate) fn usage_by_teid(&self, teid: u32) -> Option<Usage> {
        let words = self.by_teid.get(&Be32::new(teid).to_wire(), 0).ok()?;
        Some(Usage { packets: words[WORD_PACKETS], bytes: words[WORD_BYTES] })
    }

    pub(crate) fn usage_by_address(&self, address: Ipv4Addr) -> Option<Usage> {
        let words = self.by_address.get(&Be32::from(address).to_wire(), 0).ok()?;
        Some(Usage { packets: words[WORD_PACKETS], bytes: words[WORD_BYTES] })
    }

    /// Names every next hop that a record leads to.
    pub(crate) fn next_hops_in_use(&self, mark: &mut dyn FnMut(u32)) {
        let next_hop = |word1: u64| (word1 >> 32) as u32;
        for index in 0..self.downlink.slots() {
            if let Some(words) = self.downlink.words(index) {
                mark(next_hop(words[1].load(Ordering::Relaxed)));
            }
        }
        for index in 0..self.uplink.slots() {
            if let Some(words) = self.uplink.words(index) {
                mark(next_hop(words[1].load(Ordering::Relaxed)));
            }
        }
        for (_, words) in self.by_address.iter().flatten().chain(self.by_teid.iter().flatten()) {
            mark(next_hop(words[1]));
        }
    }

    /// Empties every slot: for a daemon that adopts the tables and does not know their sessions.
    pub(crate) fn clear(&mut self) {
        for index in 0..self.uplink.slots() {
            clear_slot(&self.uplink, index);
        }
        for index in 0..self.downlink.slots() {
            clear_slot(&self.downlink, index);
        }
        for map in [&mut self.by_teid, &mut self.by_address] {
            let keys: Vec<u32> = map.keys().filter_map(Result::ok).collect();
            for key in keys {
                // Only a key that is gone already can fail, and that is what is wanted.
                let _ = map.remove(&key);
            }
        }
    }
}

fn clear_slot<T: Copy>(table: &Table<T>, index: u32) {
    if let Some(words) = table.words(index)
        && words.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    {
        words[1].store(0, Ordering::Release);
        for word in words {
            word.store(0, Ordering::Release);
        }
    }
}

/// Replaces a record in place; `None` if there is no such slot. The counters in `record` are not looked at.
fn replace<T: Copy>(table: &Table<T>, index: u32, record: &T) -> Option<()> {
    let words = table.words(index)?;
    let (word0, word1) = (word_of(record, 0), word_of(record, 1));
    if is_empty(word1) {
        words[1].store(0, Ordering::Release);
        return Some(());
    }
    if is_empty(words[1].load(Ordering::Relaxed)) {
        words[WORD_PACKETS].store(0, Ordering::Release);
        words[WORD_BYTES].store(0, Ordering::Release);
    }
    words[0].store(word0, Ordering::Release);
    words[1].store(word1, Ordering::Release);
    Some(())
}

/// Action, the first octet of word 1, is `Action::Empty`.
fn is_empty(word1: u64) -> bool {
    word1.to_le_bytes()[0] == Action::Empty as u8
}

/// Replaces or removes an entry of a fallback table, carrying its counters over. Packets counted between the two system
/// calls are lost to the counter; the arrays do not have that gap, and given TEIDs are the exception.
fn put(map: &mut HashMap<MapData, u32, Words>, key: Be32, words: Option<Words>) -> Result<(), MapError> {
    let key = key.to_wire();
    let former = match map.get(&key, 0) {
        Ok(former) => Some(former),
        Err(MapError::KeyNotFound) => None,
        Err(error) => return Err(error),
    };
    match words.filter(|words| !is_empty(words[1])) {
        Some(mut words) => {
            if let Some(former) = former {
                words[WORD_PACKETS] = former[WORD_PACKETS];
                words[WORD_BYTES] = former[WORD_BYTES];
            }
            map.insert(key, words, 0)?;
        }
        None if former.is_some() => map.remove(&key)?,
        None => {}
    }
    Ok(())
}

fn usage<T: Copy>(table: &Table<T>, index: u32) -> Option<Usage> {
    let words = table.words(index)?;
    Some(Usage {
        packets: words[WORD_PACKETS].load(Ordering::Relaxed),
        bytes: words[WORD_BYTES].load(Ordering::Relaxed),
    })
}

fn words_of<T: Copy>(record: &T) -> Words {
    std::array::from_fn(|i| word_of(record, i))
}

/// The words below are named by number; this is where they are.
const _: () = {
    assert!(std::mem::offset_of!(UplinkRecord, packets) == WORD_PACKETS * 8);
    assert!(std::mem::offset_of!(UplinkRecord, bytes) == WORD_BYTES * 8);
    assert!(std::mem::offset_of!(DownlinkRecord, packets) == WORD_PACKETS * 8);
    assert!(std::mem::offset_of!(DownlinkRecord, bytes) == WORD_BYTES * 8);
    assert!(std::mem::offset_of!(UplinkRecord, action) == 8);
    assert!(std::mem::offset_of!(DownlinkRecord, action) == 8);
};
