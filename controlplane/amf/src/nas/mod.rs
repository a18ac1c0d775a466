//! 5GMM messages (TS 24.501): protection, what may come unprotected (4.4.4.3), and where each message goes.

mod initial;
mod status;

pub(crate) use status::cause_name;

use crate::metrics::Family;
use crate::procedure::{Arrival, Procedure};
use crate::ue::UeKey;
use crate::{Amf, Cx};
use oxirush_nas::nas_5gs::{
    Direction, GmmCause, MobileIdentityType, Nas5gmmMessage, Nas5gsMessage, Nas5gsSecurityHeaderType, NasCount,
    NasError,
};

const EPD_5GMM: u8 = 0x7E;
const CIPHERED: Nas5gsSecurityHeaderType = Nas5gsSecurityHeaderType::IntegrityProtectedAndCiphered;

/// A message of the phone, and how much it proves.
pub(crate) struct Received<'a> {
    pub(crate) message: Nas5gmmMessage,
    /// As it came, for telling a repetition.
    pub(crate) octets: &'a [u8],
    /// The uplink NAS COUNT of a message whose MAC is right.
    pub(crate) verified: Option<NasCount>,
}

impl Amf {
    /// A NAS message on an established connection.
    pub(crate) fn uplink_nas(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, octets: &[u8]) {
        let &[epd, header, ..] = octets else {
            // TS 24.501, 7.2.1
            return self.discard("message too short (TS 24.501, 7.2.1)");
        };
        if epd != EPD_5GMM {
            // TS 24.501, 7.2.2 and TS 24.007, 11.2.3.1.1A: 5GSM messages travel inside UL NAS TRANSPORT only.
            return self.discard("unknown protocol discriminator (TS 24.501, 7.2.2)");
        }
        if header & 0x0F == 0 {
            return self.plain_nas(cx, key, octets);
        }
        let Some(ue) = self.ues.get_mut(key) else { return };
        let secure = ue.is_secure();
        // The answer to Security Mode Command comes under the context that it takes into use (5.4.2.3).
        if let Procedure::Registration(registration) = &mut ue.procedure
            && let Some(pending) = registration.pending_security()
        {
            let result = pending.unprotect(octets);
            if !matches!(result, Err(NasError::IntegrityCheckFailed)) {
                return self.unprotected(cx, key, octets, result);
            }
        }
        match &mut ue.security {
            Some(security) if secure => {
                let result = security.unprotect(octets);
                self.unprotected(cx, key, octets, result);
            }
            // Protected with a context that is not in use here: read what is readable as if it were plain (4.4.4.3).
            _ => self.unverifiable_nas(cx, key, octets),
        }
    }

    fn unprotected(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        octets: &[u8],
        result: Result<oxirush_nas::nas_5gs::Verified<Nas5gsMessage>, NasError>,
    ) {
        match result {
            Ok(verified) => {
                let count = verified.count;
                let read = Ok(verified.message);
                if let Some(answer) = Nas5gsMessage::answer_to(octets, &read, Direction::Uplink) {
                    // An unknown IE that must be comprehended (7.6.1).
                    return self.answer_faulty(cx, key, octets, &answer);
                }
                let Ok(message) = read else { return };
                self.received(cx, key, message, octets, Some(count));
            }
            Err(NasError::IntegrityCheckFailed) => {
                // TS 24.501, 4.4.3.1 and 4.4.4.3: also what was sent twice comes here, as its COUNT is not accepted again.
                self.discard("integrity check failed or COUNT replayed (TS 24.501, 4.4.4.3)");
            }
            Err(error @ NasError::AuthenticMessageRefused { .. }) => {
                match Nas5gsMessage::answer_to_refused(octets, &error, Direction::Uplink) {
                    Some(answer) => self.answer_faulty(cx, key, octets, &answer),
                    None => self.discard("not a message (TS 24.501, 7.2)"),
                }
            }
            Err(_) => self.discard("malformed security header (TS 24.501, 9.3)"),
        }
    }

