//! 5G-AKA (TS 24.501, 5.4.1.3; TS 33.501, 6.1.3.2), with T3560. This is the SEAF: it checks HRES* and keeps KAMF.

use super::{Registration, Stage};
use crate::limits::{NAS_TRANSMISSION_MAX, REAUTHENTICATION_MAX, RESYNCHRONISATION_MAX};
use crate::metrics::Family;
use crate::nas::cause_name;
use crate::timeout::Timer;
use crate::ue::UeKey;
use crate::{Amf, Cx};
use coeur_model::{Secret, Supi};
use coeur_nf::ExchangeId;
use coeur_nf::services::nausf::{AusfProblem, AusfRequest, AusfResponse, AuthContextId, Identity, Resynchronisation};
use coeur_nf::services::nudm::UdmProblem;
use oxirush_nas::nas_5gs::{
    GmmCause, KeySetIdentifier, Nas5gsMessage, NasAbba, NasAuthenticationFailure, NasAuthenticationParameterAutn,
    NasAuthenticationParameterRand, NasAuthenticationReject, NasAuthenticationRequest, NasAuthenticationResponse,
    NasKeySetIdentifier,
};
use oxirush_ngap::ngap::{Cause, CauseNas};
use oxirush_security::Rand;
use oxirush_security::nas_5gs::{HxresStar, KSeaf, ResStar, compute_hres_star, derive_kamf};

/// TS 33.501, A.7.1: no anti-bidding-down feature beyond the first.
const ABBA: [u8; 2] = [0, 0];

/// What the phone is to answer.
pub(super) struct Challenge {
    context: AuthContextId,
    rand: [u8; 16],
    autn: [u8; 16],
    hxres_star: [u8; 16],
    ngksi: u8,
    identity: Identity,
    sent: u8,
}

impl Challenge {
    fn request(&self) -> Option<Nas5gsMessage> {
        let ngksi = NasKeySetIdentifier::from_key_set_identifier(KeySetIdentifier::Native(self.ngksi)).ok()?;
        let request = NasAuthenticationRequest::new(ngksi, NasAbba::new(ABBA.to_vec()))
            .with_authentication_parameter_rand(NasAuthenticationParameterRand::from_rand(self.rand))
            .with_authentication_parameter_autn(NasAuthenticationParameterAutn::from_autn(self.autn));
        Some(Nas5gsMessage::new_5gmm(request))
    }

    fn is_answered_by(&self, res_star: [u8; 16]) -> bool {
        let hres_star = compute_hres_star(&Rand::new(&self.rand), &ResStar::new(&res_star));
        HxresStar::new(&self.hxres_star).accepts(&hres_star)
    }
}

impl Amf {
    pub(super) fn authenticate(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, identity: Identity) {
        self.ask_for_challenge(cx, key, identity, None);
    }

    fn ask_for_challenge(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        identity: Identity,
        resynchronisation: Option<Resynchronisation>,
    ) {
        let serving_network_name = self.settings.guami.plmn().serving_network_name();
        let request = AusfRequest::Authenticate { identity: identity.clone(), serving_network_name, resynchronisation };
        self.metrics.one(Family::Authentications, "requested");
        let exchange = self.ask_ausf(cx, key, request);
        self.set_stage(key, Stage::Challenging { exchange, identity });
    }

