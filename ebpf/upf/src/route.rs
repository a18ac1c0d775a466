//! Stage: where does the packet leave.
//!
//! An uplink record names the default route of N6, and that next hop says what comes before it: the prefix on link, and
//! whether there are routes more specific. One compare in a line that is needed anyway; tables are asked only if it fits.

use aya_ebpf::maps::lpm_trie::Key;
use coeur_ebpf_abi::{Be32, NextHop, ROUTE_HAS_SPECIFIC};

use crate::maps::{NEIGHBOURS, NEXT_HOPS, ROUTES};

/// The next hop of a data network address (as it lies in the packet); `None` leaves it to the kernel.
#[inline(always)]
pub(crate) fn to_n6<'a>(destination: u32, default: u32) -> Option<&'a NextHop> {
    let hop = NEXT_HOPS.get(default)?;
    // Without a prefix on link the mask is all ones and the address 0.0.0.0, which is no destination.
    if destination & hop.onlink_mask.to_wire() == hop.onlink_address.to_wire() {
        // SAFETY: a value of a map that user space replaces as a whole.
        return by_id(*unsafe { NEIGHBOURS.get(Be32::from_wire(destination)) }?);
    }
    if hop.route_flags & ROUTE_HAS_SPECIFIC != 0
        && let Some(specific) = ROUTES.get(Key::new(32, Be32::from_wire(destination)))
    {
        return by_id(*specific);
    }
    if hop.is_resolved() { Some(hop) } else { None }
}

/// The next hop with this id, if it is resolved.
#[inline(always)]
pub(crate) fn by_id<'a>(id: u32) -> Option<&'a NextHop> {
    NEXT_HOPS.get(id).filter(|hop| hop.is_resolved())
}
