//! Bringing the user plane of sessions back (TS 23.502, 4.2.3.2, step 4), for a service request or a registration.

use crate::exchange::Asked;
use crate::ngap::ResourceRequest;
use crate::ue::UeKey;
use crate::{Amf, Cx};
use coeur_model::PduSessionId;
use coeur_nf::services::namf::N2SmInfo;
use coeur_nf::services::nsmf::{SmContextUpdate, SmfProblem, SmfRefusal, SmfResponse};
use oxirush_nas::nas_5gs::GmmCause;
use std::collections::BTreeSet;

/// Sessions whose SMF is asked, and what came of the others. At most the fifteen that a phone can have.
#[derive(Default)]
pub(crate) struct Reactivation {
    awaited: BTreeSet<PduSessionId>,
    pub(crate) setups: Vec<ResourceRequest>,
    pub(crate) failed: Vec<(PduSessionId, Option<GmmCause>)>,
}

impl Reactivation {
    pub(crate) fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }
}

impl Amf {
    /// Asks the SMF of each wanted session. One that does not exist fails (TS 24.501, 5.6.1.4.1).
    pub(crate) fn reactivate(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, wanted: &[u8]) -> Reactivation {
        let mut reactivation = Reactivation::default();
        for id in wanted.iter().filter_map(|id| PduSessionId::new(*id).ok()) {
            match self.session_context(key, id) {
                Some(context) => {
                    reactivation.awaited.insert(id);
                    let asked = Asked::ActivateSession(id);
                    self.update_session(cx, key, asked, context, SmContextUpdate::Activate);
                }
                None => reactivation.failed.push((id, None)),
            }
        }
        reactivation
    }

    pub(crate) fn session_activated(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        id: PduSessionId,
        answer: Result<SmfResponse, SmfRefusal>,
    ) {
        let snssai = self.ues.get(key).and_then(|ue| ue.sessions.get(&id)).map(|session| session.snssai);
        let gone = matches!(&answer, Err(refusal) if refusal.problem == SmfProblem::ContextNotFound);
        if let Some(reactivation) = self.reactivation(key) {
            if !reactivation.awaited.remove(&id) {
                return;
            }
            match (answer, snssai) {
                (Ok(SmfResponse::Updated { n2_sm: Some(N2SmInfo::SetupRequest(transfer)), .. }), Some(snssai)) => {
                    reactivation.setups.push(ResourceRequest { id, snssai, transfer, nas: None });
                }
                (Ok(_), _) => reactivation.failed.push((id, None)),
                (Err(refusal), _) => reactivation.failed.push((id, cause(refusal.problem))),
            }
        }
        if gone {
            // The SMF lost it, and the phone learns so from the PDU session status.
            self.session_gone(cx, key, id);
        }
        self.registration_reactivated(cx, key);
        self.service_reactivated(cx, key);
    }

    fn reactivation(&mut self, key: UeKey) -> Option<&mut Reactivation> {
        match self.registration_reactivation(key).is_some() {
            true => self.registration_reactivation(key),
            false => self.service_reactivation(key),
        }
    }
}

/// TS 24.501, 9.11.3.43 and 5.6.1.4.1: the causes that the list may have.
fn cause(problem: SmfProblem) -> Option<GmmCause> {
    match problem {
        SmfProblem::InsufficientResources | SmfProblem::UpfNotResponding => {
            Some(GmmCause::InsufficientUserPlaneResourcesForThePduSession)
        }
        SmfProblem::SubscriptionDenied => Some(GmmCause::RestrictedServiceArea),
        _ => None,
    }
}
