//! The number under which one build recognises the maps of another.

use core::mem::{align_of, offset_of, size_of};

use crate::{Config, DownlinkRecord, DropReason, NextHop, PASS_SLOTS, PATH_SLOTS, Pool, UplinkRecord};

/// Raised with every change of a layout, of a meaning or of a number in this crate.
pub const ABI_VERSION: u32 = 1;

/// The one entry of map `META`. A daemon adopts pinned maps only if this is what it would write itself.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Meta {
    pub abi_version: u32,
    pub pad0: u32,
    pub layout_fingerprint: u64,
    pub uplink_slots: u32,
    pub downlink_slots: u32,
}

impl Meta {
    #[must_use]
    pub const fn new(uplink_slots: u32, downlink_slots: u32) -> Self {
        Self {
            abi_version: ABI_VERSION,
            pad0: 0,
            layout_fingerprint: layout_fingerprint(),
            uplink_slots,
            downlink_slots,
        }
    }
}

/// Folds every size, alignment and offset into one number (FNV-1a).
#[must_use]
pub const fn layout_fingerprint() -> u64 {
    let facts = [
        size_of::<UplinkRecord>(),
        align_of::<UplinkRecord>(),
        offset_of!(UplinkRecord, ue_address),
        offset_of!(UplinkRecord, teid),
        offset_of!(UplinkRecord, action),
        offset_of!(UplinkRecord, flags),
        offset_of!(UplinkRecord, qfi),
        offset_of!(UplinkRecord, next_hop),
        offset_of!(UplinkRecord, packets),
        offset_of!(UplinkRecord, bytes),
        offset_of!(UplinkRecord, reserved),
        size_of::<DownlinkRecord>(),
        align_of::<DownlinkRecord>(),
        offset_of!(DownlinkRecord, gnb_address),
        offset_of!(DownlinkRecord, gnb_teid),
        offset_of!(DownlinkRecord, action),
        offset_of!(DownlinkRecord, flags),
        offset_of!(DownlinkRecord, qfi),
        offset_of!(DownlinkRecord, tos),
        offset_of!(DownlinkRecord, next_hop),
        offset_of!(DownlinkRecord, packets),
        offset_of!(DownlinkRecord, bytes),
        offset_of!(DownlinkRecord, reserved),
        size_of::<NextHop>(),
        offset_of!(NextHop, destination),
        offset_of!(NextHop, source),
        offset_of!(NextHop, ifindex),
        offset_of!(NextHop, mtu),
        offset_of!(NextHop, target),
        offset_of!(NextHop, state),
        offset_of!(NextHop, taken),
        offset_of!(NextHop, route_flags),
        offset_of!(NextHop, onlink_address),
        offset_of!(NextHop, onlink_mask),
        size_of::<Pool>(),
        offset_of!(Pool, base),
        offset_of!(Pool, size),
        offset_of!(Pool, offset),
        size_of::<Config>(),
        offset_of!(Config, n3_address),
        offset_of!(Config, outer_checksum_base),
        offset_of!(Config, pools),
        size_of::<Meta>(),
        DropReason::SLOTS as usize,
        PASS_SLOTS as usize,
        PATH_SLOTS as usize,
    ];
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut i = 0;
    while i < facts.len() {
        hash = (hash ^ facts[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

// One line a record and a next hop: DESIGN 5, "one record, one lookup".
const _: () = assert!(size_of::<UplinkRecord>() == 64);
const _: () = assert!(size_of::<DownlinkRecord>() == 64);
const _: () = assert!(size_of::<NextHop>() == 64);

#[cfg(test)]
mod tests {
    use super::*;

    /// A layout changed? Raise `ABI_VERSION`, then write both numbers here.
    #[test]
    fn a_changed_layout_needs_a_new_abi_version() {
        assert_eq!(
            (ABI_VERSION, layout_fingerprint()),
            (1, 0x44e0_1f66_0079_e20e),
            "fingerprint is 0x{:016x}",
            layout_fingerprint()
        );
    }

    /// Fields cover the types without a hole: the sum of the sizes is the size.
    #[test]
    fn no_type_has_implicit_padding() {
        assert_eq!(size_of::<UplinkRecord>(), 4 + 4 + 4 + 4 + 8 + 8 + 32);
        assert_eq!(size_of::<DownlinkRecord>(), 4 + 4 + 4 + 4 + 8 + 8 + 32);
        assert_eq!(size_of::<NextHop>(), 6 + 6 + 4 + 4 + 4 + 1 + 1 + 1 + 5 + 4 + 4 + 24);
        assert_eq!(size_of::<Config>(), 4 + 4 + crate::POOLS_MAX * size_of::<Pool>());
        assert_eq!(size_of::<Meta>(), 4 + 4 + 8 + 4 + 4);
    }
}
