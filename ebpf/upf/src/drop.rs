//! The ways out that are not forwarding: dropped, or handed to the kernel; each with its number.

use coeur_ebpf_abi::{Direction, DropReason, PassReason, pass_slot};

use crate::{
    frame::Frame,
    maps::{DROPS, PASSES},
};

/// Counts under the reason and gives the verdict.
#[inline(always)]
pub(crate) fn drop<F: Frame>(_frame: &F, reason: DropReason) -> u32 {
    count_drop(reason as u32);
    F::DROP
}

/// Counts under the reason and gives the verdict.
#[inline(always)]
pub(crate) fn pass<F: Frame>(_frame: &F, reason: PassReason, direction: Direction) -> u32 {
    count_pass(pass_slot(reason, direction));
    F::PASS
}

#[inline(never)]
fn count_drop(slot: u32) {
    if let Some(counter) = DROPS.get_ptr_mut(slot) {
        // SAFETY: a per-CPU slot; programs on one CPU do not interrupt each other's XDP or TC hook.
        unsafe { *counter = (*counter).wrapping_add(1) };
    }
}

#[inline(never)]
fn count_pass(slot: u32) {
    if let Some(counter) = PASSES.get_ptr_mut(slot) {
        // SAFETY: as in `count_drop`.
        unsafe { *counter = (*counter).wrapping_add(1) };
    }
}
