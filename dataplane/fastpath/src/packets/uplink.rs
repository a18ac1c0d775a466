//! Uplink rows.

use std::net::Ipv4Addr;

use coeur_ebpf_abi::{Action, Be32, Direction, DropReason, FLAG_GATE_CLOSED, PassReason};

use super::{
    frames::*,
    world::{
        Expect, Expect::*, GIVEN_TEID, HOP_N6, HOP_NARROW, HOP_ONLINK, HOP_SPECIFIC, HOP_UNRESOLVED, Row, TEID,
        hop_mac, own_mac, uplink_record, world,
    },
};
use crate::sessions::Usage;

fn tpdu() -> Vec<u8> {
    inner(UE, SERVER, 64, 18)
}

/// Leaves towards a next hop.
fn sent(id: u32, packet: &[u8]) -> Expect {
    Forward(ethernet_of(hop_mac(id), own_mac(id), 0x0800, &one_hop_later(packet)))
}

/// Goes to the kernel as it came.
fn untouched(reason: PassReason, frame: &[u8]) -> Expect {
    Pass(reason, frame.to_vec())
}

fn row(name: &'static str, frame: Vec<u8>, expect: Expect) -> Row {
    Row { name, frame, expect }
}

fn passed(name: &'static str, reason: PassReason, frame: Vec<u8>) -> Row {
    Row { name, expect: untouched(reason, &frame), frame }
}

fn dropped(name: &'static str, reason: DropReason, frame: Vec<u8>) -> Row {
    Row { name, expect: Drop(reason), frame }
}

/// TS 29.281 5.1 and 5.2.1: what may stand between the GTP-U header and the T-PDU.
#[test]
fn every_form_of_g_pdu_is_decapsulated() {
    let Some(mut world) = world() else { return };
    let g_pdu = |flags: u8, between: &[u8]| from_gnb(&gtpu(flags, 0xff, TEID, &[between, &tpdu()].concat()));
    let rows = [
        row("no optional field", g_pdu(0x30, &[]), sent(HOP_N6, &tpdu())),
        row("PDU session container", g_pdu(0x34, &CONTAINER), sent(HOP_N6, &tpdu())),
        row("spare bit set", g_pdu(0x3c, &CONTAINER), sent(HOP_N6, &tpdu())),
        row("sequence number", g_pdu(0x32, &[0x12, 0x34, 0, 0]), sent(HOP_N6, &tpdu())),
        row("N-PDU number", g_pdu(0x31, &[0, 0, 7, 0]), sent(HOP_N6, &tpdu())),
        row("next type is not evaluated without E", g_pdu(0x32, &[0, 1, 0, 0x85]), sent(HOP_N6, &tpdu())),
        row("sequence number and container", g_pdu(0x36, &[0x12, 0x34, 0, 0x85, 1, 0x10, 1, 0]), sent(HOP_N6, &tpdu())),
        row("E with no extension header", g_pdu(0x34, &[0, 0, 0, 0]), sent(HOP_N6, &tpdu())),
        row("container of 8 octets", g_pdu(0x34, &[0, 0, 0, 0x85, 2, 0x18, 1, 0, 0, 0, 0, 0]), sent(HOP_N6, &tpdu())),
        row(
            "an extension header not to be comprehended, then the container",
            g_pdu(0x34, &[0, 0, 0, 0x20, 1, 0, 0, 0x85, 1, 0x10, 1, 0]),
            sent(HOP_N6, &tpdu()),
        ),
        row(
            "the container, then UDP port (0x40)",
            g_pdu(0x34, &[0, 0, 0, 0x85, 1, 0x10, 1, 0x40, 1, 0x08, 0x68, 0]),
            sent(HOP_N6, &tpdu()),
        ),
        row("four extension headers", g_pdu(0x34, &four_headers(0)), sent(HOP_N6, &tpdu())),
    ];
    world.check(Direction::Uplink, &rows);
}

/// Four extension headers of type 0x01 (not to be comprehended), and the type after them.
fn four_headers(next: u8) -> Vec<u8> {
    let mut octets = vec![0, 0, 0, 0x01];
    for kind in [0x01, 0x01, 0x01, next] {
        octets.extend([1, 0, 0, kind]);
    }
    octets
}

