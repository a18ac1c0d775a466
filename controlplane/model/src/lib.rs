//! The domain of a 5G core as newtypes: identities, slices, rates, addresses, and the configuration of one hosted core.
//!
//! Nothing here does anything: no IO, no clock, no codec. A value that exists is valid; constructors refuse the rest and
//! say what they expected. Subscriber identities mask themselves in `Debug` and `Display`; `expose` gives them in full.

pub mod config;
mod identity;
mod network;
mod qos;
mod secret;
mod subscriber;

pub use identity::{Guami, Guti, Suci, Supi, Tmsi};
pub use network::{AmfUeNgapId, Dnn, GnbId, NrCellId, PduSessionId, Plmn, RanUeNgapId, Seid, Snssai, Tac, Tai, Teid};
pub use qos::{Ambr, Arp, BitRate, FiveQi, Qfi};
pub use secret::Secret;
pub use subscriber::{DnnSubscription, SessionType, SliceSubscription, SubscriptionProfile};

/// A value that is not what the domain allows: which kind, what was given, what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: expected {expected}, got {given}")]
pub struct Invalid {
    pub kind: &'static str,
    pub expected: &'static str,
    pub given: String,
}

impl Invalid {
    pub(crate) fn new(kind: &'static str, expected: &'static str, given: impl Into<String>) -> Self {
        Self { kind, expected, given: given.into() }
    }
}

/// Serializes through `Display`/`FromStr`, so that a value reads the same in TOML, JSON, SQL and on the command line.
macro_rules! serde_as_text {
    ($($name:ty),+) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.to_text())
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
pub(crate) use serde_as_text;
