//! Frames by hand: the tests say each field, so that a helper that computes it wrongly hides nothing.

use std::net::Ipv4Addr;

use etherparse::{IpNumber, Ipv4Header, UdpHeader};

pub(super) const N3: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(super) const GNB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 20);
pub(super) const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 7);
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
pub(super) const OUR_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
pub(super) const PEER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];

/// Ethernet towards us.
pub(super) fn ethernet(payload: &[u8]) -> Vec<u8> {
    ethernet_of(OUR_MAC, PEER_MAC, 0x0800, payload)
}

pub(super) fn ethernet_of(destination: [u8; 6], source: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::from(destination);
    frame.extend(source);
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

/// IPv4 with UDP and `octets` of payload.
pub(super) fn inner(source: Ipv4Addr, destination: Ipv4Addr, ttl: u8, octets: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..octets).map(|i| i as u8).collect();
    let udp = UdpHeader::with_ipv4_checksum(
        40_000,
        53,
        &Ipv4Header::new(0, ttl, IpNumber::UDP, source.octets(), destination.octets()).expect("empty payload"),
        &payload,
    )
    .expect("short payload");
    let mut segment = udp.to_bytes().to_vec();
    segment.extend(payload);
    ipv4(source, destination, ttl, 17, &segment)
}

pub(super) fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, ttl: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header =
        Ipv4Header::new(payload.len() as u16, ttl, IpNumber(protocol), source.octets(), destination.octets())
            .expect("short payload");
    header.dont_fragment = true;
    header.header_checksum = header.calc_header_checksum();
    let mut packet = header.to_bytes().to_vec();
    packet.extend(payload);
    packet
}

pub(super) fn udp(source_port: u16, destination_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(source_port.to_be_bytes());
    datagram.extend(destination_port.to_be_bytes());
    datagram.extend((payload.len() as u16 + 8).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

/// GTP-U with these flags and type; `rest` is all that the length counts.
pub(super) fn gtpu(flags: u8, kind: u8, teid: u32, rest: &[u8]) -> Vec<u8> {
    let mut message = vec![flags, kind];
    message.extend((rest.len() as u16).to_be_bytes());
    message.extend(teid.to_be_bytes());
    message.extend(rest);
    message
}

/// A frame from the gNB to our N3 address that carries this GTP-U message.
pub(super) fn from_gnb(message: &[u8]) -> Vec<u8> {
    ethernet(&ipv4(GNB, N3, 64, 17, &udp(2152, 2152, message)))
}

/// The uplink PDU session container that gNBs send: type 1, QFI 1.
pub(super) const CONTAINER: [u8; 8] = [0, 0, 0, 0x85, 1, 0x10, 1, 0];

/// The T-PDU behind a PDU session container.
pub(super) fn with_container(teid: u32, tpdu: &[u8]) -> Vec<u8> {
    from_gnb(&gtpu(0x34, 0xff, teid, &[&CONTAINER[..], tpdu].concat()))
}

/// The same packet one hop later.
pub(super) fn one_hop_later(packet: &[u8]) -> Vec<u8> {
    let mut header = Ipv4Header::from_slice(packet).expect("tests hand in IPv4").0;
    header.time_to_live -= 1;
    header.header_checksum = header.calc_header_checksum();
    let mut later = header.to_bytes().to_vec();
    later.extend(&packet[header.header_len()..]);
    later
}

/// With a wrong number at an offset (of two octets).
pub(super) fn patched(mut frame: Vec<u8>, offset: usize, value: u16) -> Vec<u8> {
    frame[offset..offset + 2].copy_from_slice(&value.to_be_bytes());
    frame
}
