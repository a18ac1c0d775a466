//! N1 SM messages of a phone that has the session already (TS 24.501, 6.4.2, 6.4.3, 6.5, 7).

use crate::n1::{self, UplinkMessage};
use crate::release::Ending;
use crate::session::State;
use crate::{Smf, refuse, updated};
use coeur_nf::services::nsmf::{SmContextId, SmfOutput, SmfProblem, SmfResponse};
use coeur_nf::{Env, ExchangeId};
use oxirush_nas::nas_5gs::GsmCause;

impl Smf {
    pub(crate) fn uplink(
        &mut self,
        env: &mut Env<'_>,
        exchange: ExchangeId,
        id: SmContextId,
        octets: &[u8],
        out: &mut Vec<SmfOutput>,
    ) {
        let uplink = match n1::read(octets) {
            Ok(uplink) => uplink,
            Err(unreadable) => {
                self.metrics.unreadable_n1(unreadable.clause);
                return refuse(exchange, SmfProblem::N1SmError, unreadable.answer, out);
            }
        };
        let Some(session) = self.sessions.get(&id) else { return };
        let (number, pti) = (uplink.session, uplink.pti);
        let fault = if number != session.session.get() {
            Some(GsmCause::InvalidPduSessionIdentity) // 7.3.2
        } else if is_request(&uplink.message) && !n1::is_assigned(pti) {
            Some(GsmCause::InvalidPtiValue) // 7.3.1
        } else {
            None
        };
        if let Some(cause) = fault {
            return self.reject(exchange, &uplink.message, (number, pti), cause, out);
        }
        let releasing = match &session.state {
            State::Releasing(release) => Some((release.pti, release.cause)),
            _ => None,
        };
        match (uplink.message, releasing) {
            (UplinkMessage::ReleaseRequest, None) => {
                let cause = GsmCause::RegularDeactivation as u8;
                let (n1_sm, n2_sm) = self.begin_release(env, id, (pti, cause), None, out);
                out.push(SmfOutput::Respond(exchange, Ok(SmfResponse::Updated { n1_sm, n2_sm })));
            }
            // 6.4.3.5: the phone's T3582 ran out before the command came; it gets the command again.
            (UplinkMessage::ReleaseRequest, Some((own, cause))) if own == pti => {
                let n1_sm = n1::release_command(number, pti, cause);
                out.push(SmfOutput::Respond(exchange, Ok(SmfResponse::Updated { n1_sm, n2_sm: None })));
            }
            // 6.3.3.5: the network's own release goes on, whatever else the phone wants.
            (UplinkMessage::ReleaseRequest | UplinkMessage::ModificationRequest, Some(_)) => updated(exchange, out),
            (UplinkMessage::ReleaseComplete, Some((own, _))) if own == pti => {
                updated(exchange, out);
                self.release_complete(env, id, out);
            }
            (message @ UplinkMessage::ReleaseComplete, Some(_)) => {
                // 7.3.1
                self.reject(exchange, &message, (number, pti), GsmCause::PtiMismatch, out);
            }
            (message @ UplinkMessage::ModificationRequest, None) => {
                self.reject(exchange, &message, (number, pti), GsmCause::ServiceOptionNotSupported, out);
            }
            (UplinkMessage::Status(cause), releasing) => {
                self.status(env, exchange, id, (pti, cause), releasing, out);
            }
            // An existing session cannot be moved here from elsewhere: there is no other access and no EPS.
            (message @ UplinkMessage::EstablishmentRequest(_), _) => {
                self.reject(exchange, &message, (number, pti), GsmCause::RequestRejectedUnspecified, out);
            }
            (message @ (UplinkMessage::ReleaseComplete | UplinkMessage::Unexpected), _) => {
                let cause = GsmCause::MessageTypeNotCompatibleWithTheProtocolState;
                self.reject(exchange, &message, (number, pti), cause, out);
            }
        }
    }

    /// 6.5.3: what the phone could not make sense of.
    fn status(
        &mut self,
        env: &mut Env<'_>,
        exchange: ExchangeId,
        id: SmContextId,
        (pti, cause): (u8, u8),
        releasing: Option<(u8, u8)>,
        out: &mut Vec<SmfOutput>,
    ) {
        self.metrics.status_received(cause);
        updated(exchange, out);
        let own_release = releasing.is_some_and(|(own, _)| own == pti);
        // #43: the phone has no such session. #47, #81: the procedure with this PTI ends; a release ends by releasing.
        let ends = match GsmCause::from_u8(cause) {
            Some(GsmCause::InvalidPduSessionIdentity) => true,
            Some(GsmCause::PtiMismatch | GsmCause::InvalidPtiValue) => own_release,
            // Any other cause: no state changes, and no other action is specified.
            _ => false,
        };
        if ends {
            self.drop_session(env, id, Ending::Released, out);
        }
    }

    /// The reject of the procedure where it has one, else 5GSM STATUS (7.3 to 7.5).
    fn reject(
        &mut self,
        exchange: ExchangeId,
        message: &UplinkMessage,
        (session, pti): (u8, u8),
        cause: GsmCause,
        out: &mut Vec<SmfOutput>,
    ) {
        self.metrics.refused(cause);
        let n1_sm = match message {
            UplinkMessage::EstablishmentRequest(_) => n1::establishment_reject(session, pti, cause),
            UplinkMessage::ReleaseRequest => n1::release_reject(session, pti, cause),
            UplinkMessage::ModificationRequest => n1::modification_reject(session, pti, cause),
            // A STATUS is not answered with a STATUS.
            UplinkMessage::Status(_) => None,
            UplinkMessage::ReleaseComplete | UplinkMessage::Unexpected => n1::status(session, pti, cause),
        };
        out.push(SmfOutput::Respond(exchange, Ok(SmfResponse::Updated { n1_sm, n2_sm: None })));
    }
}

fn is_request(message: &UplinkMessage) -> bool {
    matches!(
        message,
        UplinkMessage::EstablishmentRequest(_) | UplinkMessage::ReleaseRequest | UplinkMessage::ModificationRequest
    )
}

#[cfg(test)]
mod tests;
