//! Registration procedure (TS 24.501, 5.5.1): initial, mobility, periodic.

use super::{EstablishmentCause, Event, Failure, Mm, Output, Timer, Ue, violation};
use crate::violation::Violation;
use oxirush_nas::nas_5gs::{
    GmmCause, Nas5gsMessage, NasFGmmCapability, NasFGsMobileIdentity, NasFGsRegistrationType, NasGprsTimer2, NasNssai,
    NasPduSessionStatus, NasRegistrationAccept, NasRegistrationComplete, NasRegistrationReject, NasRegistrationRequest,
    NasSNssai, RegistrationType,
};
use std::time::{Duration, Instant};

/// 5GS registration type (TS 24.501, 9.11.3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationKind {
    Initial,
    Mobility,
    Periodic,
}

/// A registration under way.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) kind: RegistrationKind,
    /// The message with all its IEs, as the NAS message container of SECURITY MODE COMPLETE wants it.
    pub(super) complete: Nas5gsMessage,
}

impl Ue {
    pub(super) fn register(&mut self, now: Instant, kind: RegistrationKind, out: &mut Vec<Output>) {
        let possible = match kind {
            RegistrationKind::Initial => matches!(self.mm, Mm::Deregistered),
            RegistrationKind::Mobility | RegistrationKind::Periodic => matches!(self.mm, Mm::Registered),
        };
        if !possible {
            let failure = Failure::State(self.state());
            return out.push(Output::Event(Event::RegistrationFailed { failure, retry: false }));
        }
        for timer in [Timer::T3511, Timer::T3502, Timer::T3346, Timer::T3512] {
            self.timers.stop(timer);
        }
        let identity = match self.guti {
            Some(guti) => NasFGsMobileIdentity::from_guti(guti),
            None => match self.config.profile.concealment.conceal(&self.config.supi, self.config.profile.plmn) {
                Ok(suci) => suci,
                Err(error) => {
                    return out.push(Output::Event(Event::RegistrationFailed { failure: error.into(), retry: false }));
                }
            },
        };
        let clear = Nas5gsMessage::new_5gmm(self.cleartext_request(kind, identity.clone()));
        let complete = Nas5gsMessage::new_5gmm(self.complete_request(kind, identity));
        self.send_initial(&complete, &clear, EstablishmentCause::MoSignalling, out);
        self.timers.start(Timer::T3510, now, self.config.profile.timers.t3510);
        self.mm = Mm::Registering(Box::new(Attempt { kind, complete }));
    }

    /// The IEs that may go out in clear (TS 24.501, 4.4.6).
    fn cleartext_request(&self, kind: RegistrationKind, identity: NasFGsMobileIdentity) -> NasRegistrationRequest {
        let kind = match kind {
            RegistrationKind::Initial => RegistrationType::InitialRegistration,
            RegistrationKind::Mobility => RegistrationType::MobilityRegistrationUpdating,
            RegistrationKind::Periodic => RegistrationType::PeriodicRegistrationUpdating,
        };
        // A follow-on request: a session comes right after an initial registration.
        let kind = NasFGsRegistrationType::from_registration_type(kind)
            .with_follow_on_request(kind == RegistrationType::InitialRegistration);
        NasRegistrationRequest::new(kind, self.security.ngksi(), identity)
            .with_ue_security_capability(self.capability())
    }

    fn complete_request(&self, kind: RegistrationKind, identity: NasFGsMobileIdentity) -> NasRegistrationRequest {
        let mut request = self.cleartext_request(kind, identity);
        // TS 24.501 5.5.1.3.2: a periodic update carries neither capability nor requested NSSAI.
        if kind != RegistrationKind::Periodic {
            request.set_fgmm_capability(NasFGmmCapability::new(vec![0x00]));
            let slices: Vec<_> =
                self.config.profile.slices.iter().map(|slice| NasSNssai::from_sst_sd(slice.sst, slice.sd)).collect();
            if let (false, Ok(nssai)) = (slices.is_empty(), NasNssai::from_snssais(&slices)) {
                request.set_requested_nssai(nssai);
            }
        }
        let active: Vec<u8> = self.sessions().map(|session| session.psi).collect();
        if kind != RegistrationKind::Initial
            && let Ok(status) = NasPduSessionStatus::from_sessions(&active)
        {
            request.set_pdu_session_status(status);
        }
        request
    }

    /// TS 24.501 5.5.1.2.4 and 5.5.1.3.4.
    pub(super) fn registration_accept(&mut self, now: Instant, accept: &NasRegistrationAccept, out: &mut Vec<Output>) {
        let Mm::Registering(attempt) = std::mem::replace(&mut self.mm, Mm::Registered) else {
            return self.registration_accept_again(accept, out);
        };
        self.timers.stop(Timer::T3510);
        self.attempts = 0;
        self.check_accept(attempt.kind, accept, out);
        if let Some(identity) = &accept.fg_guti
            && let Some(guti) = identity.as_guti()
        {
            self.guti = Some(guti);
        }
        self.t3512 = match &accept.t3512_value {
            Some(value) => value.to_seconds().map(Duration::from_secs),
            None => Some(self.t3512.unwrap_or(self.config.profile.timers.t3512)),
        };
        self.t3502 = accept.t3502_value.as_ref().and_then(NasGprsTimer2::to_seconds).map(Duration::from_secs);
        if let Some(status) = &accept.pdu_session_status {
            self.keep_sessions(|psi| status.is_active(psi), out);
        }
        if is_acknowledged(accept) {
            self.send(NasRegistrationComplete::new(), out);
        }
        out.push(Output::Event(Event::Registered { guti: self.guti }));
        self.send_waiting(now, out);
    }

