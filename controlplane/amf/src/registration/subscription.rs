//! What the phone may do, from the UDM (TS 23.502, 4.2.2.2.2, steps 14 a to c).

use super::{Stage, nssai};
use crate::exchange::Asked;
use crate::ue::UeKey;
use crate::{Amf, Cx};
use coeur_model::Snssai;
use coeur_nf::ExchangeId;
use coeur_nf::services::nudm::{AccessData, UdmProblem, UdmRequest, UdmResponse};
use oxirush_nas::nas_5gs::GmmCause;

impl Amf {
    pub(super) fn ask_access_data(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let Some(supi) = self.supi_of(key) else { return };
        let exchange = self.ask_udm(cx, key, Asked::AccessData, UdmRequest::AccessData { supi });
        self.set_stage(key, Stage::Subscribing { exchange });
    }

    pub(crate) fn access_data_answered(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        id: ExchangeId,
        answer: Result<UdmResponse, UdmProblem>,
    ) {
        if !self.registration(key).is_some_and(|registration| registration.awaits(id)) {
            return;
        }
        match answer {
            Ok(UdmResponse::AccessData(data)) => self.subscribed(cx, key, &data),
            Ok(_) => self.reject_registration(cx, key, GmmCause::Congestion),
            Err(problem) => self.reject_registration(cx, key, cause(problem)),
        }
    }

    fn subscribed(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, data: &AccessData) {
        let Some(registration) = self.registration(key) else { return };
        let requested = nssai::requested(&registration.request);
        let offered = self.offered_slices(key);
        let decision = nssai::decide(&requested, &data.slices, &self.settings.slices, &offered);
        if decision.allowed.is_empty() {
            // TS 24.501, 5.5.1.2.5
            return self.reject_registration(cx, key, GmmCause::NoNetworkSlicesAvailable);
        }
        let Some(ue) = self.ues.get_mut(key) else { return };
        ue.ambr = data.ue_ambr;
        ue.allowed = decision.allowed;
        let Some(supi) = ue.supi.clone() else { return };
        let guami = self.settings.guami;
        // A session in a slice that is not allowed any more ends (TS 23.501, 5.15.5.2.2).
        let allowed = self.ues.get(key).map(|ue| ue.allowed.clone()).unwrap_or_default();
        let gone: Vec<_> = self
            .ues
            .get(key)
            .into_iter()
            .flat_map(|ue| &ue.sessions)
            .filter(|(_, session)| !allowed.contains(&session.snssai))
            .map(|(id, _)| *id)
            .collect();
        self.release_sessions(cx, key, |session| gone.contains(&session));
        let exchange = self.ask_udm(cx, key, Asked::RegisterAmf, UdmRequest::RegisterAmf { supi, guami });
        self.set_stage(key, Stage::Registering { exchange });
    }

    /// What the gNB has in the phone's tracking area.
    pub(super) fn offered_slices(&self, key: UeKey) -> Vec<Snssai> {
        let found = self.ues.get(key).and_then(|ue| {
            let served = self.gnbs.get(ue.connection.as_ref()?.association)?.served.as_ref()?;
            served.tais.get(&ue.location?.tai).cloned()
        });
        found.unwrap_or_default()
    }

    pub(crate) fn amf_registered(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        id: ExchangeId,
        problem: Option<UdmProblem>,
    ) {
        if !self.registration(key).is_some_and(|registration| registration.awaits(id)) {
            return;
        }
        match problem {
            None => self.commit_registration(cx, key),
            Some(problem) => self.reject_registration(cx, key, cause(problem)),
        }
    }
}

/// TS 24.501, 5.5.1.2.5 and TS 29.524, 5.2.2.2: what a refusal of the UDM is on the air.
fn cause(problem: UdmProblem) -> GmmCause {
    match problem {
        UdmProblem::UserNotFound => GmmCause::IllegalUe,
        UdmProblem::AuthenticationRejected | UdmProblem::WrongAuts => GmmCause::IllegalUe,
        UdmProblem::DataNotFound | UdmProblem::NotSubscribed => GmmCause::FiveGsServicesNotAllowed,
        UdmProblem::SystemFailure | UdmProblem::Congestion => GmmCause::Congestion,
    }
}
