//! The session records: one cache line a direction, one lookup a packet.
//!
//! Packets are handled on every CPU while user space writes, and nobody takes a lock. This holds because
//! - all that must be seen together lies in one 8-byte word that is written and read as one: word 0 says whose packet it
//!   is and where it goes, word 1 what to do with it;
//! - user space writes word 0 before word 1, and empties a slot by word 1 alone; a packet reads word 1 before word 0. So
//!   whoever sees a record that forwards also sees whose it is;
//! - the counters belong to the programs: user space only reads them, and clears them when an empty slot is filled.
//!
//! A packet that meets a change half way is thus handled by the old word or by the new one, never by a mixture of two
//! tunnels or of two subscribers.

/// 32 bits in network byte order: as they lie in the packet, so that programs compare without swapping.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Be32(u32);

impl Be32 {
    #[must_use]
    #[inline(always)]
    pub const fn new(host: u32) -> Self {
        Self(host.to_be())
    }

    #[must_use]
    #[inline(always)]
    pub const fn from_octets(octets: [u8; 4]) -> Self {
        Self(u32::from_ne_bytes(octets))
    }

    /// The value as a program loads it from a packet.
    #[must_use]
    #[inline(always)]
    pub const fn from_wire(raw: u32) -> Self {
        Self(raw)
    }

    #[must_use]
    #[inline(always)]
    pub const fn to_wire(self) -> u32 {
        self.0
    }

    #[must_use]
    #[inline(always)]
    pub const fn host(self) -> u32 {
        u32::from_be(self.0)
    }

    #[must_use]
    #[inline(always)]
    pub const fn octets(self) -> [u8; 4] {
        self.0.to_ne_bytes()
    }
}

impl core::fmt::Debug for Be32 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "0x{:08x}", self.host())
    }
}

impl From<core::net::Ipv4Addr> for Be32 {
    fn from(address: core::net::Ipv4Addr) -> Self {
        Self::from_octets(address.octets())
    }
}

impl From<Be32> for core::net::Ipv4Addr {
    fn from(value: Be32) -> Self {
        Self::from(value.octets())
    }
}

/// What to do with the packets of a record (TS 29.244 8.2.26, Apply Action), as it stands in its `action` byte.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// No session here: uplink is handed up (error indication), downlink is dropped under its own reason.
    Empty = 0,
    /// FORW.
    Forward = 1,
    /// DROP.
    Drop = 2,
    /// BUFF: handed to the slow path, still as it came.
    Buffer = 3,
}

/// In `flags`: the gate of the QER is closed in this direction (TS 29.244 8.2.7).
pub const FLAG_GATE_CLOSED: u8 = 0x01;

/// The uplink of one session: found by TEID.
#[repr(C, align(64))]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UplinkRecord {
    /// Word 0. The one source address that the session may use.
    pub ue_address: Be32,
    /// Word 0. The whole TEID: index and generation both must match.
    pub teid: Be32,
    /// Word 1. An [`Action`].
    pub action: u8,
    /// Word 1. `FLAG_*`.
    pub flags: u8,
    /// Word 1. QoS flow identifier of the session's default flow.
    pub qfi: u8,
    pub pad0: u8,
    /// Word 1. Where packets leave when the route table does not know better: an index of `NEXT_HOPS`.
    pub next_hop: u32,
    /// T-PDUs forwarded.
    pub packets: u64,
    /// Octets of the T-PDUs forwarded, from the inner IP header on (TS 29.244 5.2.2.2).
    pub bytes: u64,
    /// Token bucket (two words) and usage reporting flags (two words) to come. Zero.
    pub reserved: [u64; 4],
}

/// The downlink of one session: found by UE address.
#[repr(C, align(64))]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DownlinkRecord {
    /// Word 0. Address of the gNB: destination of the outer header.
    pub gnb_address: Be32,
    /// Word 0. TEID of the gNB.
    pub gnb_teid: Be32,
    /// Word 1. An [`Action`].
    pub action: u8,
    /// Word 1. `FLAG_*`.
    pub flags: u8,
    /// Word 1. QFI in the PDU session container (TS 38.415 5.5.2.1): 0 to 63.
    pub qfi: u8,
    /// Word 1. Type of service of the outer header (transport level marking, TS 29.244 5.4.4).
    pub tos: u8,
    /// Word 1. The way to the gNB: an index of `NEXT_HOPS`.
    pub next_hop: u32,
    /// T-PDUs forwarded.
    pub packets: u64,
    /// Octets of the T-PDUs forwarded, from the inner IP header on (TS 29.244 5.2.2.2).
    pub bytes: u64,
    /// Token bucket (two words) and usage reporting flags (two words) to come. Zero.
    pub reserved: [u64; 4],
}

impl UplinkRecord {
    pub const EMPTY: Self = Self {
        ue_address: Be32(0),
        teid: Be32(0),
        action: Action::Empty as u8,
        flags: 0,
        qfi: 0,
        pad0: 0,
        next_hop: 0,
        packets: 0,
        bytes: 0,
        reserved: [0; 4],
    };

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.action == Action::Empty as u8
    }
}

impl DownlinkRecord {
    pub const EMPTY: Self = Self {
        gnb_address: Be32(0),
        gnb_teid: Be32(0),
        action: Action::Empty as u8,
        flags: 0,
        qfi: 0,
        tos: 0,
        next_hop: 0,
        packets: 0,
        bytes: 0,
        reserved: [0; 4],
    };

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.action == Action::Empty as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    #[test]
    fn network_order_is_the_order_of_the_octets() {
        let address = Be32::from(Ipv4Addr::new(10, 45, 0, 2));
        assert_eq!(address.octets(), [10, 45, 0, 2]);
        assert_eq!(address.host(), 0x0a2d_0002);
        assert_eq!(Be32::new(0x0a2d_0002), address);
        assert_eq!(Ipv4Addr::from(address), Ipv4Addr::new(10, 45, 0, 2));
    }

    #[test]
    fn all_zeros_is_an_empty_record() {
        assert_eq!(UplinkRecord::EMPTY, UplinkRecord::default());
        assert!(UplinkRecord::EMPTY.is_empty());
        assert_eq!(DownlinkRecord::EMPTY, DownlinkRecord::default());
        assert!(DownlinkRecord::EMPTY.is_empty());
    }
}
