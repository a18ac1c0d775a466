//! What is counted. The daemon puts it into the exposition.

use rs_pfcp::message::MsgType;

use crate::Discard;

/// Message types are below this (TS 29.244 table 7.3-1).
pub const MESSAGE_KINDS: usize = 64;

/// What became of a request of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    Refused,
    /// Answered from memory.
    Repeated,
}

impl Outcome {
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Refused, Self::Repeated];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Repeated => "repeated",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Figures {
    /// Requests received, by message type and [`Outcome`].
    pub requests: [[u64; 3]; MESSAGE_KINDS],
    /// Refusals by cause value (TS 29.244 table 8.2.1-1).
    pub refusals: [u64; 256],
    pub discards: [u64; Discard::ALL.len()],
    /// Requests sent, by message type; without repetitions.
    pub sent: [u64; MESSAGE_KINDS],
    /// Requests that no answer came to, by message type.
    pub unanswered: [u64; MESSAGE_KINDS],
    /// Reports not sent because too many requests are without an answer.
    pub reports_suppressed: u64,
    /// Table writes that failed.
    pub apply_failures: u64,
    /// QERs with a bit rate, among the sessions of now: accepted and not enforced.
    pub rate_limits_not_enforced: u64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            requests: [[0; 3]; MESSAGE_KINDS],
            refusals: [0; 256],
            discards: [0; Discard::ALL.len()],
            sent: [0; MESSAGE_KINDS],
            unanswered: [0; MESSAGE_KINDS],
            reports_suppressed: 0,
            apply_failures: 0,
            rate_limits_not_enforced: 0,
        }
    }
}

impl Figures {
    pub(crate) fn request(&mut self, kind: MsgType, outcome: Outcome) {
        if let Some(counts) = self.requests.get_mut(kind as usize) {
            counts[outcome as usize] += 1;
        }
    }

    pub(crate) fn discard(&mut self, reason: Discard) {
        self.discards[reason as usize] += 1;
    }
}

/// The label of a message type; none for numbers without a message.
pub fn message_name(kind: u8) -> Option<&'static str> {
    Some(match MsgType::from(kind) {
        MsgType::HeartbeatRequest => "heartbeat_request",
        MsgType::PfdManagementRequest => "pfd_management_request",
        MsgType::AssociationSetupRequest => "association_setup_request",
        MsgType::AssociationUpdateRequest => "association_update_request",
        MsgType::AssociationReleaseRequest => "association_release_request",
        MsgType::NodeReportRequest => "node_report_request",
        MsgType::SessionSetDeletionRequest => "session_set_deletion_request",
        MsgType::SessionSetModificationRequest => "session_set_modification_request",
        MsgType::SessionEstablishmentRequest => "session_establishment_request",
        MsgType::SessionModificationRequest => "session_modification_request",
        MsgType::SessionDeletionRequest => "session_deletion_request",
        MsgType::SessionReportRequest => "session_report_request",
        _ => return None,
    })
}
