//! PDU sessions (TS 24.501, clause 6): establishment, release from both sides, modification by the network.

use super::{EstablishmentCause, Event, Failure, Mm, Output, SessionRequest, Timer, Ue, violation};
use crate::violation::Violation;
use coeur_model::{Dnn, Snssai};
use oxirush_nas::nas_5gs::{
    GsmCause, Nas5gsMessage, Nas5gsmMessage, NasDlNasTransport, NasDnn, NasExtendedProtocolConfigurationOptions,
    NasFGsmCause, NasFGsmStatus, NasIntegrityProtectionMaximumDataRate, NasPayloadContainer, NasPayloadContainerType,
    NasPduAddress, NasPduSessionEstablishmentAccept, NasPduSessionEstablishmentRequest, NasPduSessionIdentity2,
    NasPduSessionModificationComplete, NasPduSessionReleaseCommand, NasPduSessionReleaseComplete,
    NasPduSessionReleaseRequest, NasPduSessionType, NasRequestType, NasSNssai, NasSscMode, NasUlNasTransport,
    PayloadContainerKind, PduSessionTypeValue, RequestTypeValue, SscModeValue,
};
use std::net::Ipv4Addr;
use std::time::Instant;

/// PCO containers (TS 24.008, table 10.5.154): DNS server IPv4 address, IPv4 link MTU.
const PCO_DNS_IPV4: u16 = 0x000D;
const PCO_MTU_IPV4: u16 = 0x0010;

/// A PDU session that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    pub psi: u8,
    pub ipv4: Ipv4Addr,
    pub dnn: Option<Dnn>,
    pub slice: Option<Snssai>,
    /// QFI of the default QoS rule.
    pub qfi: u8,
    pub dns: Vec<Ipv4Addr>,
    pub mtu: Option<u16>,
}

#[derive(Debug)]
pub(super) struct Session {
    request: SessionRequest,
    state: State,
}

#[derive(Debug)]
enum State {
    /// To be asked for once there is a connection.
    Wanted,
    Establishing {
        pti: u8,
        sent: u8,
    },
    Active(SessionInfo),
    ReleaseWanted(SessionInfo),
    Releasing {
        info: SessionInfo,
        pti: u8,
        sent: u8,
    },
}

impl Session {
    pub(super) fn info(&self) -> Option<&SessionInfo> {
        match &self.state {
            State::Active(info) | State::ReleaseWanted(info) | State::Releasing { info, .. } => Some(info),
            State::Wanted | State::Establishing { .. } => None,
        }
    }

    fn pti(&self) -> Option<u8> {
        match self.state {
            State::Establishing { pti, .. } | State::Releasing { pti, .. } => Some(pti),
            _ => None,
        }
    }
}

impl Ue {
    pub(super) fn establish_session(&mut self, now: Instant, request: SessionRequest, out: &mut Vec<Output>) {
        let psi = request.psi;
        let fails = |failure| Output::Event(Event::SessionFailed { psi, failure });
        if !(1..=15).contains(&psi) || self.session(psi).is_some() {
            return out.push(fails(Failure::PduSessionIdentity(psi)));
        }
        if !matches!(self.mm, Mm::Registered | Mm::RequestingService | Mm::Registering(_)) {
            return out.push(fails(Failure::State(self.state())));
        }
        self.sessions.push(Session { request, state: State::Wanted });
        self.send_waiting(now, out);
    }

    pub(super) fn release_session(&mut self, now: Instant, psi: u8, out: &mut Vec<Output>) {
        let session = self.session(psi);
        let Some(State::Active(info)) = session.map(|session| &session.state) else {
            let failure = Failure::PduSessionIdentity(psi);
            return out.push(Output::Event(Event::SessionFailed { psi, failure }));
        };
        let wanted = State::ReleaseWanted(info.clone());
        self.set_state(psi, wanted);
        self.send_waiting(now, out);
    }

