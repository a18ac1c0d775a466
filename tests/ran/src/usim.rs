//! The USIM: a long-term key, the check of a challenge, the window of sequence numbers.

use coeur_model::Secret;
use oxirush_security::milenage::{K, Milenage, Op, Opc, Sqn, UsimResponse};
use oxirush_security::{Autn, Rand};

/// IND: the lowest 5 bits of SQN (TS 33.102, C.3.2).
const IND_BITS: u32 = 5;
const IND_COUNT: usize = 1 << IND_BITS;
/// Δ: how far SEQ may jump (TS 33.102, C.2.1 and C.3.2).
const SEQ_JUMP_MAX: u64 = 1 << 28;
const SQN_MAX: u64 = (1 << 48) - 1;

/// The operator's variant of the algorithm: as OP (TS 35.206, 4.1), or as OPc derived from it already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorKey {
    Op(Secret<16>),
    Opc(Secret<16>),
}

/// A USIM with MILENAGE. Its sequence numbers survive as long as the value does; see [`Usim::with_sqn`].
pub struct Usim {
    milenage: Milenage,
    /// The highest SEQ accepted for each IND (TS 33.102, C.2.2). Boxed: a hundred thousand UEs are moved about.
    seq: Box<[u64; IND_COUNT]>,
    /// The SQN accepted with the highest SEQ of all: SQNMS.
    sqn_ms: u64,
}

/// What the USIM says of a challenge.
#[derive(Debug)]
pub enum Challenge {
    /// The network is authentic and the challenge fresh.
    Accepted(Box<UsimResponse>),
    /// AUTN's MAC is wrong: 5GMM cause #20.
    MacFailure,
    /// AUTN is authentic, its SQN out of range: 5GMM cause #21 with this AUTS.
    SynchFailure([u8; 14]),
}

impl Usim {
    pub fn new(k: &Secret<16>, operator: &OperatorKey) -> Self {
        let k = K::new(k.expose());
        let opc = match operator {
            OperatorKey::Op(op) => Opc::from_op(&k, &Op::new(op.expose())),
            OperatorKey::Opc(opc) => Opc::new(opc.expose()),
        };
        Self { milenage: Milenage::new(&k, &opc), seq: Box::new([0; IND_COUNT]), sqn_ms: 0 }
    }

    /// A USIM that is at `sqn`, in all places of its window: nothing up to there is fresh any more. What a test of
    /// resynchronisation starts from. Bits above 48 are cut off.
    #[must_use]
    pub fn with_sqn(mut self, sqn: u64) -> Self {
        self.sqn_ms = sqn & SQN_MAX;
        self.seq.fill(self.sqn_ms >> IND_BITS);
        self
    }

    /// The highest sequence number accepted.
    pub fn sqn_ms(&self) -> u64 {
        self.sqn_ms
    }

    /// Checks a challenge: first its MAC, then its freshness (TS 33.102, 6.3.3).
    pub fn check(&mut self, rand: [u8; 16], autn: [u8; 16]) -> Challenge {
        let rand = Rand::new(&rand);
        let Ok(response) = self.milenage.check_autn(&rand, &Autn::new(&autn)) else {
            return Challenge::MacFailure;
        };
        let sqn = response.sqn().get();
        if !self.is_fresh(sqn) {
            // SQNMS is 48 bits by construction, so that `try_from` cannot fail; 0 is what an unused USIM has.
            let sqn_ms = Sqn::try_from(self.sqn_ms).unwrap_or(Sqn::new(&[0; 6]));
            return Challenge::SynchFailure(*self.milenage.auts(&rand, &sqn_ms).as_octets());
        }
        self.accept(sqn);
        Challenge::Accepted(Box::new(response))
    }

    /// TS 33.102 C.2.2: SEQ above what its IND has seen, and not a jump beyond Δ from SQNMS.
    fn is_fresh(&self, sqn: u64) -> bool {
        let (seq, ind) = split(sqn);
        seq > self.seq[ind] && seq.saturating_sub(self.sqn_ms >> IND_BITS) <= SEQ_JUMP_MAX
    }

