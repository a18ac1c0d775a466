//! Every downlink NAS message comes in here: which are taken without protection, and who handles which.

use super::security::Unprotected;
use super::{Event, Mm, Output, Ue, violation};
use crate::violation::Violation;
use oxirush_nas::nas_5gs::{
    Direction, GmmCause, MobileIdentityType, Nas5gmmMessage, Nas5gsMessage, NasConfigurationUpdateCommand,
    NasConfigurationUpdateComplete, NasConfigurationUpdateIndication, NasFGmmCause, NasFGmmStatus,
    is_security_protected,
};
use std::time::Instant;

/// "Integrity protected with new 5G NAS security context" (TS 24.501, 9.3).
const NEW_CONTEXT: u8 = 0x3;

impl Ue {
    pub(super) fn receive(&mut self, now: Instant, octets: &[u8], out: &mut Vec<Output>) {
        if !self.connected {
            // Delivered by a gNB that still thinks this UE connected.
            return out.push(violation(Violation::UnexpectedNas { message: "NAS".into(), state: "5GMM-IDLE" }));
        }
        if !is_security_protected(octets) {
            return self.receive_plain(now, octets, out);
        }
        if octets[1] & 0x0F == NEW_CONTEXT {
            return self.security_mode_command(now, octets, out);
        }
        match self.security.unprotect(octets) {
            Unprotected::Message(verified) => {
                self.security.exchanging = true;
                match verified.message {
                    Nas5gsMessage::Gmm(_, message) => self.dispatch(now, message, out),
                    other => out.push(violation(Violation::UndecodableNas(format!("{other} inside a 5GMM header")))),
                }
            }
            Unprotected::Refused(fault, answer) => {
                self.security.exchanging = true;
                out.push(violation(fault));
                if let Some(Nas5gsMessage::Gmm(_, answer)) = answer.map(|answer| *answer) {
                    self.send(answer, out);
                }
            }
            Unprotected::Discard(fault) => out.push(violation(fault)),
        }
    }

    fn receive_plain(&mut self, now: Instant, octets: &[u8], out: &mut Vec<Output>) {
        let message = match Nas5gsMessage::decode(octets) {
            Ok(Nas5gsMessage::Gmm(_, message)) => message,
            Ok(other) => return out.push(violation(Violation::Unprotected { message: other.to_string() })),
            Err(error) => {
                out.push(violation(Violation::UndecodableNas(error.to_string())));
                // TS 24.501 clause 7, but with secure exchange a plain message is discarded first (4.4.4.2).
                let answer = Nas5gsMessage::answer_to_refused(octets, &error, Direction::Downlink);
                if let (false, Some(Nas5gsMessage::Gmm(_, answer))) = (self.security.exchanging, answer) {
                    self.send(answer, out);
                }
                return;
            }
        };
        if self.security.exchanging || !is_taken_in_clear(&message) {
            return out.push(violation(Violation::Unprotected { message: name(&message) }));
        }
        self.dispatch(now, message, out);
    }

    fn dispatch(&mut self, now: Instant, message: Nas5gmmMessage, out: &mut Vec<Output>) {
        use Nas5gmmMessage as M;
        match message {
            M::IdentityRequest(request) => self.identity_request(&request, out),
            M::AuthenticationRequest(request) => self.authentication_request(now, &request, out),
            M::AuthenticationReject(_) => self.authentication_reject(out),
            M::RegistrationAccept(accept) => self.registration_accept(now, &accept, out),
            M::RegistrationReject(reject) => self.registration_reject(now, &reject, out),
            M::ServiceAccept(accept) => self.service_accept(now, &accept, out),
            M::ServiceReject(reject) => self.service_reject(now, &reject, out),
            M::DeregistrationAcceptUeOriginating(_) => self.deregistration_accept(out),
            M::DeregistrationRequestUeTerminated(request) => self.network_deregisters(&request, out),
            M::ConfigurationUpdateCommand(command) => self.configuration_update(&command, out),
            M::DlNasTransport(transport) => self.dl_nas_transport(now, &transport, out),
            M::FiveGmmStatus(status) => {
                out.push(Output::Event(Event::GmmStatus { cause: status.fgmm_cause.cause_raw() }));
            }
            M::SecurityModeCommand(_) => out.push(violation(Violation::SecurityHeader(0x2))),
            other => self.not_for_us(&other, out),
        }
    }

    /// Known to the codec, but not ours: either only a UE sends it, or it belongs to what is not modelled.
    fn not_for_us(&mut self, message: &Nas5gmmMessage, out: &mut Vec<Output>) {
        use Nas5gmmMessage as M;
        let network_sends = matches!(
            message,
            M::Notification(_)
                | M::AuthenticationResult(_)
                | M::NetworkSliceSpecificAuthenticationCommand(_)
                | M::NetworkSliceSpecificAuthenticationResult(_)
                | M::RelayKeyAccept(_)
                | M::RelayKeyReject(_)
                | M::RelayAuthenticationRequest(_)
        );
        if !network_sends {
            out.push(violation(Violation::WrongDirection(name(message))));
        }
        // TS 24.501 7.4: not implemented, or not defined in this direction.
        self.gmm_status(GmmCause::MessageTypeNonExistentOrNotImplemented, out);
    }

    /// TS 24.501 5.4.4.3.
    fn configuration_update(&mut self, command: &NasConfigurationUpdateCommand, out: &mut Vec<Output>) {
        if !self.is_registered() && !matches!(self.mm, Mm::Deregistering { .. }) {
            return self.unexpected("CONFIGURATION UPDATE COMMAND", out);
        }
        if let Some(identity) = &command.fg_guti {
            match identity.as_guti() {
                Some(guti) => self.guti = Some(guti),
                None => out.push(violation(Violation::Guti("CONFIGURATION UPDATE COMMAND"))),
            }
        }
        if command.configuration_update_indication.as_ref().is_some_and(NasConfigurationUpdateIndication::ack) {
            self.send(NasConfigurationUpdateComplete::new(), out);
        }
        out.push(Output::Event(Event::ConfigurationUpdated));
    }

    pub(super) fn gmm_status(&mut self, cause: GmmCause, out: &mut Vec<Output>) {
        self.send(NasFGmmStatus::new(NasFGmmCause::from_cause(cause)), out);
    }

    /// TS 24.501 7.4: "message type not compatible with the protocol state".
    pub(super) fn unexpected(&mut self, message: &str, out: &mut Vec<Output>) {
        out.push(violation(Violation::UnexpectedNas { message: message.into(), state: self.state() }));
        self.gmm_status(GmmCause::MessageTypeNotCompatibleWithTheProtocolState, out);
    }
}

/// TS 24.501 4.4.4.2: what is processed before secure exchange is established.
fn is_taken_in_clear(message: &Nas5gmmMessage) -> bool {
    use Nas5gmmMessage as M;
    match message {
        M::IdentityRequest(request) => request.identity_type.identity_type() == Some(MobileIdentityType::Suci),
        // Causes #76 and #78 count only with integrity protection.
        M::RegistrationReject(reject) => !matches!(reject.fgmm_cause.cause_raw(), 76 | 78),
        M::ServiceReject(reject) => !matches!(reject.fgmm_cause.cause_raw(), 76 | 78),
        M::AuthenticationRequest(_)
        | M::AuthenticationResult(_)
        | M::AuthenticationReject(_)
        | M::DeregistrationAcceptUeOriginating(_) => true,
        _ => false,
    }
}

pub(super) fn name(message: &Nas5gmmMessage) -> String {
    format!("{:?}", message.message_type())
}
