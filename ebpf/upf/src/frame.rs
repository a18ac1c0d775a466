//! What the stages need of a packet, and how its bytes are read.

use coeur_ebpf_abi::Path;

/// An Ethernet frame in the hands of a program; XDP and TC each have one.
pub(crate) trait Frame {
    const PATH: Path;
    /// Verdict: the kernel goes on with the frame.
    const PASS: u32;
    /// Verdict: the frame is gone.
    const DROP: u32;

    fn data(&self) -> usize;
    fn data_end(&self) -> usize;

    /// Octets from the Ethernet header to the end, whether or not all can be read directly.
    fn length(&self) -> u32;

    /// Makes the headers readable at `data()` where the kernel keeps them elsewhere.
    fn make_readable(&self);

    /// Whether offloads merged several packets into this one.
    fn is_merged(&self) -> bool;

    /// Removes `octets` behind the place of the Ethernet header, whose content is undefined afterwards.
    fn shrink(&self, octets: u32) -> bool;

    /// Inserts the 44 octets of the outer headers; all in front of the inner packet is undefined afterwards.
    fn grow(&self) -> bool;

    /// Verdict: send the frame out of an interface.
    fn redirect(&self, ifindex: u32) -> u32;
}

/// Octets `[offset, offset + size_of::<T>())` of a packet.
///
/// # Safety
/// The caller compared the end of the range with `data_end()`. The verifier refuses the program if that is forgotten.
/// Packets are not aligned; BPF on the architectures we load on reads unaligned words, and so does the JIT's code.
#[inline(always)]
pub(crate) unsafe fn load<T: Copy>(data: usize, offset: usize) -> T {
    // SAFETY: bounds are the caller's promise, checked again by the verifier.
    unsafe { *((data + offset) as *const T) }
}

/// Writes octets `[offset, offset + size_of::<T>())` of a packet.
///
/// # Safety
/// As for [`load`].
#[inline(always)]
pub(crate) unsafe fn store<T: Copy>(data: usize, offset: usize, value: T) {
    // SAFETY: bounds are the caller's promise, checked again by the verifier.
    unsafe { *((data + offset) as *mut T) = value }
}

/// The same value, of which the compiler knows nothing: it then does not move a constant across a comparison that the
/// verifier has to see as it was written.
#[inline(always)]
pub(crate) fn opaque(value: usize) -> usize {
    #[cfg(target_arch = "bpf")]
    {
        let mut value = value;
        // SAFETY: no instruction at all.
        unsafe { core::arch::asm!("/* {0} */", inout(reg) value, options(pure, nomem, nostack)) };
        return value;
    }
    #[cfg(not(target_arch = "bpf"))]
    value
}
