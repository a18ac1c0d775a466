//! The user plane in the kernel: uplink from GTP-U to IP, downlink from IP to GTP-U, each with one lookup.
//!
//! One file is one stage, and a packet meets them in this order:
//! `parse` (fixed offsets) → `classify` (whose is it) → `police` (action, gate) → `route` (next hop) → `count` →
//! `decap` or `encap` → out; and from any of them into `drop`, with a number. The stages are generic over [`frame::Frame`]
//! and are built twice, as XDP and as TC.
//!
//! No program here reads a clock, takes a lock, looks up a route in the kernel, answers a peer or keeps a packet. What needs
//! any of that is handed to the kernel, counted, and its sockets bring it to the slow path.
//!
//! Built for `bpfel-unknown-none`; on any other target it compiles to an empty program, so that lints see the code.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]

mod classify;
mod config;
mod count;
mod decap;
mod downlink;
mod drop;
mod encap;
mod frame;
mod maps;
mod parse;
mod police;
mod route;
mod tc;
mod uplink;
mod xdp;

#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here can panic: no indexing, no arithmetic that is checked, no unwrap. The verifier would refuse the loop.
    loop {}
}

/// bpf helpers marked GPL-only are not used, but drivers' XDP and the verifier's printing expect a compatible licence;
/// the sources are Apache-2.0, which the kernel does not know by name.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