    /// Sends the session requests that wait, if there is a connection; asks for one if there is none.
    pub(super) fn send_waiting(&mut self, now: Instant, out: &mut Vec<Output>) {
        let waits = |session: &&Session| matches!(session.state, State::Wanted | State::ReleaseWanted(_));
        let waiting: Vec<u8> = self.sessions.iter().filter(waits).map(|session| session.request.psi).collect();
        if waiting.is_empty() || !matches!(self.mm, Mm::Registered) {
            return;
        }
        if !self.connected {
            return self.request_service(now, false, EstablishmentCause::MoSignalling, out);
        }
        for psi in waiting {
            self.send_session_request(now, psi, out);
        }
    }

    /// Sends, or sends again, what the session's state asks for.
    fn send_session_request(&mut self, now: Instant, psi: u8, out: &mut Vec<Output>) {
        let pti_fresh = self.next_pti();
        let Some(session) = self.sessions.iter_mut().find(|session| session.request.psi == psi) else { return };
        let timers = &self.config.profile.timers;
        session.state = match std::mem::replace(&mut session.state, State::Wanted) {
            State::Wanted => State::Establishing { pti: pti_fresh, sent: 1 },
            State::Establishing { pti, sent } => State::Establishing { pti, sent: sent + 1 },
            State::ReleaseWanted(info) => State::Releasing { info, pti: pti_fresh, sent: 1 },
            State::Releasing { info, pti, sent } => State::Releasing { info, pti, sent: sent + 1 },
            active @ State::Active(_) => active,
        };
        let message = match session.state {
            State::Establishing { pti, .. } => {
                self.timers.start(Timer::T3580(psi), now, timers.t3580);
                establishment_request(&session.request, pti)
            }
            State::Releasing { pti, .. } => {
                self.timers.start(Timer::T3582(psi), now, timers.t3582);
                let cause = NasFGsmCause::from_cause(GsmCause::RegularDeactivation);
                let release = NasPduSessionReleaseRequest::new().with_fgsm_cause(cause);
                transport(&Nas5gsMessage::new_5gsm(release, psi, pti), psi)
            }
            _ => None,
        };
        if let Some(message) = message {
            self.send(message, out);
        }
    }

    /// DL NAS TRANSPORT (TS 24.501, 5.4.5.3): a 5GSM message, or ours back with a cause.
    pub(super) fn dl_nas_transport(&mut self, now: Instant, transport: &NasDlNasTransport, out: &mut Vec<Output>) {
        if transport.payload_container_type.kind() != Some(PayloadContainerKind::N1SmInformation) {
            return self.unexpected("DL NAS TRANSPORT without 5GSM message", out);
        }
        let (psi, pti, message) = match transport.payload_container.decode_as_n1_sm_message() {
            Ok(Nas5gsMessage::Gsm(header, message)) => {
                (header.pdu_session_identity, header.procedure_transaction_identity, message)
            }
            Ok(other) => return out.push(violation(Violation::UndecodableNas(format!("{other} as 5GSM message")))),
            Err(error) => return self.refuse_session_message(&transport.payload_container.value, &error, out),
        };
        if let Some(cause) = &transport.fgmm_cause {
            return self.not_forwarded(psi, pti, cause.cause_raw(), out);
        }
        match message {
            Nas5gsmMessage::PduSessionEstablishmentAccept(accept) => self.established(psi, pti, &accept, out),
            Nas5gsmMessage::PduSessionEstablishmentReject(reject) => {
                if self.is_establishing(psi, pti, "PDU SESSION ESTABLISHMENT REJECT", out) {
                    self.remove_establishing(psi, Failure::Gsm(reject.fgsm_cause.cause_raw()), out);
                }
            }
            Nas5gsmMessage::PduSessionReleaseCommand(command) => self.release_command(psi, pti, &command, out),
            Nas5gsmMessage::PduSessionReleaseReject(reject) => {
                self.release_reject(psi, pti, reject.fgsm_cause.cause_raw(), out);
            }
            Nas5gsmMessage::PduSessionModificationCommand(_) => self.modification_command(psi, pti, out),
            Nas5gsmMessage::FiveGsmStatus(status) => self.session_status(psi, pti, status.fgsm_cause.cause_raw(), out),
            other => {
                let message = format!("{:?}", other.message_type());
                out.push(violation(Violation::UnexpectedNas { message, state: self.state() }));
                self.gsm_status(psi, pti, GsmCause::MessageTypeNonExistentOrNotImplemented, out);
            }
        }
        self.send_waiting(now, out);
    }

