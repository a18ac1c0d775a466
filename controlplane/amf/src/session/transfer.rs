//! What the SMF has for a phone and its gNB (TS 23.502, 4.2.3.3, 4.3.2.2.1; Namf_Communication_N1N2MessageTransfer).

use crate::limits::HELD_TRANSFER_MAX;
use crate::metrics::Family;
use crate::ngap::ResourceRequest;
use crate::ue::{GnbContext, Ue, UeKey};
use crate::{Amf, Cx};
use coeur_model::PduSessionId;
use coeur_nf::services::namf::{AmfProblem, AmfResponse, N2SmInfo};
use coeur_nf::services::nsmf::{SmfProblem, SmfRefusal, SmfResponse};
use oxirush_nas::nas_5gs::{
    GmmCause, Nas5gsMessage, NasDlNasTransport, NasFGmmCause, NasPayloadContainer, NasPayloadContainerType,
    NasPduSessionIdentity2, PayloadContainerKind,
};

#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    pub(crate) session: PduSessionId,
    pub(crate) n1_sm: Option<Vec<u8>>,
    pub(crate) n2_sm: Option<N2SmInfo>,
}

impl Amf {
    pub(crate) fn transfer(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        transfer: Transfer,
    ) -> Result<AmfResponse, AmfProblem> {
        let ue = self.ues.get_mut(key).ok_or(AmfProblem::ContextNotFound)?;
        if !ue.is_secure() {
            return Err(AmfProblem::UeIdle);
        }
        if !ue.sessions.contains_key(&transfer.session) {
            return Err(AmfProblem::ContextNotFound);
        }
        if must_wait(ue, &transfer) {
            if ue.held.len() >= HELD_TRANSFER_MAX {
                return Err(AmfProblem::UeIdle);
            }
            ue.held.push(transfer);
            return Ok(AmfResponse::TransferInitiated);
        }
        self.carry_out(cx, key, transfer);
        Ok(AmfResponse::TransferInitiated)
    }

    /// Sends what waited for the gNB's context or for a commit, in its order.
    pub(crate) fn flush_held(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        loop {
            let Some(ue) = self.ues.get_mut(key) else { return };
            let Some(position) = (0..ue.held.len()).find(|at| !must_wait(ue, &ue.held[*at])) else { return };
            let transfer = ue.held.remove(position);
            self.carry_out(cx, key, transfer);
        }
    }

    /// The record that was to hold them is not written: new sessions end before the phone has heard of them, and it asks
    /// again (T3580, TS 24.501, 6.4.1.6 a).
    pub(crate) fn give_up_uncommitted(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let Some(ue) = self.ues.get(key) else { return };
        let is_setup = |transfer: &&Transfer| matches!(transfer.n2_sm, Some(N2SmInfo::SetupRequest(_)));
        let gone: Vec<PduSessionId> = ue.held.iter().filter(is_setup).map(|transfer| transfer.session).collect();
        self.release_sessions(cx, key, |session| gone.contains(&session));
    }

    fn carry_out(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, transfer: Transfer) {
        let Transfer { session: id, n1_sm, n2_sm } = transfer;
        let nas = match n1_sm {
            Some(n1_sm) => match self.seal(key, &dl_nas_transport(id, n1_sm, None)) {
                Some(nas) => Some(nas),
                // It must not go out unprotected; the SMF's own timer sends it again.
                None => return,
            },
            None => None,
        };
        let Some(session) = self.ues.get(key).and_then(|ue| ue.sessions.get(&id)) else { return };
        let (snssai, context) = (session.snssai, self.ues.get(key).map_or(GnbContext::None, Ue::gnb_context));
        match (n2_sm, context) {
            (Some(N2SmInfo::SetupRequest(transfer)), GnbContext::SetUp) => {
                self.set_up_resources(cx, key, &[ResourceRequest { id, snssai, transfer, nas }], None);
            }
            (Some(N2SmInfo::ModifyRequest(transfer)), GnbContext::SetUp) => {
                self.modify_resource(cx, key, id, transfer, nas);
            }
            (Some(N2SmInfo::ReleaseCommand(transfer)), GnbContext::SetUp) => {
                self.release_resource(cx, key, id, transfer, nas);
            }
            // A gNB that has no context of the phone has no resources to release or to change.
            (_, _) => {
                if let Some(nas) = nas {
                    self.downlink_nas(cx, key, nas);
                }
            }
        }
        self.top_up(cx, key);
    }

    /// The answer to an update: what is in it goes where an N1N2MessageTransfer goes.
    pub(crate) fn session_updated(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        session: PduSessionId,
        answer: Result<SmfResponse, SmfRefusal>,
    ) {
        let unanswered = self.ues.get_mut(key).and_then(|ue| ue.sessions.get_mut(&session)?.unanswered.take());
        let (n1_sm, n2_sm) = match answer {
            Ok(SmfResponse::Updated { n1_sm, n2_sm }) => (n1_sm, n2_sm),
            Ok(_) => return,
            Err(SmfRefusal { problem, n1_sm }) => {
                self.metrics.one(Family::SessionMessages, "refused by the SMF");
                if problem == SmfProblem::ContextNotFound {
                    self.session_gone(cx, key, session);
                }
                return self.pass_to_phone(cx, key, session, n1_sm, unanswered, GmmCause::PayloadWasNotForwarded);
            }
        };
        if n1_sm.is_some() || n2_sm.is_some() {
            // A phone that went meanwhile is not reached: the SMF's timers find out.
            let _ = self.transfer(cx, key, Transfer { session, n1_sm, n2_sm });
        }
    }

    /// A refusal: the SMF's own 5GSM message, else the phone's message back with the reason (5.4.5.3.1 c).
    pub(crate) fn pass_to_phone(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        session: PduSessionId,
        n1_sm: Option<Vec<u8>>,
        unanswered: Option<Vec<u8>>,
        otherwise: GmmCause,
    ) {
        let message = match (n1_sm, unanswered) {
            (Some(n1_sm), _) => dl_nas_transport(session, n1_sm, None),
            (None, Some(own)) => dl_nas_transport(session, own, Some(otherwise)),
            // It was the gNB's answer that the SMF refused; the phone has asked for nothing.
            (None, None) => return,
        };
        if self.ues.get(key).is_some_and(Ue::is_secure) {
            self.send_nas(cx, key, &message);
        }
    }
}

/// DL NAS TRANSPORT (TS 24.501, 5.4.5.3) with a 5GSM message, and the cause when it is the phone's own that comes back.
pub(crate) fn dl_nas_transport(session: PduSessionId, n1_sm: Vec<u8>, cause: Option<GmmCause>) -> Nas5gsMessage {
    let mut transport = NasDlNasTransport::new(
        NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation),
        NasPayloadContainer::new(n1_sm),
    )
    .with_pdu_session_id(NasPduSessionIdentity2::from_pdu_session_id(session.get()));
    if let Some(cause) = cause {
        transport = transport.with_fgmm_cause(NasFGmmCause::from_cause(cause));
    }
    Nas5gsMessage::new_5gmm(transport)
}

/// Until the gNB has its context, and until the session is in the committed record.
fn must_wait(ue: &Ue, transfer: &Transfer) -> bool {
    let setup = matches!(transfer.n2_sm, Some(N2SmInfo::SetupRequest(_)));
    ue.gnb_context() == GnbContext::Pending || (setup && ue.writing.is_some())
}
