//! Sequence numbers (TS 33.102, annex C): SQN = SEQ (43 bits) | IND (5 bits).
//!
//! Each vector has the next SEQ and the next IND (C.1.1.1 and C.1.1.2, not based on time), so a card that keeps one SEQ per
//! IND accepts up to 32 vectors in any order. The last SQN reserved is what is kept.

const IND_BITS: u32 = 5;
const IND_MASK: u64 = (1 << IND_BITS) - 1;
pub(crate) const SQN_MASK: u64 = (1 << 48) - 1;

/// The number after `last`.
pub(crate) fn next(last: u64) -> u64 {
    let sequence = (last >> IND_BITS) + 1;
    let index = (last + 1) & IND_MASK;
    (sequence << IND_BITS | index) & SQN_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seq_and_ind_both_count() {
        assert_eq!(next(0), 33);
        assert_eq!(next(33), 2 << 5 | 2);
        // IND goes around; SEQ does not.
        assert_eq!(next(7 << 5 | 31), 8 << 5);
        // What a card takes for new: SEQ above the highest it has seen, by 2^28 at most (C.2.1).
        let mut sqn = 0xFF_9BB4_D0B6;
        for _ in 0..1_000 {
            let following = next(sqn);
            assert_eq!((following >> 5) - (sqn >> 5), 1);
            sqn = following;
        }
        assert!(next(SQN_MASK) <= SQN_MASK);
    }
}
