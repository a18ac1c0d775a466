//! Registration (TS 24.501, 5.5.1; TS 23.502, 4.2.2.2).
//!
//! ```text
//!  Registration Request
//!    │ keys verify it ───────────────────────────────────────────┐
//!    │ 5G-GUTI of nobody                                          │
//!    ├──► Identifying ──► Challenging ──► Authenticating ──► Confirming ──► Securing ──► Subscribing
//!    │      T3570           (AUSF)           T3560             (AUSF)       T3560         (UDM)
//!    └─ SUCI, or a 5G-GUTI whose owner is known ─►                                         │
//!                                                     Accepted ◄── Activating ◄── Committing
//!                                                      T3550          (SMF)         (store)
//! ```

mod acceptance;
mod authentication;
mod identification;
mod nssai;
mod security_mode;
mod subscription;

use crate::limits::T3346_S;
use crate::metrics::Family;
use crate::nas::cause_name;
use crate::procedure::{Arrival, Procedure};
use crate::session::Reactivation;
use crate::timeout::Timer;
use crate::ue::security::Security;
use crate::ue::{Rm, UeKey};
use crate::{Amf, Cx};
use coeur_model::Supi;
use coeur_nf::event::Event;
use coeur_nf::services::nausf::Identity;
use coeur_nf::{ExchangeId, StoreToken};
use oxirush_nas::nas_5gs::{
    GmmCause, KeySetIdentifier, MobileIdentityType, Nas5gsMessage, NasCount, NasFGmmCause, NasGprsTimer2,
    NasRegistrationReject, NasRegistrationRequest, RegistrationType,
};
use oxirush_ngap::ngap::{Cause, CauseNas};
use std::time::Instant;

pub(crate) struct Registration {
    kind: Kind,
    /// As the request came: the same octets again are a repetition (5.5.1.2.8 d, e).
    pub(crate) octets: Vec<u8>,
    request: Box<NasRegistrationRequest>,
    started: Instant,
    /// The uplink NAS COUNT that KgNB is derived with (TS 33.501, A.9): of the request, or of Security Mode Complete.
    uplink: Option<NasCount>,
    resynchronisations: u8,
    reauthentications: u8,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Initial,
    Mobility,
    Periodic,
}

/// What the registration waits for. Handling consumes it and puts the next in its place.
enum Stage {
    Identifying {
        sent: u8,
    },
    Challenging {
        exchange: ExchangeId,
        identity: Identity,
    },
    Authenticating(authentication::Challenge),
    Confirming {
        exchange: ExchangeId,
        challenge: authentication::Challenge,
    },
    Securing(security_mode::SecurityMode),
    Subscribing {
        exchange: ExchangeId,
    },
    Registering {
        exchange: ExchangeId,
    },
    Committing {
        token: StoreToken,
    },
    Activating(Reactivation),
    Accepted(acceptance::Acceptance),
    /// Between two stages, inside one call.
    Passing,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Mobility => "mobility updating",
            Self::Periodic => "periodic",
        }
    }
}

impl Registration {
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self.stage, Stage::Accepted(_))
    }

    /// The context that Security Mode Complete is to verify.
    pub(crate) fn pending_security(&mut self) -> Option<&mut Security> {
        match &mut self.stage {
            Stage::Securing(mode) => Some(&mut mode.security),
            _ => None,
        }
    }

    /// Only its owner may take the answer of an exchange: an earlier one is late.
    fn awaits(&self, id: ExchangeId) -> bool {
        match &self.stage {
            Stage::Challenging { exchange, .. }
            | Stage::Confirming { exchange, .. }
            | Stage::Subscribing { exchange }
            | Stage::Registering { exchange } => *exchange == id,
            _ => false,
        }
    }
}

impl Amf {
    pub(crate) fn registration_request(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        request: NasRegistrationRequest,
        octets: &[u8],
        verified: Option<NasCount>,
    ) {
        if !self.arrives(cx, key, Arrival::Registration(octets)) {
            return;
        }
        let kind = match request.fgs_registration_type.registration_type() {
            Some(RegistrationType::MobilityRegistrationUpdating) => Kind::Mobility,
            Some(RegistrationType::PeriodicRegistrationUpdating) => Kind::Periodic,
            // TS 24.501, 9.11.3.7: unused values are read as initial registration.
            _ => Kind::Initial,
        };
        let kind_refused = match request.fgs_registration_type.registration_type() {
            // TS 24.501, 5.5.1.2.5: the cause that the clause has for emergency registration.
            Some(RegistrationType::EmergencyRegistration) => Some(GmmCause::PeiNotAccepted),
            Some(RegistrationType::SnpnOnboardingRegistration) => Some(GmmCause::OnboardingServicesTerminated),
            Some(
                RegistrationType::DisasterRoamingInitialRegistration
                | RegistrationType::DisasterRoamingMobilityRegistrationUpdating,
            ) => Some(GmmCause::DisasterRoamingForTheDeterminedPlmnWithDisasterConditionNotAllowed),
            _ => None,
        };
        self.metrics.one(Family::RegistrationRequests, kind.name());
        let registration = Registration {
            kind,
            octets: octets.to_vec(),
            request: Box::new(request),
            started: cx.now(),
            uplink: verified,
            resynchronisations: 0,
            reauthentications: 0,
            stage: Stage::Passing,
        };
        self.put_registration(key, Box::new(registration));
        if let Some(cause) = kind_refused {
            return self.reject_registration(cx, key, cause);
        }
        let tai = self.ues.get(key).and_then(|ue| ue.location).map(|location| location.tai);
        if !tai.is_some_and(|tai| self.settings.serves(tai)) {
            // TS 24.501, 5.5.1.2.5
            return self.reject_registration(cx, key, GmmCause::NoSuitableCellsInTrackingArea);
        }
        match verified {
            Some(_) => self.register_verified(cx, key),
            None => self.register_unverified(cx, key),
        }
    }

