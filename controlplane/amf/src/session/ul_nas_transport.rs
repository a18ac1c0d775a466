//! UL NAS TRANSPORT (TS 24.501, 5.4.5.2): a phone's 5GSM message on its way to the SMF.

use super::transfer::dl_nas_transport;
use super::{Session, SessionState};
use crate::exchange::Asked;
use crate::metrics::Family;
use crate::nas::cause_name;
use crate::ngap::convert;
use crate::ue::{Rm, UeKey};
use crate::{Amf, Cx};
use coeur_model::{Dnn, PduSessionId, Snssai};
use coeur_nf::ExchangeId;
use coeur_nf::services::nsmf::{SmContextUpdate, SmfProblem, SmfRefusal, SmfRequest, SmfResponse};
use oxirush_nas::nas_5gs::{
    GmmCause, NasRequestType, NasSNssai, NasUlNasTransport, PayloadContainerKind, RequestTypeValue,
};

/// A container that came, and what it is for.
struct Payload<'a> {
    session: PduSessionId,
    n1_sm: &'a [u8],
}

impl Amf {
    pub(crate) fn ul_nas_transport(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, transport: &NasUlNasTransport) {
        if self.ues.get(key).is_none_or(|ue| ue.rm != Rm::Registered || !ue.is_secure()) {
            return self.send_status(cx, key, GmmCause::MessageTypeNotCompatibleWithTheProtocolState);
        }
        if transport.payload_container_type.kind() != Some(PayloadContainerKind::N1SmInformation) {
            // SMS, LPP, UE policy and the others are not supported: told so, as nothing else can carry it back (5.4.5.2.5).
            self.metrics.one(Family::SessionMessages, "unsupported payload container type");
            return self.send_status(cx, key, GmmCause::PayloadWasNotForwarded);
        }
        let session = transport.pdu_session_id.as_ref().and_then(|id| PduSessionId::new(id.pdu_session_id()).ok());
        let Some(session) = session else {
            // 5.4.5.2.5 a) 1): the PDU session ID is missing or reserved.
            self.metrics.one(Family::SessionMessages, "no PDU session identity");
            return self.send_status(cx, key, GmmCause::InvalidMandatoryInformation);
        };
        let payload = Payload { session, n1_sm: transport.payload_container.value.as_slice() };
        let request_type = transport.request_type.as_ref().map(NasRequestType::request_type);
        match request_type {
            Some(Some(RequestTypeValue::InitialRequest)) => self.create_session(cx, key, &payload, transport),
            // 5.4.5.2.3: an existing session, a modification, or a message of a running procedure.
            Some(Some(RequestTypeValue::ExistingPduSession | RequestTypeValue::ModificationRequest)) | None => {
                self.forward(cx, key, &payload);
            }
            // Emergency and multi-access sessions are not supported; reserved values are not understood.
            Some(_) => self.give_back(cx, key, &payload, GmmCause::PayloadWasNotForwarded),
        }
    }

    fn create_session(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, payload: &Payload<'_>, from: &NasUlNasTransport) {
        let Some(ue) = self.ues.get(key) else { return };
        let asked = from.s_nssai.as_ref().map(NasSNssai::parse);
        let snssai = match asked {
            // 5.4.5.2.3 b) 1) ii): the default one of those allowed.
            None => ue.allowed.first().copied(),
            Some(None) => None,
            Some(Some(slice)) => Some(Snssai::new(slice.sst, slice.sd)).filter(|slice| ue.allowed.contains(slice)),
        };
        let Some(snssai) = snssai else {
            return self.give_back(cx, key, payload, GmmCause::PayloadWasNotForwarded);
        };
        let dnn: Option<Dnn> = match from.dnn.as_ref() {
            None => None,
            Some(dnn) => match convert::dnn(dnn.value.as_slice()).filter(|dnn| self.settings.dnns.contains(dnn)) {
                Some(dnn) => Some(dnn),
                None => {
                    // 5.4.5.2.5 a) 1) iii)
                    let cause = GmmCause::DnnNotSupportedOrNotSubscribedInTheSlice;
                    return self.give_back(cx, key, payload, cause);
                }
            },
        };
        let Some(supi) = self.supi_of(key) else { return };
        let request = SmfRequest::CreateSmContext {
            supi,
            session: payload.session,
            snssai,
            dnn: dnn.clone(),
            n1_sm: payload.n1_sm.to_vec(),
        };
        let exchange = self.ask_smf(cx, key, Asked::CreateSession(payload.session), request);
        self.metrics.one(Family::SessionMessages, "create");
        if let Some(ue) = self.ues.get_mut(key) {
            let unanswered = Some(payload.n1_sm.to_vec());
            let session = Session { snssai, dnn, state: SessionState::Creating(exchange), unanswered };
            ue.sessions.insert(payload.session, session);
        }
    }

