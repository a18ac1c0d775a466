//! The next-hop table: what user space keeps from the kernel's routes and neighbours, so that no packet asks for it.

use crate::Be32;

/// Entries of the table. One a gNB or N6 router, not one a session.
pub const NEXT_HOPS_MAX: u32 = 8192;

/// Never resolved: packets go to the kernel. What an all-zero record points to.
pub const NEXT_HOP_NONE: u32 = 0;

/// The default route of N6, which uplink records name unless told otherwise.
pub const NEXT_HOP_N6_DEFAULT: u32 = 1;

/// In `route_flags`: the table `ROUTES` is not empty.
pub const ROUTE_HAS_SPECIFIC: u8 = 0x01;

/// Whether a next hop may be used, as it stands in its `state` byte.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextHopState {
    /// The kernel is asked, packet by packet, until it knows the neighbour.
    Unresolved = 0,
    Resolved = 1,
}

/// One way out: an interface and the Ethernet header that packets get.
///
/// It is a line, of which programs read the first half and, for the default route of N6, what comes before the default: the
/// prefix on link there, and whether there are routes more specific.
#[repr(C, align(64))]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NextHop {
    pub destination: [u8; 6],
    pub source: [u8; 6],
    /// 0 while unresolved.
    pub ifindex: u32,
    /// Largest IP packet on this way, outer headers included.
    pub mtu: u32,
    /// Whom this is the way to: a gNB or router; 0.0.0.0 for the default route of N6. Programs do not read it; a restarted
    /// daemon finds by it what the ids in adopted records mean.
    pub target: Be32,
    /// A [`NextHopState`].
    pub state: u8,
    /// 1 if the entry is in use, resolved or not.
    pub taken: u8,
    /// `ROUTE_*`.
    pub route_flags: u8,
    pub pad0: [u8; 5],
    /// Destinations inside this prefix do not go this way: they are neighbours, to be found in `NEIGHBOURS`. Address and mask
    /// are one word, so that they change together.
    pub onlink_address: Be32,
    pub onlink_mask: Be32,
    pub reserved: [u64; 3],
}

impl NextHop {
    /// Address and mask that no destination fits.
    pub const NO_ONLINK: (Be32, Be32) = (Be32::new(0), Be32::new(u32::MAX));
    /// Address and mask that every destination fits: all are asked for in `NEIGHBOURS`.
    pub const ALL_ONLINK: (Be32, Be32) = (Be32::new(0), Be32::new(0));

    #[must_use]
    #[inline(always)]
    pub const fn is_resolved(&self) -> bool {
        self.state == NextHopState::Resolved as u8
    }
}
