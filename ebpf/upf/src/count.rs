//! Stage: count what is forwarded.
//!
//! Session counters lie in the record's line, which the packet has in the cache anyway, and are added to atomically: a
//! session's packets may arrive on several CPUs. (Per-CPU session counters cost a cold line more: 121 ns at a million.)

use coeur_ebpf_abi::{Direction, path_slot};

use crate::{frame::Frame, maps::PATHS};

/// Adds one T-PDU to the counters of a record.
///
/// # Safety
/// Both point into a map value.
#[inline(always)]
pub(crate) unsafe fn session(packets: *mut u64, bytes: *mut u64, octets: u32) {
    // SAFETY: the caller's promise.
    unsafe {
        add(packets, 1);
        add(bytes, u64::from(octets));
    }
}

/// One `lock` add, of which no result is needed. The library's atomics are not there: the target says that it has no
/// compare and exchange, and they are all or nothing.
///
/// # Safety
/// `counter` points into a map value.
#[cfg(target_arch = "bpf")]
#[inline(always)]
unsafe fn add(counter: *mut u64, value: u64) {
    // SAFETY: the verifier checks the address; nothing but the counter changes.
    unsafe {
        core::arch::asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) counter, in(reg) value, options(nostack));
    }
}

#[cfg(not(target_arch = "bpf"))]
unsafe fn add(counter: *mut u64, value: u64) {
    // SAFETY: the caller's promise.
    unsafe { core::sync::atomic::AtomicU64::from_ptr(counter) }.fetch_add(value, core::sync::atomic::Ordering::Relaxed);
}

/// Adds one packet to the counter of this path.
#[inline(always)]
pub(crate) fn path<F: Frame>(_frame: &F, direction: Direction) {
    let Some(slot) = path_slot(F::PATH, direction) else { return };
    if let Some(counter) = PATHS.get_ptr_mut(slot) {
        // SAFETY: a per-CPU slot; programs on one CPU do not interrupt each other's XDP or TC hook.
        unsafe { *counter = (*counter).wrapping_add(1) };
    }
}
