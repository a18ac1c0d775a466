//! Downlink rows.

use std::net::Ipv4Addr;

use coeur_ebpf_abi::{Action, Be32, Direction, DownlinkRecord, DropReason, FLAG_GATE_CLOSED, PassReason};
use etherparse::Ipv4Header;

use super::{
    frames::*,
    world::{
        Expect, Expect::*, GNB_TEID, HOP_GNB, HOP_NARROW, HOP_UNRESOLVED, QFI, Row, TOS, downlink_record, hop_mac,
        own_mac, uplink_record, world,
    },
};
use crate::sessions::Usage;

fn packet() -> Vec<u8> {
    inner(SERVER, UE, 64, 18)
}

/// The packet in its tunnel to the gNB, every field said.
fn tunnelled(id: u32, gnb: Ipv4Addr, packet: &[u8]) -> Vec<u8> {
    let container = [0, 0, 0, 0x85, 1, 0, QFI, 0];
    let message = gtpu(0x34, 0xff, GNB_TEID, &[&container[..], &one_hop_later(packet)].concat());
    let datagram = udp(2152, 2152, &message);
    let mut outer = ipv4(N3, gnb, 64, 17, &datagram);
    outer[1] = TOS;
    let mut header = Ipv4Header::from_slice(&outer).expect("just built").0;
    header.header_checksum = header.calc_header_checksum();
    outer[..20].copy_from_slice(&header.to_bytes());
    ethernet_of(hop_mac(id), own_mac(id), 0x0800, &outer)
}

fn row(name: &'static str, packet: &[u8], expect: Expect) -> Row {
    Row { name, frame: ethernet(packet), expect }
}

fn passed(name: &'static str, reason: PassReason, frame: Vec<u8>) -> Row {
    Row { name, expect: Pass(reason, frame.clone()), frame }
}

fn dropped(name: &'static str, reason: DropReason, frame: Vec<u8>) -> Row {
    Row { name, expect: Drop(reason), frame }
}

/// TS 29.281 5.1, TS 38.415 5.5.2.1.
#[test]
fn packets_for_a_subscriber_go_into_the_tunnel() {
    let Some(mut world) = world() else { return };
    for octets in [0, 1, 2, 100, 500, 1427, 1428] {
        let packet = inner(SERVER, UE, 64, octets);
        world.check(Direction::Downlink, &[row("size", &packet, Forward(tunnelled(HOP_GNB, GNB, &packet)))]);
    }
    let bare = ipv4(SERVER, UE, 2, 1, &[]);
    world.check(Direction::Downlink, &[row("a header alone", &bare, Forward(tunnelled(HOP_GNB, GNB, &bare)))]);
}

/// The checksum base with each part of it changing, the carries included.
#[test]
fn the_outer_checksum_is_right_for_every_gnb_and_length() {
    let Some(mut world) = world() else { return };
    for gnb in [[0, 0, 0, 1], [192, 0, 2, 20], [255, 255, 255, 254], [10, 255, 0, 255], [127, 238, 129, 17]] {
        let gnb = Ipv4Addr::from(gnb);
        let record = DownlinkRecord { gnb_address: Be32::from(gnb), ..downlink_record() };
        world.downlink(record);
        for octets in (0..64).chain([255, 256, 1000]) {
            let packet = inner(SERVER, UE, 9, octets);
            world.check(Direction::Downlink, &[row("gnb", &packet, Forward(tunnelled(HOP_GNB, gnb, &packet)))]);
        }
    }
}

#[test]
fn what_is_not_for_a_subscriber_goes_to_the_kernel_untouched() {
    use PassReason::*;
    let Some(mut world) = world() else { return };
    let below = Ipv4Addr::new(10, 44, 255, 255);
    let above = Ipv4Addr::new(10, 45, 0, 32);
    let rows = [
        passed("ARP", NotOurs, ethernet_of([0xff; 6], PEER_MAC, 0x0806, &[0; 46])),
        passed("IPv6", NotOurs, ethernet_of(OUR_MAC, PEER_MAC, 0x86dd, &[0x60; 60])),
        passed("version 6 in an IPv4 frame", NotOurs, ethernet(&[0x65; 60])),
        passed("14 octets", NotOurs, ethernet(&[])),
        passed("33 octets", NotOurs, ethernet(&packet()[..19])),
        passed("address below the pool", NotOurs, ethernet(&inner(SERVER, below, 64, 8))),
        passed("address above the pool", NotOurs, ethernet(&inner(SERVER, above, 64, 8))),
        passed("our own address", NotOurs, ethernet(&inner(SERVER, N3, 64, 8))),
        passed("ttl 1", TtlExpired, ethernet(&inner(SERVER, UE, 1, 8))),
        passed("ttl 0", TtlExpired, ethernet(&inner(SERVER, UE, 0, 8))),
        passed("1457 octets with 44 more on a link of 1500", MtuExceeded, ethernet(&inner(SERVER, UE, 64, 1429))),
    ];
    world.check(Direction::Downlink, &rows);
}

