//! Subscribers and what they may use (TS 29.503, 6.1.6.2).

use super::Timestamp;
use crate::{NewSubscriber, Problem, opc};
use coeur_model::{self as model, BitRate, Dnn, FiveQi, Secret, Snssai, SubscriptionProfile, Supi};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use utoipa::ToSchema;

/// Most data networks of a slice in one subscription.
pub const SLICE_DNNS_MAX: usize = 16;

/// Most slices of a subscription (TS 24.501, 9.11.3.37: an NSSAI holds eight).
const SLICES_MAX: usize = 8;

/// A subscriber. Keys are never part of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Subscriber {
    #[schema(example = "imsi-001010000000001")]
    pub supi: String,
    pub profile: Profile,
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When the profile was last written.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
}

/// A subscriber to be added. Exactly one of `opc` and `op` is given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriberRequest {
    #[schema(value_type = String, example = "imsi-001010000000001")]
    supi: Supi,
    /// K: 32 hex digits. Write-only.
    #[schema(write_only)]
    k: String,
    /// OPc: 32 hex digits. Write-only.
    #[schema(write_only)]
    opc: Option<String>,
    /// OP: 32 hex digits. Write-only; OPc is computed from it and it is not kept.
    #[schema(write_only)]
    op: Option<String>,
    /// Authentication management field: 4 hex digits with the separation bit set; 8000 unless given.
    #[schema(example = "8000")]
    amf: Option<String>,
    /// The last sequence number used: up to 12 hex digits; 0 unless given.
    #[schema(example = "000000000000")]
    sqn: Option<String>,
    /// Absent: every slice of the core, each with every data network of the core.
    profile: Option<Profile>,
}

impl SubscriberRequest {
    /// Checks what a request can be checked for alone.
    pub(crate) fn check(self, default: impl FnOnce() -> SubscriptionProfile) -> Result<NewSubscriber, Problem> {
        let k = key("k", &self.k)?;
        let opc = match (&self.opc, &self.op) {
            (Some(opc), None) => key("opc", opc)?,
            (None, Some(op)) => opc(&k, &key("op", op)?),
            (Some(_), Some(_)) => return Err(Problem::invalid_field("opc or op, not both").field("op")),
            (None, None) => return Err(Problem::invalid_field("opc (or op) is missing").field("opc")),
        };
        let amf = self.amf.as_deref().map_or(Ok(AMF_DEFAULT), amf)?;
        let sqn = self.sqn.as_deref().map_or(Ok(0), sqn)?;
        let profile = match self.profile {
            Some(profile) => profile.check("profile")?,
            None => default(),
        };
        Ok(NewSubscriber { supi: self.supi, k, opc, amf, sqn, profile })
    }
}

/// Separation bit set, everything else not (TS 33.501, 6.1.3.2, with TS 33.102, annex H).
pub(crate) const AMF_DEFAULT: [u8; 2] = [0x80, 0x00];

/// The error does not repeat what was given: a wrong key is still a key.
pub(crate) fn key(field: &'static str, text: &str) -> Result<Secret<16>, Problem> {
    Secret::from_hex(text).map_err(|_| {
        Problem::invalid_field(format!("expected 32 hex digits, got {} characters", text.chars().count())).field(field)
    })
}

pub(crate) fn amf(text: &str) -> Result<[u8; 2], Problem> {
    let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match u16::from_str_radix(text, 16).ok().filter(|_| digits).map(u16::to_be_bytes) {
        Some(amf) if amf[0] & 0x80 != 0 => Ok(amf),
        _ => Err(Problem::invalid_field("expected 4 hex digits with the separation bit set, as 8000").field("amf")),
    }
}

pub(crate) fn sqn(text: &str) -> Result<u64, Problem> {
    let digits = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    u64::from_str_radix(text, 16)
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| Problem::invalid_field("expected 1 to 12 hex digits").field("sqn"))
}

