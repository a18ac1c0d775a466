//! Service request (TS 24.501, 5.6.1; TS 23.502, 4.2.3.2): CM-IDLE to CM-CONNECTED, and the user plane back.

use crate::metrics::Family;
use crate::nas::cause_name;
use crate::ngap::ContextSetup;
use crate::procedure::{Arrival, Procedure};
use crate::session::Reactivation;
use crate::ue::security::Security;
use crate::ue::{GnbContext, Rm, UeKey};
use crate::{Amf, Cx};
use coeur_nf::StoreToken;
use coeur_nf::event::Event;
use oxirush_nas::nas_5gs::{
    GmmCause, Nas5gsMessage, NasCount, NasFGmmCause, NasServiceAccept, NasServiceReject, NasServiceRequest,
    NasUplinkDataStatus, ServiceType,
};
use oxirush_ngap::ngap::{Cause, CauseNas};

pub(crate) struct ServiceRequest {
    kind: &'static str,
    /// KgNB is derived with it (TS 33.501, A.9).
    uplink: NasCount,
    wants_status: bool,
    wants_data: bool,
    reactivation: Reactivation,
    /// The commit that must come before anything can be protected: after a restart.
    commit: Option<StoreToken>,
}

impl Amf {
    pub(crate) fn service_request(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        request: &NasServiceRequest,
        verified: Option<NasCount>,
    ) {
        let kind = kind_name(request);
        let Some(uplink) = verified else {
            // TS 24.501, 4.4.4.3 and 5.6.1.5: nobody knows whose it is; the stored context, if any, stays as it is.
            self.reject_service(cx, key, kind, GmmCause::UeIdentityCannotBeDerivedByTheNetwork);
            return self.release_connection(cx, key, Cause::nas(CauseNas::normal_release));
        };
        let Some(ue) = self.ues.get(key) else { return };
        if ue.rm == Rm::Deregistered {
            self.reject_service(cx, key, kind, GmmCause::ImplicitlyDeregistered);
            return self.release_connection(cx, key, Cause::nas(CauseNas::normal_release));
        }
        if !ue.location.is_some_and(|location| self.settings.serves(location.tai)) {
            self.reject_service(cx, key, kind, GmmCause::NoSuitableCellsInTrackingArea);
            return self.release_connection(cx, key, Cause::nas(CauseNas::normal_release));
        }
        if !self.arrives(cx, key, Arrival::ServiceRequest) {
            return;
        }
        // 5.6.1.4.1: sessions that the phone does not have any more end here too.
        if let Some(status) = &request.pdu_session_status {
            self.release_sessions(cx, key, |session| !status.is_active(session.get()));
        }
        let wanted = request.uplink_data_status.as_ref().map(NasUplinkDataStatus::sessions_with_data);
        let reactivation = self.reactivate(cx, key, wanted.as_deref().unwrap_or_default());
        let service = ServiceRequest {
            kind,
            uplink,
            wants_status: request.pdu_session_status.is_some(),
            wants_data: wanted.is_some(),
            reactivation,
            commit: None,
        };
        self.commit_service(cx, key, service);
    }

    /// The uplink COUNT is written, so that this request is no use to anybody after a restart. The answer waits for it only
    /// when no downlink COUNT is reserved any more.
    fn commit_service(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, mut service: ServiceRequest) {
        let spent = self.ues.get(key).and_then(|ue| ue.security.as_ref()).is_some_and(Security::reserve_is_low);
        let token = self.put_ue(cx, key);
        service.commit = token.filter(|_| spent);
        if let Some(ue) = self.ues.get_mut(key) {
            ue.procedure = Procedure::ServiceRequest(Box::new(service));
        }
        self.service_reactivated(cx, key);
    }

    pub(crate) fn service_committed(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, committed: StoreToken, success: bool) {
        let Some(service) = self.service(key) else { return };
        if service.commit != Some(committed) {
            return;
        }
        service.commit = None;
        let kind = service.kind;
        if success {
            return self.service_reactivated(cx, key);
        }
        // Nothing can be protected; the phone tries again (5.6.1.7 a).
        self.metrics.count(Family::ServiceRequests, kind, "store refused");
        self.release_connection(cx, key, Cause::misc(oxirush_ngap::ngap::CauseMisc::unspecified));
    }

