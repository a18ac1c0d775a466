//! What was asked of other functions and of the store, and whom the answer is for.

use crate::metrics::Family;
use crate::ue::UeKey;
use crate::ue::record;
use crate::{Amf, Cx};
use coeur_model::PduSessionId;
use coeur_nf::services::namf::AmfOutput;
use coeur_nf::services::nausf::{AusfProblem, AusfRequest, AusfResponse};
use coeur_nf::services::nsmf::{SmContextId, SmContextUpdate, SmfRefusal, SmfRequest, SmfResponse};
use coeur_nf::services::nudm::{UdmProblem, UdmRequest, UdmResponse};
use coeur_nf::store::StoreOp;
use coeur_nf::{ExchangeId, StoreToken};

/// A request that is not answered yet. The context may be gone when the answer comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) ue: UeKey,
    pub(crate) asked: Asked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// AUSF: a challenge, or the confirmation of an answer to it.
    Authentication,
    AccessData,
    RegisterAmf,
    CreateSession(PduSessionId),
    UpdateSession(PduSessionId),
    ActivateSession(PduSessionId),
    /// The answer changes nothing.
    Nothing,
}

/// What happens when a storage operation is committed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Commit {
    Nothing,
    /// PutUe, with the downlink COUNTs that it reserves.
    Ue {
        ue: UeKey,
        reservation: u32,
    },
}

impl Amf {
    fn exchange(&mut self, ue: UeKey, asked: Asked) -> ExchangeId {
        let id = ExchangeId(self.next_exchange);
        self.next_exchange += 1;
        self.exchanges.insert(id, Exchange { ue, asked });
        id
    }

    pub(crate) fn ask_ausf(&mut self, cx: &mut Cx<'_, '_>, ue: UeKey, request: AusfRequest) -> ExchangeId {
        let id = self.exchange(ue, Asked::Authentication);
        cx.out.push(AmfOutput::Ausf(id, request));
        id
    }

    pub(crate) fn ask_udm(&mut self, cx: &mut Cx<'_, '_>, ue: UeKey, asked: Asked, request: UdmRequest) -> ExchangeId {
        let id = self.exchange(ue, asked);
        cx.out.push(AmfOutput::Udm(id, request));
        id
    }

    pub(crate) fn ask_smf(&mut self, cx: &mut Cx<'_, '_>, ue: UeKey, asked: Asked, request: SmfRequest) -> ExchangeId {
        let id = self.exchange(ue, asked);
        cx.out.push(AmfOutput::Smf(id, request));
        id
    }

    pub(crate) fn update_session(
        &mut self,
        cx: &mut Cx<'_, '_>,
        ue: UeKey,
        asked: Asked,
        context: SmContextId,
        update: SmContextUpdate,
    ) {
        self.ask_smf(cx, ue, asked, SmfRequest::UpdateSmContext { context, update });
    }

    pub(crate) fn store(&mut self, cx: &mut Cx<'_, '_>, op: StoreOp, commit: Commit) -> StoreToken {
        let token = StoreToken(self.next_token);
        self.next_token += 1;
        self.commits.insert(token, commit);
        cx.out.push(AmfOutput::Store(token, op));
        token
    }

    /// Writes the context of a phone that proved who it is. None: there is nothing to write, no token is pending.
    pub(crate) fn put_ue(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) -> Option<StoreToken> {
        let ue = self.ues.get(key)?;
        let supi = ue.supi.clone()?;
        let (record, reservation) = record::write(ue)?;
        let token = self.store(cx, StoreOp::PutUe { supi, record }, Commit::Ue { ue: key, reservation });
        let ue = self.ues.get_mut(key)?;
        ue.writing = Some(token);
        if let Some(security) = &mut ue.security {
            security.reserving(reservation);
        }
        Some(token)
    }

    pub(crate) fn stored(&mut self, cx: &mut Cx<'_, '_>, token: StoreToken, committed: bool) {
        if !committed {
            self.metrics.one(Family::Internal, "store refused");
        }
        let Some(Commit::Ue { ue: key, reservation }) = self.commits.remove(&token) else { return };
        let Some(ue) = self.ues.get_mut(key) else { return };
        if committed && let Some(security) = &mut ue.security {
            security.reserved(reservation);
        }
        let newest = ue.writing == Some(token);
        if newest {
            ue.writing = None;
        }
        if newest && !committed {
            self.give_up_uncommitted(cx, key);
        }
        self.registration_committed(cx, key, token, committed);
        self.service_committed(cx, key, token, committed);
        self.flush_held(cx, key);
    }

    pub(crate) fn ausf_answered(
        &mut self,
        cx: &mut Cx<'_, '_>,
        id: ExchangeId,
        answer: Result<AusfResponse, AusfProblem>,
    ) {
        // An answer to nobody's question: the context went while it was under way.
        let Some(Exchange { ue, .. }) = self.exchanges.remove(&id) else { return };
        self.authentication_answered(cx, ue, id, answer);
    }

    pub(crate) fn udm_answered(
        &mut self,
        cx: &mut Cx<'_, '_>,
        id: ExchangeId,
        answer: Result<UdmResponse, UdmProblem>,
    ) {
        let Some(Exchange { ue, asked }) = self.exchanges.remove(&id) else { return };
        match asked {
            Asked::AccessData => self.access_data_answered(cx, ue, id, answer),
            Asked::RegisterAmf => self.amf_registered(cx, ue, id, answer.err()),
            _ => {}
        }
    }

    pub(crate) fn smf_answered(
        &mut self,
        cx: &mut Cx<'_, '_>,
        id: ExchangeId,
        answer: Result<SmfResponse, SmfRefusal>,
    ) {
        let Some(Exchange { ue, asked }) = self.exchanges.remove(&id) else { return };
        match asked {
            Asked::CreateSession(session) => self.session_created(cx, ue, session, id, answer),
            Asked::UpdateSession(session) => self.session_updated(cx, ue, session, answer),
            Asked::ActivateSession(session) => self.session_activated(cx, ue, session, answer),
            _ => {}
        }
    }
}
