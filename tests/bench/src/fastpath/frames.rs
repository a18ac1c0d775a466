//! The two frames: an inner packet of 64 octets, in its tunnel for the uplink.

use coeur_ebpf_abi::{Be32, teid};
use std::net::Ipv4Addr;

pub(super) const N3: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(super) const GNB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 20);
/// First UE address of the pool.
pub(super) const POOL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 0);
pub(super) const NEXT_HOP: [u8; 6] = [0x02, 0xaa, 0, 0, 0, 1];
pub(super) const OWN: [u8; 6] = [0x02, 0xbb, 0, 0, 0, 1];
const SERVER: [u8; 4] = [198, 51, 100, 9];

/// TEID of session 0; the others follow, because the index is in the low bits.
pub(super) fn teid_base() -> u32 {
    teid(0, 1)
}

pub(super) fn downlink() -> Vec<u8> {
    ethernet(&ipv4(SERVER, POOL.octets(), 17, &[0; 44]))
}

pub(super) fn uplink() -> Vec<u8> {
    let inner = ipv4(POOL.octets(), SERVER, 17, &[0; 44]);
    ethernet(&tunnel(&inner))
}

/// Outer headers in front of a packet; also the template of the floors.
pub(super) fn tunnel(inner: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(2152u16.to_be_bytes());
    datagram.extend(2152u16.to_be_bytes());
    datagram.extend((inner.len() as u16 + 24).to_be_bytes());
    datagram.extend([0, 0, 0x34, 0xff]);
    datagram.extend((inner.len() as u16 + 8).to_be_bytes());
    datagram.extend(teid_base().to_be_bytes());
    datagram.extend([0, 0, 0, 0x85, 1, 0, 9, 0]);
    datagram.extend(inner);
    ipv4(GNB.octets(), N3.octets(), 17, &datagram)
}

fn ethernet(payload: &[u8]) -> Vec<u8> {
    [&[0x02, 0, 0, 0, 0, 1][..], &[0x02, 0, 0, 0, 0, 2], &[0x08, 0x00], payload].concat()
}

fn ipv4(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((payload.len() as u16 + 20).to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend(source);
    packet.extend(destination);
    packet.extend(payload);
    packet
}

/// An address as programs compare it.
pub(super) fn wire(address: Ipv4Addr) -> u32 {
    Be32::from(address).to_wire()
}

/// Eight octets at a time, as a template is copied.
pub(super) fn words<const N: usize>(octets: &[u8]) -> [u64; N] {
    std::array::from_fn(|word| {
        let mut chunk = [0; 8];
        for (to, from) in chunk.iter_mut().zip(octets.iter().skip(word * 8)) {
            *to = *from;
        }
        u64::from_ne_bytes(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_lengths_that_the_wrapper_expects() {
        assert_eq!(downlink().len(), 14 + 64);
        assert_eq!(uplink().len(), 14 + 44 + 64);
        assert_eq!(words::<2>(&[1, 0, 0, 0, 0, 0, 0, 0, 2]), [1, 2]);
    }
}
