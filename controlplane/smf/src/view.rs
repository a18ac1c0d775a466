//! What an operator sees.

use crate::Smf;
use crate::n4::{Association, FEATURE_FTUP};
use crate::session::{Downlink, State, Tunnel};
use coeur_model::{Ambr, Dnn, FiveQi, PduSessionId, Snssai, Supi};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct SessionView {
    pub supi: Supi,
    pub session: PduSessionId,
    pub snssai: Snssai,
    pub dnn: Dnn,
    pub ipv4: Ipv4Addr,
    pub state: SessionState,
    pub ambr: Ambr,
    pub five_qi: FiveQi,
    /// When it was asked for, since the Unix epoch.
    pub since: Duration,
    /// The user plane's end of the tunnel; none while the user plane holds nothing of the session.
    pub upf: Option<Tunnel>,
    /// The gNB's end; none while packets for the phone are dropped.
    pub gnb: Option<Tunnel>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    Establishing,
    Active,
    Releasing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpfView {
    pub address: SocketAddr,
    pub associated: bool,
    /// When the user plane started, in seconds since 1900.
    pub recovery_time_stamp: Option<u32>,
    /// The user plane chooses F-TEIDs, as this SMF asks it to.
    pub chooses_teids: bool,
    /// Requests that wait for its answer.
    pub pending: usize,
}

impl Smf {
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> + '_ {
        self.sessions.values().map(|session| SessionView {
            supi: session.supi.clone(),
            session: session.session,
            snssai: session.snssai,
            dnn: session.dnn.clone(),
            ipv4: session.ipv4,
            state: match session.state {
                State::Establishing(_) | State::Committing(_) => SessionState::Establishing,
                State::Active => SessionState::Active,
                State::Releasing(_) => SessionState::Releasing,
            },
            ambr: session.ambr,
            five_qi: session.five_qi,
            since: session.since,
            upf: session.uplink(),
            gnb: match session.downlink {
                Downlink::Forward(tunnel) => Some(tunnel),
                Downlink::AsIs | Downlink::Drop => None,
            },
        })
    }

    pub fn upf(&self) -> UpfView {
        let (recovery_time_stamp, features) = match self.n4.association() {
            Association::Up { recovery, features } => (Some(recovery), features),
            Association::Down => (None, 0),
        };
        UpfView {
            address: self.n4.upf(),
            associated: recovery_time_stamp.is_some(),
            recovery_time_stamp,
            chooses_teids: features & FEATURE_FTUP != 0,
            pending: self.n4.pending(),
        }
    }
}