    /// The network did not hear REGISTRATION COMPLETE (TS 24.501, 5.5.1.2.8 c): it is answered again.
    fn registration_accept_again(&mut self, accept: &NasRegistrationAccept, out: &mut Vec<Output>) {
        // `mm` was replaced by the caller: an accept is repeated only in REGISTERED, which it now is.
        if !self.connected || self.guti.is_none() {
            self.mm = Mm::Deregistered;
            return self.unexpected("REGISTRATION ACCEPT", out);
        }
        if let Some(guti) = accept.fg_guti.as_ref().and_then(NasFGsMobileIdentity::as_guti) {
            self.guti = Some(guti);
        }
        if is_acknowledged(accept) {
            self.send(NasRegistrationComplete::new(), out);
        }
    }

    fn check_accept(&self, kind: RegistrationKind, accept: &NasRegistrationAccept, out: &mut Vec<Output>) {
        let readable = accept.fg_guti.as_ref().map(|identity| identity.as_guti().is_some());
        // TS 24.501 5.5.1.2.4: an initial registration always assigns a 5G-GUTI.
        if readable == Some(false) || (readable.is_none() && kind == RegistrationKind::Initial) {
            out.push(violation(Violation::Guti("REGISTRATION ACCEPT")));
        }
        let profile = &self.config.profile;
        let registered = accept.tai_list.as_ref().map(|list| tai_list_has(&list.value, profile.plmn, profile.tac));
        if registered == Some(false) || (registered.is_none() && kind == RegistrationKind::Initial) {
            out.push(violation(Violation::TaiList));
        }
        let allowed = accept.allowed_nssai.as_ref().map(NasNssai::parse_all).unwrap_or_default();
        let unasked = |sst: u8, sd: Option<[u8; 3]>| {
            !profile.slices.is_empty() && !profile.slices.iter().any(|slice| slice.sst == sst && slice.sd == sd)
        };
        let none = allowed.is_empty() && kind == RegistrationKind::Initial;
        if none || allowed.iter().any(|slice| unasked(slice.sst, slice.sd)) {
            out.push(violation(Violation::AllowedNssai));
        }
    }

    /// TS 24.501 5.5.1.2.5 and 5.5.1.3.5.
    pub(super) fn registration_reject(&mut self, now: Instant, reject: &NasRegistrationReject, out: &mut Vec<Output>) {
        let Mm::Registering(attempt) = &self.mm else { return self.unexpected("REGISTRATION REJECT", out) };
        let kind = attempt.kind;
        let (cause, failure) = (reject.fgmm_cause.cause_received(), Failure::Gmm(reject.fgmm_cause.cause_raw()));
        match cause {
            // The USIM is invalid from here on; GUTI and keys are deleted.
            GmmCause::IllegalUe | GmmCause::IllegalMe | GmmCause::FiveGsServicesNotAllowed => {
                self.give_up_registration(failure, out);
            }
            // Of an update: the identity is deleted, and an initial registration follows (5.5.1.3.5).
            GmmCause::UeIdentityCannotBeDerivedByTheNetwork | GmmCause::ImplicitlyDeregistered => {
                if cause == GmmCause::UeIdentityCannotBeDerivedByTheNetwork {
                    self.guti = None;
                    self.security.forget();
                }
                self.timers.stop(Timer::T3510);
                self.drop_sessions(out);
                self.mm = Mm::Deregistered;
                let retry = kind != RegistrationKind::Initial;
                out.push(Output::Event(Event::RegistrationFailed { failure, retry }));
                if retry {
                    self.register(now, RegistrationKind::Initial, out);
                }
            }
            // T3346 is waited for, then one tries again.
            GmmCause::Congestion if reject.t3346_value.is_some() => {
                let wait = reject.t3346_value.as_ref().and_then(NasGprsTimer2::to_seconds).map(Duration::from_secs);
                self.timers.stop(Timer::T3510);
                self.attempts = 0;
                self.abort_registration();
                if let Some(wait) = wait {
                    self.timers.start(Timer::T3346, now, wait);
                }
                out.push(Output::Event(Event::RegistrationFailed { failure, retry: wait.is_some() }));
            }
            // Forbidden PLMN, area, slice: a simulated UE has nowhere else to go.
            GmmCause::PlmnNotAllowed
            | GmmCause::TrackingAreaNotAllowed
            | GmmCause::RoamingNotAllowedInThisTrackingArea
            | GmmCause::NoSuitableCellsInTrackingArea
            | GmmCause::N1ModeNotAllowed
            | GmmCause::NoNetworkSlicesAvailable
            | GmmCause::ServingNetworkNotAuthorized => self.give_up_registration(failure, out),
            _ => self.registration_failed(now, failure, out),
        }
    }

