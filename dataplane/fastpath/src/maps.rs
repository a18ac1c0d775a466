//! The maps of one user plane, opened and typed.

use std::os::fd::AsFd;

use aya::{
    Ebpf,
    maps::{Array, HashMap, LpmTrie, Map, MapData, MapError},
};
use coeur_ebpf_abi::{Meta, NEXT_HOPS_MAX, NextHop, map};

use crate::{
    counters::CounterMaps,
    error::LoadError,
    object::Capacity,
    sessions::Sessions,
    table::{Table, word_of},
};

pub(crate) struct Maps {
    pub(crate) sessions: Sessions,
    pub(crate) counters: CounterMaps,
    pub(crate) next_hops: Table<NextHop>,
    pub(crate) neighbours: HashMap<MapData, u32, u32>,
    pub(crate) routes: LpmTrie<MapData, u32, u32>,
    /// Programs that are loaded later name their maps by descriptor.
    _open: Vec<MapData>,
    _meta: Array<MapData, [u64; 3]>,
}

impl Maps {
    /// Takes the maps out of a loaded object, and says in `META` what they are.
    pub(crate) fn take(ebpf: &mut Ebpf, capacity: Capacity) -> Result<Self, LoadError> {
        let mut meta: Array<MapData, [u64; 3]> = typed(ebpf, map::META)?;
        let ours = Meta::new(capacity.uplink_slots, capacity.downlink_slots);
        meta.set(0, std::array::from_fn(|i| word_of(&ours, i)), 0)
            .map_err(|error| LoadError::Map { map: map::META, error })?;
        let mut open = Vec::new();
        Ok(Self {
            sessions: Sessions::new(
                table(ebpf, &mut open, map::UPLINK, capacity.uplink_slots.max(1))?,
                table(ebpf, &mut open, map::DOWNLINK, capacity.downlink_slots.max(1))?,
                typed(ebpf, map::UPLINK_BY_TEID)?,
                typed(ebpf, map::DOWNLINK_BY_ADDRESS)?,
            ),
            counters: CounterMaps {
                drops: typed(ebpf, map::DROPS)?,
                passes: typed(ebpf, map::PASSES)?,
                paths: typed(ebpf, map::PATHS)?,
            },
            next_hops: table(ebpf, &mut open, map::NEXT_HOPS, NEXT_HOPS_MAX)?,
            neighbours: typed(ebpf, map::NEIGHBOURS)?,
            routes: typed(ebpf, map::ROUTES)?,
            _open: open,
            _meta: meta,
        })
    }
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, LoadError> {
    ebpf.take_map(name).ok_or(LoadError::NoMap(name))
}

fn typed<T: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, LoadError> {
    T::try_from(take(ebpf, name)?).map_err(|error| LoadError::Map { map: name, error })
}

fn table<T: Copy>(
    ebpf: &mut Ebpf,
    open: &mut Vec<MapData>,
    name: &'static str,
    slots: u32,
) -> Result<Table<T>, LoadError> {
    let Map::Array(data) = take(ebpf, name)? else { return Err(LoadError::NoMap(name)) };
    let table = Table::map(data.fd().as_fd(), slots).map_err(|error| LoadError::Mmap { map: name, error })?;
    open.push(data);
    Ok(table)
}
