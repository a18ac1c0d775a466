//! The counters of all CPUs, summed: what the daemon serves as metrics.

use aya::maps::{MapData, MapError, PerCpuArray};
use coeur_ebpf_abi::{Direction, DropReason, PassReason, Path, map, pass_slot, path_slot};
use serde::Serialize;

use crate::error::ReadError;

/// Packets that the fast path dropped, under one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Dropped {
    pub reason: &'static str,
    pub clause: &'static str,
    pub packets: u64,
}

/// Packets that the fast path handed to the kernel, under one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Passed {
    pub reason: &'static str,
    pub clause: &'static str,
    pub direction: &'static str,
    pub packets: u64,
}

/// Subscriber packets by the way they took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    pub path: &'static str,
    pub direction: &'static str,
    pub packets: u64,
}

/// Since the tables were made: they outlive a restart of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    pub drops: Vec<Dropped>,
    pub passes: Vec<Passed>,
    pub paths: Vec<Taken>,
}

impl Counters {
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.iter().find(|row| row.reason == reason.label()).map_or(0, |row| row.packets)
    }

    pub fn passed(&self, reason: PassReason, direction: Direction) -> u64 {
        let row = self.passes.iter().find(|row| row.reason == reason.label() && row.direction == direction.label());
        row.map_or(0, |row| row.packets)
    }

    pub fn taken(&self, path: Path, direction: Direction) -> u64 {
        let row = self.paths.iter().find(|row| row.path == path.label() && row.direction == direction.label());
        row.map_or(0, |row| row.packets)
    }
}

/// The per-CPU maps behind [`Counters`].
pub(crate) struct CounterMaps {
    pub(crate) drops: PerCpuArray<MapData, u64>,
    pub(crate) passes: PerCpuArray<MapData, u64>,
    pub(crate) paths: PerCpuArray<MapData, u64>,
}

impl CounterMaps {
    pub(crate) fn read(&self) -> Result<Counters, ReadError> {
        let mut counters = Counters::default();
        for reason in DropReason::ALL {
            let packets = sum(map::DROPS, &self.drops, *reason as u32)?;
            counters.drops.push(Dropped { reason: reason.label(), clause: reason.clause(), packets });
        }
        let mut slow = [0u64; 2];
        for reason in PassReason::ALL {
            for direction in Direction::ALL {
                let packets = sum(map::PASSES, &self.passes, pass_slot(*reason, direction))?;
                if *reason != PassReason::NotOurs {
                    slow[direction as usize] = slow[direction as usize].wrapping_add(packets);
                }
                counters.passes.push(Passed {
                    reason: reason.label(),
                    clause: reason.clause(),
                    direction: direction.label(),
                    packets,
                });
            }
        }
        for path in Path::ALL {
            for direction in Direction::ALL {
                let packets = match path_slot(path, direction) {
                    Some(slot) => sum(map::PATHS, &self.paths, slot)?,
                    None => slow[direction as usize],
                };
                counters.paths.push(Taken { path: path.label(), direction: direction.label(), packets });
            }
        }
        Ok(counters)
    }
}

fn sum(map: &'static str, counters: &PerCpuArray<MapData, u64>, slot: u32) -> Result<u64, ReadError> {
    match counters.get(&slot, 0) {
        Ok(values) => Ok(values.iter().fold(0, |sum, value| sum.wrapping_add(*value))),
        Err(MapError::KeyNotFound) => Ok(0),
        Err(error) => Err(ReadError { map, error }),
    }
}