    fn plain_nas(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, octets: &[u8]) {
        if self.ues.get(key).is_none_or(crate::ue::Ue::is_secure) {
            // TS 24.501, 4.4.4.3: once secure exchange is established, nothing unprotected is processed.
            return self.discard("plain after security was established (TS 24.501, 4.4.4.3)");
        }
        let read = Nas5gsMessage::decode(octets);
        self.plain_read(cx, key, octets, read);
    }

    fn unverifiable_nas(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, octets: &[u8]) {
        match Nas5gsMessage::decode(octets) {
            Ok(Nas5gsMessage::SecurityProtected(_, inner)) if !matches!(*inner, Nas5gsMessage::Opaque(_)) => {
                self.plain_read(cx, key, octets, Ok(*inner));
            }
            _ => self.discard("protected with an unknown context (TS 24.501, 4.4.4.3)"),
        }
    }

    fn plain_read(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, octets: &[u8], read: Result<Nas5gsMessage, NasError>) {
        if let Some(answer) = Nas5gsMessage::answer_to(octets, &read, Direction::Uplink) {
            return self.answer_faulty(cx, key, octets, &answer);
        }
        match read {
            Ok(Nas5gsMessage::Gmm(header, message)) => {
                if !may_come_plain(&message) {
                    return self.discard("unprotected message not allowed (TS 24.501, 4.4.4.3)");
                }
                self.received(cx, key, Nas5gsMessage::Gmm(header, message), octets, None);
            }
            _ => self.discard("not a 5GMM message (TS 24.501, 7.2)"),
        }
    }

    fn received(
        &mut self,
        cx: &mut Cx<'_, '_>,
        key: UeKey,
        message: Nas5gsMessage,
        octets: &[u8],
        verified: Option<NasCount>,
    ) {
        match message {
            Nas5gsMessage::Gmm(_, message) => self.gmm(cx, key, Received { message, octets, verified }),
            // A 5GSM message by itself has no PDU session to be routed by (TS 24.501, 5.4.5.2).
            _ => self.discard("not a 5GMM message (TS 24.501, 7.2)"),
        }
    }

    /// One 5GMM message of a phone whose connection is known.
    pub(crate) fn gmm(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, received: Received<'_>) {
        let Received { message, octets, verified } = received;
        match message {
            Nas5gmmMessage::RegistrationRequest(request) => {
                self.registration_request(cx, key, *request, octets, verified);
            }
            Nas5gmmMessage::ServiceRequest(request) => self.service_request(cx, key, &request, verified),
            Nas5gmmMessage::DeregistrationRequestUeOriginating(request) => {
                self.deregistration_request(cx, key, &request, verified);
            }
            Nas5gmmMessage::IdentityResponse(response) => self.identity_response(cx, key, &response),
            Nas5gmmMessage::AuthenticationResponse(response) => self.authentication_response(cx, key, &response),
            Nas5gmmMessage::AuthenticationFailure(failure) => self.authentication_failure(cx, key, &failure),
            Nas5gmmMessage::SecurityModeComplete(complete) => self.security_mode_complete(cx, key, &complete, verified),
            Nas5gmmMessage::SecurityModeReject(reject) => self.security_mode_reject(cx, key, &reject),
            Nas5gmmMessage::RegistrationComplete(_) => self.registration_complete(cx, key),
            Nas5gmmMessage::DeregistrationAcceptUeTerminated(_) => self.deregistration_accepted(cx, key),
            Nas5gmmMessage::UlNasTransport(transport) => self.ul_nas_transport(cx, key, &transport),
            Nas5gmmMessage::FiveGmmStatus(status) => self.status_received(cx, key, &status),
            // No Configuration Update Command asks for an acknowledgement here, and nothing is notified (5.4.4.4, 5.6.3).
            _ => self.send_status(cx, key, GmmCause::MessageTypeNotCompatibleWithTheProtocolState),
        }
    }

    /// Whether an initial NAS message may go on against the procedure that runs; the procedure ends when it may.
    pub(crate) fn arrives(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, arrival: Arrival<'_>) -> bool {
        use crate::procedure::Verdict;
        let Some(ue) = self.ues.get(key) else { return false };
        match ue.procedure.meets(arrival) {
            Verdict::Progress => {
                self.abort_procedure(cx, key);
                true
            }
            Verdict::Continue => {
                self.metrics.one(Family::NasDiscarded, "the running procedure goes on (see procedure.rs)");
                false
            }
            Verdict::Repeat => {
                self.repeat_registration_accept(cx, key);
                false
            }
        }
    }

