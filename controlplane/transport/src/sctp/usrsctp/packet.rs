//! What has to be known of an SCTP packet below usrsctp: ports, tag, checksum, and the addresses of a peer's INIT.

use std::net::Ipv4Addr;

/// Common header and one chunk header (RFC 9260, 3).
pub(super) const PACKET_OCTETS_MIN: usize = 16;
/// Most addresses of a peer that are kept.
pub(super) const PEER_ADDRESSES_MAX: usize = 8;

pub(super) const CHUNK_INIT: u8 = 0x01;
pub(super) const CHUNK_INIT_ACK: u8 = 0x02;
pub(super) const CHUNK_COOKIE_ECHO: u8 = 0x0a;

const PARAMETER_IPV4: u16 = 0x0005;
/// Chunk header and the fixed fields of INIT and INIT ACK (RFC 9260, 3.3.2).
const INIT_FIXED_OCTETS: usize = 20;

/// The common header, and the type of the first chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) source: u16,
    pub(super) destination: u16,
    pub(super) tag: u32,
    pub(super) chunk: u8,
}

impl Header {
    /// Of a packet whose checksum is right; anything else is to be discarded silently (RFC 9260, 6.8).
    pub(super) fn checked(packet: &[u8]) -> Option<Self> {
        if packet.len() < PACKET_OCTETS_MIN || packet[8..12] != checksum(packet) {
            return None;
        }
        Some(Self {
            source: u16::from_be_bytes([packet[0], packet[1]]),
            destination: u16::from_be_bytes([packet[2], packet[3]]),
            tag: u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]),
            chunk: packet[12],
        })
    }
}

/// The checksum field as it has to be: CRC32c of the packet with zeros in that field (RFC 9260, 6.8 and appendix A).
pub(super) fn checksum(packet: &[u8]) -> [u8; 4] {
    let crc = update(!0, &packet[..8]);
    let crc = update(crc, &[0; 4]);
    (!update(crc, &packet[12..])).to_le_bytes()
}

/// The IPv4 addresses that an INIT or INIT ACK lists (RFC 9260, 3.3.2.1.1); parameters that make no sense end the list.
pub(super) fn listed_addresses(packet: &[u8]) -> Vec<Ipv4Addr> {
    let mut addresses = Vec::new();
    let mut rest = packet.get(12 + INIT_FIXED_OCTETS..).unwrap_or_default();
    while let [kind_high, kind_low, length_high, length_low, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let Some(value) = rest.get(4..length) else { break };
        if let (PARAMETER_IPV4, &[a, b, c, d]) = (u16::from_be_bytes([kind_high, kind_low]), value) {
            addresses.push(Ipv4Addr::new(a, b, c, d));
            if addresses.len() == PEER_ADDRESSES_MAX {
                break;
            }
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    addresses
}

#[cfg(target_arch = "x86_64")]
fn update(crc: u32, octets: &[u8]) -> u32 {
    if std::arch::is_x86_feature_detected!("sse4.2") {
        // SAFETY: the instruction is there, it was just asked for.
        return unsafe { update_sse42(crc, octets) };
    }
    update_bitwise(crc, octets)
}

#[cfg(not(target_arch = "x86_64"))]
fn update(crc: u32, octets: &[u8]) -> u32 {
    update_bitwise(crc, octets)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
fn update_sse42(crc: u32, octets: &[u8]) -> u32 {
    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};
    let (words, rest) = octets.as_chunks::<8>();
    let crc = words.iter().fold(u64::from(crc), |crc, word| _mm_crc32_u64(crc, u64::from_le_bytes(*word)));
    rest.iter().fold(crc as u32, |crc, &octet| _mm_crc32_u8(crc, octet))
}

/// One table of 256: for machines without the instruction.
fn update_bitwise(crc: u32, octets: &[u8]) -> u32 {
    octets.iter().fold(crc, |crc, &octet| TABLE[usize::from(crc as u8 ^ octet)] ^ (crc >> 8))
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            // 0x82f63b78: the polynomial of Castagnoli, reflected.
            crc = if crc & 1 == 1 { 0x82f6_3b78 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of CRC-32C, and the two ways to compute it.
    #[test]
    fn crc32c_of_the_check_string() {
        assert_eq!(!update_bitwise(!0, b"123456789"), 0xe306_9283);
        let octets: Vec<u8> = (0..1500_u32).map(|i| (i * 7) as u8).collect();
        for length in [0, 1, 7, 8, 9, 63, 1500] {
            assert_eq!(update(!0, &octets[..length]), update_bitwise(!0, &octets[..length]), "{length}");
        }
    }

    #[test]
    fn a_header_is_read_only_with_the_right_checksum() {
        let mut packet = vec![0x96, 0x0c, 0x96, 0x0d, 1, 2, 3, 4, 0, 0, 0, 0, CHUNK_INIT, 0, 0, 4];
        assert_eq!(Header::checked(&packet), None);
        let sum = checksum(&packet);
        packet[8..12].copy_from_slice(&sum);
        let header = Header { source: 38412, destination: 38413, tag: 0x0102_0304, chunk: CHUNK_INIT };
        assert_eq!(Header::checked(&packet), Some(header));
        packet[13] ^= 1;
        assert_eq!(Header::checked(&packet), None);
        assert_eq!(Header::checked(&packet[..15]), None);
    }

    #[test]
    fn addresses_are_listed_until_a_parameter_makes_no_sense() {
        let mut packet = vec![0; 12 + INIT_FIXED_OCTETS];
        packet.extend([0, 5, 0, 8, 10, 0, 0, 1]); // IPv4
        packet.extend([0, 12, 0, 6, 0, 5, 0, 0]); // supported address types, padded
        packet.extend([0, 5, 0, 8, 10, 0, 0, 2]);
        assert_eq!(listed_addresses(&packet), [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)]);
        for wrong in [[0, 5, 0, 0], [0, 5, 0, 3], [0, 5, 0, 200]] {
            let mut packet = packet.clone();
            packet.extend(wrong);
            packet.extend([0, 5, 0, 8, 10, 0, 0, 3]);
            assert_eq!(listed_addresses(&packet).len(), 2, "{wrong:?}");
        }
        assert!(listed_addresses(&packet[..20]).is_empty());
        packet.extend([0, 5, 0, 8, 1, 1, 1, 1].repeat(100));
        assert_eq!(listed_addresses(&packet).len(), PEER_ADDRESSES_MAX);
    }
}