    /// The keys are right: no authentication is needed (TS 23.502, 4.2.2.2.2, step 9).
    fn register_verified(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let Some(registration) = self.take_registration(key) else { return };
        let kind = registration.kind;
        let capability = registration.request.ue_security_capability.clone();
        self.put_registration(key, registration);
        let Some(ue) = self.ues.get_mut(key) else { return };
        ue.capability = capability.or(ue.capability.take());
        if kind != Kind::Initial && ue.rm == Rm::Deregistered {
            // TS 24.501, 5.5.1.3.5
            return self.reject_registration(cx, key, GmmCause::ImplicitlyDeregistered);
        }
        self.proceed_proven(cx, key);
    }

    /// The phone is who it says: what its request says of sessions counts now.
    fn proceed_proven(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let Some(registration) = self.registration(key) else { return };
        let (kind, status) = (registration.kind, registration.request.pdu_session_status.clone());
        match kind {
            // TS 23.502, 4.2.2.2.2, and TS 24.501, 5.5.1.2.4: an initial registration begins without sessions.
            Kind::Initial => self.release_sessions(cx, key, |_| true),
            // TS 24.501, 5.5.1.3.4
            Kind::Mobility | Kind::Periodic => {
                if let Some(status) = status {
                    self.release_sessions(cx, key, |session| !status.is_active(session.get()));
                }
            }
        }
        match kind {
            Kind::Periodic => self.commit_registration(cx, key),
            Kind::Initial | Kind::Mobility => self.ask_access_data(cx, key),
        }
    }

    fn register_unverified(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let Some(registration) = self.registration(key) else { return };
        let identity = &registration.request.fgs_mobile_identity;
        let capability = registration.request.ue_security_capability.clone();
        let (kind, kind_of_identity) = (registration.kind, identity.identity_type());
        let suci = coeur_model::Suci::from_nas_octets(identity.value.to_vec());
        let claimed = self.claimed_supi(identity);
        let stored = claimed.as_ref().and_then(|supi| self.ues.by_supi(supi)).and_then(|owner| self.ues.get(owner));
        let capability = capability.or_else(|| stored.and_then(|ue| ue.capability.clone()));
        let known = capability.is_some();
        if let Some(ue) = self.ues.get_mut(key) {
            ue.capability = capability;
        }
        match (kind_of_identity, claimed) {
            // A phone that holds a 5G-GUTI which nobody gave is told to register initially (5.5.1.3.5).
            (Some(MobileIdentityType::Guti), None) if kind != Kind::Initial => {
                self.reject_registration(cx, key, GmmCause::UeIdentityCannotBeDerivedByTheNetwork);
            }
            // TS 24.501, 8.2.6.4: there unless it is periodic updating; without it no algorithm can be chosen.
            _ if !known => self.reject_registration(cx, key, GmmCause::ConditionalIeError),
            (Some(MobileIdentityType::Suci), _) => self.authenticate(cx, key, Identity::Suci(suci)),
            (_, Some(owner)) => self.authenticate(cx, key, Identity::Supi(owner)),
            _ => self.identify(cx, key),
        }
    }

    fn registration(&self, key: UeKey) -> Option<&Registration> {
        match &self.ues.get(key)?.procedure {
            Procedure::Registration(registration) => Some(registration),
            _ => None,
        }
    }

    fn take_registration(&mut self, key: UeKey) -> Option<Box<Registration>> {
        let ue = self.ues.get_mut(key)?;
        match std::mem::replace(&mut ue.procedure, Procedure::None) {
            Procedure::Registration(registration) => Some(registration),
            other => {
                ue.procedure = other;
                None
            }
        }
    }

    fn put_registration(&mut self, key: UeKey, registration: Box<Registration>) {
        if let Some(ue) = self.ues.get_mut(key) {
            ue.procedure = Procedure::Registration(registration);
        }
    }

    /// Moves on when the registration still runs.
    fn set_stage(&mut self, key: UeKey, stage: Stage) {
        if let Some(mut registration) = self.take_registration(key) {
            registration.stage = stage;
            self.put_registration(key, registration);
        }
    }

