//! N1 SM: the 5GSM messages of TS 24.501, clause 8.3, from and to the phone.

mod accept;
mod epco;

pub(crate) use accept::accept;
pub(crate) use epco::Asked;

use oxirush_nas::nas_5gs::{
    Direction, GsmCause, Nas5gsMessage, Nas5gsmMessage, NasAllowedSscMode, NasAlwaysOnPduSessionRequested, NasError,
    NasFGsmCause, NasFGsmStatus, NasGprsTimer3, NasPduSessionEstablishmentReject, NasPduSessionEstablishmentRequest,
    NasPduSessionModificationReject, NasPduSessionReleaseCommand, NasPduSessionReleaseReject, PduSessionTypeValue,
    SscModeValue,
};

/// No procedure transaction identity assigned (TS 24.007, 11.2.3.1a).
pub(crate) const PTI_UNASSIGNED: u8 = 0;

/// Extended protocol discriminator of 5GSM (TS 24.007, 11.2.3.1.1A).
const EPD_5GSM: u8 = 0x2E;

/// TS 24.007, 11.2.3.1.1A: another protocol's message is no business of session management.
const NOT_5GSM: &str = "9.2 not a 5GSM message";

/// T3396 given with cause #26 (6.4.1.4.1), so that phones do not try again at once.
const BACK_OFF_S: u64 = 60;

/// An uplink 5GSM message.
#[derive(Clone, Debug)]
pub(crate) struct Uplink {
    pub(crate) session: u8,
    pub(crate) pti: u8,
    pub(crate) message: UplinkMessage,
}

#[derive(Clone, Debug)]
pub(crate) enum UplinkMessage {
    EstablishmentRequest(EstablishmentRequest),
    ReleaseRequest,
    ReleaseComplete,
    ModificationRequest,
    Status(u8),
    /// A message that the network knows and waits for nowhere, or that only the network sends.
    Unexpected,
}

/// What of a PDU SESSION ESTABLISHMENT REQUEST the session depends on (8.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EstablishmentRequest {
    pub(crate) pti: u8,
    pub(crate) session_type: PduSessionTypeValue,
    pub(crate) ssc_mode: Option<u8>,
    pub(crate) always_on: bool,
    /// What the phone wants to know, if it sent extended protocol configuration options.
    pub(crate) asked: Option<Asked>,
}

/// An N1 message that is refused before anybody looks at its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// What clause 7 has the network answer; nothing where the message is ignored.
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) clause: &'static str,
}

pub(crate) fn read(octets: &[u8]) -> Result<Uplink, Unreadable> {
    let message = match Nas5gsMessage::decode(octets) {
        Ok(message) => message,
        Err(error) => return Err(unreadable(octets, &error)),
    };
    let Nas5gsMessage::Gsm(header, message) = message else {
        return Err(Unreadable { answer: None, clause: NOT_5GSM });
    };
    let (session, pti) = (header.pdu_session_identity, header.procedure_transaction_identity);
    let message = match message {
        Nas5gsmMessage::PduSessionEstablishmentRequest(request) => {
            UplinkMessage::EstablishmentRequest(establishment_request(pti, &request))
        }
        Nas5gsmMessage::PduSessionReleaseRequest(_) => UplinkMessage::ReleaseRequest,
        Nas5gsmMessage::PduSessionReleaseComplete(_) => UplinkMessage::ReleaseComplete,
        Nas5gsmMessage::PduSessionModificationRequest(_) => UplinkMessage::ModificationRequest,
        Nas5gsmMessage::FiveGsmStatus(status) => UplinkMessage::Status(status.fgsm_cause.cause_raw()),
        _ => UplinkMessage::Unexpected,
    };
    Ok(Uplink { session, pti, message })
}

fn unreadable(octets: &[u8], error: &NasError) -> Unreadable {
    if octets.first() != Some(&EPD_5GSM) {
        return Unreadable { answer: None, clause: NOT_5GSM };
    }
    let answer = Nas5gsMessage::answer_to_refused(octets, error, Direction::Uplink);
    let clause = match answer {
        Some(_) => "7.4, 7.5 answered",
        None => "7.2, 7.3 ignored",
    };
    Unreadable { answer: answer.and_then(|answer| answer.encode().ok()), clause }
}

fn establishment_request(pti: u8, request: &NasPduSessionEstablishmentRequest) -> EstablishmentRequest {
    // 6.4.1.2: a phone that leaves the type out takes what it gets. A reserved one is read as IPv4v6 (9.11.4.11).
    let session_type = match &request.pdu_session_type {
        None => PduSessionTypeValue::Ipv4,
        Some(value) => value.session_type().unwrap_or(PduSessionTypeValue::Ipv4v6),
    };
    EstablishmentRequest {
        pti,
        session_type,
        ssc_mode: request.ssc_mode.as_ref().map(|mode| mode.mode().map_or(mode.mode_raw(), |mode| mode as u8)),
        always_on: request.always_on_pdu_session_requested.as_ref().is_some_and(NasAlwaysOnPduSessionRequested::apsr),
        asked: request.extended_protocol_configuration_options.as_ref().map(Asked::read),
    }
}

/// 7.3.1: a request names a transaction. A message with the reserved value 255 is ignored, and does not come this far.
pub(crate) fn is_assigned(pti: u8) -> bool {
    pti != PTI_UNASSIGNED
}

pub(crate) fn establishment_reject(session: u8, pti: u8, cause: GsmCause) -> Option<Vec<u8>> {
    let mut reject = NasPduSessionEstablishmentReject::new(NasFGsmCause::from_cause(cause));
    match cause {
        // 6.4.1.4.1: what the phone may ask for instead.
        GsmCause::NotSupportedSscMode => {
            reject = reject.with_allowed_ssc_mode(NasAllowedSscMode::from_modes(true, false, false));
        }
        GsmCause::InsufficientResources => {
            if let Ok(timer) = NasGprsTimer3::from_seconds(BACK_OFF_S) {
                reject = reject.with_back_off_timer_value(timer);
            }
        }
        _ => {}
    }
    Nas5gsMessage::new_5gsm(reject, session, pti).encode().ok()
}

pub(crate) fn release_command(session: u8, pti: u8, cause: u8) -> Option<Vec<u8>> {
    let command = NasPduSessionReleaseCommand::new(NasFGsmCause::new(cause));
    Nas5gsMessage::new_5gsm(command, session, pti).encode().ok()
}

pub(crate) fn release_reject(session: u8, pti: u8, cause: GsmCause) -> Option<Vec<u8>> {
    let reject = NasPduSessionReleaseReject::new(NasFGsmCause::from_cause(cause));
    Nas5gsMessage::new_5gsm(reject, session, pti).encode().ok()
}

pub(crate) fn modification_reject(session: u8, pti: u8, cause: GsmCause) -> Option<Vec<u8>> {
    let reject = NasPduSessionModificationReject::new(NasFGsmCause::from_cause(cause));
    Nas5gsMessage::new_5gsm(reject, session, pti).encode().ok()
}

pub(crate) fn status(session: u8, pti: u8, cause: GsmCause) -> Option<Vec<u8>> {
    let status = NasFGsmStatus::new(NasFGsmCause::from_cause(cause));
    Nas5gsMessage::new_5gsm(status, session, pti).encode().ok()
}

/// SSC mode 1 on the wire (9.11.4.16).
pub(crate) const SSC_MODE_1: u8 = SscModeValue::Ssc1 as u8;