    pub(crate) fn authentication_answered(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        id: ExchangeId,
        answer: Result<AusfResponse, AusfProblem>,
    ) {
        let Some(mut registration) = self.take_registration(key) else { return };
        let stage = match registration.awaits(id) {
            true => std::mem::replace(&mut registration.stage, Stage::Passing),
            false => Stage::Passing,
        };
        let ngksi = Self::fresh_ngksi(&registration.request);
        let reauthentications = registration.reauthentications;
        self.put_registration(key, registration);
        match (stage, answer) {
            (Stage::Challenging { identity, .. }, Ok(AusfResponse::Challenge { context, rand, autn, hxres_star })) => {
                // The phone said of the last ngKSI that it holds it (5.4.1.3.7 e): another one this time.
                let ngksi = (ngksi + reauthentications) % 7;
                let challenge = Challenge { context, rand, autn, hxres_star, ngksi, identity, sent: 1 };
                self.send_challenge(cx, key, challenge);
            }
            (Stage::Confirming { challenge, .. }, Ok(AusfResponse::Confirmed { supi, kseaf })) => {
                self.confirmed(cx, key, challenge.ngksi, supi, &kseaf);
            }
            (Stage::Confirming { challenge, .. }, Err(AusfProblem::AuthenticationFailure)) => {
                self.wrong_answer(cx, key, &challenge);
            }
            (Stage::Challenging { .. } | Stage::Confirming { .. }, Err(problem)) => {
                self.authentication_refused(cx, key, problem);
            }
            // Not the answer to what was asked: the AUSF is at fault, the phone may try again.
            (Stage::Challenging { .. } | Stage::Confirming { .. }, Ok(_)) => {
                self.metrics.one(Family::Internal, "AUSF answered another question");
                self.reject_registration(cx, key, GmmCause::Congestion);
            }
            // Late.
            _ => {}
        }
    }

    fn send_challenge(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, challenge: Challenge) {
        let Some(request) = challenge.request() else { return };
        self.set_stage(key, Stage::Authenticating(challenge));
        self.send_nas(cx, key, &request);
        self.start(cx, Timer::Nas(key), self.ms(self.settings.timers.t3560_ms));
    }

    /// Takes the challenge that is being answered; none: there is none, and the phone is told so (7.4).
    fn take_challenge(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) -> Option<Challenge> {
        let Some(mut registration) = self.take_registration(key) else {
            self.send_status(cx, key, GmmCause::MessageTypeNotCompatibleWithTheProtocolState);
            return None;
        };
        let challenge = match std::mem::replace(&mut registration.stage, Stage::Passing) {
            Stage::Authenticating(challenge) => Some(challenge),
            other => {
                registration.stage = other;
                None
            }
        };
        self.put_registration(key, registration);
        match challenge {
            Some(_) => {
                self.timers.stop(&Timer::Nas(key));
            }
            None => self.send_status(cx, key, GmmCause::MessageTypeNotCompatibleWithTheProtocolState),
        }
        challenge
    }

    pub(crate) fn authentication_response(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        response: &NasAuthenticationResponse,
    ) {
        let Some(challenge) = self.take_challenge(cx, key) else { return };
        let res_star = response.authentication_response_parameter.as_ref().and_then(|parameter| parameter.res_star());
        match res_star.copied() {
            Some(res_star) if challenge.is_answered_by(res_star) => {
                let confirm = AusfRequest::Confirm { context: challenge.context, res_star: Some(res_star) };
                let exchange = self.ask_ausf(cx, key, confirm);
                self.set_stage(key, Stage::Confirming { exchange, challenge });
            }
            _ => {
                self.give_up_challenge(cx, key, &challenge);
                self.wrong_answer(cx, key, &challenge);
            }
        }
    }

    /// The AUSF is told, so that it forgets the context (TS 33.501, 6.1.3.2).
    fn give_up_challenge(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, challenge: &Challenge) {
        self.ask_ausf(cx, key, AusfRequest::Confirm { context: challenge.context, res_star: None });
    }

    /// TS 24.501, 5.4.1.3.5: when a 5G-GUTI said who it is, it may have lied: the phone is asked. Else it is refused.
    fn wrong_answer(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, challenge: &Challenge) {
        match challenge.identity {
            Identity::Supi(_) => self.identify(cx, key),
            Identity::Suci(_) => self.reject_authentication(cx, key),
        }
    }

    fn reject_authentication(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        self.timers.stop(&Timer::Nas(key));
        self.metrics.one(Family::Authentications, "rejected");
        self.send_nas(cx, key, &Nas5gsMessage::new_5gmm(NasAuthenticationReject::new()));
        let Some(registration) = self.take_registration(key) else { return };
        self.registration_failed(cx, key, &registration, "Authentication Reject");
        self.release_connection(cx, key, Cause::nas(CauseNas::authentication_failure));
    }

