//! The maps. Sizes of the session arrays are set by the loader; see `coeur_ebpf_abi::map` for what each one holds.
//!
//! Arrays that user space maps into its memory start at a page, so that a record of 64 bytes is one cache line.

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    macros::map,
    maps::{Array, HashMap, LpmTrie, PerCpuArray},
};
use coeur_ebpf_abi::{
    Be32, DownlinkRecord, DropReason, FALLBACK_SESSIONS_MAX, Meta, NEIGHBOURS_MAX, NEXT_HOPS_MAX, NextHop, PASS_SLOTS,
    PATH_SLOTS, ROUTES_MAX, UplinkRecord,
};

#[map]
pub(crate) static META: Array<Meta> = Array::with_max_entries(1, 0);

#[map]
pub(crate) static UPLINK: Array<UplinkRecord> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub(crate) static UPLINK_BY_TEID: HashMap<Be32, UplinkRecord> =
    HashMap::with_max_entries(FALLBACK_SESSIONS_MAX, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static DOWNLINK: Array<DownlinkRecord> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub(crate) static DOWNLINK_BY_IP: HashMap<Be32, DownlinkRecord> =
    HashMap::with_max_entries(FALLBACK_SESSIONS_MAX, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static NEXT_HOPS: Array<NextHop> = Array::with_max_entries(NEXT_HOPS_MAX, BPF_F_MMAPABLE);

#[map]
pub(crate) static NEIGHBOURS: HashMap<Be32, u32> = HashMap::with_max_entries(NEIGHBOURS_MAX, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static ROUTES: LpmTrie<Be32, u32> = LpmTrie::with_max_entries(ROUTES_MAX, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static DROPS: PerCpuArray<u64> = PerCpuArray::with_max_entries(DropReason::SLOTS, 0);

#[map]
pub(crate) static PASSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(PASS_SLOTS, 0);

#[map]
pub(crate) static PATHS: PerCpuArray<u64> = PerCpuArray::with_max_entries(PATH_SLOTS, 0);
