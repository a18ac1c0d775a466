//! TEIDs that the user plane chooses (TS 29.244 5.5.2, CHOOSE): generation in the high bits, array index in the low bits.
//!
//! ```text
//!  31        24 23                                   0
//! +------------+--------------------------------------+
//! | generation |                index                 |
//! +------------+--------------------------------------+
//! ```
//! The generation grows each time a slot is given again, so that a late packet of the former session does not match the
//! record of the new one. It is never 0, so no chosen TEID is below 2^24 and TEID 0 (TS 29.281 5.1: signalling) never is.

/// Width of the index.
pub const TEID_INDEX_BITS: u32 = 24;

/// The largest uplink array a TEID can address.
pub const TEID_SLOTS_MAX: u32 = 1 << TEID_INDEX_BITS;

/// The TEID of a slot. Generation 0 is taken as 1.
#[must_use]
#[inline(always)]
pub const fn teid(index: u32, generation: u8) -> u32 {
    let generation = if generation == 0 { 1 } else { generation };
    ((generation as u32) << TEID_INDEX_BITS) | (index & (TEID_SLOTS_MAX - 1))
}

/// The slot that a TEID addresses.
#[must_use]
#[inline(always)]
pub const fn teid_index(teid: u32) -> u32 {
    teid & (TEID_SLOTS_MAX - 1)
}

/// How many times the slot was given out before, modulo 255; 0 for a TEID that this user plane did not choose.
#[must_use]
#[inline(always)]
pub const fn teid_generation(teid: u32) -> u8 {
    (teid >> TEID_INDEX_BITS) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_teid_gives_back_its_parts() {
        for index in [0, 1, 0x00ab_cdef, TEID_SLOTS_MAX - 1] {
            for generation in [1, 2, 0x7f, 0xff] {
                let id = teid(index, generation);
                assert_eq!(teid_index(id), index);
                assert_eq!(teid_generation(id), generation);
            }
        }
    }

    #[test]
    fn no_chosen_teid_is_zero() {
        assert_ne!(teid(0, 0), 0);
        assert_eq!(teid(0, 0), teid(0, 1));
    }

    #[test]
    fn an_index_too_large_stays_in_its_bits() {
        assert_eq!(teid_generation(teid(u32::MAX, 1)), 1);
    }
}