    /// Ends the running procedure because another one takes its place.
    fn abort_procedure(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        self.timers.stop(&crate::timeout::Timer::Nas(key));
        let Some(ue) = self.ues.get_mut(key) else { return };
        match std::mem::replace(&mut ue.procedure, Procedure::None) {
            Procedure::Registration(registration) => self.registration_aborted(&registration),
            Procedure::Deregistration(deregistration) => self.deregistration_superseded(cx, &deregistration),
            Procedure::ServiceRequest(_) | Procedure::None => {}
        }
    }

    /// The connection went while a procedure ran: each has its own rule for it.
    pub(crate) fn lower_layer_failure(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        self.timers.stop(&crate::timeout::Timer::Nas(key));
        let Some(ue) = self.ues.get_mut(key) else { return };
        match std::mem::replace(&mut ue.procedure, Procedure::None) {
            Procedure::Registration(registration) => self.registration_connection_lost(cx, key, &registration),
            Procedure::Deregistration(deregistration) => self.deregistration_connection_lost(cx, key, &deregistration),
            Procedure::ServiceRequest(service) => self.service_connection_lost(&service),
            Procedure::None => {}
        }
    }

    /// Sends a 5GMM message: protected as soon as both sides have keys in use, plain before (TS 24.501, 4.4.4.2).
    pub(crate) fn send_nas(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, message: &Nas5gsMessage) -> bool {
        match self.seal(key, message) {
            Some(octets) => {
                self.downlink_nas(cx, key, octets);
                self.top_up(cx, key);
                true
            }
            None => false,
        }
    }

    /// The octets of a message for this phone. None: it cannot be protected now, and must not go out otherwise.
    pub(crate) fn seal(&mut self, key: UeKey, message: &Nas5gsMessage) -> Option<Vec<u8>> {
        let ue = self.ues.get_mut(key)?;
        let sealed = match (&mut ue.security, ue.connection.as_ref()) {
            (Some(security), Some(connection)) if connection.secure => {
                security.protect(message, CIPHERED).map_err(|error| match error {
                    crate::ue::security::ProtectError::NotReserved => "NAS COUNTs not committed",
                    crate::ue::security::ProtectError::Nas(_) => "NAS message cannot be protected",
                })
            }
            _ => message.encode().map_err(|_| "NAS message does not encode"),
        };
        match sealed {
            Ok(octets) => Some(octets),
            Err(what) => {
                self.metrics.one(Family::Internal, what);
                None
            }
        }
    }

    /// Writes the record again before the COUNTs that it reserves are used.
    pub(crate) fn top_up(&mut self, cx: &mut Cx<'_, '_>, key: UeKey) {
        let low = self.ues.get(key).is_some_and(|ue| {
            ue.writing.is_none() && ue.security.as_ref().is_some_and(crate::ue::security::Security::reserve_is_low)
        });
        if low {
            self.put_ue(cx, key);
        }
    }

    pub(crate) fn discard(&mut self, reason: &'static str) {
        self.metrics.one(Family::NasDiscarded, reason);
    }
}

/// TS 24.501, 4.4.4.3: what the AMF processes before secure exchange is established.
fn may_come_plain(message: &Nas5gmmMessage) -> bool {
    match message {
        Nas5gmmMessage::RegistrationRequest(_)
        | Nas5gmmMessage::AuthenticationResponse(_)
        | Nas5gmmMessage::AuthenticationFailure(_)
        | Nas5gmmMessage::SecurityModeReject(_)
        | Nas5gmmMessage::DeregistrationRequestUeOriginating(_)
        | Nas5gmmMessage::DeregistrationAcceptUeTerminated(_)
        | Nas5gmmMessage::ServiceRequest(_) => true,
        // "if the requested identification parameter is SUCI"
        Nas5gmmMessage::IdentityResponse(response) => {
            response.mobile_identity.identity_type() == Some(MobileIdentityType::Suci)
        }
        _ => false,
    }
}
