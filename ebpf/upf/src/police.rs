//! Stage: may this packet of a known session pass.

use coeur_ebpf_abi::{Action, FLAG_GATE_CLOSED};

/// Word 1 of a record as one load gives it, so that action, flags and next hop are of one writing.
#[derive(Clone, Copy)]
pub(crate) struct Word1(u64);

/// The flag where word 1 has it.
const GATE_CLOSED: u64 = (FLAG_GATE_CLOSED as u64) << 8;

impl Word1 {
    /// # Safety
    /// `record` points to a record: word 1 is its second word.
    #[inline(always)]
    pub(crate) unsafe fn read<T>(record: *const T) -> Self {
        // SAFETY: records are larger than 16 octets and aligned; volatile, so that the load stays one, before word 0's.
        Self(unsafe { core::ptr::read_volatile(record.cast::<u64>().add(1)) })
    }

    /// The record forwards and its gate is open: the one comparison of the common packet.
    #[inline(always)]
    pub(crate) fn forwards(self) -> bool {
        self.0 & (0x00ff | GATE_CLOSED) == Action::Forward as u64
    }

    #[inline(always)]
    pub(crate) fn action(self) -> u8 {
        self.0 as u8
    }

    #[inline(always)]
    pub(crate) fn qfi(self) -> u8 {
        (self.0 >> 16) as u8
    }

    #[inline(always)]
    pub(crate) fn tos(self) -> u8 {
        (self.0 >> 24) as u8
    }

    #[inline(always)]
    pub(crate) fn next_hop(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Word 0 as one load gives it: (first field, second field), each as it lies in the packet.
///
/// # Safety
/// `record` points to a record.
#[inline(always)]
pub(crate) unsafe fn word0<T>(record: *const T) -> (u32, u32) {
    // SAFETY: records are larger than 8 octets and aligned.
    let word = unsafe { core::ptr::read_volatile(record.cast::<u64>()) };
    (word as u32, (word >> 32) as u32)
}

#[cfg(target_endian = "big")]
compile_error!("the words of a record are taken apart as little-endian");
