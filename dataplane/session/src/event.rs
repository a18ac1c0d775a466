//! The border of the UP function.

use std::net::SocketAddr;

use coeur_rules::{DownlinkSlot, MapWrite, RemoteTunnel, RuleError, UplinkSlot};

use crate::NodeId;

#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// What arrived at the N4 socket.
    Datagram { from: SocketAddr, octets: &'a [u8] },
    /// The outcome of [`Output::Apply`]; the usage of its slots in the order asked for.
    Applied { transaction: u64, result: Result<Vec<Usage>, ApplyFailure> },
    /// An error indication (TS 29.281 7.3.1): the peer does not have this tunnel end point (any more).
    LostTunnel(RemoteTunnel),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    Send {
        to: SocketAddr,
        octets: Vec<u8>,
    },
    /// Make the writes in their order, all or up to the first that fails, and read the counters of `measure`, as late as
    /// they can still be read.
    Apply {
        transaction: u64,
        measure: Vec<Slot>,
        writes: Vec<MapWrite>,
    },
    /// Send a GTP-U end marker (TS 29.281 7.3.2) through this tunnel: it carries nothing more.
    EndMarker(RemoteTunnel),
    Event(Event),
}

/// A record of either table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    Uplink(UplinkSlot),
    Downlink(DownlinkSlot),
}

/// Counters of a record since it was last empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub packets: u64,
    pub octets: u64,
}

/// A write did not succeed. Which ones before it did is not said: the way back is written over all of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ApplyFailure(pub String);

/// What an operator should see.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    AssociationEstablished {
        node: NodeId,
    },
    AssociationReleased {
        node: NodeId,
        sessions: usize,
    },
    /// A heartbeat shows another recovery time stamp: its sessions wait for its association setup.
    PeerRestarted {
        node: NodeId,
        sessions: usize,
    },
    /// It set up its association anew.
    AssociationRenewed {
        node: NodeId,
        retained: usize,
        ended: usize,
    },
    /// It restarted, and did not come back in time: its sessions end.
    PeerGone {
        node: NodeId,
        sessions: usize,
    },
    /// Heartbeats stay without an answer; sessions go on.
    PeerSilent {
        node: NodeId,
    },
    PeerAnswers {
        node: NodeId,
    },
    /// A session request was refused.
    Refused {
        message: &'static str,
        cause: u8,
        offending_ie: Option<u16>,
        rule: Option<RuleError>,
    },
    /// A table write failed; the session was put back as it was.
    ApplyFailed {
        detail: String,
    },
    /// Even putting it back failed: its slots are never used again.
    SlotsLost {
        detail: String,
    },
    /// A rate limit was accepted and is not enforced (docs/adr/0004); said once.
    RateLimitNotEnforced,
}

/// Why a datagram got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// TS 29.244 7.6.3: shorter than its header.
    Truncated,
    /// TS 29.244 7.6.4.
    UnknownMessage,
    /// TS 29.244 7.6.5: a response to nothing that we asked.
    UnexpectedResponse,
    /// A request that only a UP function sends, or one without the SEID flag it needs (or with it).
    UnexpectedRequest,
    /// Its elements cannot be read, and its kind has no response that could say so.
    Malformed,
    /// Another request about the same session, or the same request, is being worked on; the peer repeats it.
    InProgress,
}

impl Discard {
    pub const ALL: [Self; 6] = [
        Self::Truncated,
        Self::UnknownMessage,
        Self::UnexpectedResponse,
        Self::UnexpectedRequest,
        Self::Malformed,
        Self::InProgress,
    ];

    /// The label of a metric.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::UnknownMessage => "unknown_message",
            Self::UnexpectedResponse => "unexpected_response",
            Self::UnexpectedRequest => "unexpected_request",
            Self::Malformed => "malformed",
            Self::InProgress => "in_progress",
        }
    }
}