/// What a subscriber may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// UE-AMBR (TS 23.501, 5.7.2.6); 1 Gbps both ways unless given.
    #[serde(default)]
    pub ue_ambr: Ambr,
    /// 1 to 8, at least one of them a default one.
    #[schema(min_items = 1, max_items = 8)]
    pub slices: Vec<SliceSubscription>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SliceSubscription {
    #[schema(value_type = String, example = "1-010203")]
    pub snssai: Snssai,
    /// Allowed without being asked for (TS 23.501, 5.15.3).
    #[serde(default)]
    pub default: bool,
    /// 1 to 16; the first is the default one.
    #[schema(min_items = 1, max_items = 16)]
    pub dnns: Vec<DnnSubscription>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DnnSubscription {
    #[schema(value_type = String, example = "internet")]
    pub dnn: Dnn,
    #[serde(default)]
    pub session_type: SessionType,
    /// Session-AMBR; 1 Gbps both ways unless given.
    #[serde(default)]
    pub session_ambr: Ambr,
    /// 5QI; 9 unless given.
    #[serde(default = "five_qi")]
    #[schema(minimum = 1)]
    pub five_qi: u8,
    #[serde(default)]
    pub arp: Arp,
    /// A fixed address within the pool of the data network; absent: one from the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Ipv4)]
    pub ipv4: Option<Ipv4Addr>,
}

fn five_qi() -> u8 {
    9
}

/// Aggregate maximum bit rate, each way a number and a unit (TS 29.571, 5.5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = AmbrFields)]
pub struct Ambr(pub model::Ambr);

/// Aggregate maximum bit rate, each way a number and a unit (TS 29.571, 5.5.2).
#[derive(ToSchema)]
#[allow(dead_code, reason = "the schema of Ambr")]
struct AmbrFields {
    #[schema(example = "100 Mbps")]
    uplink: String,
    #[schema(example = "1 Gbps")]
    downlink: String,
}

impl Ambr {
    pub fn new(uplink: BitRate, downlink: BitRate) -> Self {
        Self(model::Ambr { uplink, downlink })
    }
}

/// Allocation and retention priority (TS 23.501, 5.7.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Arp {
    /// 1 is the highest, 15 the lowest; 8 unless given.
    #[schema(minimum = 1, maximum = 15)]
    pub priority: u8,
    #[serde(default)]
    pub may_preempt: bool,
    #[serde(default)]
    pub preemptable: bool,
}

impl Default for Arp {
    fn default() -> Self {
        model::Arp::default().into()
    }
}

impl From<model::Arp> for Arp {
    fn from(model::Arp { priority, may_preempt, preemptable }: model::Arp) -> Self {
        Self { priority, may_preempt, preemptable }
    }
}

/// PDU session type (TS 24.501, 9.11.4.11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionType {
    #[default]
    Ipv4,
    Ipv6,
    Ipv4v6,
    Unstructured,
    Ethernet,
}

/// Which field of a profile is wrong, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}")]
pub struct InvalidProfile {
    pub field: String,
    pub expected: &'static str,
}

impl Profile {
    /// As the domain has it. What only the core knows (its slices, its pools) is left to the core.
    pub fn into_model(self) -> Result<SubscriptionProfile, InvalidProfile> {
        let wrong = |field: String, expected| Err(InvalidProfile { field, expected });
        if !(1..=SLICES_MAX).contains(&self.slices.len()) {
            return wrong("slices".into(), "1 to 8 slices");
        }
        if !self.slices.iter().any(|slice| slice.default) {
            return wrong("slices".into(), "at least one with \"default\": true");
        }
        for (i, slice) in self.slices.iter().enumerate() {
            if self.slices[..i].iter().any(|other| other.snssai == slice.snssai) {
                return wrong(format!("slices[{i}].snssai"), "each slice once only");
            }
            if !(1..=SLICE_DNNS_MAX).contains(&slice.dnns.len()) {
                return wrong(format!("slices[{i}].dnns"), "1 to 16 data networks");
            }
            for (j, dnn) in slice.dnns.iter().enumerate() {
                let field = |name: &str| format!("slices[{i}].dnns[{j}].{name}");
                if slice.dnns[..j].iter().any(|other| other.dnn == dnn.dnn) {
                    return wrong(field("dnn"), "each data network once only");
                }
                if dnn.five_qi == 0 {
                    return wrong(field("five_qi"), "1 to 255");
                }
                if !(1..=15).contains(&dnn.arp.priority) {
                    return wrong(field("arp.priority"), "1 to 15");
                }
            }
        }
        let slices = self.slices.into_iter().map(SliceSubscription::into_model).collect();
        Ok(SubscriptionProfile { ue_ambr: self.ue_ambr.0, slices })
    }

    pub(crate) fn check(self, field: &str) -> Result<SubscriptionProfile, Problem> {
        self.into_model().map_err(|error| {
            let detail = format!("expected {}", error.expected);
            let field = if field.is_empty() { error.field } else { format!("{field}.{}", error.field) };
            Problem::invalid_field(detail).field(field)
        })
    }
}

