//! The floors. They check nothing that forwarding does not need, count nothing, and never pass anything on.
#![allow(clippy::needless_pass_by_value, reason = "the attribute macros fix the signature")]

use aya_ebpf::{
    bindings::xdp_action,
    helpers::{bpf_redirect, bpf_xdp_adjust_head},
    macros::xdp,
    programs::XdpContext,
};

use crate::{FLOOR_ARRAY, FLOOR_HASH, FloorSession, TEMPLATE, load, store};

const OUTER: i32 = 44;

/// Swaps the Ethernet addresses and sends the frame back: nothing can cost less.
#[xdp]
pub(crate) fn floor_swap(ctx: XdpContext) -> u32 {
    let (data, data_end) = (ctx.data(), ctx.data_end());
    if data + 14 > data_end {
        return xdp_action::XDP_DROP;
    }
    // SAFETY: 14 octets are accessible.
    unsafe {
        let (destination, destination_tail) = (load::<u32>(data, 0), load::<u16>(data, 4));
        let (source, source_tail) = (load::<u32>(data, 6), load::<u16>(data, 10));
        store(data, 0, source);
        store(data, 4, source_tail);
        store(data, 6, destination);
        store(data, 10, destination_tail);
    }
    xdp_action::XDP_TX
}

#[xdp]
pub(crate) fn floor_array_up(ctx: XdpContext) -> u32 {
    uplink(&ctx, |teid| FLOOR_ARRAY.get_ptr(teid & 0x00ff_ffff))
}

#[xdp]
pub(crate) fn floor_hash_up(ctx: XdpContext) -> u32 {
    uplink(&ctx, |teid| FLOOR_HASH.get_ptr(teid & 0x00ff_ffff))
}

#[xdp]
pub(crate) fn floor_array_down(ctx: XdpContext) -> u32 {
    downlink(&ctx, |address| FLOOR_ARRAY.get_ptr(address & 0x00ff_ffff))
}

#[xdp]
pub(crate) fn floor_hash_down(ctx: XdpContext) -> u32 {
    downlink(&ctx, |address| FLOOR_HASH.get_ptr(address & 0x00ff_ffff))
}

#[inline(always)]
fn uplink(ctx: &XdpContext, lookup: impl Fn(u32) -> Option<*const FloorSession>) -> u32 {
    let (data, data_end) = (ctx.data(), ctx.data_end());
    if data + 78 > data_end {
        return xdp_action::XDP_DROP;
    }
    // SAFETY: 78 octets are readable.
    let teid = unsafe {
        let ours = load::<u16>(data, 12) == 0x0800u16.to_be()
            && load::<u8>(data, 14) == 0x45
            && load::<u8>(data, 23) == 17
            && load::<u16>(data, 36) == 2152u16.to_be()
            && load::<u16>(data, 42) == u16::from_le_bytes([0x34, 0xff]);
        if !ours {
            return xdp_action::XDP_DROP;
        }
        u32::from_be(load::<u32>(data, 46))
    };
    let Some(session) = lookup(teid) else { return xdp_action::XDP_DROP };
    // SAFETY: a map value.
    if unsafe { (*session).used } == 0 {
        return xdp_action::XDP_DROP;
    }
    // SAFETY: a helper call on our own context.
    if unsafe { bpf_xdp_adjust_head(ctx.ctx, OUTER) } != 0 {
        return xdp_action::XDP_DROP;
    }
    let (data, data_end) = (ctx.data(), ctx.data_end());
    if data + 14 > data_end {
        return xdp_action::XDP_DROP;
    }
    // SAFETY: 14 octets are writable, and a session starts with 12 octets of addresses.
    unsafe {
        store(data, 0, load::<u64>(session as usize, 0));
        store(data, 8, load::<u32>(session as usize, 8));
        store(data, 12, 0x0800u16.to_be());
        bpf_redirect((*session).ifindex, 0) as u32
    }
}

#[inline(always)]
fn downlink(ctx: &XdpContext, lookup: impl Fn(u32) -> Option<*const FloorSession>) -> u32 {
    let (data, data_end) = (ctx.data(), ctx.data_end());
    if data + 34 > data_end {
        return xdp_action::XDP_DROP;
    }
    // SAFETY: 34 octets are readable.
    let (length, address) = unsafe {
        if load::<u16>(data, 12) != 0x0800u16.to_be() || load::<u8>(data, 14) != 0x45 {
            return xdp_action::XDP_DROP;
        }
        (u16::from_be(load::<u16>(data, 16)), u32::from_be(load::<u32>(data, 30)))
    };
    let Some(session) = lookup(address) else { return xdp_action::XDP_DROP };
    let Some(template) = TEMPLATE.get_ptr(0) else { return xdp_action::XDP_DROP };
    // SAFETY: a map value; then a helper call on our own context.
    if unsafe { (*session).used == 0 || bpf_xdp_adjust_head(ctx.ctx, -OUTER) != 0 } {
        return xdp_action::XDP_DROP;
    }
    let (data, data_end) = (ctx.data(), ctx.data_end());
    if data + 58 > data_end {
        return xdp_action::XDP_DROP;
    }
    let total = length.wrapping_add(OUTER as u16);
    // SAFETY: 58 octets are writable; both map values are longer than what is read of them.
    unsafe {
        let mut word = 0;
        while word < 7 {
            store(data, word * 8, (*template).headers[word]);
            word += 1;
        }
        store(data, 56, (*template).headers[7] as u16);
        store(data, 0, load::<u64>(session as usize, 0));
        store(data, 8, load::<u32>(session as usize, 8));
        let gnb = (*session).gnb_address;
        let sum = (*template).checksum_base as u32 + u32::from(total.to_be()) + (gnb & 0xffff) + (gnb >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        store(data, 16, total.to_be());
        store(data, 24, !(sum + (sum >> 16)) as u16);
        store(data, 30, gnb);
        store(data, 38, (total - 20).to_be());
        store(data, 44, (total - 36).to_be());
        store(data, 46, (*session).gnb_teid);
        store(data, 56, (*session).qfi as u8);
        bpf_redirect((*session).ifindex, 0) as u32
    }
}
