//! The registry of colliding procedures: one specific procedure a phone, and who wins when two meet.
//!
//! Authentication, identification and security mode control are common procedures inside a registration here, so the
//! rules of TS 24.501, 5.4.1.3.7 and 5.4.2.7 about collisions with specific procedures come down to those of registration.

use crate::deregistration::Deregistration;
use crate::registration::Registration;
use crate::service_request::ServiceRequest;

/// The specific procedure that runs.
pub(crate) enum Procedure {
    None,
    Registration(Box<Registration>),
    ServiceRequest(Box<ServiceRequest>),
    Deregistration(Box<Deregistration>),
}

/// An initial NAS message that meets a running procedure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival<'a> {
    /// The octets of the request as they came.
    Registration(&'a [u8]),
    ServiceRequest,
    Deregistration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on with the new one; the running one, if any, ends.
    Progress,
    /// The running one goes on, the new message is ignored.
    Continue,
    /// The running one answers again what it answered.
    Repeat,
}

impl Procedure {
    pub(crate) fn meets(&self, arrival: Arrival<'_>) -> Verdict {
        match (self, arrival) {
            (Self::None, _) => Verdict::Progress,
            // TS 24.501, 5.5.1.2.8 d) 2, e) 2; 5.5.1.3.8 e) 2, f) 2: the same request again.
            (Self::Registration(running), Arrival::Registration(octets)) if running.octets == octets => {
                match running.is_accepted() {
                    true => Verdict::Repeat,
                    false => Verdict::Continue,
                }
            }
            // TS 24.501, 5.5.1.2.8 d) 1, e) 1; 5.5.1.3.8 e) 1, f) 1: another request.
            (Self::Registration(_), Arrival::Registration(_)) => Verdict::Progress,
            // TS 24.501, 5.6.1.8 is silent: a phone that asks for service has taken its Registration Accept, or has
            // given the registration up.
            (Self::Registration(running), Arrival::ServiceRequest) => match running.is_accepted() {
                true => Verdict::Progress,
                false => Verdict::Continue,
            },
            // TS 24.501, 5.5.1.2.8 g), 5.5.1.3.8 h), 5.4.1.3.7 g), 5.4.2.7 d): deregistration wins.
            (Self::Registration(_) | Self::ServiceRequest(_), Arrival::Deregistration) => Verdict::Progress,
            // TS 24.501, 5.6.1.8 b): more than one service request before the answer; the last one counts.
            (Self::ServiceRequest(_), Arrival::ServiceRequest) => Verdict::Progress,
            // TS 24.501, 5.6.1.8 e): registration before the service request is over.
            (Self::ServiceRequest(_), Arrival::Registration(_)) => Verdict::Progress,
            // TS 24.501, 5.5.2.3.5 b): the phone detaches at the same time.
            (Self::Deregistration(_), Arrival::Deregistration) => Verdict::Progress,
            // TS 24.501, 5.5.2.3.5 c), d): initial registration progresses the new one, when re-registration is required;
            // this function always requires none, and then "the deregistration procedure shall be progressed".
            (Self::Deregistration(_), Arrival::Registration(_)) => Verdict::Continue,
            // TS 24.501, 5.5.2.3.5 e).
            (Self::Deregistration(_), Arrival::ServiceRequest) => Verdict::Continue,
        }
    }
}