    fn authentication_refused(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, problem: AusfProblem) {
        let cause = match problem {
            // TS 29.509, 5.2.2.2.2 and TS 24.501, 5.5.1.2.5
            AusfProblem::ServingNetworkNotAuthorized => GmmCause::ServingNetworkNotAuthorized,
            AusfProblem::Udm(UdmProblem::UserNotFound | UdmProblem::AuthenticationRejected) => GmmCause::IllegalUe,
            AusfProblem::Udm(UdmProblem::WrongAuts) => return self.reject_authentication(cx, key),
            AusfProblem::Udm(UdmProblem::DataNotFound | UdmProblem::NotSubscribed) => {
                GmmCause::FiveGsServicesNotAllowed
            }
            AusfProblem::AuthenticationFailure => return self.reject_authentication(cx, key),
            AusfProblem::ContextNotFound
            | AusfProblem::Congestion
            | AusfProblem::Udm(UdmProblem::Congestion | UdmProblem::SystemFailure) => GmmCause::Congestion,
        };
        self.reject_registration(cx, key, cause);
    }

    /// 5.4.1.3.7 c) to f)
    pub(crate) fn authentication_failure(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        failure: &NasAuthenticationFailure,
    ) {
        let Some(challenge) = self.take_challenge(cx, key) else { return };
        let cause = failure.fgmm_cause.cause_received();
        self.metrics.one(Family::Authentications, cause_name(cause));
        let auts = failure.authentication_failure_parameter.as_ref().and_then(|parameter| parameter.auts()).copied();
        match (cause, auts) {
            (GmmCause::SynchFailure, Some(auts))
                if self.may(key, |of| &mut of.resynchronisations, RESYNCHRONISATION_MAX) =>
            {
                // f) The UDM sets its SQN to the phone's, and a new challenge goes out.
                let resynchronisation = Resynchronisation { rand: challenge.rand, auts };
                self.ask_for_challenge(cx, key, challenge.identity, Some(resynchronisation));
            }
            (GmmCause::NgKsiAlreadyInUse, _) if self.may(key, |of| &mut of.reauthentications, REAUTHENTICATION_MAX) => {
                // e) Again, with another ngKSI.
                self.give_up_challenge(cx, key, &challenge);
                self.ask_for_challenge(cx, key, challenge.identity, None);
            }
            (GmmCause::MacFailure | GmmCause::NonFiveGAuthenticationUnacceptable, _)
                if self.may(key, |of| &mut of.reauthentications, REAUTHENTICATION_MAX) =>
            {
                // c), d) The 5G-GUTI may be somebody else's: the phone is asked who it is, then challenged as that.
                self.give_up_challenge(cx, key, &challenge);
                self.identify(cx, key);
            }
            _ => {
                self.give_up_challenge(cx, key, &challenge);
                self.reject_authentication(cx, key);
            }
        }
    }

    fn may(&mut self, key: UeKey, counter: impl FnOnce(&mut Registration) -> &mut u8, limit: u8) -> bool {
        let Some(mut registration) = self.take_registration(key) else { return false };
        let used = counter(&mut registration);
        let allowed = *used < limit;
        *used += u8::from(allowed);
        self.put_registration(key, registration);
        allowed
    }

    /// 5.4.1.3.7 b)
    pub(super) fn challenge_unanswered(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, mut challenge: Challenge) {
        if challenge.sent >= NAS_TRANSMISSION_MAX {
            self.give_up_challenge(cx, key, &challenge);
            return self.abandon_registration(cx, key, "T3560 expired (authentication)");
        }
        self.metrics.one(Family::Retransmissions, "T3560");
        challenge.sent += 1;
        self.send_challenge(cx, key, challenge);
    }

    fn confirmed(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, ngksi: u8, supi: Supi, kseaf: &Secret<32>) {
        self.metrics.one(Family::Authentications, "success");
        let identity = supi.expose();
        let kamf = oxirush_security::nas_5gs::Supi::parse(&identity)
            .ok()
            .and_then(|supi| derive_kamf(&KSeaf::new(kseaf.expose()), &supi, &ABBA).ok());
        match kamf {
            Some(kamf) => self.secure(cx, key, supi, Secret::new(*kamf.as_octets()), ngksi),
            None => {
                self.metrics.one(Family::Internal, "KAMF cannot be derived");
                self.reject_registration(cx, key, GmmCause::IllegalUe);
            }
        }
    }
}
