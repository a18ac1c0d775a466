//! What programs know from the moment they are loaded: constants that the loader patches into the object, so that the
//! verifier folds them and removes what does not apply (unused pools, for example).
//!
//! Whatever changes while packets flow is in a map: routes in the next hops, sessions in their tables.

use crate::Be32;

/// UE address pools of one user plane.
pub const POOLS_MAX: usize = 8;

/// Consecutive UE addresses and where their records start.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pool {
    /// First address, host byte order.
    pub base: u32,
    /// Number of addresses; 0 for an unused entry.
    pub size: u32,
    /// Index in `DOWNLINK` of the first address.
    pub offset: u32,
    pub pad0: u32,
}

impl Pool {
    pub const UNUSED: Self = Self { base: 0, size: 0, offset: 0, pad0: 0 };

    /// The record index of an address (host byte order) of this pool.
    #[must_use]
    #[inline(always)]
    pub const fn index_of(&self, address: u32) -> Option<u32> {
        let distance = address.wrapping_sub(self.base);
        if distance < self.size { Some(self.offset.wrapping_add(distance)) } else { None }
    }
}

/// The constant `CONFIG` of the object.
#[repr(C, align(8))]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// Our N3 address: destination of uplink, source of downlink.
    pub n3_address: Be32,
    /// Sum of the 16-bit words of the outer IPv4 header that no packet changes; see [`Config::outer_checksum_base`].
    pub outer_checksum_base: u32,
    pub pools: [Pool; POOLS_MAX],
}

/// Outer IPv4 header: first octet, flags, time to live and protocol.
pub const OUTER_VERSION_IHL: u8 = 0x45;
/// Don't fragment: identification stays 0 (RFC 6864 4.1), and the path's limit is known before sending.
pub const OUTER_FLAGS: u16 = 0x4000;
pub const OUTER_TTL: u8 = 64;
pub const PROTOCOL_UDP: u8 = 17;

impl Config {
    /// What stands in the object before it is patched: no address, no pool.
    pub const UNSET: Self = Self { n3_address: Be32::new(0), outer_checksum_base: 0, pools: [Pool::UNUSED; POOLS_MAX] };

    /// Checksum base of the outer header: what is left to add are type of service, total length and the gNB's address.
    /// Words are summed as they lie in memory; the one's complement sum does not care (RFC 1071 2 (B)).
    #[must_use]
    pub const fn outer_checksum_base(n3_address: Be32) -> u32 {
        let [a, b, c, d] = n3_address.octets();
        u16::from_ne_bytes([OUTER_VERSION_IHL, 0]) as u32
            + OUTER_FLAGS.to_be() as u32
            + u16::from_ne_bytes([OUTER_TTL, PROTOCOL_UDP]) as u32
            + u16::from_ne_bytes([a, b]) as u32
            + u16::from_ne_bytes([c, d]) as u32
    }

    /// A configuration with an N3 address and up to [`POOLS_MAX`] pools; more are not looked at.
    #[must_use]
    pub fn new(n3_address: Be32, pools: &[Pool]) -> Self {
        let mut config = Self { n3_address, outer_checksum_base: Self::outer_checksum_base(n3_address), ..Self::UNSET };
        for (to, from) in config.pools.iter_mut().zip(pools) {
            *to = *from;
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_knows_its_addresses_and_no_other() {
        let pool = Pool { base: 0x0a2d_0000, size: 256, offset: 1000, pad0: 0 };
        assert_eq!(pool.index_of(0x0a2d_0000), Some(1000));
        assert_eq!(pool.index_of(0x0a2d_00ff), Some(1255));
        assert_eq!(pool.index_of(0x0a2d_0100), None);
        assert_eq!(pool.index_of(0x0a2c_ffff), None);
        assert_eq!(Pool::default().index_of(0), None);
    }

    #[test]
    fn the_checksum_base_is_the_sum_of_the_constant_words() {
        let header: [u8; 20] = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 0, 0, 0, 0];
        let sum: u32 = header.chunks(2).map(|w| u32::from(u16::from_ne_bytes([w[0], w[1]]))).sum();
        assert_eq!(Config::outer_checksum_base(Be32::from_octets([192, 0, 2, 1])), sum);
    }
}
