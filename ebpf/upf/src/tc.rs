//! The stages as TC classifiers on ingress (tcx or clsact), for drivers whose XDP cannot transmit.
#![allow(clippy::needless_pass_by_value, reason = "the attribute macros fix the signature")]

use aya_ebpf::{
    bindings::{
        __sk_buff, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L4_UDP, TC_ACT_OK, TC_ACT_SHOT,
        bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
    },
    helpers::{bpf_redirect, bpf_skb_adjust_room, bpf_skb_pull_data},
    macros::classifier,
    programs::TcContext,
};
use coeur_ebpf_abi::{ENCAPSULATION_BYTES, Path};

use crate::{downlink, frame::Frame, uplink};

/// Octets pulled into the linear part: Ethernet, outer IPv4, UDP, GTP-U, four common extension headers, inner IPv4.
const READABLE: u32 = 14 + 20 + 8 + 12 + 16 + 20;

struct TcFrame(*mut __sk_buff);

impl Frame for TcFrame {
    const PATH: Path = Path::Tc;
    const PASS: u32 = TC_ACT_OK as u32;
    const DROP: u32 = TC_ACT_SHOT as u32;

    #[inline(always)]
    fn data(&self) -> usize {
        // SAFETY: the kernel gives a valid context.
        unsafe { (*self.0).data as usize }
    }

    #[inline(always)]
    fn data_end(&self) -> usize {
        // SAFETY: the kernel gives a valid context.
        unsafe { (*self.0).data_end as usize }
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        // SAFETY: the kernel gives a valid context.
        unsafe { (*self.0).len }
    }

    #[inline(always)]
    fn make_readable(&self) {
        let length = self.length();
        let wanted = if length < READABLE { length } else { READABLE };
        if self.data() + wanted as usize > self.data_end() {
            // SAFETY: a helper call on the context it was given. If it fails, less is readable and the bounds checks see it.
            unsafe { bpf_skb_pull_data(self.0, wanted) };
        }
    }

    #[inline(always)]
    fn is_merged(&self) -> bool {
        // SAFETY: the kernel gives a valid context.
        unsafe { (*self.0).gso_size != 0 }
    }

    #[inline(always)]
    fn shrink(&self, octets: u32) -> bool {
        // SAFETY: a helper call on the context it was given; pointers are taken anew by the caller.
        unsafe { bpf_skb_adjust_room(self.0, -(octets as i32), BPF_ADJ_ROOM_MAC, 0) == 0 }
    }

    #[inline(always)]
    fn grow(&self) -> bool {
        let flags = BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
        // SAFETY: as in `shrink`.
        unsafe { bpf_skb_adjust_room(self.0, ENCAPSULATION_BYTES as i32, BPF_ADJ_ROOM_MAC, u64::from(flags)) == 0 }
    }

    #[inline(always)]
    fn redirect(&self, ifindex: u32) -> u32 {
        // SAFETY: a helper call without pointers.
        unsafe { bpf_redirect(ifindex, 0) as u32 }
    }
}

#[classifier]
pub(crate) fn tc_n3(ctx: TcContext) -> i32 {
    uplink::run_alone(&TcFrame(ctx.skb.skb)) as i32
}

#[classifier]
pub(crate) fn tc_n6(ctx: TcContext) -> i32 {
    downlink::run(&TcFrame(ctx.skb.skb)) as i32
}

#[classifier]
pub(crate) fn tc_n3_n6(ctx: TcContext) -> i32 {
    let frame = TcFrame(ctx.skb.skb);
    let verdict = match uplink::run(&frame) {
        Some(verdict) => verdict,
        None => downlink::run(&frame),
    };
    verdict as i32
}
