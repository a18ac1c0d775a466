//! The one stack of the process: packets and time in, packets out.

use crate::ffi;
use libc::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// Takes a packet of a path: SCTP common header and chunks, with a checksum of zero, and the TOS octet it is to bear.
/// Called with locks of usrsctp held: it must not call into this crate, and must not wait. `false`: not sent.
pub type Output = fn(path: u64, packet: &mut [u8], tos: u8) -> bool;

static OUTPUT: OnceLock<Output> = OnceLock::new();

/// Starts the stack; to be called before anything else. A second call keeps the first output.
pub fn start(output: Output) {
    OUTPUT.get_or_init(|| {
        // SAFETY: called once, by OnceLock; `send` is a function that lives as long as the process.
        unsafe {
            ffi::usrsctp_init_nothreads(0, Some(send), None);
            // Hardware computes a CRC32c in a tenth of the time of usrsctp's tables, and ports may be rewritten below it.
            ffi::usrsctp_enable_crc32c_offload();
            // A path has no addresses to add or delete, and none of the other extensions carries NGAP (TS 38.412, 7):
            // what is not offered cannot be attacked. Partial reliability and ECN stay on, as kernels have them.
            ffi::usrsctp_sysctl_set_sctp_auto_asconf(0);
            ffi::usrsctp_sysctl_set_sctp_asconf_enable(0);
            ffi::usrsctp_sysctl_set_sctp_auth_enable(0);
            ffi::usrsctp_sysctl_set_sctp_reconfig_enable(0);
            ffi::usrsctp_sysctl_set_sctp_nrsack_enable(0);
            ffi::usrsctp_sysctl_set_sctp_pktdrop_enable(0);
        }
        output
    });
}

/// A packet of `path` whose checksum the caller has checked. `ecn`: the two low bits of the TOS octet.
pub fn input(path: u64, packet: &[u8], ecn: u8) {
    // A packet without room for a chunk header is no SCTP packet (RFC 9260, 3); usrsctp expects it to be there.
    if OUTPUT.get().is_none() || packet.len() < 16 {
        return;
    }
    // SAFETY: the packet is copied before the call returns; the address is a number that is never dereferenced.
    unsafe { ffi::usrsctp_conninput(path as usize as *mut c_void, packet.as_ptr().cast(), packet.len(), ecn) };
}

/// Makes a path known: packets find the associations of known paths only. The list is searched from end to end for the
/// packets of accepted associations, so keep it short.
pub fn register(path: u64) {
    if OUTPUT.get().is_some() {
        // SAFETY: the address is a number that is never dereferenced.
        unsafe { ffi::usrsctp_register_address(path as usize as *mut c_void) };
    }
}

/// Forgets a path that has no association any more.
pub fn deregister(path: u64) {
    if OUTPUT.get().is_some() {
        // SAFETY: as for `register`.
        unsafe { ffi::usrsctp_deregister_address(path as usize as *mut c_void) };
    }
}

/// Lets `elapsed_ms` pass: retransmissions, heartbeats and delayed acknowledgements that are due happen now.
pub fn advance(elapsed_ms: u32) {
    if OUTPUT.get().is_some() {
        // SAFETY: the stack is initialised.
        unsafe { ffi::usrsctp_handle_timers(elapsed_ms) };
    }
}

/// usrsctp's own CRC32c, in the octet order of the packet, for machines without the instruction.
pub fn crc32c(octets: &[u8]) -> u32 {
    // SAFETY: the function reads `length` octets and writes none; its parameter merely lacks a const.
    unsafe { ffi::usrsctp_crc32c(octets.as_ptr().cast_mut().cast(), octets.len()) }
}

unsafe extern "C" fn send(path: *mut c_void, packet: *mut c_void, length: usize, tos: u8, _no_fragment: u8) -> c_int {
    let Some(output) = OUTPUT.get() else { return libc::ENETDOWN };
    // SAFETY: usrsctp passes a buffer of `length` octets that nobody else uses until this returns.
    let packet = unsafe { std::slice::from_raw_parts_mut(packet.cast::<u8>(), length) };
    // A panic must not unwind through C. An output that panics is a bug; the packet counts as lost.
    let sent = catch_unwind(AssertUnwindSafe(|| output(path as usize as u64, packet, tos))).unwrap_or(false);
    if sent { 0 } else { libc::ENOBUFS }
}