    /// T3570, T3560 or T3550, whichever the stage has.
    pub(crate) fn registration_timer(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let Some(mut registration) = self.take_registration(key) else { return };
        let stage = std::mem::replace(&mut registration.stage, Stage::Passing);
        self.put_registration(key, registration);
        match stage {
            Stage::Identifying { sent } => self.identity_unanswered(cx, key, sent),
            Stage::Authenticating(challenge) => self.challenge_unanswered(cx, key, challenge),
            Stage::Securing(mode) => self.security_mode_unanswered(cx, key, mode),
            Stage::Accepted(acceptance) => self.accept_unanswered(cx, key, acceptance),
            other => self.set_stage(key, other),
        }
    }

    /// Ends the registration with Registration Reject (5.5.1.2.5, 5.5.1.3.5), and the connection with it.
    pub(crate) fn reject_registration(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, cause: GmmCause) {
        self.timers.stop(&Timer::Nas(key));
        let Some(registration) = self.take_registration(key) else { return };
        let mut reject = NasRegistrationReject::new(NasFGmmCause::from_cause(cause));
        if cause == GmmCause::Congestion
            && let Ok(t3346) = NasGprsTimer2::from_seconds(T3346_S)
        {
            reject = reject.with_t3346_value(t3346);
        }
        if cause == GmmCause::NoNetworkSlicesAvailable
            && let Some(rejected) = nssai::all_rejected(&registration.request)
        {
            reject = reject.with_rejected_nssai(rejected);
        }
        self.send_nas(cx, key, &Nas5gsMessage::new_5gmm(reject));
        self.registration_failed(cx, key, &registration, cause_name(cause));
        // Congestion passes; a phone that was registered stays so (5.5.1.3.5).
        if cause != GmmCause::Congestion {
            self.deregister_locally(cx, key);
        }
        self.release_connection(cx, key, Cause::nas(CauseNas::normal_release));
    }

    fn registration_failed(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, of: &Registration, cause: &str) {
        self.metrics.count(Family::Registrations, of.kind.name(), cause);
        let supi = self.supi_of(key);
        let cause = format!("{cause} (TS 24.501, 5.5.1)");
        cx.event(Event::ProcedureFailed { procedure: "registration", supi, cause });
    }

    /// Ends it without a word: the phone did not answer, or its connection is of no use.
    fn abandon_registration(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, why: &'static str) {
        let Some(registration) = self.take_registration(key) else { return };
        self.registration_failed(cx, key, &registration, why);
        self.release_connection(cx, key, Cause::nas(CauseNas::unspecified));
    }

    /// There is no room for the phone (5.5.1.2.5).
    pub(crate) fn refuse_for_congestion(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, request: &NasRegistrationRequest) {
        let registration = Registration {
            kind: Kind::Initial,
            octets: Vec::new(),
            request: Box::new(request.clone()),
            started: cx.now(),
            uplink: None,
            resynchronisations: 0,
            reauthentications: 0,
            stage: Stage::Passing,
        };
        self.put_registration(key, Box::new(registration));
        self.reject_registration(cx, key, GmmCause::Congestion);
    }

    /// Another procedure takes its place (see `procedure.rs`).
    pub(crate) fn registration_aborted(&mut self, registration: &Registration) {
        self.metrics.count(Family::Registrations, registration.kind.name(), "superseded");
    }

    /// TS 24.501, 5.5.1.2.8 a), 5.5.1.3.8 a): after Registration Accept the phone is registered, with both 5G-GUTIs valid;
    /// before, the procedure ends.
    pub(crate) fn registration_connection_lost(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        registration: &Registration,
    ) {
        match &registration.stage {
            Stage::Accepted(_) => self.registered(cx, key, registration, "connection lost after accept"),
            _ => self.registration_failed(cx, key, registration, "connection lost"),
        }
    }

    /// An ngKSI that the phone does not hold already (5.4.1.3.2).
    fn fresh_ngksi(request: &NasRegistrationRequest) -> u8 {
        match request.ngksi.key_set_identifier() {
            KeySetIdentifier::Native(held) => (held + 1) % 7,
            _ => 0,
        }
    }

    /// Everything of another context of the same phone that goes on living, and the end of that context.
    fn take_over(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, supi: &Supi) {
        let Some(former) = self.ues.by_supi(supi).filter(|former| *former != key) else { return };
        let cause = Cause::radioNetwork(oxirush_ngap::ngap::CauseRadioNetwork::release_due_to_5gc_generated_reason);
        self.release_connection(cx, former, cause);
        self.stop_timers(former);
        let Some(mut former) = self.ues.remove(former) else { return };
        // A deregistration that a command waits for: the phone is back before it was gone.
        if let Procedure::Deregistration(deregistration) = &former.procedure {
            self.deregistration_superseded(cx, deregistration);
        }
        if let Some(tmsi) = former.tmsi {
            self.ues.inherit_tmsi(key, tmsi);
        }
        let Some(ue) = self.ues.get_mut(key) else { return };
        ue.rm = former.rm;
        ue.allowed = std::mem::take(&mut former.allowed);
        ue.ambr = former.ambr;
        ue.radio_capability = former.radio_capability.take();
        ue.sessions = std::mem::take(&mut former.sessions);
        // One that the SMF is still making has its answer on the way to the former context, which is gone.
        ue.sessions.retain(|_, session| session.is_established());
    }
}
