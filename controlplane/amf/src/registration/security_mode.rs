//! NAS security mode control (TS 24.501, 5.4.2), with T3560.

use super::Stage;
use crate::limits::NAS_TRANSMISSION_MAX;
use crate::metrics::Family;
use crate::timeout::Timer;
use crate::ue::UeKey;
use crate::ue::security::{self, Security};
use crate::{Amf, Cx};
use coeur_model::{Secret, Supi};
use oxirush_nas::nas_5gs::{
    GmmCause, KeySetIdentifier, Nas5gmmMessage, Nas5gsMessage, Nas5gsSecurityHeaderType,
    NasAdditional5gSecurityInformation, NasCount, NasFGsMobileIdentity, NasImeisvRequest, NasKeySetIdentifier,
    NasRegistrationRequest, NasSecurityAlgorithms, NasSecurityModeCommand, NasSecurityModeComplete,
    NasSecurityModeReject,
};

const NEW_CONTEXT: Nas5gsSecurityHeaderType =
    Nas5gsSecurityHeaderType::IntegrityProtectedWithNewFiveGNasSecurityContext;

/// The context that is to be taken into use, and for whom.
pub(super) struct SecurityMode {
    pub(super) security: Security,
    supi: Supi,
    sent: u8,
}

impl Amf {
    pub(super) fn secure(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, supi: Supi, kamf: Secret<32>, ngksi: u8) {
        let capability = self.ues.get(key).and_then(|ue| ue.capability.as_ref());
        let order = (&self.settings.integrity, &self.settings.ciphering);
        let selected = capability.and_then(|capability| security::select(order.0, order.1, capability));
        let Some((nia, nea)) = selected else {
            // TS 33.501, 6.7.2: none in common; NIA0 is none (5.5.2).
            return self.reject_registration(cx, key, GmmCause::UeSecurityCapabilitiesMismatch);
        };
        match Security::fresh(kamf, ngksi, nia, nea) {
            Ok(security) => self.send_security_mode(cx, key, SecurityMode { security, supi, sent: 1 }),
            Err(_) => {
                self.metrics.one(Family::Internal, "security context cannot be made");
                self.reject_registration(cx, key, GmmCause::UeSecurityCapabilitiesMismatch);
            }
        }
    }

    fn send_security_mode(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, mut mode: SecurityMode) {
        let command = self.security_mode_command(key, &mode.security);
        let octets = command.and_then(|command| mode.security.protect(&command, NEW_CONTEXT).ok());
        let Some(octets) = octets else {
            self.metrics.one(Family::Internal, "Security Mode Command does not encode");
            return self.reject_registration(cx, key, GmmCause::UeSecurityCapabilitiesMismatch);
        };
        self.set_stage(key, Stage::Securing(mode));
        self.downlink_nas(cx, key, octets);
        self.start(cx, Timer::Nas(key), self.ms(self.settings.timers.t3560_ms));
    }

    /// 5.4.2.2: the phone's capabilities are replayed; IMEISV and the complete initial message are asked for.
    fn security_mode_command(&self, key: UeKey, security: &Security) -> Option<Nas5gsMessage> {
        let capability = self.ues.get(key)?.capability.clone()?;
        let (nia, nea) = security.algorithms();
        let ngksi = NasKeySetIdentifier::from_key_set_identifier(KeySetIdentifier::Native(security.ngksi)).ok()?;
        let algorithms = NasSecurityAlgorithms::from_algorithms(nea, nia);
        let command = NasSecurityModeCommand::new(algorithms, ngksi, capability)
            .with_imeisv_request(NasImeisvRequest::from_requested(true))
            // RINMR: the request came without proof, what it said in clear may have been changed on the way.
            .with_additional_5g_security_information(NasAdditional5gSecurityInformation::from_flags(true, false));
        Some(Nas5gsMessage::new_5gmm(command))
    }

    fn take_security_mode(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) -> Option<SecurityMode> {
        let Some(mut registration) = self.take_registration(key) else {
            self.send_status(cx, key, GmmCause::MessageTypeNotCompatibleWithTheProtocolState);
            return None;
        };
        let mode = match std::mem::replace(&mut registration.stage, Stage::Passing) {
            Stage::Securing(mode) => Some(mode),
            other => {
                registration.stage = other;
                None
            }
        };
        self.put_registration(key, registration);
        match mode {
            Some(_) => {
                self.timers.stop(&Timer::Nas(key));
            }
            None => self.send_status(cx, key, GmmCause::MessageTypeNotCompatibleWithTheProtocolState),
        }
        mode
    }

    /// 5.4.2.4. The MAC was right under the pending context, else the message would not be here.
    pub(crate) fn security_mode_complete(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        complete: &NasSecurityModeComplete,
        verified: Option<NasCount>,
    ) {
        let Some(mode) = self.take_security_mode(cx, key) else { return };
        self.metrics.one(Family::SecurityModes, "success");
        let supi = mode.supi;
        self.take_over(cx, key, &supi);
        self.ues.name(key, supi);
        self.authenticated(key);
        let Some(ue) = self.ues.get_mut(key) else { return };
        ue.security = Some(mode.security);
        ue.imeisv = complete.imeisv.as_ref().and_then(NasFGsMobileIdentity::as_imeisv).map(|imeisv| imeisv.to_string());
        if let Some(connection) = &mut ue.connection {
            connection.secure = true;
        }
        // The complete message counts, whatever was read in clear (4.4.6).
        let complete_request =
            complete.nas_message_container.as_ref().and_then(|container| match container.decode_as_nas_message() {
                Ok(Nas5gsMessage::Gmm(_, Nas5gmmMessage::RegistrationRequest(request))) => Some(request),
                _ => None,
            });
        self.security_established(cx, key, verified, complete_request);
    }

    fn security_established(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        uplink: Option<NasCount>,
        request: Option<Box<NasRegistrationRequest>>,
    ) {
        let Some(mut registration) = self.take_registration(key) else { return };
        registration.uplink = uplink;
        if let Some(request) = request {
            registration.request = request;
        }
        self.put_registration(key, registration);
        self.proceed_proven(cx, key);
    }

    /// 5.4.2.5: the phone does not accept the algorithms or the replayed capabilities.
    pub(crate) fn security_mode_reject(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, reject: &NasSecurityModeReject) {
        if self.take_security_mode(cx, key).is_none() {
            return;
        }
        let cause = crate::nas::cause_name(reject.fgmm_cause.cause_received());
        self.metrics.one(Family::SecurityModes, cause);
        self.abandon_registration(cx, key, "Security Mode Reject");
    }

    /// 5.4.2.7 b)
    pub(super) fn security_mode_unanswered(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, mut mode: SecurityMode) {
        if mode.sent >= NAS_TRANSMISSION_MAX {
            self.metrics.one(Family::SecurityModes, "T3560 expired");
            return self.abandon_registration(cx, key, "T3560 expired (security mode)");
        }
        self.metrics.one(Family::Retransmissions, "T3560");
        mode.sent += 1;
        self.send_security_mode(cx, key, mode);
    }
}
