//! The wrapper, once a direction.
#![allow(clippy::needless_pass_by_value, reason = "the attribute macros fix the signature")]

use aya_ebpf::{bindings::xdp_action, helpers::bpf_xdp_adjust_head, macros::xdp, programs::XdpContext};

use crate::{MEASURED, STATE, State, load, store};

/// Octets of headers that are written anew: Ethernet, IPv4, UDP, GTP-U with container, inner IPv4, and 2 more.
const UPLINK_HEADERS: usize = 80;
/// Ethernet, inner IPv4, and 6 more.
const DOWNLINK_HEADERS: usize = 40;

#[xdp]
pub(crate) fn wrap_up(ctx: XdpContext) -> u32 {
    let Some((data, session, state)) = renew::<UPLINK_HEADERS>(&ctx) else { return xdp_action::XDP_ABORTED };
    // SAFETY: `renew` compared 80 octets.
    unsafe {
        store(data, 46, ((*state).teid_base + session).to_be());
        store(data, 70, ((*state).address_base + session).to_be());
    }
    tail(&ctx)
}

#[xdp]
pub(crate) fn wrap_down(ctx: XdpContext) -> u32 {
    let Some((data, session, state)) = renew::<DOWNLINK_HEADERS>(&ctx) else { return xdp_action::XDP_ABORTED };
    // SAFETY: `renew` compared 40 octets.
    unsafe { store(data, 30, ((*state).address_base + session).to_be()) };
    tail(&ctx)
}

#[xdp]
pub(crate) fn nothing(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

#[inline(always)]
fn tail(ctx: &XdpContext) -> u32 {
    // SAFETY: a program array and our own context.
    unsafe { MEASURED.tail_call(ctx, 0) };
    xdp_action::XDP_ABORTED
}

/// Checks the previous packet, restores the frame and draws a session.
#[inline(always)]
fn renew<const HEADERS: usize>(ctx: &XdpContext) -> Option<(usize, u32, *mut State)> {
    let state = STATE.get_ptr_mut(0)?;
    let (data, data_end) = (ctx.data(), ctx.data_end());
    if data + 14 > data_end {
        return None;
    }
    let length = (data_end - data) as u32;
    // SAFETY: a map value that only this program writes during a run; 14 octets are readable.
    unsafe {
        if (*state).started != 0 {
            if length == (*state).result_length && load::<u32>(data, 0) == (*state).result_mac {
                (*state).right += 1;
            } else {
                (*state).wrong += 1;
            }
        }
        (*state).started = 1;
    }
    // SAFETY: as above; then a helper call on our own context.
    let moved = unsafe { bpf_xdp_adjust_head(ctx.ctx, length.wrapping_sub((*state).template_length) as i32) };
    let (data, data_end) = (ctx.data(), ctx.data_end());
    if moved != 0 || data + HEADERS > data_end {
        return None;
    }
    // SAFETY: `HEADERS` octets are writable, and no more than the template has.
    unsafe {
        let mut word = 0;
        while word < HEADERS / 8 {
            store(data, word * 8, (*state).template[word]);
            word += 1;
        }
        let mut x = (*state).seed;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (*state).seed = x;
        let session = (((x >> 32) * u64::from((*state).sessions)) >> 32) as u32;
        Some((data, session, state))
    }
}
