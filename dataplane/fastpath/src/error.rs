//! What can go wrong, and whose fault it is.

use std::{io, net::Ipv4Addr, path::PathBuf};

use aya::{EbpfError, maps::MapError, programs::ProgramError};

/// The kernel did not take the programs or the maps.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the kernel refused the eBPF object: {0} (needs CAP_BPF and CAP_NET_ADMIN, and a kernel of 5.15 or newer)")]
    Object(#[source] EbpfError),
    #[error("the verifier refused program {program}: {error}")]
    Program { program: &'static str, error: ProgramError },
    #[error("the object has no program {0}")]
    NoProgram(&'static str),
    #[error("the object has no map {0}")]
    NoMap(&'static str),
    #[error("map {map} is not usable: {error}")]
    Map { map: &'static str, error: MapError },
    #[error("cannot map {map} into memory: {error}")]
    Mmap { map: &'static str, error: io::Error },
    #[error("kernel object at {path}: {error}")]
    Pin { path: PathBuf, error: io::Error },
}

/// The fast path did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("interface {interface}: {error}")]
    Interface { interface: String, error: io::Error },
    #[error("interface {interface}: cannot attach {path}: {error}")]
    Attach { interface: String, path: &'static str, error: ProgramError },
    #[error("interface {interface}: {path} was asked for, but {why}")]
    PathImpossible { interface: String, path: &'static str, why: String },
    #[error("{pools} address pools are configured, {max} are possible")]
    TooManyPools { pools: usize, max: usize },
    #[error("{slots} uplink slots are configured, {max} are possible")]
    TooManySlots { slots: u32, max: u32 },
    #[error("address pools hold more addresses than the downlink table can")]
    PoolsTooLarge,
    #[error("netlink: {0}")]
    Netlink(#[source] io::Error),
}

/// A write that was not done. The writes before it in the plan are done.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("uplink slot {index} does not exist; there are {slots}")]
    NoUplinkSlot { index: u32, slots: u32 },
    #[error("downlink slot {index} does not exist; there are {slots}")]
    NoDownlinkSlot { index: u32, slots: u32 },
    #[error("the table of given TEIDs did not take 0x{teid:08x}: {error}")]
    ByTeid { teid: u32, error: MapError },
    #[error("the table of addresses outside the pools did not take {address}: {error}")]
    ByAddress { address: Ipv4Addr, error: MapError },
}

/// Counters could not be read.
#[derive(Debug, thiserror::Error)]
#[error("map {map} cannot be read: {error}")]
pub struct ReadError {
    pub map: &'static str,
    #[source]
    pub error: MapError,
}
