//! Service request procedure and paging (TS 24.501, 5.6.1 and 5.6.2).

use super::{EstablishmentCause, Event, Failure, Mm, Output, RegistrationKind, Timer, Ue, violation};
use crate::violation::Violation;
use oxirush_nas::nas_5gs::{
    GmmCause, Nas5gsMessage, NasFGsMobileIdentity, NasGprsTimer2, NasPduSessionReactivationResult, NasPduSessionStatus,
    NasServiceAccept, NasServiceReject, NasServiceRequest, NasServiceType, NasUplinkDataStatus, ServiceType,
};
use std::time::{Duration, Instant};

impl Ue {
    pub(super) fn request_service(
        &mut self,
        now: Instant,
        data: bool,
        cause: EstablishmentCause,
        out: &mut Vec<Output>,
    ) {
        let (Mm::Registered, Some(guti), true) = (&self.mm, self.guti, self.security.current.is_some()) else {
            let failure = Failure::State(self.state());
            return out.push(Output::Event(Event::ServiceFailed { failure }));
        };
        if self.timers.is_running(Timer::T3346) {
            return out.push(Output::Event(Event::ServiceFailed { failure: Failure::Gmm(22) }));
        }
        let kind = match cause {
            EstablishmentCause::MtAccess => ServiceType::MobileTerminatedServices,
            EstablishmentCause::MoData if data => ServiceType::Data,
            _ => ServiceType::Signalling,
        };
        let identity = || NasFGsMobileIdentity::from_s_tmsi(guti.s_tmsi());
        let clear = NasServiceRequest::new(self.security.ngksi(), NasServiceType::from_service_type(kind), identity());
        let mut complete = clear.clone();
        let active: Vec<u8> = self.sessions().map(|session| session.psi).collect();
        if let (true, false, Ok(status)) = (data, active.is_empty(), NasUplinkDataStatus::from_sessions(&active)) {
            complete.set_uplink_data_status(status);
        }
        if let Ok(status) = NasPduSessionStatus::from_sessions(&active) {
            complete.set_pdu_session_status(status);
        }
        let (complete, clear) = (Nas5gsMessage::new_5gmm(complete), Nas5gsMessage::new_5gmm(clear));
        self.send_initial(&complete, &clear, cause, out);
        self.mm = Mm::RequestingService;
        self.timers.start(Timer::T3517, now, self.config.profile.timers.t3517);
    }

    pub(super) fn paged(&mut self, now: Instant, out: &mut Vec<Output>) {
        match (&self.mm, self.connected) {
            // TS 24.501 5.6.2.2.1
            (Mm::Registered, false) => self.request_service(now, true, EstablishmentCause::MtAccess, out),
            // Pages and the UE's own request crossed on the air: legitimate, and the request answers both.
            (Mm::RequestingService | Mm::Registering(_), _) => {}
            _ => out.push(violation(Violation::Paging)),
        }
    }

    /// TS 24.501 5.6.1.4.
    pub(super) fn service_accept(&mut self, now: Instant, accept: &NasServiceAccept, out: &mut Vec<Output>) {
        if !matches!(self.mm, Mm::RequestingService) {
            return self.unexpected("SERVICE ACCEPT", out);
        }
        self.mm = Mm::Registered;
        self.timers.stop(Timer::T3517);
        if let Some(status) = &accept.pdu_session_status {
            self.keep_sessions(|psi| status.is_active(psi), out);
        }
        let failed = accept.pdu_session_reactivation_result.as_ref();
        let reactivation_failed = failed.map(NasPduSessionReactivationResult::failed_sessions).unwrap_or_default();
        out.push(Output::Event(Event::ServiceAccepted { reactivation_failed }));
        self.send_waiting(now, out);
    }

    /// TS 24.501 5.6.1.5.
    pub(super) fn service_reject(&mut self, now: Instant, reject: &NasServiceReject, out: &mut Vec<Output>) {
        if !matches!(self.mm, Mm::RequestingService) {
            return self.unexpected("SERVICE REJECT", out);
        }
        self.mm = Mm::Registered;
        self.timers.stop(Timer::T3517);
        let failure = Failure::Gmm(reject.fgmm_cause.cause_raw());
        out.push(Output::Event(Event::ServiceFailed { failure: failure.clone() }));
        match reject.fgmm_cause.cause_received() {
            cause @ (GmmCause::UeIdentityCannotBeDerivedByTheNetwork | GmmCause::ImplicitlyDeregistered) => {
                if cause == GmmCause::UeIdentityCannotBeDerivedByTheNetwork {
                    self.guti = None;
                    self.security.forget();
                }
                self.deregistered(Some(failure), true, out);
                self.register(now, RegistrationKind::Initial, out);
            }
            GmmCause::IllegalUe | GmmCause::IllegalMe | GmmCause::FiveGsServicesNotAllowed => {
                self.guti = None;
                self.security.forget();
                self.deregistered(Some(failure), false, out);
            }
            GmmCause::Congestion => {
                let wait = reject.t3346_value.as_ref().and_then(NasGprsTimer2::to_seconds);
                if let Some(wait) = wait {
                    self.timers.start(Timer::T3346, now, Duration::from_secs(wait));
                }
            }
            _ => {}
        }
    }

    /// TS 24.501 5.6.1.7 c): back to REGISTERED; the connection is released locally.
    pub(super) fn service_expired(&mut self, out: &mut Vec<Output>) {
        if !matches!(self.mm, Mm::RequestingService) {
            return;
        }
        self.mm = Mm::Registered;
        if std::mem::replace(&mut self.connected, false) {
            out.push(Output::LocalRelease);
            self.security.disconnect();
        }
        out.push(Output::Event(Event::TimerExpired(Timer::T3517)));
        out.push(Output::Event(Event::ServiceFailed { failure: Failure::Expired(Timer::T3517) }));
    }
}
