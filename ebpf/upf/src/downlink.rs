//! Downlink: from the data network into the gNB's tunnel.

use coeur_ebpf_abi::{Action, Direction, DropReason, ENCAPSULATION_BYTES, PassReason};

use crate::{
    classify::{self, Subscriber},
    count, decap,
    drop::{drop, pass},
    encap::{self, Tunnel},
    frame::{Frame, load},
    parse::IP,
    police::{Word1, word0},
    route,
};

#[inline(always)]
pub(crate) fn run<F: Frame>(frame: &F) -> u32 {
    frame.make_readable();
    let (data, data_end) = (frame.data(), frame.data_end());
    // SAFETY: 34 octets are readable behind the comparison.
    if data + IP + 20 > data_end || !unsafe { classify::is_ipv4(data) } {
        return pass(frame, PassReason::NotOurs, Direction::Downlink);
    }
    // SAFETY: 34 octets are readable.
    let destination = unsafe { load::<u32>(data, IP + 16) };
    match classify::downlink_session(destination) {
        Subscriber::Known(record) => {
            // SAFETY: a value of the map; word 1 before word 0.
            let (word1, (gnb_address, gnb_teid)) = unsafe { (Word1::read(record), word0(record)) };
            if !word1.forwards() {
                return held_back(frame, word1);
            }
            // SAFETY: a value of the map, only the addresses of whose counters are taken.
            let counters = unsafe { (&raw mut (*record).packets, &raw mut (*record).bytes) };
            to_subscriber(frame, data, Tunnel { gnb_address, gnb_teid }, word1, counters)
        }
        Subscriber::Stranger => pass(frame, PassReason::NotOurs, Direction::Downlink),
    }
}

/// A packet for a session that forwards. 34 octets are readable at `data`.
#[inline(always)]
fn to_subscriber<F: Frame>(
    frame: &F,
    data: usize,
    tunnel: Tunnel,
    word1: Word1,
    (packets, bytes): (*mut u64, *mut u64),
) -> u32 {
    // SAFETY: 34 octets are readable.
    let (version_ihl, length, ttl) =
        unsafe { (load::<u8>(data, IP), u32::from(u16::from_be(load::<u16>(data, IP + 2))), load::<u8>(data, IP + 8)) };
    let header = u32::from(version_ihl & 0x0f) * 4;
    if header < 20 || length < header || length + IP as u32 > frame.length() {
        return drop(frame, DropReason::InnerLength);
    }
    if frame.is_merged() {
        return drop(frame, DropReason::TcSuperPacket);
    }
    if ttl <= 1 {
        return pass(frame, PassReason::TtlExpired, Direction::Downlink);
    }
    let Some(hop) = route::by_id(word1.next_hop()) else {
        return pass(frame, PassReason::NextHopUnresolved, Direction::Downlink);
    };
    if length + ENCAPSULATION_BYTES > hop.mtu {
        return pass(frame, PassReason::MtuExceeded, Direction::Downlink);
    }

    // SAFETY: values of the map; a header that is readable is writable.
    unsafe {
        count::session(packets, bytes, length);
        decap::decrement_ttl(data + IP);
    }
    if !encap::to_next_hop(frame, length, tunnel, word1, hop) {
        return drop(frame, DropReason::NoHeadroom);
    }
    count::path(frame, Direction::Downlink);
    frame.redirect(hop.ifindex)
}

/// A session that does not forward now, or an address of a pool that no session has.
#[cold]
#[inline(always)]
fn held_back<F: Frame>(frame: &F, word1: Word1) -> u32 {
    const EMPTY: u8 = Action::Empty as u8;
    const FORWARD: u8 = Action::Forward as u8;
    const BUFFER: u8 = Action::Buffer as u8;
    match word1.action() {
        EMPTY => drop(frame, DropReason::DownlinkNoSession),
        FORWARD => drop(frame, DropReason::DownlinkGateClosed),
        BUFFER => pass(frame, PassReason::DownlinkBuffered, Direction::Downlink),
        _ => drop(frame, DropReason::DownlinkActionDrop),
    }
}