impl SliceSubscription {
    fn into_model(self) -> model::SliceSubscription {
        let dnns = self.dnns.into_iter().map(DnnSubscription::into_model).collect();
        model::SliceSubscription { snssai: self.snssai, default: self.default, dnns }
    }
}

impl DnnSubscription {
    fn into_model(self) -> model::DnnSubscription {
        let Arp { priority, may_preempt, preemptable } = self.arp;
        model::DnnSubscription {
            dnn: self.dnn,
            session_type: self.session_type.into(),
            session_ambr: self.session_ambr.0,
            five_qi: FiveQi(self.five_qi),
            arp: model::Arp { priority, may_preempt, preemptable },
            ipv4: self.ipv4,
        }
    }
}

impl From<SubscriptionProfile> for Profile {
    fn from(profile: SubscriptionProfile) -> Self {
        let dnn = |dnn: model::DnnSubscription| DnnSubscription {
            dnn: dnn.dnn,
            session_type: dnn.session_type.into(),
            session_ambr: Ambr(dnn.session_ambr),
            five_qi: dnn.five_qi.0,
            arp: dnn.arp.into(),
            ipv4: dnn.ipv4,
        };
        let slice = |slice: model::SliceSubscription| SliceSubscription {
            snssai: slice.snssai,
            default: slice.default,
            dnns: slice.dnns.into_iter().map(dnn).collect(),
        };
        Self { ue_ambr: Ambr(profile.ue_ambr), slices: profile.slices.into_iter().map(slice).collect() }
    }
}

macro_rules! same_names {
    ($($name:ident),+) => {
        impl From<SessionType> for model::SessionType {
            fn from(kind: SessionType) -> Self {
                match kind { $(SessionType::$name => Self::$name),+ }
            }
        }
        impl From<model::SessionType> for SessionType {
            fn from(kind: model::SessionType) -> Self {
                match kind { $(model::SessionType::$name => Self::$name),+ }
            }
        }
    };
}
same_names!(Ipv4, Ipv6, Ipv4v6, Unstructured, Ethernet);

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportResult {
    pub added: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(json: serde_json::Value) -> Profile {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_profile_reads_back_through_the_domain() {
        let given = profile(serde_json::json!({
            "ue_ambr": {"uplink": "10 Mbps", "downlink": "20 Mbps"},
            "slices": [{"snssai": "1-010203", "default": true, "dnns": [{"dnn": "ims", "five_qi": 5, "ipv4": "10.0.0.9"}]}],
        }));
        assert_eq!(Profile::from(given.clone().into_model().unwrap()), given);
    }

    #[test]
    fn a_wrong_profile_names_its_field() {
        let dnn = serde_json::json!({"dnn": "ims"});
        for (slices, field) in [
            (serde_json::json!([]), "slices"),
            (serde_json::json!([{"snssai": "1", "dnns": [dnn]}]), "slices"),
            (serde_json::json!([{"snssai": "1", "default": true, "dnns": []}]), "slices[0].dnns"),
            (serde_json::json!([{"snssai": "1", "default": true, "dnns": [dnn, dnn]}]), "slices[0].dnns[1].dnn"),
            (
                serde_json::json!([{"snssai": "1", "default": true, "dnns": [dnn]}, {"snssai": "1", "dnns": [dnn]}]),
                "slices[1].snssai",
            ),
            (
                serde_json::json!([{"snssai": "1", "default": true, "dnns": [{"dnn": "a", "five_qi": 0}]}]),
                "slices[0].dnns[0].five_qi",
            ),
            (
                serde_json::json!([{"snssai": "1", "default": true, "dnns": [{"dnn": "a", "arp": {"priority": 16}}]}]),
                "slices[0].dnns[0].arp.priority",
            ),
        ] {
            let error = profile(serde_json::json!({ "slices": slices })).into_model().unwrap_err();
            assert_eq!(error.field, field);
        }
    }

    #[test]
    fn fields_of_authentication_have_their_form() {
        assert_eq!(amf("8000").unwrap(), AMF_DEFAULT);
        assert_eq!(sqn("00000000ffe0").unwrap(), 0xFFE0);
        for wrong in ["", "0000", "800", "80000", "+800", "gggg"] {
            assert!(amf(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "+1", "0x1", "1000000000000", "é"] {
            assert!(sqn(wrong).is_err(), "{wrong}");
        }
    }
}