    fn accept(&mut self, sqn: u64) {
        let (seq, ind) = split(sqn);
        self.seq[ind] = seq;
        self.sqn_ms = self.sqn_ms.max(sqn);
    }
}

fn split(sqn: u64) -> (u64, usize) {
    (sqn >> IND_BITS, (sqn as usize) & (IND_COUNT - 1))
}

impl std::fmt::Debug for Usim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Usim").field("sqn_ms", &self.sqn_ms).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxirush_security::milenage::{Amf, Auts};

    // TS 35.208, 4.3: test set 1.
    const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
    const OP: &str = "cdc202d5123e20f62b6d676ac72cb318";
    const OPC: &str = "cd63cb71954a9f4e48a5994e37a02baf";
    const RAND: [u8; 16] = *b"\x23\x55\x3c\xbe\x96\x37\xa8\x9d\x21\x8a\xe6\x4d\xae\x47\xbf\x35";

    fn usim() -> Usim {
        Usim::new(&Secret::from_hex(K).unwrap(), &OperatorKey::Opc(Secret::from_hex(OPC).unwrap()))
    }

    fn home() -> Milenage {
        let octets = |hex: &str| *Secret::<16>::from_hex(hex).unwrap().expose();
        Milenage::new(&super::K::new(&octets(K)), &Opc::new(&octets(OPC)))
    }

    fn autn(sqn: u64) -> [u8; 16] {
        let vector =
            home().authentication_vector(&Rand::new(&RAND), &Sqn::try_from(sqn).unwrap(), &Amf::new(&[0x80, 0x00]));
        *vector.autn().as_octets()
    }

    #[test]
    fn res_of_ts_35_208_test_set_1() {
        let autn = *b"\x55\xf3\x28\xb4\x35\x77\xb9\xb9\x4a\x9f\xfa\xc3\x54\xdf\xaf\xb3";
        // The SQN of the set, 0xff9bb4d0b607, is beyond Δ of an unused USIM.
        let Challenge::Accepted(response) = usim().with_sqn(0xff9b_b4d0_b5e0).check(RAND, autn) else {
            panic!("refused")
        };
        assert_eq!(response.res().as_octets(), &[0xa5, 0x42, 0x11, 0xd5, 0xe3, 0xba, 0x50, 0xbf]);
    }

    #[test]
    fn op_and_opc_are_the_same_card() {
        let k = Secret::from_hex(K).unwrap();
        let mut by_op = Usim::new(&k, &OperatorKey::Op(Secret::from_hex(OP).unwrap()));
        assert!(matches!(by_op.check(RAND, autn(0x20)), Challenge::Accepted(_)));
    }

    #[test]
    fn a_wrong_mac_is_told_from_a_stale_sqn() {
        let mut forged = autn(0x20);
        forged[15] ^= 1;
        assert!(matches!(usim().check(RAND, forged), Challenge::MacFailure));
    }

    #[test]
    fn the_window_of_ts_33_102_annex_c() {
        let mut usim = usim();
        for (sqn, fresh, why) in [
            (0x00, false, "SEQ 0 is never above the initial 0"),
            (0x20, true, "SEQ 1, IND 0"),
            (0x20, false, "the same again"),
            (0x41, true, "SEQ 2, IND 1"),
            (0x40, true, "SEQ 2, IND 0: the window is one of 32 places"),
            (0x21, false, "SEQ 1, IND 1 is behind"),
            ((SEQ_JUMP_MAX + 3) << 5, false, "beyond Δ of SEQ 2"),
            ((SEQ_JUMP_MAX + 2) << 5, true, "just Δ"),
        ] {
            let accepted = matches!(usim.check(RAND, autn(sqn)), Challenge::Accepted(_));
            assert_eq!(accepted, fresh, "{sqn:#x}: {why}");
        }
    }

    #[test]
    fn auts_tells_the_home_network_sqn_ms() {
        let mut usim = usim().with_sqn(0x1240);
        let Challenge::SynchFailure(auts) = usim.check(RAND, autn(0x20)) else { panic!("no synch failure") };
        let sqn_ms = home().verify_auts(&Rand::new(&RAND), &Auts::new(&auts)).unwrap();
        assert_eq!(sqn_ms.get(), 0x1240);
    }
}