    fn give_up_registration(&mut self, failure: Failure, out: &mut Vec<Output>) {
        self.guti = None;
        self.security.forget();
        self.drop_sessions(out);
        self.timers.clear();
        self.mm = Mm::Deregistered;
        out.push(Output::Event(Event::RegistrationFailed { failure, retry: false }));
    }

    pub(super) fn registration_expired(&mut self, now: Instant, out: &mut Vec<Output>) {
        out.push(Output::Event(Event::TimerExpired(Timer::T3510)));
        // TS 24.501 5.5.1.2.7 c): the connection is released locally.
        if std::mem::replace(&mut self.connected, false) {
            out.push(Output::LocalRelease);
            self.security.disconnect();
        }
        self.registration_failed(now, Failure::Expired(Timer::T3510), out);
    }

    /// TS 24.501 5.5.1.2.7: an attempt failed; T3511 starts the next one, T3502 when too many failed.
    pub(super) fn registration_failed(&mut self, now: Instant, failure: Failure, out: &mut Vec<Output>) {
        self.timers.stop(Timer::T3510);
        self.abort_registration();
        self.attempts = self.attempts.saturating_add(1);
        let timers = &self.config.profile.timers;
        if self.attempts < timers.attempts_max {
            self.timers.start(Timer::T3511, now, timers.t3511);
        } else {
            // "... the UE shall delete 5G-GUTI, TAI list, ngKSI"
            self.guti = None;
            self.security.forget();
            self.attempts = 0;
            self.timers.start(Timer::T3502, now, self.t3502.unwrap_or(timers.t3502));
        }
        out.push(Output::Event(Event::RegistrationFailed { failure, retry: true }));
    }

    /// Back to where the attempt started from.
    fn abort_registration(&mut self) {
        self.mm = match &self.mm {
            Mm::Registering(attempt) if attempt.kind != RegistrationKind::Initial => Mm::Registered,
            _ => Mm::Deregistered,
        };
    }

    pub(super) fn retry_registration(&mut self, now: Instant, out: &mut Vec<Output>) {
        match self.mm {
            Mm::Registered => self.register(now, RegistrationKind::Mobility, out),
            Mm::Deregistered => self.register(now, RegistrationKind::Initial, out),
            _ => {}
        }
    }
}

/// What the UE has to acknowledge (TS 24.501, 5.5.1.2.4): a new 5G-GUTI first of all.
fn is_acknowledged(accept: &NasRegistrationAccept) -> bool {
    accept.fg_guti.is_some()
        || accept.configured_nssai.is_some()
        || accept.network_slicing_indication.is_some()
        || accept.sor_transparent_container.is_some()
}

/// Whether a 5GS tracking area identity list has this TAI (TS 24.501, 9.11.3.9: lists of type 00, 01 and 10).
fn tai_list_has(mut list: &[u8], plmn: coeur_model::Plmn, tac: coeur_model::Tac) -> bool {
    let tac = tac.get();
    while let Some((&head, rest)) = list.split_first() {
        let (kind, count) = ((head >> 5) & 0x03, usize::from(head & 0x1F) + 1);
        let length = match kind {
            0b00 => 3 + 3 * count,
            0b01 => 6,
            0b10 => 6 * count,
            _ => return false,
        };
        let Some((body, after)) = rest.split_at_checked(length) else { return false };
        let code = |at: &[u8]| u32::from_be_bytes([0, at[0], at[1], at[2]]);
        let found = match kind {
            0b00 => body[..3] == plmn.octets() && body[3..].chunks_exact(3).any(|at| code(at) == tac),
            0b01 => body[..3] == plmn.octets() && (code(&body[3..])..).take(count).any(|listed| listed == tac),
            _ => body.chunks_exact(6).any(|tai| tai[..3] == plmn.octets() && code(&tai[3..]) == tac),
        };
        if found {
            return true;
        }
        list = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_tai_is_found_in_each_type_of_list() {
        let plmn: coeur_model::Plmn = "00101".parse().unwrap();
        let tac = coeur_model::Tac::new(7).unwrap();
        for (list, has) in [
            (&b"\x01\x00\xf1\x10\x00\x00\x01\x00\x00\x07"[..], true),
            (b"\x00\x00\xf1\x10\x00\x00\x01", false),
            (b"\x26\x00\xf1\x10\x00\x00\x01", true),
            (b"\x25\x00\xf1\x10\x00\x00\x01", false),
            (b"\x41\x02\xf8\x39\x00\x00\x07\x00\xf1\x10\x00\x00\x07", true),
            (b"\x00\x00\xf1\x10\x00\x00\x01\x00\x00\xf1\x10\x00\x00\x07", true),
            (b"\x01\x00\xf1\x10\x00\x00\x07", false),
            (b"", false),
            (b"\x60\x00", false),
        ] {
            assert_eq!(tai_list_has(list, plmn, tac), has, "{list:02x?}");
        }
    }
}