#[test]
fn sizes_from_the_smallest_to_the_largest_are_decapsulated() {
    let Some(mut world) = world() else { return };
    for octets in [0, 1, 2, 100, 1471, 1472] {
        let packet = inner(UE, SERVER, 64, octets);
        world.check(Direction::Uplink, &[row("size", with_container(TEID, &packet), sent(HOP_N6, &packet))]);
    }
    let bare = ipv4(UE, SERVER, 64, 1, &[]);
    world.check(Direction::Uplink, &[row("a header alone", with_container(TEID, &bare), sent(HOP_N6, &bare))]);
    let mut options = ipv4(UE, SERVER, 64, 1, &[1, 1, 1, 0, 9, 9, 9, 9]);
    options[0] = 0x46;
    let checksum = u16::from_be_bytes([options[10], options[11]]);
    let mut sum = u32::from(!checksum) + 0x0100 + 0x0101 + 0x0100;
    sum = (sum & 0xffff) + (sum >> 16);
    options[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    world.check(Direction::Uplink, &[row("options", with_container(TEID, &options), sent(HOP_N6, &options))]);
}

#[test]
fn each_value_of_ttl_keeps_the_checksum_right() {
    let Some(mut world) = world() else { return };
    // Addresses that move the checksum over its whole range, the carries included.
    for last in [0u8, 1, 9, 127, 200, 254, 255] {
        for ttl in [2, 3, 64, 128, 255] {
            let packet = inner(UE, Ipv4Addr::new(198, 51, 100, last), ttl, 4);
            world.check(Direction::Uplink, &[row("ttl", with_container(TEID, &packet), sent(HOP_N6, &packet))]);
        }
    }
}

#[test]
fn what_is_not_for_the_fast_path_goes_to_the_kernel_untouched() {
    use PassReason::*;
    let Some(mut world) = world() else { return };
    let good = with_container(TEID, &tpdu());
    let options = {
        let mut frame = good.clone();
        frame[14] = 0x46;
        frame
    };
    let rows = [
        passed("ARP", NotOurs, ethernet_of([0xff; 6], PEER_MAC, 0x0806, &[0; 46])),
        passed("IPv6", NotOurs, ethernet_of(OUR_MAC, PEER_MAC, 0x86dd, &[0x60; 60])),
        passed("14 octets", NotOurs, ethernet_of(OUR_MAC, PEER_MAC, 0x0800, &[])),
        passed("another address", NotOurs, ethernet(&ipv4(GNB, SERVER, 64, 17, &udp(2152, 2152, &good[42..])))),
        passed("another port", NotOurs, ethernet(&ipv4(GNB, N3, 64, 17, &udp(2152, 2153, &good[42..])))),
        passed("another protocol", NotOurs, ethernet(&ipv4(GNB, N3, 64, 6, &good[34..]))),
        passed("echo request", NotGpdu, from_gnb(&gtpu(0x32, 0x01, 0, &[0, 1, 0, 0]))),
        passed("error indication", NotGpdu, from_gnb(&gtpu(0x32, 0x1a, 0, &[0; 20]))),
        passed("end marker", NotGpdu, from_gnb(&gtpu(0x30, 0xfe, TEID, &[0; 20]))),
        passed("unknown type", NotGpdu, from_gnb(&gtpu(0x30, 0x77, TEID, &[0; 20]))),
        passed("version 2", GtpVersion, from_gnb(&gtpu(0x50, 0xff, TEID, &tpdu()))),
        passed("GTP'", GtpVersion, from_gnb(&gtpu(0x20, 0xff, TEID, &tpdu()))),
        passed("TEID 0", UplinkUnknownTeid, with_container(0, &tpdu())),
        passed("empty slot", UplinkUnknownTeid, with_container(TEID + 1, &tpdu())),
        passed("former generation", UplinkUnknownTeid, with_container(coeur_ebpf_abi::teid(5, 2), &tpdu())),
        passed("index beyond the table", UplinkUnknownTeid, with_container(0x03ff_ffff, &tpdu())),
        passed("first fragment", OuterFragment, patched(good.clone(), 20, 0x2000)),
        passed("last fragment", OuterFragment, patched(good.clone(), 20, 0x0010)),
        passed("outer options", OuterOptions, options),
        passed(
            "extension header to be comprehended",
            ExtensionHeaderUnknown,
            from_gnb(&gtpu(0x34, 0xff, TEID, &[&[0, 0, 0, 0xc0, 1, 0, 0, 0][..], &tpdu()].concat())),
        ),
        passed(
            "six extension headers",
            ExtensionHeadersTooMany,
            from_gnb(&gtpu(0x34, 0xff, TEID, &[&four_headers(1)[..], &[1, 0, 0, 1], &[1, 0, 0, 0], &tpdu()].concat())),
        ),
    ];
    world.check(Direction::Uplink, &rows);
}

#[test]
fn lengths_that_lie_and_packets_that_must_not_pass_are_dropped() {
    use DropReason::*;
    let Some(mut world) = world() else { return };
    let good = with_container(TEID, &tpdu());
    let (ip, udp_at, gtpu_at, tpdu_at) = (14, 34, 42, 58);
    let length_at = |offset: usize| u16::from_be_bytes([good[offset], good[offset + 1]]);
    let longer = |offset: usize| patched(good.clone(), offset, length_at(offset) + 1);
    let g_pdu = |flags: u8, rest: &[u8]| from_gnb(&gtpu(flags, 0xff, TEID, rest));
    let mut version = good.clone();
    version[tpdu_at] = 0x65;
    let mut header = good.clone();
    header[tpdu_at] = 0x44;
    let mut long_header = good.clone();
    long_header[tpdu_at] = 0x4f;
    let rows = [
        dropped("IPv4 longer than the frame", OuterLength, longer(ip + 2)),
        dropped("UDP longer than IPv4", OuterLength, longer(udp_at + 4)),
        dropped("UDP shorter than its header", OuterLength, patched(good.clone(), udp_at + 4, 7)),
        dropped("IPv4 shorter than its header", OuterLength, patched(good.clone(), ip + 2, 19)),
        dropped("GTP-U longer than UDP", OuterLength, longer(gtpu_at + 2)),
        dropped("GTP-U length 0xffff", OuterLength, patched(good.clone(), gtpu_at + 2, 0xffff)),
        dropped("inner longer than GTP-U", InnerLength, longer(tpdu_at + 2)),
        dropped("inner shorter than its header", InnerLength, patched(good.clone(), tpdu_at + 2, 19)),
        dropped("inner header of 16 octets", InnerLength, header),
        dropped("inner header longer than the packet", InnerLength, long_header),
        dropped("nothing in it", InnerLength, g_pdu(0x30, &[])),
        dropped("half an inner header", InnerLength, g_pdu(0x30, &tpdu()[..10])),
        dropped("cut in the optional fields", InnerLength, g_pdu(0x34, &[0, 0])),
        dropped("E, and the packet ends", InnerLength, g_pdu(0x34, &[0, 0, 0, 0x85])),
        dropped(
            "extension header of length 0",
            ExtensionHeaderLength,
            g_pdu(0x34, &[&[0, 0, 0, 0x85, 0, 0, 0, 0][..], &tpdu()].concat()),
        ),
        dropped(
            "extension header beyond the end",
            ExtensionHeaderLength,
            g_pdu(0x34, &[&[0, 0, 0, 0x85, 0xff, 0, 0, 0][..], &tpdu()].concat()),
        ),
        dropped("an IPv6 T-PDU", InnerNotIpv4, version),
        dropped(
            "another subscriber's address",
            UplinkSpoofed,
            with_container(TEID, &inner(Ipv4Addr::new(10, 45, 0, 8), SERVER, 64, 8)),
        ),
        dropped("the network's address", UplinkSpoofed, with_container(TEID, &inner(N3, SERVER, 64, 8))),
    ];
    world.check(Direction::Uplink, &rows);
}

/// Nothing that is cut off anywhere gets through whole, and none is read beyond its end.
#[test]
fn every_cut_of_a_frame_is_refused() {
    let Some(mut world) = world() else { return };
    let good = with_container(TEID, &tpdu());
    for length in 14..good.len() {
        let cut = good[..length].to_vec();
        let expect = if length < 50 { untouched(PassReason::NotOurs, &cut) } else { Drop(DropReason::OuterLength) };
        world.check(Direction::Uplink, &[row("cut", cut, expect)]);
    }
}

#[test]
fn padding_behind_the_packet_is_no_lie() {
    let Some(mut world) = world() else { return };
    let packet = ipv4(UE, SERVER, 64, 1, &[8, 0, 0, 0]);
    let mut frame = with_container(TEID, &packet);
    frame.extend([0; 6]);
    let mut expected = ethernet_of(hop_mac(HOP_N6), own_mac(HOP_N6), 0x0800, &one_hop_later(&packet));
    expected.extend([0; 6]);
    world.check(Direction::Uplink, &[row("padded", frame, Forward(expected))]);
}

#[test]
fn action_and_gate_decide() {
    let Some(mut world) = world() else { return };
    let frame = with_container(TEID, &tpdu());
    let open = uplink_record();
    let states = [
        (Action::Drop as u8, 0, Drop(DropReason::UplinkActionDrop)),
        (0x7f, 0, Drop(DropReason::UplinkActionDrop)),
        (Action::Forward as u8, FLAG_GATE_CLOSED, Drop(DropReason::UplinkGateClosed)),
        (Action::Buffer as u8, 0, untouched(PassReason::UplinkBuffered, &frame)),
        (Action::Empty as u8, 0, untouched(PassReason::UplinkUnknownTeid, &frame)),
        (Action::Forward as u8, 0x80, sent(HOP_N6, &tpdu())),
    ];
    for (action, flags, expect) in states {
        let mut record = open;
        (record.action, record.flags) = (action, flags);
        world.uplink(record);
        world.check(Direction::Uplink, &[row("state", frame.clone(), expect)]);
    }
}

#[test]
fn what_the_kernel_must_route_or_answer_arrives_there_without_tunnel() {
    let Some(mut world) = world() else { return };
    for ttl in [0, 1] {
        let packet = inner(UE, SERVER, ttl, 8);
        let expect = Pass(PassReason::TtlExpired, ethernet(&packet));
        world.check(Direction::Uplink, &[row("ttl", with_container(TEID, &packet), expect)]);
    }
    let expect = Pass(PassReason::NextHopUnresolved, ethernet(&tpdu()));
    for next_hop in [0, HOP_UNRESOLVED, 8191, 8192, u32::MAX] {
        let mut record = uplink_record();
        record.next_hop = next_hop;
        world.uplink(record);
        world.check(Direction::Uplink, &[row("no next hop", with_container(TEID, &tpdu()), expect.clone())]);
    }
    let mut record = uplink_record();
    record.next_hop = HOP_NARROW;
    world.uplink(record);
    let (fits, too_long) = (inner(UE, SERVER, 64, 72), inner(UE, SERVER, 64, 73));
    let rows = [
        row("100 octets on a link of 100", with_container(TEID, &fits), sent(HOP_NARROW, &fits)),
        row("101 octets", with_container(TEID, &too_long), Pass(PassReason::MtuExceeded, ethernet(&too_long))),
    ];
    world.check(Direction::Uplink, &rows);
}

#[test]
fn neighbours_and_specific_routes_come_before_the_default() {
    let Some(mut world) = world() else { return };
    let prefix = (Be32::from(Ipv4Addr::new(203, 0, 113, 0)), Be32::new(0xffff_ff00));
    let neighbour = Ipv4Addr::new(203, 0, 113, 5);
    world.routes(prefix, Be32::from(neighbour), (16, Be32::from(Ipv4Addr::new(172, 16, 0, 0))));
    let to = |destination| inner(UE, destination, 64, 8);
    let stranger = Ipv4Addr::new(203, 0, 113, 6);
    let routed = Ipv4Addr::new(172, 16, 255, 1);
    let rows = [
        row("on link", with_container(TEID, &to(neighbour)), sent(HOP_ONLINK, &to(neighbour))),
        row(
            "on link, not known",
            with_container(TEID, &to(stranger)),
            Pass(PassReason::NextHopUnresolved, ethernet(&to(stranger))),
        ),
        row("specific route", with_container(TEID, &to(routed)), sent(HOP_SPECIFIC, &to(routed))),
        row("default", with_container(TEID, &to(SERVER)), sent(HOP_N6, &to(SERVER))),
    ];
    world.check(Direction::Uplink, &rows);
}

#[test]
fn a_teid_that_the_peer_chose_is_found_by_hash() {
    let Some(mut world) = world() else { return };
    let frame = with_container(GIVEN_TEID, &tpdu());
    world.check(Direction::Uplink, &[passed("not given yet", PassReason::UplinkUnknownTeid, frame.clone())]);
    let mut record = uplink_record();
    record.teid = Be32::new(GIVEN_TEID);
    world.given_sessions(record, UE, super::world::downlink_record());
    world.check(Direction::Uplink, &[row("given", frame, sent(HOP_N6, &tpdu()))]);
    let usage = world.maps.sessions.usage_by_teid(GIVEN_TEID).expect("it is in the table");
    assert_eq!(usage, Usage { packets: 4, bytes: 4 * tpdu().len() as u64 });
}

/// TS 29.244 5.2.2.2: volume is counted without the tunnel; and a changed rule does not forget it.
#[test]
fn usage_is_counted_and_survives_a_change_but_not_a_new_owner() {
    let Some(mut world) = world() else { return };
    let rows = [row("one", with_container(TEID, &tpdu()), sent(HOP_N6, &tpdu()))];
    let octets = tpdu().len() as u64;
    world.check(Direction::Uplink, &rows);
    let mut changed = uplink_record();
    changed.qfi = 5;
    world.uplink(changed);
    world.check(Direction::Uplink, &rows);
    assert_eq!(world.maps.sessions.uplink_usage(5), Some(Usage { packets: 8, bytes: 8 * octets }));
    world.uplink(coeur_ebpf_abi::UplinkRecord::EMPTY);
    assert_eq!(world.maps.sessions.uplink_usage(5), Some(Usage { packets: 8, bytes: 8 * octets }));
    world.uplink(uplink_record());
    assert_eq!(world.maps.sessions.uplink_usage(5), Some(Usage::default()));
    world.check(Direction::Uplink, &rows);
    world.maps.sessions.clear();
    assert_eq!(world.maps.sessions.uplink_usage(5), Some(Usage::default()));
    assert_eq!(world.maps.sessions.uplink_usage(64), None);
}
