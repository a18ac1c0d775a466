//! What stdin asks of the UEs, and its answers.

use super::command::{Action, Command, Target};
use super::engine::{Engine, Waiter};
use super::report::{self, ms};
use coeur_ran::Input;
use coeur_ran::gnb::{self, ReleaseCause, UeKey};
use coeur_ran::ue::{self, SessionRequest};
use serde_json::json;
use std::time::Instant;

impl Engine<'_> {
    pub(super) fn command(&mut self, now: Instant, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(failure) => {
                return self
                    .report
                    .event(|| json!({ "event": "answer", "command": line, "ok": false, "failure": failure }));
            }
        };
        match command {
            Command::Quit => self.stop("quit"),
            Command::Status => self.status(),
            Command::Reset { gnb } => self.act(now, Input::Gnb { gnb, input: gnb::Input::Reset }),
            Command::Configuration { gnb } => {
                self.act(now, Input::Gnb { gnb, input: gnb::Input::UpdateConfiguration });
            }
            Command::Ue { action, target } => {
                let ues = match &target {
                    Target::All => (0..self.ran.ues() as UeKey).collect(),
                    Target::One(imsi) => self.by_imsi.get(imsi).copied().into_iter().collect::<Vec<_>>(),
                };
                if ues.is_empty() {
                    let failure = "no such UE";
                    self.report
                        .event(|| json!({ "event": "answer", "command": line, "ok": false, "failure": failure }));
                }
                for ue in ues {
                    self.waiters.push(Waiter { ue, action, text: line.trim().into(), since: now });
                    self.ask(now, ue, action);
                }
            }
        }
    }

    fn ask(&mut self, now: Instant, ue: UeKey, action: Action) {
        let input = match action {
            Action::Idle => {
                let idle = self.ran.ue(ue).is_some_and(|ue| !ue.is_connected());
                if idle {
                    // It is so already.
                    return self.ue_event(now, ue, &ue::Event::Idle);
                }
                return self.act(now, Input::Release { ue, cause: ReleaseCause::UserInactivity });
            }
            Action::Service => ue::Input::RequestService { data: true },
            Action::Register(kind) => ue::Input::Register(kind),
            Action::Deregister { switch_off } => ue::Input::Deregister { switch_off },
            Action::Release { psi } => ue::Input::ReleaseSession { psi },
            Action::Establish { psi } => {
                let (dnn, slice) = self.session.clone();
                ue::Input::EstablishSession(SessionRequest { psi, dnn, slice })
            }
        };
        self.act(now, Input::Ue { ue, input });
    }

    pub(super) fn answer(&mut self, now: Instant, waiter: &Waiter, outcome: Result<(), String>) {
        let supi = self.supi(waiter.ue);
        let (ok, failure) = (outcome.is_ok(), outcome.err());
        let took = ms(now - waiter.since);
        self.report.event(|| {
            json!({
                "event": "answer", "command": waiter.text, "supi": supi, "ok": ok, "failure": failure, "ms": took,
            })
        });
    }

    fn status(&mut self) {
        let ues = || (0..self.ran.ues() as UeKey).filter_map(|ue| self.ran.ue(ue));
        let registered = ues().filter(|ue| ue.is_registered()).count();
        let connected = ues().filter(|ue| ue.is_connected()).count();
        let sessions: usize = ues().map(|ue| ue.sessions().count()).sum();
        let n3 = report::n3_json(self.n3.as_ref().map(|n3| &n3.counters));
        self.report.event(|| {
            json!({
                "event": "status", "registered": registered, "connected": connected, "sessions": sessions, "n3": n3,
            })
        });
    }
}
