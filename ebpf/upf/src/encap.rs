//! Stage: put the outer headers on. All of them are constants, but for lengths, the gNB's address and TEID, and the QFI.

use coeur_ebpf_abi::{
    ENCAPSULATION_BYTES, GTPU_PORT, NextHop, OUTER_FLAGS, OUTER_TTL, OUTER_VERSION_IHL, PROTOCOL_UDP,
};

use crate::{
    config,
    decap::ethernet,
    frame::{Frame, store},
    parse::{GTPU, GTPU_END, IP, UDP},
    police::Word1,
};

/// Flags, type G-PDU: version 1, GTP, an extension header follows (TS 29.281 5.1).
const GTPU_FLAGS_TYPE: u16 = u16::from_le_bytes([0x34, 0xff]);
/// Sequence number 0, N-PDU number 0 (not evaluated: S and PN are 0), next extension header PDU session container.
const GTPU_OPTIONAL: u32 = u32::from_le_bytes([0, 0, 0, 0x85]);
/// Octets that count in the GTP-U length besides the T-PDU.
const GTPU_EXTRA: u32 = 8;

/// Word 0 of a downlink record: the tunnel, as it lies in the packet.
#[derive(Clone, Copy)]
pub(crate) struct Tunnel {
    pub(crate) gnb_address: u32,
    pub(crate) gnb_teid: u32,
}

/// Puts Ethernet, IPv4, UDP and GTP-U with a PDU session container in front of a packet of `inner` octets.
#[inline(always)]
pub(crate) fn to_next_hop<F: Frame>(frame: &F, inner: u32, tunnel: Tunnel, word1: Word1, hop: &NextHop) -> bool {
    if !frame.grow() {
        return false;
    }
    let data = frame.data();
    if data + IP + ENCAPSULATION_BYTES as usize > frame.data_end() {
        return false;
    }
    let total = (inner + ENCAPSULATION_BYTES) as u16;
    // SAFETY: 58 octets are writable.
    unsafe {
        ethernet(data, hop);

        store(data, IP, u16::from_le_bytes([OUTER_VERSION_IHL, word1.tos()]));
        store(data, IP + 2, total.to_be());
        store(data, IP + 4, u32::from(OUTER_FLAGS.to_be()) << 16);
        store(data, IP + 8, u16::from_le_bytes([OUTER_TTL, PROTOCOL_UDP]));
        store(data, IP + 10, checksum(config::outer_checksum_base(), word1.tos(), total, tunnel.gnb_address));
        store(data, IP + 12, config::n3_address());
        store(data, IP + 16, tunnel.gnb_address);

        // RFC 768: checksum 0 is none; TS 29.281 4.4.2.3 leaves it to the sender over IPv4.
        store(data, UDP, u32::from(GTPU_PORT.to_be()) | u32::from(GTPU_PORT.to_be()) << 16);
        store(data, UDP + 4, u32::from((total - 20).to_be()));

        store(data, GTPU, GTPU_FLAGS_TYPE);
        store(data, GTPU + 2, ((inner + GTPU_EXTRA) as u16).to_be());
        store(data, GTPU + 4, tunnel.gnb_teid);
        store(data, GTPU_END, GTPU_OPTIONAL);
        // TS 38.415 5.5.2.1, DL PDU SESSION INFORMATION: one unit of 4 octets, type 0, no PPP, no RQI, no more headers.
        store(data, GTPU_END + 4, u32::from_le_bytes([1, 0, word1.qfi() & 0x3f, 0]));
    }
    true
}

/// Header checksum of the outer IPv4 header (RFC 1071).
#[inline(always)]
fn checksum(base: u32, tos: u8, total: u16, gnb_address: u32) -> u16 {
    let sum = base + (u32::from(tos) << 8) + u32::from(total.to_be()) + (gnb_address & 0xffff) + (gnb_address >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum + (sum >> 16)) as u16
}
