//! What the eBPF programs and user space share: the values in the maps, their names and limits, and the numbers under
//! which packets are counted.
//!
//! This crate does not parse packets, does not touch a map and allocates nothing. Every type that lies in a map is
//! `repr(C)`, of fixed width, without implicit padding, without `bool` and without `Option`: any bit pattern is a value,
//! and all zeros is "nothing here". Whoever changes a layout or a number raises [`ABI_VERSION`]; the test at the end of
//! `layout.rs` fails until that is done, because a restarted daemon adopts the maps of its predecessor by this number.
#![cfg_attr(not(test), no_std)]

mod config;
mod count;
mod layout;
mod nexthop;
mod record;
mod teid;

pub use config::{Config, OUTER_FLAGS, OUTER_TTL, OUTER_VERSION_IHL, POOLS_MAX, PROTOCOL_UDP, Pool};
pub use count::{Direction, DropReason, PASS_SLOTS, PATH_SLOTS, PassReason, Path, pass_slot, path_slot};
pub use layout::{ABI_VERSION, Meta, layout_fingerprint};
pub use nexthop::{NEXT_HOP_N6_DEFAULT, NEXT_HOP_NONE, NEXT_HOPS_MAX, NextHop, NextHopState, ROUTE_HAS_SPECIFIC};
pub use record::{Action, Be32, DownlinkRecord, FLAG_GATE_CLOSED, UplinkRecord};
pub use teid::{TEID_INDEX_BITS, TEID_SLOTS_MAX, teid, teid_generation, teid_index};

/// UDP port of GTP-U (TS 29.281 4.4.2.3).
pub const GTPU_PORT: u16 = 2152;

/// Outer headers that the downlink adds: IPv4 20, UDP 8, GTP-U 8, its optional fields 4, PDU session container 4.
pub const ENCAPSULATION_BYTES: u32 = 44;

/// Extension headers walked in the fast path before a packet is left to the slow path (TS 29.281 5.2.1).
pub const EXTENSION_HEADERS_MAX: u32 = 4;

/// Entries of [`map::UPLINK_BY_TEID`] and of [`map::DOWNLINK_BY_ADDRESS`] unless configured otherwise.
pub const FALLBACK_SESSIONS_MAX: u32 = 65_536;

/// Entries of [`map::NEIGHBOURS`].
pub const NEIGHBOURS_MAX: u32 = 16_384;

/// Entries of [`map::ROUTES`].
pub const ROUTES_MAX: u32 = 16_384;

/// The constant of the object that holds a [`Config`].
pub const CONFIG: &str = "CONFIG";

/// The maps, as they are named in the object and under the pin directory (at most 15 characters: the kernel's limit).
pub mod map {
    /// Array of one [`Meta`](crate::Meta): which layout this set of maps has.
    pub const META: &str = "META";
    /// Array of [`UplinkRecord`](crate::UplinkRecord) by TEID index, mapped into user space.
    pub const UPLINK: &str = "UPLINK";
    /// Hash of [`UplinkRecord`](crate::UplinkRecord) by TEID, for TEIDs that a peer insisted on.
    pub const UPLINK_BY_TEID: &str = "UPLINK_BY_TEID";
    /// Array of [`DownlinkRecord`](crate::DownlinkRecord) by pool offset plus UE address, mapped into user space.
    pub const DOWNLINK: &str = "DOWNLINK";
    /// Hash of [`DownlinkRecord`](crate::DownlinkRecord) by UE address, for addresses outside the pools.
    pub const DOWNLINK_BY_ADDRESS: &str = "DOWNLINK_BY_IP";
    /// Array of [`NextHop`](crate::NextHop) by id, mapped into user space.
    pub const NEXT_HOPS: &str = "NEXT_HOPS";
    /// Hash: on-link destination to next-hop id.
    pub const NEIGHBOURS: &str = "NEIGHBOURS";
    /// Longest prefix match: routes more specific than the default, to next-hop id.
    pub const ROUTES: &str = "ROUTES";
    /// Per-CPU counters by [`DropReason`](crate::DropReason).
    pub const DROPS: &str = "DROPS";
    /// Per-CPU counters by [`pass_slot`](crate::pass_slot).
    pub const PASSES: &str = "PASSES";
    /// Per-CPU counters by [`path_slot`](crate::path_slot).
    pub const PATHS: &str = "PATHS";
}

/// The programs in the object.
pub mod program {
    /// XDP for an interface that carries N3 only.
    pub const XDP_N3: &str = "xdp_n3";
    /// XDP for an interface that carries N6 only.
    pub const XDP_N6: &str = "xdp_n6";
    /// XDP for an interface that carries both.
    pub const XDP_N3_N6: &str = "xdp_n3_n6";
    /// TC for an interface that carries N3 only.
    pub const TC_N3: &str = "tc_n3";
    /// TC for an interface that carries N6 only.
    pub const TC_N6: &str = "tc_n6";
    /// TC for an interface that carries both.
    pub const TC_N3_N6: &str = "tc_n3_n6";
    /// XDP that passes everything: what the far end of a veth needs to receive redirected frames.
    pub const XDP_PASS: &str = "xdp_pass";
}
