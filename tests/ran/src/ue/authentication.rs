//! 5G-AKA as the UE sees it (TS 24.501, 5.4.1.3).

use super::security::Pending;
use super::{Event, Failure, Mm, Output, Timer, Ue, violation};
use crate::usim::Challenge;
use crate::violation::Violation;
use oxirush_nas::nas_5gs::{
    GmmCause, KAmf, KeySetIdentifier, NasAuthenticationFailure, NasAuthenticationFailureParameter,
    NasAuthenticationRequest, NasAuthenticationResponse, NasAuthenticationResponseParameter, NasFGmmCause,
};
use oxirush_security::Autn;
use oxirush_security::milenage::UsimResponse;
use oxirush_security::nas_5gs::{Supi, derive_kamf, derive_kausf, derive_kseaf};
use std::time::Instant;

/// TS 24.501 5.4.1.3.7: the third failure in a row means that the network is not authentic.
const CHALLENGES_REFUSED_MAX: u8 = 3;

impl Ue {
    pub(super) fn authentication_request(
        &mut self,
        now: Instant,
        request: &NasAuthenticationRequest,
        out: &mut Vec<Output>,
    ) {
        let KeySetIdentifier::Native(ngksi) = request.ngksi.key_set_identifier() else {
            out.push(violation(Violation::NgKsiUnknown(7)));
            return self.gmm_status(GmmCause::InvalidMandatoryInformation, out);
        };
        let rand =
            request.authentication_parameter_rand.as_ref().and_then(|ie| <[u8; 16]>::try_from(&ie.value[..]).ok());
        let autn =
            request.authentication_parameter_autn.as_ref().and_then(|ie| <[u8; 16]>::try_from(&ie.value[..]).ok());
        let (Some(rand), Some(autn)) = (rand, autn) else {
            out.push(violation(Violation::ChallengeIncomplete));
            return self.gmm_status(GmmCause::ConditionalIeError, out);
        };
        // TS 24.501 5.4.1.3.2: the same RAND again is answered from memory; the USIM is not asked twice.
        let repeated = self.security.pending.as_ref().filter(|pending| pending.rand == rand && pending.ngksi == ngksi);
        if let Some(res_star) = repeated.map(|pending| pending.res_star) {
            return self.authentication_response(now, res_star, out);
        }
        // TS 24.501 5.4.1.3.6 d)
        if self.security.current.as_ref().is_some_and(|native| native.ngksi == ngksi) {
            out.push(violation(Violation::NgKsiInUse(ngksi)));
            return self.authentication_failure(now, GmmCause::NgKsiAlreadyInUse, None, out);
        }
        match self.usim.check(rand, autn) {
            Challenge::MacFailure => {
                out.push(violation(Violation::AutnMac));
                self.authentication_failure(now, GmmCause::MacFailure, None, out);
            }
            Challenge::SynchFailure(auts) => {
                out.push(Output::Event(Event::SynchFailure));
                self.authentication_failure(now, GmmCause::SynchFailure, Some(auts), out);
            }
            Challenge::Accepted(response) if !response.amf().separation_bit() => {
                out.push(violation(Violation::SeparationBit));
                self.authentication_failure(now, GmmCause::NonFiveGAuthenticationUnacceptable, None, out);
            }
            Challenge::Accepted(response) => {
                let Some((kamf, res_star)) = self.keys(&response, &autn, &request.abba.value) else {
                    out.push(violation(Violation::ChallengeIncomplete));
                    return self.gmm_status(GmmCause::InvalidMandatoryInformation, out);
                };
                self.challenges_refused = 0;
                self.timers.stop(Timer::T3520);
                self.security.pending = Some(Pending { ngksi, kamf, rand, res_star });
                self.authentication_response(now, res_star, out);
            }
        }
    }

    /// KAMF and RES* (TS 33.501, A.2, A.4, A.6, A.7). `None`: an ABBA that no key can be derived with.
    fn keys(&self, response: &UsimResponse, autn: &[u8; 16], abba: &[u8]) -> Option<(KAmf, [u8; 16])> {
        let network = self.config.profile.plmn.serving_network_name();
        let network = network.as_bytes();
        let kausf = derive_kausf(response.ck(), response.ik(), network, &Autn::new(autn)).ok()?;
        let kseaf = derive_kseaf(&kausf, network).ok()?;
        let supi = self.config.supi.expose();
        let kamf = derive_kamf(&kseaf, &Supi::parse(&supi).ok()?, abba).ok()?;
        let mut res_star = *response.res_star(network).ok()?.as_octets();
        if self.wrong_res_star {
            res_star[15] ^= 0x01;
        }
        Some((kamf, res_star))
    }

    fn authentication_response(&mut self, now: Instant, res_star: [u8; 16], out: &mut Vec<Output>) {
        self.timers.start(Timer::T3516, now, self.config.profile.timers.t3516);
        let parameter = NasAuthenticationResponseParameter::from_res_star(res_star);
        self.send(NasAuthenticationResponse::new().with_authentication_response_parameter(parameter), out);
    }

    fn authentication_failure(&mut self, now: Instant, cause: GmmCause, auts: Option<[u8; 14]>, out: &mut Vec<Output>) {
        self.challenges_refused += 1;
        self.security.pending = None;
        self.timers.stop(Timer::T3516);
        let mut failure = NasAuthenticationFailure::new(NasFGmmCause::from_cause(cause));
        if let Some(auts) = auts {
            failure.set_authentication_failure_parameter(NasAuthenticationFailureParameter::new(auts.to_vec()));
        }
        self.send(failure, out);
        if self.challenges_refused >= CHALLENGES_REFUSED_MAX {
            return self.network_not_authentic(now, out);
        }
        self.timers.start(Timer::T3520, now, self.config.profile.timers.t3520);
    }

    /// TS 24.501 5.4.1.3.7: T3520 ran out, or three failures in a row. The connection is released locally, the cell barred;
    /// a simulated UE has one cell only, so that the procedure under way fails.
    pub(super) fn network_not_authentic(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.challenges_refused = 0;
        self.timers.stop(Timer::T3520);
        out.push(Output::LocalRelease);
        self.connected = false;
        self.security.disconnect();
        match self.mm {
            Mm::Registering(_) => self.registration_failed(now, Failure::NotAuthentic, out),
            Mm::RequestingService => {
                self.mm = Mm::Registered;
                self.timers.stop(Timer::T3517);
                out.push(Output::Event(Event::ServiceFailed { failure: Failure::NotAuthentic }));
            }
            Mm::Deregistering { .. } => self.deregistered(Some(Failure::NotAuthentic), false, out),
            Mm::Deregistered | Mm::Registered => {}
        }
    }

    /// TS 24.501 5.4.1.3.5: the USIM is invalid until it is taken out; GUTI and keys are deleted.
    pub(super) fn authentication_reject(&mut self, out: &mut Vec<Output>) {
        let registering = matches!(self.mm, Mm::Registering(_));
        self.guti = None;
        self.security.forget();
        let failure = Failure::AuthenticationRejected;
        self.deregistered((!registering).then(|| failure.clone()), false, out);
        if registering {
            out.push(Output::Event(Event::RegistrationFailed { failure, retry: false }));
        }
    }
}
