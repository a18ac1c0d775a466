//! What a UP function is told when it is made.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use coeur_rules::Pools;

use crate::NodeId;

#[derive(Clone, Debug)]
pub struct Config {
    pub node_id: NodeId,
    /// Where our end of the sessions is reached (the address of UP F-SEIDs).
    pub n4_address: IpAddr,
    /// The port that requests of ours go to: 8805 (TS 29.244 6.1), unless a test says otherwise.
    pub peer_port: u16,
    /// The address of the F-TEIDs that we choose.
    pub n3_address: Ipv4Addr,
    pub pools: Pools,
    /// When this instance began: TS 29.244 8.2.65, and the clock by which usage reports are dated.
    pub started: SystemTime,
    /// Where the generations of TEIDs and SEIDs start; a number that the former instance is unlikely to have had.
    pub seed: u32,
    pub limits: Limits,
    pub timers: Timers,
}

/// Every table is bounded; what happens when it is full stands with each.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Then: cause "no resources available". Also the slots of the uplink table.
    pub sessions_max: u32,
    /// Then: cause "no resources available".
    pub associations_max: usize,
    /// Then: the oldest response is forgotten.
    pub responses_max: usize,
    /// Requests of ours without an answer. Then: the report is not sent, and counted.
    pub requests_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // Responses: 13 seconds at 20,000 requests a second, longer than T1 x N1.
        Self { sessions_max: 65_536, associations_max: 64, responses_max: 262_144, requests_max: 4096 }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// TS 29.244 6.4: how long to wait for a response.
    pub t1_ms: u64,
    /// How often a request is repeated.
    pub n1: u32,
    /// Pause between two heartbeats to one peer.
    pub heartbeat_ms: u64,
    /// How long the sessions of a peer that restarted wait for its association setup, which may retain them.
    pub restart_grace_ms: u64,
    /// How long a response is kept for a repeated request: the T1 x N1 of any reasonable peer, and the way here and back.
    pub response_age_ms: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self { t1_ms: 3000, n1: 3, heartbeat_ms: 10_000, restart_grace_ms: 60_000, response_age_ms: 30_000 }
    }
}

impl Timers {
    pub(crate) fn t1(&self) -> Duration {
        Duration::from_millis(self.t1_ms)
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    pub(crate) fn restart_grace(&self) -> Duration {
        Duration::from_millis(self.restart_grace_ms)
    }

    pub(crate) fn response_age(&self) -> Duration {
        Duration::from_millis(self.response_age_ms)
    }
}
