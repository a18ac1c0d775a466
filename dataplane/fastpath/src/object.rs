//! The programs, and loading them with maps that are new or adopted.

use std::path::Path;

use aya::{Ebpf, EbpfLoader};
use coeur_ebpf_abi::{CONFIG, Config, map};

use crate::{error::LoadError, table::word_of};

/// The eBPF object, built from `ebpf/upf` by this crate's build script.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/upf.o"));

/// Every map of the object; each is pinned under its name.
pub(crate) const MAPS: [&str; 11] = [
    map::META,
    map::UPLINK,
    map::UPLINK_BY_TEID,
    map::DOWNLINK,
    map::DOWNLINK_BY_ADDRESS,
    map::NEXT_HOPS,
    map::NEIGHBOURS,
    map::ROUTES,
    map::DROPS,
    map::PASSES,
    map::PATHS,
];

/// How many records a user plane has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Slots that a TEID index addresses.
    pub uplink_slots: u32,
    /// Addresses of all pools together.
    pub downlink_slots: u32,
}

/// Loads the object. With a folder on bpffs, maps that are pinned there are used as they are and new ones are pinned.
pub(crate) fn load(config: &Config, capacity: Capacity, pins: Option<&Path>) -> Result<Ebpf, LoadError> {
    let mut loader = EbpfLoader::new();
    let words: [u64; size_of::<Config>() / 8] = std::array::from_fn(|i| word_of(config, i));
    loader.override_global(CONFIG, &words[..], true);
    // An array of no entries is refused by the kernel; one slot more does no harm.
    loader.map_max_entries(map::UPLINK, capacity.uplink_slots.max(1));
    loader.map_max_entries(map::DOWNLINK, capacity.downlink_slots.max(1));
    if let Some(folder) = pins {
        for name in MAPS {
            loader.map_pin_path(name, folder.join(name));
        }
    }
    loader.load(OBJECT).map_err(LoadError::Object)
}