    /// TS 24.501 6.4.1.3.
    fn established(&mut self, psi: u8, pti: u8, accept: &NasPduSessionEstablishmentAccept, out: &mut Vec<Output>) {
        if !self.is_establishing(psi, pti, "PDU SESSION ESTABLISHMENT ACCEPT", out) {
            return;
        }
        self.timers.stop(Timer::T3580(psi));
        match self.read_accept(psi, accept) {
            Ok(info) => {
                self.set_state(psi, State::Active(info.clone()));
                out.push(Output::Event(Event::SessionEstablished(info)));
            }
            Err(what) => {
                out.push(violation(Violation::SessionAccept { psi, what }));
                // TS 24.501 6.4.1.3 and 7: the session is not usable, which the network is to know.
                self.gsm_status(psi, pti, GsmCause::SemanticallyIncorrectMessage, out);
                self.remove_establishing(psi, Failure::Gsm(GsmCause::SemanticallyIncorrectMessage as u8), out);
            }
        }
    }

    fn read_accept(&self, psi: u8, accept: &NasPduSessionEstablishmentAccept) -> Result<SessionInfo, &'static str> {
        if accept.selected_pdu_session_type.session_type() != Some(PduSessionTypeValue::Ipv4) {
            return Err("the selected type is not the IPv4 that was asked for");
        }
        if accept.selected_ssc_mode.mode() != Some(SscModeValue::Ssc1) {
            return Err("the selected SSC mode is not the 1 that was asked for");
        }
        let rules = accept.authorized_qos_rules.rules();
        let mut default = rules.iter().filter(|rule| rule.dqr);
        let (Some(rule), None) = (default.next(), default.next()) else {
            return Err("not exactly one default QoS rule (6.2.5.1.1.2)");
        };
        let Some(qfi @ 1..) = rule.qfi else { return Err("the default QoS rule has no QFI") };
        let ipv4 = accept.pdu_address.as_ref().and_then(NasPduAddress::ipv4).map(Ipv4Addr::from);
        let Some(ipv4) = ipv4.filter(|address| !address.is_unspecified()) else {
            return Err("no IPv4 address");
        };
        if accept.session_ambr.parse().is_none() {
            return Err("the session AMBR cannot be read");
        }
        let request = self.session(psi).map(|session| session.request.clone());
        let options = accept.extended_protocol_configuration_options.as_ref();
        let options = Options::read(options.map(|options| &options.value[..]).unwrap_or_default());
        Ok(SessionInfo {
            psi,
            ipv4,
            dnn: request.as_ref().and_then(|request| request.dnn.clone()),
            slice: request.and_then(|request| request.slice),
            qfi,
            dns: options.dns,
            mtu: options.mtu,
        })
    }

    /// TS 24.501 6.3.3.3: the network releases, by itself (PTI 0) or as we asked.
    fn release_command(&mut self, psi: u8, pti: u8, command: &NasPduSessionReleaseCommand, out: &mut Vec<Output>) {
        let message = "PDU SESSION RELEASE COMMAND";
        let Some(session) = self.session(psi) else {
            // TS 24.501 7.3.2 c)
            out.push(violation(Violation::PduSession { message: message.into(), psi }));
            return self.gsm_status(psi, pti, GsmCause::InvalidPduSessionIdentity, out);
        };
        if pti != 0 && session.pti() != Some(pti) {
            // TS 24.501 7.3.1 b)
            out.push(violation(Violation::Pti { message: message.into(), pti }));
            return self.gsm_status(psi, pti, GsmCause::PtiMismatch, out);
        }
        let asked = matches!(session.state, State::Releasing { .. }) && pti != 0;
        let complete = Nas5gsMessage::new_5gsm(NasPduSessionReleaseComplete::new(), psi, pti);
        if let Some(complete) = transport(&complete, psi) {
            self.send(complete, out);
        }
        self.remove(psi);
        let failure = (!asked).then(|| Failure::Gsm(command.fgsm_cause.cause_raw()));
        out.push(Output::Event(Event::SessionReleased { psi, failure }));
    }

    /// TS 24.501 6.4.3.4: the session stays, unless the network says there is none.
    fn release_reject(&mut self, psi: u8, pti: u8, cause: u8, out: &mut Vec<Output>) {
        let state = self.session(psi).map(|session| &session.state);
        let Some(State::Releasing { info, pti: ours, .. }) = state.filter(|_| pti != 0) else {
            out.push(violation(Violation::Pti { message: "PDU SESSION RELEASE REJECT".into(), pti }));
            return self.gsm_status(psi, pti, GsmCause::InvalidPtiValue, out);
        };
        if *ours != pti {
            out.push(violation(Violation::Pti { message: "PDU SESSION RELEASE REJECT".into(), pti }));
            return self.gsm_status(psi, pti, GsmCause::PtiMismatch, out);
        }
        let active = State::Active(info.clone());
        self.timers.stop(Timer::T3582(psi));
        self.set_state(psi, active);
        out.push(Output::Event(Event::SessionFailed { psi, failure: Failure::Gsm(cause) }));
    }

    /// TS 24.501 6.3.2.3: what the network changes is taken; the model keeps no QoS rules to change.
    fn modification_command(&mut self, psi: u8, pti: u8, out: &mut Vec<Output>) {
        let message = "PDU SESSION MODIFICATION COMMAND";
        if !self.session(psi).is_some_and(|session| matches!(session.state, State::Active(_))) {
            out.push(violation(Violation::PduSession { message: message.into(), psi }));
            return self.gsm_status(psi, pti, GsmCause::InvalidPduSessionIdentity, out);
        }
        // The UE never asks for a modification: the network's own has PTI 0.
        if pti != 0 {
            out.push(violation(Violation::Pti { message: message.into(), pti }));
            return self.gsm_status(psi, pti, GsmCause::PtiMismatch, out);
        }
        let complete = Nas5gsMessage::new_5gsm(NasPduSessionModificationComplete::new(), psi, pti);
        if let Some(complete) = transport(&complete, psi) {
            self.send(complete, out);
        }
    }

    /// TS 24.501 5.4.5.3.3: the AMF could not forward what we sent (causes #22, #28, #65, #67, #69, #90, #91, #92).
    fn not_forwarded(&mut self, psi: u8, pti: u8, cause: u8, out: &mut Vec<Output>) {
        match self.session(psi).map(|session| (&session.state, session.pti() == Some(pti))) {
            Some((State::Establishing { .. }, true)) => self.remove_establishing(psi, Failure::Gmm(cause), out),
            Some((State::Releasing { info, .. }, true)) => {
                let active = State::Active(info.clone());
                self.timers.stop(Timer::T3582(psi));
                self.set_state(psi, active);
                out.push(Output::Event(Event::SessionFailed { psi, failure: Failure::Gmm(cause) }));
            }
            // Something else of ours came back: a status or a complete, which nobody waits for.
            _ => out.push(Output::Event(Event::GmmStatus { cause })),
        }
    }

    /// TS 24.501 6.5.3: a request that is refused by a status has failed.
    fn session_status(&mut self, psi: u8, pti: u8, cause: u8, out: &mut Vec<Output>) {
        out.push(Output::Event(Event::GsmStatus { psi, cause }));
        let establishing = self
            .session(psi)
            .is_some_and(|session| matches!(session.state, State::Establishing { pti: ours, .. } if ours == pti));
        if establishing && matches!(cause, 47 | 81 | 95..=101 | 111) {
            self.remove_establishing(psi, Failure::Gsm(cause), out);
        }
    }

    /// TS 24.501 6.4.1.6 a) and 6.4.3.6 a): sent again four times, then given up.
    pub(super) fn establishment_expired(&mut self, now: Instant, psi: u8, out: &mut Vec<Output>) {
        let state = self.session(psi).map(|session| &session.state);
        let Some(&State::Establishing { sent, .. }) = state else { return };
        out.push(Output::Event(Event::TimerExpired(Timer::T3580(psi))));
        if sent >= self.config.profile.timers.attempts_max || !self.connected {
            return self.remove_establishing(psi, Failure::Expired(Timer::T3580(psi)), out);
        }
        self.send_session_request(now, psi, out);
    }

    pub(super) fn release_expired(&mut self, now: Instant, psi: u8, out: &mut Vec<Output>) {
        let state = self.session(psi).map(|session| &session.state);
        let Some(&State::Releasing { sent, .. }) = state else { return };
        out.push(Output::Event(Event::TimerExpired(Timer::T3582(psi))));
        if sent >= self.config.profile.timers.attempts_max || !self.connected {
            self.remove(psi);
            let failure = Some(Failure::Expired(Timer::T3582(psi)));
            return out.push(Output::Event(Event::SessionReleased { psi, failure }));
        }
        self.send_session_request(now, psi, out);
    }

    /// The network told which sessions it has: the others are released locally (TS 24.501, 5.5.1.2.4, 5.6.1.4).
    pub(super) fn keep_sessions(&mut self, has: impl Fn(u8) -> bool, out: &mut Vec<Output>) {
        let gone = |session: &&Session| session.info().is_some() && !has(session.request.psi);
        let gone: Vec<u8> = self.sessions.iter().filter(gone).map(|session| session.request.psi).collect();
        for psi in gone {
            self.remove(psi);
            let failure = Some(Failure::NotAtNetwork);
            out.push(Output::Event(Event::SessionReleased { psi, failure }));
        }
    }

    /// TS 24.501 5.5.2: deregistered, no session is left.
    pub(super) fn drop_sessions(&mut self, out: &mut Vec<Output>) {
        for session in std::mem::take(&mut self.sessions) {
            let psi = session.request.psi;
            self.timers.stop(Timer::T3580(psi));
            self.timers.stop(Timer::T3582(psi));
            out.push(Output::Event(match session.info() {
                Some(_) => Event::SessionReleased { psi, failure: None },
                None => Event::SessionFailed { psi, failure: Failure::Deregistered },
            }));
        }
    }

    fn is_establishing(&mut self, psi: u8, pti: u8, message: &str, out: &mut Vec<Output>) -> bool {
        let state = self.session(psi).map(|session| &session.state);
        if matches!(state, Some(State::Establishing { pti: ours, .. }) if *ours == pti) {
            return true;
        }
        // TS 24.501 7.3.1: PTI mismatch.
        out.push(violation(Violation::Pti { message: message.into(), pti }));
        self.gsm_status(psi, pti, GsmCause::PtiMismatch, out);
        false
    }

    fn remove_establishing(&mut self, psi: u8, failure: Failure, out: &mut Vec<Output>) {
        self.remove(psi);
        out.push(Output::Event(Event::SessionFailed { psi, failure }));
    }

    fn remove(&mut self, psi: u8) {
        self.timers.stop(Timer::T3580(psi));
        self.timers.stop(Timer::T3582(psi));
        self.sessions.retain(|session| session.request.psi != psi);
    }

    fn refuse_session_message(&mut self, octets: &[u8], error: &oxirush_nas::nas_5gs::NasError, out: &mut Vec<Output>) {
        out.push(violation(Violation::UndecodableNas(error.to_string())));
        let direction = oxirush_nas::nas_5gs::Direction::Downlink;
        let answer = Nas5gsMessage::answer_to_refused(octets, error, direction);
        if let Some(answer @ Nas5gsMessage::Gsm(..)) = answer {
            let psi = octets.get(1).copied().unwrap_or_default();
            if let Some(message) = transport(&answer, psi) {
                self.send(message, out);
            }
        }
    }

    fn gsm_status(&mut self, psi: u8, pti: u8, cause: GsmCause, out: &mut Vec<Output>) {
        let status = Nas5gsMessage::new_5gsm(NasFGsmStatus::new(NasFGsmCause::from_cause(cause)), psi, pti);
        if let Some(status) = transport(&status, psi) {
            self.send(status, out);
        }
    }

    fn session(&self, psi: u8) -> Option<&Session> {
        self.sessions.iter().find(|session| session.request.psi == psi)
    }

    fn set_state(&mut self, psi: u8, state: State) {
        if let Some(session) = self.sessions.iter_mut().find(|session| session.request.psi == psi) {
            session.state = state;
        }
    }

    /// 1 to 254, and none in use (TS 24.007, 11.2.3.1a). A UE has 15 sessions at most, so that 16 tries do.
    fn next_pti(&mut self) -> u8 {
        for _ in 0..16 {
            self.pti_last = self.pti_last % 254 + 1;
            if self.sessions.iter().all(|session| session.pti() != Some(self.pti_last)) {
                break;
            }
        }
        self.pti_last
    }
}

