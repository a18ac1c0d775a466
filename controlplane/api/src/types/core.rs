//! Hosted cores: as their supervisor sees them, and as they see themselves.

use super::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A hosted core as the platform sees it: its processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CoreSummary {
    pub name: String,
    #[schema(example = "00101")]
    pub plmn: String,
    pub state: CoreState,
    /// The core, and its user plane if the platform runs it.
    pub processes: Vec<Process>,
}

/// `ready` if every process of the core is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CoreState {
    Starting,
    Ready,
    /// At least one process died and waits to be started again.
    Down,
    Stopping,
}

/// One supervised process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Process {
    pub kind: ProcessKind,
    pub state: ProcessState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How often it was started again after it had ended by itself.
    pub restarts: u64,
    /// From its last start until it was ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_after_ms: Option<u64>,
    /// How it ended the last time, as `exit status 1` or `signal 9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessKind {
    Core,
    UserPlane,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessState {
    Starting,
    Ready,
    /// It ended, and is started again after a while.
    Waiting,
    Stopping,
    Stopped,
}

/// A hosted core as it sees itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CoreStatus {
    pub name: String,
    pub version: String,
    #[schema(example = "00101")]
    pub plmn: String,
    #[schema(value_type = String, format = DateTime)]
    pub started: Timestamp,
    pub uptime_ms: u64,
    /// N2 is served and the store is open.
    pub ready: bool,
    /// From the start of its process until it was ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_after_ms: Option<u64>,
    /// Which SCTP carries N2; absent until N2 is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sctp: Option<SctpImplementation>,
    /// Where gNBs connect; absent until N2 is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "10.0.0.1:38412")]
    pub n2: Option<String>,
    pub user_plane: UserPlane,
    pub gnbs: u64,
    pub ues_registered: u64,
    pub ues_connected: u64,
    pub sessions: u64,
    pub subscribers: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SctpImplementation {
    Kernel,
    Usrsctp,
}

/// The user plane as the core sees it over N4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserPlane {
    /// PFCP Node ID or, before an association, the configured address.
    pub node: String,
    pub state: UserPlaneState,
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UserPlaneState {
    /// Association setup is being tried.
    Associating,
    Associated,
    /// There was an association, and it is gone.
    Lost,
}

/// A gNB whose NG Setup was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Gnb {
    pub id: GnbId,
    /// RAN Node Name, if the gNB gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[schema(example = "10.0.0.2:38412")]
    pub address: String,
    pub tais: Vec<Tai>,
    #[schema(value_type = String, format = DateTime)]
    pub connected: Timestamp,
    pub ues_connected: u64,
}

/// Global gNB identity (TS 38.413, 9.3.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GnbId {
    #[schema(example = "00101")]
    pub plmn: String,
    pub id: u32,
    /// Length of the identity, 22 to 32.
    pub bits: u8,
}

impl std::fmt::Display for GnbId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{:#x}/{}", self.plmn, self.id, self.bits)
    }
}

/// Tracking area identity (TS 23.003, 28.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tai {
    #[schema(example = "00101")]
    pub plmn: String,
    pub tac: u32,
}

impl std::fmt::Display for Tai {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.plmn, self.tac)
    }
}
