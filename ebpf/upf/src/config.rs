//! The constants that the loader patches.

use coeur_ebpf_abi::{Config, POOLS_MAX, Pool};

/// Volatile reads below, because the compiler must not take this for what it will be.
#[unsafe(no_mangle)]
static CONFIG: Config = Config::UNSET;

/// Our N3 address, as it lies in packets.
#[inline(always)]
pub(crate) fn n3_address() -> u32 {
    // SAFETY: a static.
    unsafe { core::ptr::read_volatile(&raw const CONFIG.n3_address) }.to_wire()
}

#[inline(always)]
pub(crate) fn outer_checksum_base() -> u32 {
    // SAFETY: a static.
    unsafe { core::ptr::read_volatile(&raw const CONFIG.outer_checksum_base) }
}

/// The record index of a UE address (host byte order), if it is in a pool.
#[inline(always)]
pub(crate) fn downlink_index(address: u32) -> Option<u32> {
    let mut i = 0;
    while i < POOLS_MAX {
        let pool = &raw const CONFIG.pools[i];
        // SAFETY: fields of a static.
        let pool = unsafe {
            Pool {
                base: core::ptr::read_volatile(&raw const (*pool).base),
                size: core::ptr::read_volatile(&raw const (*pool).size),
                offset: core::ptr::read_volatile(&raw const (*pool).offset),
                pad0: 0,
            }
        };
        if let Some(index) = pool.index_of(address) {
            return Some(index);
        }
        i += 1;
    }
    None
}
