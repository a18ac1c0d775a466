//! Stage: take the outer headers off.

use coeur_ebpf_abi::NextHop;

use crate::{
    frame::{Frame, load, store},
    parse::IP,
};

/// Ethernet type IPv4 as it lies in the packet.
const ETHERTYPE_IPV4: u16 = 0x0800u16.to_be();

/// One hop less to live (RFC 1812 5.3.1), and the header checksum with it (RFC 1624 eqn. 3 with m - m' = 0x0100).
///
/// # Safety
/// 12 octets are readable and writable at `ip`.
#[inline(always)]
pub(crate) unsafe fn decrement_ttl(ip: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let sum = u32::from(load::<u16>(ip, 10)) + u32::from(0x0100u16.to_be());
        store(ip, 10, (sum + u32::from(sum >= 0xffff)) as u16);
        store(ip, 8, load::<u8>(ip, 8).wrapping_sub(1));
    }
}

/// Leaves Ethernet and inner packet; `inner` is where the latter starts.
#[inline(always)]
pub(crate) fn to_next_hop<F: Frame>(frame: &F, inner: usize, hop: &NextHop) -> bool {
    if !frame.shrink((inner - IP) as u32) {
        return false;
    }
    let (data, data_end) = (frame.data(), frame.data_end());
    if data + IP > data_end {
        return false;
    }
    // SAFETY: 14 octets are writable; `hop` starts with the 12 octets of both addresses and is a map value of 32.
    unsafe { ethernet(data, hop) };
    true
}

/// Writes the Ethernet header towards a next hop.
///
/// # Safety
/// 14 octets are writable at `data`.
#[inline(always)]
pub(crate) unsafe fn ethernet(data: usize, hop: &NextHop) {
    let addresses = core::ptr::from_ref(hop) as usize;
    // SAFETY: destination and source are the first 12 octets of a next hop.
    unsafe {
        store::<u64>(data, 0, load::<u64>(addresses, 0));
        store::<u32>(data, 8, load::<u32>(addresses, 8));
        store::<u16>(data, 12, ETHERTYPE_IPV4);
    }
}

/// Leaves the inner packet as if it had arrived so: for the kernel to route, to find the neighbour, or to answer.
#[inline(always)]
pub(crate) fn to_kernel<F: Frame>(frame: &F, inner: usize) -> bool {
    let data = frame.data();
    if data + IP > frame.data_end() {
        return false;
    }
    // SAFETY: 14 octets are readable.
    let (first, second) = unsafe { (load::<u64>(data, 0), load::<u32>(data, 8)) };
    if !frame.shrink((inner - IP) as u32) {
        return false;
    }
    let data = frame.data();
    if data + IP > frame.data_end() {
        return false;
    }
    // SAFETY: 14 octets are writable.
    unsafe {
        store(data, 0, first);
        store(data, 8, second);
        store(data, 12, ETHERTYPE_IPV4);
    }
    true
}
