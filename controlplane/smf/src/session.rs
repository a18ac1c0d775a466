//! A PDU session as the SMF holds it (TS 23.501, 5.6; TS 24.501, 6.1.3.3).
//!
//! ```text
//!  create ─► asking (UDM) ─► establishing (N4) ─► committing (store) ─► ┌────────┐ release ┌───────────┐
//!               │                 │                    │                │ active │ ──────► │ releasing │ ─► gone
//!               └── refused: 5GSM cause, nothing left ─┘                └────────┘  T3592  └───────────┘
//! ```
//!
//! The downlink is level-triggered: [`Session::downlink`] says what it is to be, [`UserPlane::There`] what the user plane
//! was last heard to do, and one modification at a time closes the gap.

use crate::n1::EstablishmentRequest;
use coeur_model::{Ambr, Arp, Dnn, FiveQi, PduSessionId, Qfi, Seid, Snssai, Supi, Teid};
use coeur_nf::services::nsmf::SmContextId;
use coeur_nf::{CommandId, ExchangeId};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// The flow of the default QoS rule, and the only one.
pub(crate) fn default_qfi() -> Qfi {
    Qfi::new(1).expect("1 is below 64")
}

/// Most requests of the AMF that wait for one session's user plane.
pub(crate) const WAITING_MAX: usize = 8;

/// One end of a GTP-U tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tunnel {
    pub teid: Teid,
    pub address: Ipv4Addr,
}

/// What happens to packets for the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Downlink {
    /// Whatever the user plane does: the session came back from the store, and no access network was heard of since.
    AsIs,
    Drop,
    Forward(Tunnel),
}

/// A request to create a session, from its first octet to the accept.
#[derive(Clone, Debug)]
pub(crate) struct Creation {
    pub(crate) exchange: ExchangeId,
    pub(crate) supi: Supi,
    pub(crate) session: PduSessionId,
    pub(crate) snssai: Snssai,
    pub(crate) dnn: Option<Dnn>,
    pub(crate) request: EstablishmentRequest,
    pub(crate) started: Instant,
}

pub(crate) struct Session {
    pub(crate) id: SmContextId,
    pub(crate) supi: Supi,
    pub(crate) session: PduSessionId,
    pub(crate) snssai: Snssai,
    pub(crate) dnn: Dnn,
    pub(crate) ambr: Ambr,
    pub(crate) five_qi: FiveQi,
    pub(crate) arp: Arp,
    pub(crate) ipv4: Ipv4Addr,
    pub(crate) cp_seid: Seid,
    /// When it was asked for, since the Unix epoch.
    pub(crate) since: Duration,
    pub(crate) user_plane: UserPlane,
    /// What the downlink is to be.
    pub(crate) downlink: Downlink,
    /// The gNB has, or was asked for, resources of this session.
    pub(crate) access: bool,
    /// The accept went out and no gNB confirmed yet: PTI of the establishment.
    pub(crate) unconfirmed: Option<u8>,
    pub(crate) waiting: Vec<Waiter>,
    pub(crate) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserPlane {
    /// The user plane holds nothing of this session.
    Absent,
    /// Session establishment is under way, with this downlink.
    Asked(Downlink),
    /// What the user plane held is being deleted, or is deleted when it answers: the address is that deletion's to return.
    Gone,
    There {
        up_seid: u64,
        uplink: Tunnel,
        /// The life of the user plane, by its recovery time stamp, that the session belongs to.
        recovery: u32,
        /// What the user plane does; none if that is not known.
        applied: Option<Downlink>,
        /// The modification under way.
        asked: Option<Downlink>,
    },
}

/// An UpdateSMContext that is answered when the downlink is what it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) exchange: ExchangeId,
    /// A deactivation succeeds whether or not the user plane hears of it in time.
    pub(crate) must_succeed: bool,
}

pub(crate) enum State {
    Establishing(Box<Creation>),
    Committing(Box<Creation>),
    Active,
    Releasing(Release),
}

/// TS 24.501, 6.3.3: PDU SESSION RELEASE COMMAND is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// 0 when the network began.
    pub(crate) pti: u8,
    pub(crate) cause: u8,
    /// How often T3592 may still start again.
    pub(crate) left: u8,
    /// PDU SESSION RELEASE COMPLETE has come.
    pub(crate) n1_done: bool,
    /// The gNB has released its resources, or had none.
    pub(crate) n2_done: bool,
    pub(crate) command: Option<CommandId>,
}

/// A user plane session to be removed, and the address that is free after that.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deletion {
    pub(crate) owner: SmContextId,
    pub(crate) up_seid: u64,
    pub(crate) recovery: u32,
    pub(crate) dnn: Dnn,
    pub(crate) ipv4: Ipv4Addr,
}

impl Session {
    pub(crate) fn uplink(&self) -> Option<Tunnel> {
        match self.user_plane {
            UserPlane::There { uplink, .. } => Some(uplink),
            UserPlane::Absent | UserPlane::Asked(_) | UserPlane::Gone => None,
        }
    }

    pub(crate) fn up_seid(&self) -> Option<u64> {
        match self.user_plane {
            UserPlane::There { up_seid, .. } => Some(up_seid),
            UserPlane::Absent | UserPlane::Asked(_) | UserPlane::Gone => None,
        }
    }

    pub(crate) fn is_releasing(&self) -> bool {
        matches!(self.state, State::Releasing(_))
    }

    pub(crate) fn is_active(&self) -> bool {
        matches!(self.state, State::Active)
    }
}