#[test]
fn lengths_that_lie_and_addresses_without_session_are_dropped() {
    use DropReason::*;
    let Some(mut world) = world() else { return };
    let good = ethernet(&packet());
    let length = packet().len() as u16;
    let mut header = good.clone();
    header[14] = 0x44;
    let mut long_header = ethernet(&ipv4(SERVER, UE, 64, 1, &[0; 10]));
    long_header[14] = 0x4f;
    let rows = [
        dropped("longer than the frame", InnerLength, patched(good.clone(), 16, length + 1)),
        dropped("shorter than its header", InnerLength, patched(good.clone(), 16, 19)),
        dropped("header of 16 octets", InnerLength, header),
        dropped("header longer than the packet", InnerLength, long_header),
        dropped("first of the pool", DownlinkNoSession, ethernet(&inner(SERVER, Ipv4Addr::new(10, 45, 0, 0), 64, 8))),
        dropped("last of the pool", DownlinkNoSession, ethernet(&inner(SERVER, Ipv4Addr::new(10, 45, 0, 31), 64, 8))),
    ];
    world.check(Direction::Downlink, &rows);
}

#[test]
fn every_cut_of_a_frame_is_refused() {
    let Some(mut world) = world() else { return };
    let good = ethernet(&packet());
    for length in 14..good.len() {
        let cut = good[..length].to_vec();
        let expect = if length < 34 { Pass(PassReason::NotOurs, cut.clone()) } else { Drop(DropReason::InnerLength) };
        world.check(Direction::Downlink, &[Row { name: "cut", frame: cut, expect }]);
    }
}

#[test]
fn action_and_gate_decide() {
    let Some(mut world) = world() else { return };
    let frame = ethernet(&packet());
    let states = [
        (Action::Drop as u8, 0, Drop(DropReason::DownlinkActionDrop)),
        (Action::Forward as u8, FLAG_GATE_CLOSED, Drop(DropReason::DownlinkGateClosed)),
        (Action::Buffer as u8, 0, Pass(PassReason::DownlinkBuffered, frame.clone())),
        (Action::Empty as u8, 0, Drop(DropReason::DownlinkNoSession)),
        (Action::Forward as u8, 0, Forward(tunnelled(HOP_GNB, GNB, &packet()))),
    ];
    for (action, flags, expect) in states {
        world.downlink(DownlinkRecord { action, flags, ..downlink_record() });
        world.check(Direction::Downlink, &[row("state", &packet(), expect)]);
    }
}

#[test]
fn a_next_hop_that_is_not_resolved_or_too_narrow_is_left_to_the_kernel() {
    let Some(mut world) = world() else { return };
    for next_hop in [0, HOP_UNRESOLVED, 8192, u32::MAX] {
        world.downlink(DownlinkRecord { next_hop, ..downlink_record() });
        let rows = [passed("no next hop", PassReason::NextHopUnresolved, ethernet(&packet()))];
        world.check(Direction::Downlink, &rows);
    }
    world.downlink(DownlinkRecord { next_hop: HOP_NARROW, ..downlink_record() });
    let (fits, too_long) = (inner(SERVER, UE, 64, 28), inner(SERVER, UE, 64, 29));
    let rows = [
        row("56 and 44 octets on a link of 100", &fits, Forward(tunnelled(HOP_NARROW, GNB, &fits))),
        passed("one more", PassReason::MtuExceeded, ethernet(&too_long)),
    ];
    world.check(Direction::Downlink, &rows);
}

#[test]
fn an_address_outside_the_pools_is_found_by_hash() {
    let Some(mut world) = world() else { return };
    let static_address = Ipv4Addr::new(100, 64, 1, 2);
    let packet = inner(SERVER, static_address, 64, 8);
    let rows = [passed("no session", PassReason::NotOurs, ethernet(&packet))];
    world.check(Direction::Downlink, &rows);
    world.given_sessions(uplink_record(), static_address, downlink_record());
    world.check(Direction::Downlink, &[row("session", &packet, Forward(tunnelled(HOP_GNB, GNB, &packet)))]);
    let usage = world.maps.sessions.usage_by_address(static_address).expect("it is in the table");
    assert_eq!(usage, Usage { packets: 4, bytes: 4 * packet.len() as u64 });
}

#[test]
fn padding_behind_a_small_packet_is_not_counted_in_the_lengths() {
    let Some(mut world) = world() else { return };
    let packet = ipv4(SERVER, UE, 64, 1, &[8, 0, 0, 0]);
    let mut frame = ethernet(&packet);
    frame.extend([0; 22]);
    let mut expected = tunnelled(HOP_GNB, GNB, &packet);
    expected.extend([0; 22]);
    world.check(Direction::Downlink, &[Row { name: "padded to 60", frame, expect: Forward(expected) }]);
}
