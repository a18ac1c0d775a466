//! Uplink: from the gNB's tunnel to the data network.

use coeur_ebpf_abi::{Action, Direction, DropReason, PassReason};

use crate::{
    classify::{self, UplinkSession},
    count, decap,
    drop::{drop, pass},
    frame::{Frame, load},
    parse::{self, GTPU, GTPU_END, Refusal},
    police::Word1,
    route,
};

/// The verdict, or `None` for a frame that is not N3's (which is then perhaps N6's).
#[inline(always)]
pub(crate) fn run<F: Frame>(frame: &F) -> Option<u32> {
    frame.make_readable();
    let (data, data_end) = (frame.data(), frame.data_end());
    if data + GTPU_END > data_end {
        return None;
    }
    // SAFETY: 50 octets are readable.
    match unsafe { classify::g_pdu(data) } {
        Ok(()) => Some(tunnelled(frame, data, data_end)),
        Err(PassReason::NotOurs) => None,
        Err(reason) => Some(pass(frame, reason, Direction::Uplink)),
    }
}

/// The same, for an interface that carries N3 only.
#[inline(always)]
pub(crate) fn run_alone<F: Frame>(frame: &F) -> u32 {
    match run(frame) {
        Some(verdict) => verdict,
        None => pass(frame, PassReason::NotOurs, Direction::Uplink),
    }
}

/// A G-PDU addressed to us.
#[inline(always)]
fn tunnelled<F: Frame>(frame: &F, data: usize, data_end: usize) -> u32 {
    // SAFETY: 50 octets are readable: `run` compared.
    let (end, flags, teid) =
        unsafe { (parse::tpdu_end(data, frame.length()), load::<u8>(data, GTPU), load::<u32>(data, GTPU + 4)) };
    let Some(end) = end else { return drop(frame, DropReason::OuterLength) };

    let Some(UplinkSession { record, word1, ue_address }) = classify::uplink_session(teid) else {
        return pass(frame, PassReason::UplinkUnknownTeid, Direction::Uplink);
    };
    if !word1.forwards() {
        return held_back(frame, word1);
    }

    // SAFETY: 50 octets are readable.
    let inner = match unsafe { parse::tpdu_start(data, data_end, flags) } {
        Ok(inner) => inner,
        Err(Refusal::Drop(reason)) => return drop(frame, reason),
        Err(Refusal::Pass(reason)) => return pass(frame, reason, Direction::Uplink),
    };
    let ip = data + inner;
    if ip + 20 > data_end {
        return drop(frame, DropReason::InnerLength);
    }
    // SAFETY: the 20 octets of an IPv4 header are readable at `ip`.
    let (version_ihl, length, ttl, source, destination) = unsafe {
        (
            load::<u8>(ip, 0),
            u32::from(u16::from_be(load::<u16>(ip, 2))),
            load::<u8>(ip, 8),
            load::<u32>(ip, 12),
            load::<u32>(ip, 16),
        )
    };
    if version_ihl & 0xf0 != 0x40 {
        return drop(frame, DropReason::InnerNotIpv4);
    }
    let header = u32::from(version_ihl & 0x0f) * 4;
    if header < 20 || length < header || inner as u32 + length > end {
        return drop(frame, DropReason::InnerLength);
    }
    if source != ue_address {
        return drop(frame, DropReason::UplinkSpoofed);
    }
    if frame.is_merged() {
        return drop(frame, DropReason::TcSuperPacket);
    }
    if ttl <= 1 {
        return to_kernel(frame, inner, PassReason::TtlExpired);
    }
    let Some(hop) = route::to_n6(destination, word1.next_hop()) else {
        return to_kernel(frame, inner, PassReason::NextHopUnresolved);
    };
    if length > hop.mtu {
        return to_kernel(frame, inner, PassReason::MtuExceeded);
    }

    // SAFETY: a value of the map; a header that is readable is writable.
    unsafe {
        count::session(&raw mut (*record).packets, &raw mut (*record).bytes, length);
        decap::decrement_ttl(ip);
    }
    if !decap::to_next_hop(frame, inner, hop) {
        return drop(frame, DropReason::NoHeadroom);
    }
    count::path(frame, Direction::Uplink);
    frame.redirect(hop.ifindex)
}

/// A session that does not forward now.
#[cold]
#[inline(always)]
fn held_back<F: Frame>(frame: &F, word1: Word1) -> u32 {
    const EMPTY: u8 = Action::Empty as u8;
    const FORWARD: u8 = Action::Forward as u8;
    const BUFFER: u8 = Action::Buffer as u8;
    match word1.action() {
        EMPTY => pass(frame, PassReason::UplinkUnknownTeid, Direction::Uplink),
        FORWARD => drop(frame, DropReason::UplinkGateClosed),
        BUFFER => pass(frame, PassReason::UplinkBuffered, Direction::Uplink),
        _ => drop(frame, DropReason::UplinkActionDrop),
    }
}

/// The kernel gets the inner packet and does what a router does.
#[cold]
#[inline(always)]
fn to_kernel<F: Frame>(frame: &F, inner: usize, reason: PassReason) -> u32 {
    if decap::to_kernel(frame, inner) {
        pass(frame, reason, Direction::Uplink)
    } else {
        drop(frame, DropReason::NoHeadroom)
    }
}