fn establishment_request(request: &SessionRequest, pti: u8) -> Option<NasUlNasTransport> {
    // DNS and MTU are asked for; 0x80: configuration protocol PPP (TS 24.008, 10.5.6.3).
    let options = vec![0x80, 0x00, 0x0D, 0x00, 0x00, 0x10, 0x00];
    let message = NasPduSessionEstablishmentRequest::new(NasIntegrityProtectionMaximumDataRate::new(0xFFFF))
        .with_pdu_session_type(NasPduSessionType::from_session_type(PduSessionTypeValue::Ipv4))
        .with_ssc_mode(NasSscMode::from_mode(SscModeValue::Ssc1))
        .with_extended_protocol_configuration_options(NasExtendedProtocolConfigurationOptions::new(options));
    let message = Nas5gsMessage::new_5gsm(message, request.psi, pti);
    let mut transport = transport(&message, request.psi)?
        .with_request_type(NasRequestType::from_request_type(RequestTypeValue::InitialRequest));
    if let Some(slice) = request.slice {
        transport.set_s_nssai(NasSNssai::from_sst_sd(slice.sst, slice.sd));
    }
    if let Some(dnn) = request.dnn.as_ref().and_then(|dnn| NasDnn::from_string(dnn.as_str()).ok()) {
        transport.set_dnn(dnn);
    }
    Some(transport)
}

