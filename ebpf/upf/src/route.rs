//! Stage: where does the packet leave.
//!
//! An uplink record names the default route of N6. Destinations on link and routes more specific than the default are asked
//! for only if there are any: one compare each with words of the configuration, then a small table.

use aya_ebpf::maps::lpm_trie::Key;
use coeur_ebpf_abi::{Be32, Config, NextHop, ROUTE_HAS_ONLINK, ROUTE_HAS_SPECIFIC};

use crate::maps::{NEIGHBOURS, NEXT_HOPS, ROUTES};

/// The next hop of a data network address (as it lies in the packet); `None` leaves it to the kernel.
#[inline(always)]
pub(crate) fn to_n6<'a>(destination: u32, default: u32, config: &Config) -> Option<&'a NextHop> {
    let mut id = default;
    if config.route_flags != 0 {
        if config.route_flags & ROUTE_HAS_ONLINK != 0
            && destination & config.onlink_mask.to_wire() == config.onlink_address.to_wire()
        {
            // SAFETY: a value of a map that user space replaces as a whole.
            id = *unsafe { NEIGHBOURS.get(Be32::from_wire(destination)) }?;
        } else if config.route_flags & ROUTE_HAS_SPECIFIC != 0
            && let Some(specific) = ROUTES.get(Key::new(32, Be32::from_wire(destination)))
        {
            id = *specific;
        }
    }
    by_id(id)
}

/// The next hop with this id, if it is resolved.
#[inline(always)]
pub(crate) fn by_id<'a>(id: u32) -> Option<&'a NextHop> {
    NEXT_HOPS.get(id).filter(|hop| hop.is_resolved())
}
