//! What UEs and gNBs can do wrong, on demand and by chance, the same from the same seed.

use std::str::FromStr;
use std::time::Duration;

/// One way to misbehave. All apply to uplink messages: what a core must survive is what it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An uplink NAS message is lost.
    Lost,
    /// An uplink NAS message comes twice.
    Duplicate,
    /// An uplink NAS message comes late.
    Late,
    /// An uplink NAS message comes after the one that follows it.
    OutOfOrder,
    /// The previous uplink NAS message of the UE comes once more.
    Replay,
    /// A protected NAS message has a wrong MAC.
    WrongMac,
    /// RES* is wrong.
    WrongResStar,
    /// A NAS message is replaced by random octets.
    GarbageNas,
    /// An NGAP message is cut.
    TruncatedNgap,
    /// An NGAP message carries an AMF UE NGAP ID that nobody gave.
    UnknownIds,
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::Lost,
        Self::Duplicate,
        Self::Late,
        Self::OutOfOrder,
        Self::Replay,
        Self::WrongMac,
        Self::WrongResStar,
        Self::GarbageNas,
        Self::TruncatedNgap,
        Self::UnknownIds,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::OutOfOrder => "out-of-order",
            Self::Replay => "replay",
            Self::WrongMac => "wrong-mac",
            Self::WrongResStar => "wrong-res",
            Self::GarbageNas => "garbage-nas",
            Self::TruncatedNgap => "truncated-ngap",
            Self::UnknownIds => "unknown-ids",
        }
    }
}

/// A kind, and how likely it is for one message: `wrong-mac` (always) or `wrong-mac=0.1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knob {
    pub kind: Kind,
    pub probability: f64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no misbehaviour: KIND or KIND=PROBABILITY from 0 to 1, KIND one of {}", names())]
pub struct KnobError {
    given: String,
}

fn names() -> String {
    Kind::ALL.map(Kind::name).join(", ")
}

impl FromStr for Knob {
    type Err = KnobError;

    fn from_str(text: &str) -> Result<Self, KnobError> {
        let wrong = || KnobError { given: text.into() };
        let (name, probability) = text.split_once('=').unwrap_or((text, "1"));
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(wrong)?;
        let probability: f64 = probability.parse().map_err(|_| wrong())?;
        if !(0.0..=1.0).contains(&probability) {
            return Err(wrong());
        }
        Ok(Self { kind, probability })
    }
}

/// The dice.
#[derive(Clone, Debug)]
pub struct Misbehaviour {
    knobs: Vec<Knob>,
    state: u64,
    /// How late `Late` is.
    pub delay: Duration,
    counts: [u64; Kind::ALL.len()],
}

impl Misbehaviour {
    pub fn none() -> Self {
        Self::new(Vec::new(), 0)
    }

    pub fn new(knobs: Vec<Knob>, seed: u64) -> Self {
        Self { knobs, state: seed, delay: Duration::from_millis(200), counts: [0; Kind::ALL.len()] }
    }

    pub fn is_none(&self) -> bool {
        self.knobs.is_empty()
    }

    /// Whether to misbehave this time.
    pub fn roll(&mut self, kind: Kind) -> bool {
        let Some(knob) = self.knobs.iter().find(|knob| knob.kind == kind) else { return false };
        let probability = knob.probability;
        // 53 bits: all that a double holds.
        let hit = ((self.next() >> 11) as f64) / ((1u64 << 53) as f64) < probability;
        self.counts[kind as usize] += u64::from(hit);
        hit
    }

    /// How often each kind was done.
    pub fn counts(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        Kind::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
    }

    /// Below `bound`; 0 for 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub fn fill(&mut self, octets: &mut [u8]) {
        octets.fill_with(|| self.next() as u8);
    }

    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_knob_reads_as_kind_and_probability() {
        assert_eq!("lost".parse::<Knob>().unwrap(), Knob { kind: Kind::Lost, probability: 1.0 });
        assert_eq!("wrong-mac=0.25".parse::<Knob>().unwrap(), Knob { kind: Kind::WrongMac, probability: 0.25 });
        for wrong in ["", "loss", "lost=", "lost=2", "lost=-1", "lost=nan"] {
            assert!(wrong.parse::<Knob>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_same_seed_misbehaves_the_same_and_about_as_often_as_asked() {
        let knobs = vec!["lost=0.1".parse().unwrap()];
        let rolls = |seed| {
            let mut dice = Misbehaviour::new(knobs.clone(), seed);
            (0..10_000).map(|_| dice.roll(Kind::Lost)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(1), rolls(1));
        assert_ne!(rolls(1), rolls(2));
        let hits = rolls(3).into_iter().filter(|hit| *hit).count();
        assert!((900..1_100).contains(&hits), "{hits}");
        assert!(!Misbehaviour::new(knobs.clone(), 0).roll(Kind::Late));
    }
}
