//! The stages as XDP.
#![allow(clippy::needless_pass_by_value, reason = "the attribute macros fix the signature")]

use aya_ebpf::{
    bindings::{xdp_action, xdp_md},
    helpers::{bpf_redirect, bpf_xdp_adjust_head},
    macros::xdp,
    programs::XdpContext,
};
use coeur_ebpf_abi::{ENCAPSULATION_BYTES, Path};

use crate::{downlink, frame::Frame, uplink};

/// `ONE_INTERFACE`: N3 and N6 share the interface, so a frame may leave where it came in.
struct XdpFrame<const ONE_INTERFACE: bool>(*mut xdp_md);

impl<const ONE_INTERFACE: bool> Frame for XdpFrame<ONE_INTERFACE> {
    const PATH: Path = Path::Xdp;
    const PASS: u32 = xdp_action::XDP_PASS;
    const DROP: u32 = xdp_action::XDP_DROP;

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
        (self.data_end() - self.data()) as u32
    }

    #[inline(always)]
    fn make_readable(&self) {}

    #[inline(always)]
    fn is_merged(&self) -> bool {
        false
    }

    #[inline(always)]
    fn shrink(&self, octets: u32) -> bool {
        // SAFETY: a helper call on the context it was given; pointers are taken anew by the caller.
        unsafe { bpf_xdp_adjust_head(self.0, octets as i32) == 0 }
    }

    #[inline(always)]
    fn grow(&self) -> bool {
        // SAFETY: as in `shrink`.
        unsafe { bpf_xdp_adjust_head(self.0, -(ENCAPSULATION_BYTES as i32)) == 0 }
    }

    #[inline(always)]
    fn redirect(&self, ifindex: u32) -> u32 {
        // SAFETY: a field of the context the kernel gave.
        if ONE_INTERFACE && unsafe { (*self.0).ingress_ifindex } == ifindex {
            return xdp_action::XDP_TX;
        }
        // SAFETY: a helper call without pointers.
        unsafe { bpf_redirect(ifindex, 0) as u32 }
    }
}

#[xdp]
pub(crate) fn xdp_n3(ctx: XdpContext) -> u32 {
    uplink::run_alone(&XdpFrame::<false>(ctx.ctx))
}

#[xdp]
pub(crate) fn xdp_n6(ctx: XdpContext) -> u32 {
    downlink::run(&XdpFrame::<false>(ctx.ctx))
}

#[xdp]
pub(crate) fn xdp_n3_n6(ctx: XdpContext) -> u32 {
    let frame = XdpFrame::<true>(ctx.ctx);
    match uplink::run(&frame) {
        Some(verdict) => verdict,
        None => downlink::run(&frame),
    }
}

/// For the far end of a veth: with any program on it, the driver accepts redirected frames.
#[xdp]
pub(crate) fn xdp_pass(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}