    pub(crate) fn session_created(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        id: PduSessionId,
        exchange: ExchangeId,
        answer: Result<SmfResponse, SmfRefusal>,
    ) {
        let session = self.ues.get_mut(key).and_then(|ue| ue.sessions.get_mut(&id));
        let session = session.filter(|session| session.state == SessionState::Creating(exchange));
        match (session, answer) {
            (Some(session), Ok(SmfResponse::Created { context })) => {
                session.state = SessionState::Established { context, user_plane: false };
                session.unanswered = None;
                // The accept that follows is held until this is committed.
                self.put_ue(cx, key);
            }
            // Nobody wants it any more: the phone went, or began again. The SMF releases a former one of the same session
            // by itself, and this one when it is told.
            (None, Ok(SmfResponse::Created { context })) => {
                self.ask_smf(cx, key, Asked::Nothing, SmfRequest::ReleaseSmContext { context });
            }
            (Some(session), Err(refusal)) => {
                let unanswered = session.unanswered.take();
                if let Some(ue) = self.ues.get_mut(key) {
                    ue.sessions.remove(&id);
                }
                self.metrics.one(Family::SessionMessages, "refused by the SMF");
                self.pass_to_phone(cx, key, id, refusal.n1_sm, unanswered, cause(refusal.problem));
            }
            (Some(_), Ok(_)) => {
                self.metrics.one(Family::Internal, "SMF answered another question");
                if let Some(ue) = self.ues.get_mut(key) {
                    ue.sessions.remove(&id);
                }
            }
            (None, _) => {}
        }
    }

    fn forward(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, payload: &Payload<'_>) {
        match self.session_context(key, payload.session) {
            Some(context) => {
                self.metrics.one(Family::SessionMessages, "forwarded");
                if let Some(session) = self.ues.get_mut(key).and_then(|ue| ue.sessions.get_mut(&payload.session)) {
                    session.unanswered = Some(payload.n1_sm.to_vec());
                }
                let update = SmContextUpdate::N1(payload.n1_sm.to_vec());
                self.update_session(cx, key, Asked::UpdateSession(payload.session), context, update);
            }
            // 5.4.5.2.5 a) 2): no PDU session routing context.
            None => self.give_back(cx, key, payload, GmmCause::PayloadWasNotForwarded),
        }
    }

    /// 5.4.5.3.1 c): the phone's own message back, with the reason.
    fn give_back(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, payload: &Payload<'_>, cause: GmmCause) {
        self.metrics.one(Family::SessionMessages, cause_name(cause));
        self.send_nas(cx, key, &dl_nas_transport(payload.session, payload.n1_sm.to_vec(), Some(cause)));
    }
}

/// TS 24.501, 5.4.5.3.1: the reason for a phone when the SMF gave none of its own.
fn cause(problem: SmfProblem) -> GmmCause {
    match problem {
        SmfProblem::DnnNotSupported | SmfProblem::SubscriptionDenied => {
            GmmCause::DnnNotSupportedOrNotSubscribedInTheSlice
        }
        SmfProblem::InsufficientResources => GmmCause::InsufficientResourcesForSpecificSliceAndDnn,
        _ => GmmCause::PayloadWasNotForwarded,
    }
}
