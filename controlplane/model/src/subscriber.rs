//! What a subscriber may use: slices, and data networks in them (TS 29.503, 6.1.6.2).

use crate::{Ambr, Arp, Dnn, FiveQi, Snssai};
use std::net::Ipv4Addr;

/// Access, slice and session management subscription of one subscriber.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionProfile {
    /// UE-AMBR (TS 23.501, 5.7.2.6).
    #[serde(default)]
    pub ue_ambr: Ambr,
    /// The slices of the subscription; the first default one is used when the phone asks for none.
    pub slices: Vec<SliceSubscription>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceSubscription {
    pub snssai: Snssai,
    /// A default S-NSSAI is allowed without being asked for (TS 23.501, 5.15.3).
    #[serde(default)]
    pub default: bool,
    /// The data networks of the slice; the first is the default one.
    pub dnns: Vec<DnnSubscription>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnnSubscription {
    pub dnn: Dnn,
    #[serde(default)]
    pub session_type: SessionType,
    #[serde(default)]
    pub session_ambr: Ambr,
    #[serde(default = "default_five_qi")]
    pub five_qi: FiveQi,
    #[serde(default)]
    pub arp: Arp,
    /// A fixed address; none: one from the pool of the data network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
}

impl DnnSubscription {
    pub fn new(dnn: Dnn) -> Self {
        Self {
            dnn,
            session_type: SessionType::default(),
            session_ambr: Ambr::default(),
            five_qi: default_five_qi(),
            arp: Arp::default(),
            ipv4: None,
        }
    }
}

/// 5QI 9: the default bearer of the internet (TS 23.501, table 5.7.4-1).
fn default_five_qi() -> FiveQi {
    FiveQi(9)
}

/// PDU session type (TS 24.501, 9.11.4.11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionType {
    #[default]
    Ipv4,
    Ipv6,
    Ipv4v6,
    Unstructured,
    Ethernet,
}

impl SubscriptionProfile {
    pub fn slice(&self, snssai: Snssai) -> Option<&SliceSubscription> {
        self.slices.iter().find(|slice| slice.snssai == snssai)
    }

    pub fn default_slices(&self) -> impl Iterator<Item = Snssai> + '_ {
        self.slices.iter().filter(|slice| slice.default).map(|slice| slice.snssai)
    }
}