    fn service(&mut self, key: UeKey) -> Option<&mut ServiceRequest> {
        match &mut self.ues.get_mut(key)?.procedure {
            Procedure::ServiceRequest(service) => Some(service),
            _ => None,
        }
    }

    pub(crate) fn service_reactivation(&mut self, key: UeKey) -> Option<&mut Reactivation> {
        self.service(key).map(|service| &mut service.reactivation)
    }

    /// Accepts when every SMF has answered and the commit, where one is needed, is done.
    pub(crate) fn service_reactivated(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let ready = self.service(key).is_some_and(|of| of.reactivation.is_complete() && of.commit.is_none());
        let Some(ue) = self.ues.get_mut(key).filter(|_| ready) else { return };
        if let Procedure::ServiceRequest(service) = std::mem::replace(&mut ue.procedure, Procedure::None) {
            self.accept_service(cx, key, *service);
        }
    }

    fn accept_service(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, service: ServiceRequest) {
        let mut accept = NasServiceAccept::new();
        if let Some(status) = self.session_status(key).filter(|_| service.wants_status) {
            accept = accept.with_pdu_session_status(status);
        }
        if let Some((result, causes)) = service.reactivation.results().filter(|_| service.wants_data) {
            accept = accept.with_pdu_session_reactivation_result(result);
            if let Some(causes) = causes {
                accept = accept.with_pdu_session_reactivation_result_error_cause(causes);
            }
        }
        let Some(nas) = self.seal(key, &Nas5gsMessage::new_5gmm(accept)) else {
            self.metrics.count(Family::ServiceRequests, service.kind, "cannot be protected");
            return self.release_connection(cx, key, Cause::nas(CauseNas::unspecified));
        };
        self.metrics.count(Family::ServiceRequests, service.kind, "success");
        let Some(ue) = self.ues.get(key) else { return };
        let kgnb = ue.security.as_ref().map(|security| security.kgnb(service.uplink));
        match (ue.gnb_context(), kgnb) {
            (GnbContext::None, Some(kgnb)) => {
                let sessions = service.reactivation.setups;
                self.set_up_context(cx, key, &ContextSetup { kgnb, nas, sessions });
            }
            (GnbContext::SetUp, _) if !service.reactivation.setups.is_empty() => {
                self.set_up_resources(cx, key, &service.reactivation.setups, Some(&nas));
            }
            _ => self.downlink_nas(cx, key, nas),
        }
        self.top_up(cx, key);
    }

    fn reject_service(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, kind: &'static str, cause: GmmCause) {
        self.metrics.count(Family::ServiceRequests, kind, cause_name(cause));
        let supi = self.supi_of(key);
        let event = format!("{} (TS 24.501, 5.6.1.5)", cause_name(cause));
        cx.event(Event::ProcedureFailed { procedure: "service request", supi, cause: event });
        let reject = Nas5gsMessage::new_5gmm(NasServiceReject::new(NasFGmmCause::from_cause(cause)));
        if !self.send_nas(cx, key, &reject) {
            // Nothing is reserved to protect it with: these causes may come unprotected (4.4.4.2).
            if let Ok(octets) = reject.encode() {
                self.downlink_nas(cx, key, octets);
            }
        }
    }

    /// 5.6.1.8 a)
    pub(crate) fn service_connection_lost(&mut self, service: &ServiceRequest) {
        self.metrics.count(Family::ServiceRequests, service.kind, "connection lost");
    }
}

fn kind_name(request: &NasServiceRequest) -> &'static str {
    match request.service_type.service_type() {
        Some(ServiceType::Signalling) => "signalling",
        Some(ServiceType::Data) => "data",
        Some(ServiceType::MobileTerminatedServices) => "mobile terminated",
        Some(ServiceType::EmergencyServices | ServiceType::EmergencyServicesFallback) => "emergency",
        Some(ServiceType::HighPriorityAccess) => "high priority",
        _ => "other",
    }
}
