//! NAS security mode control procedure (TS 24.501, 5.4.2).

use super::security::{Native, Unprotected, unprotect};
use super::{Mm, Output, Timer, Ue, violation};
use crate::violation::Violation;
use oxirush_nas::nas_5gs::{
    CipheringAlgorithm, GmmCause, IntegrityAlgorithm, KeySetIdentifier, Nas5gmmMessage, Nas5gsMessage, NasFGmmCause,
    NasFGsMobileIdentity, NasMessageContainer, NasSecurityModeCommand, NasSecurityModeComplete, NasSecurityModeReject,
    NasUeSecurityCapability,
};
use std::time::Instant;

impl Ue {
    pub(super) fn security_mode_command(&mut self, _now: Instant, octets: &[u8], out: &mut Vec<Output>) {
        let command = match Nas5gsMessage::decode(octets) {
            Ok(Nas5gsMessage::SecurityProtected(_, inner)) => match *inner {
                Nas5gsMessage::Gmm(_, Nas5gmmMessage::SecurityModeCommand(command)) => command,
                // TS 24.501 4.4.4.2: no other message has this security header type.
                _ => return out.push(violation(Violation::SecurityHeader(0x3))),
            },
            Ok(_) => return out.push(violation(Violation::SecurityHeader(0x3))),
            Err(error) => return out.push(violation(Violation::UndecodableNas(error.to_string()))),
        };
        match self.verify(&command, octets) {
            Ok(native) => self.take_into_use(native, &command, out),
            Err((fault, cause)) => {
                out.push(violation(fault));
                // TS 24.501 5.4.2.5: the reject goes out with the context that was in use before, or in clear.
                if let Some(cause) = cause {
                    self.send(NasSecurityModeReject::new(NasFGmmCause::from_cause(cause)), out);
                }
            }
        }
    }

    /// TS 24.501 5.4.2.3: the context, if all that the command says is right. A cause of `None` is a silent discard.
    fn verify(&self, command: &NasSecurityModeCommand, octets: &[u8]) -> Result<Native, (Violation, Option<GmmCause>)> {
        let unspecified = Some(GmmCause::SecurityModeRejectedUnspecified);
        let KeySetIdentifier::Native(ngksi) = command.ngksi.key_set_identifier() else {
            return Err((Violation::NgKsiUnknown(7), unspecified));
        };
        let algorithms = &command.selected_nas_security_algorithms;
        let (Some(integrity), Some(ciphering)) = (algorithms.integrity(), algorithms.ciphering()) else {
            return Err((Violation::Algorithms, unspecified));
        };
        if !self.has(integrity, ciphering) {
            return Err((Violation::Algorithms, unspecified));
        }
        let mut native = self.security.candidate(ngksi, integrity, ciphering).map_err(|fault| (fault, unspecified))?;
        match unprotect(&mut native.nas, octets) {
            Unprotected::Message(_) => {}
            Unprotected::Refused(fault, _) | Unprotected::Discard(fault) => return Err((fault, None)),
        }
        if !replays(&command.replayed_ue_security_capabilities, &self.capability()) {
            return Err((Violation::ReplayedCapabilities, Some(GmmCause::UeSecurityCapabilitiesMismatch)));
        }
        Ok(native)
    }

    fn take_into_use(&mut self, native: Native, command: &NasSecurityModeCommand, out: &mut Vec<Output>) {
        self.security.current = Some(native);
        self.security.pending = None;
        self.security.exchanging = true;
        self.timers.stop(Timer::T3516);
        let mut complete = NasSecurityModeComplete::new();
        if command.imeisv_request.is_some()
            && let Ok(imeisv) = NasFGsMobileIdentity::from_imeisv(&self.config.imeisv)
        {
            complete.set_imeisv(imeisv);
        }
        // TS 24.501 5.4.2.3: the whole initial message, which went out with its cleartext IEs only, or that the network
        // could not read (RINMR).
        let initial = match &self.mm {
            Mm::Registering(attempt) => Some(&attempt.complete),
            _ => None,
        };
        if let Some(container) = initial.and_then(|message| NasMessageContainer::from_nas_message(message).ok()) {
            complete.set_nas_message_container(container);
        }
        if let Some(nas) = self.security.protect_mode_complete(&Nas5gsMessage::new_5gmm(complete)) {
            out.push(Output::Uplink { nas });
        }
    }

    pub(super) fn capability(&self) -> NasUeSecurityCapability {
        NasUeSecurityCapability::from_capabilities(self.config.profile.ciphering, self.config.profile.integrity)
    }

    /// NIA0 is for emergency sessions only (TS 24.501, 5.4.2.3), which are not modelled.
    fn has(&self, integrity: IntegrityAlgorithm, ciphering: CipheringAlgorithm) -> bool {
        let capability = self.capability();
        integrity != IntegrityAlgorithm::NIA0
            && capability.supports_ia(integrity as u8)
            && capability.supports_ea(ciphering as u8)
    }
}

/// Octets that are zero at the end say the same as no octets (TS 24.501, 9.11.3.54).
fn replays(replayed: &NasUeSecurityCapability, sent: &NasUeSecurityCapability) -> bool {
    let length = replayed.value.len().max(sent.value.len());
    let octet = |capability: &NasUeSecurityCapability, index: usize| capability.value.get(index).copied().unwrap_or(0);
    (0..length).all(|index| octet(replayed, index) == octet(sent, index))
}
