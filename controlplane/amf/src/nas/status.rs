//! 5GMM STATUS (TS 24.501, 5.4.6 and 7), out and in.

use crate::metrics::Family;
use crate::ue::UeKey;
use crate::{Amf, Cx};
use oxirush_nas::nas_5gs::{
    GmmCause, Nas5gmmMessage, Nas5gsMessage, NasFGmmCause, NasFGmmStatus, NasRegistrationReject, NasServiceReject,
};

/// TS 24.501, 9.7
const REGISTRATION_REQUEST: u8 = 0x41;
const SERVICE_REQUEST: u8 = 0x4C;

impl Amf {
    pub(crate) fn send_status(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, cause: GmmCause) {
        let status = Nas5gsMessage::new_5gmm(NasFGmmStatus::new(NasFGmmCause::from_cause(cause)));
        self.metrics.one(Family::NasRefused, cause_name(cause));
        self.send_nas(cx, key, &status);
    }

    /// Answers a faulty message as clause 7 has it. A request that has a reject of its own gets that one
    /// (5.5.1.2.8 b, 5.5.1.3.8 b, 5.6.1.8 c).
    pub(crate) fn answer_faulty(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, octets: &[u8], answer: &Nas5gsMessage) {
        let cause = match answer {
            Nas5gsMessage::Gmm(_, Nas5gmmMessage::FiveGmmStatus(status)) => status.fgmm_cause.cause_received(),
            // For a 5GSM message, which comes inside UL NAS TRANSPORT or not at all (5.4.5.2).
            _ => return self.discard("5GSM message by itself (TS 24.501, 5.4.5.2)"),
        };
        self.metrics.one(Family::NasRefused, cause_name(cause));
        match message_type(octets) {
            Some(REGISTRATION_REQUEST) => {
                self.metrics.count(Family::Registrations, "unreadable", cause_name(cause));
                let reject = NasRegistrationReject::new(NasFGmmCause::from_cause(cause));
                self.send_nas(cx, key, &Nas5gsMessage::new_5gmm(reject));
            }
            Some(SERVICE_REQUEST) => {
                self.metrics.count(Family::ServiceRequests, "unreadable", cause_name(cause));
                let reject = NasServiceReject::new(NasFGmmCause::from_cause(cause));
                self.send_nas(cx, key, &Nas5gsMessage::new_5gmm(reject));
            }
            _ => {
                self.send_nas(cx, key, answer);
            }
        }
    }

    /// TS 24.501, 5.4.6.2: #22 and others mean nothing to the network's procedures, whose timers decide; it is counted.
    pub(crate) fn status_received(&mut self, cx: &mut Cx<'_, '_>, key: UeKey, status: &NasFGmmStatus) {
        let cause = status.fgmm_cause.cause_received();
        self.metrics.one(Family::NasDiscarded, "5GMM STATUS received (TS 24.501, 5.4.6.2)");
        let supi = self.supi_of(key);
        let cause = format!("{} by the phone (TS 24.501, 5.4.6.2)", cause_name(cause));
        cx.event(coeur_nf::event::Event::ProcedureFailed { procedure: "5GMM STATUS", supi, cause });
    }
}

/// The type of a 5GMM message, also below a security header that does not cipher it (TS 24.501, 9.1.1).
fn message_type(octets: &[u8]) -> Option<u8> {
    match octets.get(1)? & 0x0F {
        0 => octets.get(2).copied(),
        1 | 3 => octets.get(9).copied(),
        _ => None,
    }
}

/// `#22`: 5GMM causes by number (TS 24.501, 9.11.3.2), as they stand in labels and events.
pub(crate) fn cause_name(cause: GmmCause) -> &'static str {
    match cause {
        GmmCause::IllegalUe => "#3",
        GmmCause::FiveGsServicesNotAllowed => "#7",
        GmmCause::UeIdentityCannotBeDerivedByTheNetwork => "#9",
        GmmCause::ImplicitlyDeregistered => "#10",
        GmmCause::PlmnNotAllowed => "#11",
        GmmCause::TrackingAreaNotAllowed => "#12",
        GmmCause::NoSuitableCellsInTrackingArea => "#15",
        GmmCause::MacFailure => "#20",
        GmmCause::SynchFailure => "#21",
        GmmCause::Congestion => "#22",
        GmmCause::UeSecurityCapabilitiesMismatch => "#23",
        GmmCause::SecurityModeRejectedUnspecified => "#24",
        GmmCause::NoNetworkSlicesAvailable => "#62",
        GmmCause::NgKsiAlreadyInUse => "#71",
        GmmCause::ServingNetworkNotAuthorized => "#73",
        GmmCause::PayloadWasNotForwarded => "#90",
        GmmCause::DnnNotSupportedOrNotSubscribedInTheSlice => "#91",
        GmmCause::SemanticallyIncorrectMessage => "#95",
        GmmCause::InvalidMandatoryInformation => "#96",
        GmmCause::MessageTypeNonExistentOrNotImplemented => "#97",
        GmmCause::MessageTypeNotCompatibleWithTheProtocolState => "#98",
        GmmCause::ConditionalIeError => "#100",
        GmmCause::MessageNotCompatibleWithTheProtocolState => "#101",
        GmmCause::ProtocolErrorUnspecified => "#111",
        _ => "another 5GMM cause",
    }
}