fn transport(message: &Nas5gsMessage, psi: u8) -> Option<NasUlNasTransport> {
    let container = NasPayloadContainer::from_n1_sm_message(message).ok()?;
    let kind = NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation);
    let transport = NasUlNasTransport::new(kind, container);
    Some(transport.with_pdu_session_id(NasPduSessionIdentity2::from_pdu_session_id(psi)))
}

/// What we asked for in the protocol configuration options.
#[derive(Default)]
struct Options {
    dns: Vec<Ipv4Addr>,
    mtu: Option<u16>,
}

impl Options {
    /// Reads leniently: what is cut short ends the list (TS 24.008, 10.5.6.3).
    fn read(octets: &[u8]) -> Self {
        let mut options = Self::default();
        let mut rest = octets.get(1..).unwrap_or_default();
        while let [high, low, length, after @ ..] = rest {
            let Some((content, next)) = after.split_at_checked((*length).into()) else { break };
            match (u16::from_be_bytes([*high, *low]), content) {
                (PCO_DNS_IPV4, &[a, b, c, d]) => options.dns.push(Ipv4Addr::new(a, b, c, d)),
                (PCO_MTU_IPV4, &[high, low]) => options.mtu = Some(u16::from_be_bytes([high, low])),
                _ => {}
            }
            rest = next;
        }
        options
    }
}
