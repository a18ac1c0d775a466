//! PDU sessions as the AMF has them: which SM context each is, and whether the gNB carries it (TS 23.502, 4.3).

mod reactivation;
mod transfer;
mod ul_nas_transport;

pub(crate) use reactivation::Reactivation;
pub(crate) use transfer::Transfer;

use crate::exchange::Asked;
use crate::timeout::Timer;
use crate::ue::UeKey;
use crate::{Amf, Cx};
use coeur_model::{Dnn, PduSessionId, Snssai};
use coeur_nf::ExchangeId;
use coeur_nf::services::nsmf::{SmContextId, SmfRequest};

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) snssai: Snssai,
    pub(crate) dnn: Option<Dnn>,
    pub(crate) state: SessionState,
    /// The phone's last message until the SMF has answered it: it goes back to the phone if it was not forwarded.
    pub(crate) unanswered: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionState {
    /// The SMF is asked; only the answer of this exchange counts.
    Creating(ExchangeId),
    Established {
        context: SmContextId,
        /// The gNB has resources for it.
        user_plane: bool,
    },
}

impl Session {
    pub(crate) fn is_established(&self) -> bool {
        matches!(self.state, SessionState::Established { .. })
    }
}

impl Amf {
    pub(crate) fn session_context(&self, key: UeKey, session: PduSessionId) -> Option<SmContextId> {
        match self.ues.get(key)?.sessions.get(&session)?.state {
            SessionState::Established { context, .. } => Some(context),
            SessionState::Creating(_) => None,
        }
    }

    pub(crate) fn has_user_plane(&self, key: UeKey) -> bool {
        self.ues.get(key).is_some_and(|ue| {
            let on = |session: &Session| matches!(session.state, SessionState::Established { user_plane: true, .. });
            ue.sessions.values().any(on)
        })
    }

    /// Releases sessions at the SMF without telling the phone, which knows (TS 23.502, 4.3.4.2).
    pub(crate) fn release_sessions(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, which: impl Fn(PduSessionId) -> bool) {
        let Some(ue) = self.ues.get_mut(key) else { return };
        let mut gone = Vec::new();
        ue.sessions.retain(|id, session| {
            let goes = which(*id);
            if goes {
                gone.push((*id, session.state));
            }
            !goes
        });
        ue.held.retain(|transfer| !which(transfer.session));
        for (id, state) in gone {
            self.timers.stop(&Timer::Resource(key, id));
            // One that is being created is released when its answer comes (`session_created`).
            if let SessionState::Established { context, .. } = state {
                self.ask_smf(cx, key, Asked::Nothing, SmfRequest::ReleaseSmContext { context });
            }
        }
    }

    /// The SMF says that the SM context is gone.
    pub(crate) fn session_gone(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, session: PduSessionId) {
        self.timers.stop(&Timer::Resource(key, session));
        let gone = self.ues.get_mut(key).and_then(|ue| ue.sessions.remove(&session));
        if gone.is_some() && self.ues.get(key).is_some_and(|ue| ue.rm == crate::ue::Rm::Registered) {
            self.put_ue(cx, key);
        }
    }
}
