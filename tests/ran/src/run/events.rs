//! What the models tell: each UE's next step, and what is reported of it.

use super::engine::{Engine, Phase, Waiter};
use super::plan::Stage;
use super::report::{Step, ms};
use coeur_ran::Input;
use coeur_ran::gnb::{self, ReleaseCause, UeKey};
use coeur_ran::ue::{self, SessionRequest};
use serde_json::json;
use std::time::Instant;

/// MTU of an interface when the network gives none (TS 24.008, 10.5.6.3).
const MTU_DEFAULT: u16 = 1_400;

impl Engine<'_> {
    pub(super) fn gnb_event(&mut self, gnb: usize, event: gnb::Event) {
        match event {
            gnb::Event::SetupDone { amf } => {
                let sctp = self.n2.implementation();
                self.report.event(|| json!({ "event": "ng-setup", "gnb": gnb, "amf": amf, "sctp": sctp }));
            }
            gnb::Event::SetupFailed { cause, retry } => {
                self.report.event(|| json!({ "event": "ng-setup-failed", "gnb": gnb, "cause": cause, "retry": retry }));
                self.report.failure(format!("NG setup: {cause}"));
                if !retry {
                    self.aborted = Some(format!("NG setup failed: {cause}"));
                }
            }
            gnb::Event::Violation(violation) => {
                self.report.violation(violation.to_string());
                self.report.event(|| json!({ "event": "violation", "gnb": gnb, "what": violation.to_string() }));
            }
            gnb::Event::Refused { ue, reason } => {
                let supi = self.supi(ue);
                self.report.event(|| json!({ "event": "refused", "gnb": gnb, "supi": supi, "reason": reason }));
            }
            gnb::Event::Unencodable(what) => self.aborted = Some(format!("cannot be encoded: {what}")),
            gnb::Event::ConfigurationUpdated => {
                self.report.event(|| json!({ "event": "ran-configuration-updated", "gnb": gnb }));
            }
            gnb::Event::ConfigurationUpdateFailed { cause } => {
                self.report.event(|| json!({ "event": "ran-configuration-update-failed", "gnb": gnb, "cause": cause }));
            }
            gnb::Event::Reset => self.report.event(|| json!({ "event": "ng-reset", "gnb": gnb })),
            gnb::Event::Overload { start } => {
                self.report.event(|| json!({ "event": "overload", "gnb": gnb, "start": start }));
            }
        }
    }

    pub(super) fn ue_event(&mut self, now: Instant, ue: UeKey, event: &ue::Event) {
        self.note(now, ue, event);
        match event {
            ue::Event::Registered { .. } => self.registered(now, ue),
            ue::Event::RegistrationFailed { failure, retry: false } => self.fail(now, ue, failure.to_string()),
            ue::Event::SessionEstablished(info) => self.established(now, ue, info),
            ue::Event::SessionFailed { psi, failure } => {
                if matches!(self.plan.stage(ue), Stage::Establishing { .. }) {
                    self.fail(now, ue, format!("session {psi}: {failure}"));
                }
            }
            ue::Event::SessionReleased { psi, .. } => {
                if let Some(n3) = &mut self.n3 {
                    n3.session_gone(ue, *psi);
                }
            }
            ue::Event::ServiceAccepted { .. } => self.serviced(now, ue),
            ue::Event::ServiceFailed { failure } if matches!(self.plan.stage(ue), Stage::Servicing { .. }) => {
                self.fail(now, ue, format!("service request: {failure}"));
            }
            ue::Event::Idle => self.idle(now, ue),
            ue::Event::Deregistered { failure, register_again } => {
                self.deregistered(now, ue, failure.as_ref(), *register_again);
            }
            ue::Event::Violation(violation) => self.report.violation(violation.to_string()),
            _ => {}
        }
        let done = |waiter: &Waiter| waiter.ue == ue && waiter.action.outcome(event).is_some();
        while let Some(index) = self.waiters.iter().position(done) {
            let waiter = self.waiters.remove(index);
            if let Some(outcome) = waiter.action.outcome(event) {
                self.answer(now, &waiter, outcome);
            }
        }
    }

    /// Events that are only told. The others tell themselves with what belongs to them.
    fn note(&mut self, now: Instant, ue: UeKey, event: &ue::Event) {
        let supi = || self.ran.ue(ue).map(|ue| ue.config().supi.expose());
        let line = match event {
            ue::Event::RegistrationFailed { failure, retry: true } => {
                self.report
                    .failures
                    .entry(format!("registration, tried again: {failure}"))
                    .and_modify(|n| *n += 1)
                    .or_insert(1);
                json!({ "event": "retrying", "supi": supi(), "cause": failure.to_string() })
            }
            ue::Event::SessionReleased { psi, failure } => {
                let cause = failure.as_ref().map(ToString::to_string);
                json!({ "event": "session-released", "supi": supi(), "psi": psi, "cause": cause })
            }
            ue::Event::ServiceFailed { failure } => {
                json!({ "event": "service-failed", "supi": supi(), "cause": failure.to_string() })
            }
            ue::Event::ServiceAccepted { reactivation_failed } => {
                let since = self.plan.phone(ue).map_or(now, |phone| phone.since);
                json!({ "event": "service", "supi": supi(), "ms": ms(now - since), "failed": reactivation_failed })
            }
            ue::Event::Idle => json!({ "event": "idle", "supi": supi() }),
            ue::Event::SynchFailure => json!({ "event": "synch-failure", "supi": supi() }),
            ue::Event::GmmStatus { cause } => json!({ "event": "5gmm-status", "supi": supi(), "cause": cause }),
            ue::Event::GsmStatus { psi, cause } => {
                json!({ "event": "5gsm-status", "supi": supi(), "psi": psi, "cause": cause })
            }
            ue::Event::TimerExpired(timer) => {
                json!({ "event": "timer", "supi": supi(), "timer": format!("{timer:?}") })
            }
            ue::Event::Violation(violation) => {
                json!({ "event": "violation", "supi": supi(), "what": violation.to_string() })
            }
            _ => return,
        };
        self.report.event(|| line);
    }

    fn registered(&mut self, now: Instant, ue: UeKey) {
        let (stage, supi) = (self.plan.stage(ue), self.supi(ue));
        let Some(phone) = self.plan.phone(ue).copied() else { return };
        let first = stage == Stage::Registering;
        let took = now - phone.since;
        self.report.event(|| json!({ "event": "registered", "supi": supi, "ms": ms(took), "again": !first }));
        if !first {
            return;
        }
        self.report.took(Step::Registration, took);
        if self.options.sessions == 0 {
            return self.ue_attached(now, ue);
        }
        self.plan.enter(ue, Stage::Establishing { up: 0 }, now);
        for psi in 1..=self.options.sessions {
            let (dnn, slice) = self.session.clone();
            let request = SessionRequest { psi, dnn, slice };
            self.act(now, Input::Ue { ue, input: ue::Input::EstablishSession(request) });
        }
    }

    fn established(&mut self, now: Instant, ue: UeKey, info: &ue::SessionInfo) {
        let Some(phone) = self.plan.phone(ue).copied() else { return };
        let (psi, mtu) = (info.psi, info.mtu.unwrap_or(MTU_DEFAULT));
        let mut tun = None;
        if let Some(n3) = &mut self.n3 {
            let suffix = if psi == 1 { String::new() } else { format!("s{psi}") };
            let name = format!("{}{ue}{suffix}", self.tun_prefix);
            if let Err(error) = n3.add_tun(ue, psi, &name, info.ipv4, mtu) {
                return self.fail(now, ue, format!("{error:#}"));
            }
            tun = n3.tun_name(ue, psi).map(str::to_owned);
        }
        let (supi, ipv4) = (self.supi(ue), info.ipv4);
        let (took, whole) = (now - phone.since, now - phone.begun);
        let dns = &info.dns;
        self.report.event(|| {
            json!({
                "event": "session", "supi": supi, "psi": psi, "ipv4": ipv4, "address": ipv4, "tun": tun,
                "dns": dns, "mtu": mtu, "qfi": info.qfi, "ms": ms(took), "attach_ms": ms(whole),
            })
        });
        if let Stage::Establishing { up } = self.plan.stage(ue) {
            self.report.took(Step::Session, took);
            match up + 1 {
                up if up < self.options.sessions => self.plan.advance(ue, Stage::Establishing { up }),
                _ => self.ue_attached(now, ue),
            }
        }
    }

    fn ue_attached(&mut self, now: Instant, ue: UeKey) {
        if let Some(phone) = self.plan.phone(ue) {
            self.report.took(Step::Attach, now - phone.begun);
        }
        self.cycle(now, ue, self.options.cycle);
    }

    fn cycle(&mut self, now: Instant, ue: UeKey, left: u32) {
        match left {
            0 => self.plan.enter(ue, Stage::Attached, now),
            left => {
                self.plan.enter(ue, Stage::ToIdle { left }, now);
                self.act(now, Input::Release { ue, cause: ReleaseCause::UserInactivity });
            }
        }
    }

    fn idle(&mut self, now: Instant, ue: UeKey) {
        if let Stage::ToIdle { left } = self.plan.stage(ue) {
            self.plan.enter(ue, Stage::Servicing { left }, now);
            self.act(now, Input::Ue { ue, input: ue::Input::RequestService { data: true } });
        }
    }

    fn serviced(&mut self, now: Instant, ue: UeKey) {
        if let Stage::Servicing { left } = self.plan.stage(ue) {
            if let Some(phone) = self.plan.phone(ue) {
                self.report.took(Step::Service, now - phone.since);
            }
            self.cycle(now, ue, left - 1);
        }
    }

    fn deregistered(&mut self, now: Instant, ue: UeKey, failure: Option<&ue::Failure>, again: bool) {
        let supi = self.supi(ue);
        let cause = failure.map(ToString::to_string);
        self.report.event(|| json!({ "event": "deregistered", "supi": supi, "cause": cause, "again": again }));
        match (self.plan.stage(ue), failure) {
            (Stage::Deregistering, None) => {
                if let Some(phone) = self.plan.phone(ue) {
                    self.report.took(Step::Deregistration, now - phone.since);
                }
                self.plan.enter(ue, Stage::Done, now);
            }
            (Stage::Deregistering, Some(failure)) => self.fail(now, ue, format!("deregistration: {failure}")),
            // Ours, by a command; or the network's, which nobody asked for, and which a phone answers as it is told.
            (Stage::Attached, _) => {}
            (_, failure) => {
                let why = failure.map_or_else(|| "deregistered".into(), |failure| format!("deregistered: {failure}"));
                self.fail(now, ue, why);
            }
        }
        if again && self.phase != Phase::Deregistering {
            // TS 24.501 5.5.2.3.2: re-registration required.
            self.act(now, Input::Ue { ue, input: ue::Input::Register(ue::RegistrationKind::Initial) });
        }
    }

    pub(super) fn fail(&mut self, now: Instant, ue: UeKey, cause: String) {
        let supi = self.supi(ue);
        self.report.event(|| json!({ "event": "failed", "supi": supi, "cause": cause }));
        self.report.failure(cause);
        if self.plan.stage(ue) != Stage::Failed {
            self.plan.enter(ue, Stage::Failed, now);
        }
    }

    pub(super) fn supi(&self, ue: UeKey) -> Option<String> {
        self.ran.ue(ue).map(|ue| ue.config().supi.expose())
    }
}
