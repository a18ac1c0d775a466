//! Registered UEs and their PDU sessions.

use super::{Ambr, GnbId, Tai, Timestamp};
use crate::backend::Acknowledged;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use utoipa::ToSchema;

/// A registered UE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ue {
    #[schema(example = "imsi-001010000000001")]
    pub supi: String,
    pub cm_state: CmState,
    /// 5G-TMSI of its 5G-GUTI: 8 hex digits.
    #[schema(example = "0000c0de")]
    pub tmsi: String,
    /// The gNB that serves it; absent in CM-IDLE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gnb: Option<GnbId>,
    /// Where it was last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tai: Option<Tai>,
    #[schema(example = json!(["1", "1-010203"]))]
    pub allowed_slices: Vec<String>,
    pub sessions: u32,
    #[schema(value_type = String, format = DateTime)]
    pub registered: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CmState {
    Idle,
    Connected,
}

/// A PDU session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    #[schema(example = "imsi-001010000000001")]
    pub supi: String,
    /// PDU session identity, 1 to 15.
    pub id: u8,
    #[schema(example = "internet")]
    pub dnn: String,
    #[schema(example = "1-010203")]
    pub snssai: String,
    /// Absent until an address is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Ipv4)]
    pub ipv4: Option<Ipv4Addr>,
    pub state: SessionState,
    #[schema(value_type = String, format = DateTime)]
    pub established: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_ambr: Option<Ambr>,
    pub five_qi: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    /// Being established or released.
    Changing,
    /// The user plane is connected to a gNB.
    Active,
    /// The phone is idle.
    Inactive,
}

/// How a procedure with a phone ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// False: the phone did not answer, and the network ended it alone.
    pub acknowledged: bool,
}

impl From<Acknowledged> for Outcome {
    fn from(acknowledged: Acknowledged) -> Self {
        Self { acknowledged: acknowledged == Acknowledged::ByThePhone }
    }
}
