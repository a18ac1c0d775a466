//! Programs that only the fast path benchmark uses; none of them is in the daemon.
//!
//! - `wrap_up`, `wrap_down`: `BPF_PROG_TEST_RUN` does not restore the packet between repeats, so the benchmark runs one of
//!   these. It checks what the measured program did to the previous packet, undoes it, writes all headers anew from a template
//!   for a session drawn at random, and tail-calls the measured program.
//! - `floor_*`: the least that any program could do: parse, one lookup, tunnel off or on, out.
//! - `nothing`: returns at once; the wrapper's own cost.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

mod floor;
mod wrap;

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, ProgramArray},
};

/// What the wrapper works by. User space writes it before a run and reads the checks after it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct State {
    /// State of the generator; never 0.
    seed: u64,
    /// Sessions to draw from.
    sessions: u32,
    /// Length of the frame before the measured program, and the one expected after it.
    template_length: u32,
    result_length: u32,
    /// First four octets expected after it: the next hop's address.
    result_mac: u32,
    /// First UE address, host byte order, and the TEID of session 0.
    address_base: u32,
    teid_base: u32,
    /// 1 if there is a previous packet to check.
    started: u64,
    right: u64,
    wrong: u64,
    template: [u64; 10],
}

/// What a floor needs of a session: a line, as in the programs that are measured.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct FloorSession {
    destination: [u8; 6],
    source: [u8; 6],
    ifindex: u32,
    gnb_address: u32,
    gnb_teid: u32,
    qfi: u32,
    used: u32,
    rest: [u32; 8],
}

/// Outer headers of the floors: 58 octets, and the checksum base of the IPv4 header.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FloorTemplate {
    headers: [u64; 8],
    checksum_base: u64,
}

#[map]
static STATE: Array<State> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
static MEASURED: ProgramArray = ProgramArray::with_max_entries(1, 0);

#[map]
static FLOOR_ARRAY: Array<FloorSession> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
static FLOOR_HASH: HashMap<u32, FloorSession> = HashMap::with_max_entries(1, 0);

#[map]
static TEMPLATE: Array<FloorTemplate> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// # Safety
/// `[offset, offset + size_of::<T>())` is readable at `data`; the verifier checks.
#[inline(always)]
unsafe fn load<T: Copy>(data: usize, offset: usize) -> T {
    // SAFETY: the caller's promise; BPF reads unaligned words.
    unsafe { *((data + offset) as *const T) }
}

/// # Safety
/// `[offset, offset + size_of::<T>())` is writable at `data`; the verifier checks.
#[inline(always)]
unsafe fn store<T: Copy>(data: usize, offset: usize, value: T) {
    // SAFETY: the caller's promise; BPF writes unaligned words.
    unsafe { *((data + offset) as *mut T) = value }
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
