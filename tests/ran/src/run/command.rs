//! Commands on stdin to a run that is held, each answered by an event.
//!
//! ```text
//! idle SUPI|all          the gNB has the connection released     -> CM-IDLE
//! service SUPI|all       service request with user plane         -> accepted
//! establish SUPI PSI     one more session                        -> established
//! release SUPI PSI       the UE releases a session               -> released
//! register SUPI|all      initial registration                    -> registered
//! update SUPI|all        mobility registration update            -> registered
//! deregister SUPI|all    normal deregistration                   -> accepted
//! switch-off SUPI|all    deregistration, nobody answers          -> sent
//! reset GNB              NG reset of the whole interface         -> acknowledged by an event of its own
//! configuration GNB      RAN configuration update                -> acknowledged by an event of its own
//! status | quit
//! ```

use coeur_ran::ue::{Event, RegistrationKind};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Ue { action: Action, target: Target },
    Reset { gnb: usize },
    Configuration { gnb: usize },
    Status,
    Quit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    All,
    /// Digits of an IMSI.
    One(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Idle,
    Service,
    Establish { psi: u8 },
    Release { psi: u8 },
    Register(RegistrationKind),
    Deregister { switch_off: bool },
}

impl Command {
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let target = |text: &str| match text {
            "all" => Target::All,
            supi => Target::One(supi.strip_prefix("imsi-").unwrap_or(supi).into()),
        };
        let psi = |text: &str| text.parse().map_err(|_| format!("{text:?}: expected a PDU session identity"));
        let gnb = |text: &str| text.parse().map_err(|_| format!("{text:?}: expected the number of a gNB, from 0"));
        let (action, of) = match words[..] {
            ["idle", of] => (Action::Idle, of),
            ["service", of] => (Action::Service, of),
            ["register", of] => (Action::Register(RegistrationKind::Initial), of),
            ["update", of] => (Action::Register(RegistrationKind::Mobility), of),
            ["deregister", of] => (Action::Deregister { switch_off: false }, of),
            ["switch-off", of] => (Action::Deregister { switch_off: true }, of),
            ["establish", of, session] => (Action::Establish { psi: psi(session)? }, of),
            ["release", of, session] => (Action::Release { psi: psi(session)? }, of),
            ["reset", of] => return Ok(Self::Reset { gnb: gnb(of)? }),
            ["configuration", of] => return Ok(Self::Configuration { gnb: gnb(of)? }),
            ["status"] => return Ok(Self::Status),
            ["quit"] => return Ok(Self::Quit),
            _ => return Err(format!("{line:?}: unknown command")),
        };
        Ok(Self::Ue { action, target: target(of) })
    }
}

impl Action {
    /// Whether an event is the outcome of this action, and which.
    pub(super) fn outcome(self, event: &Event) -> Option<Result<(), String>> {
        let failed = |failure: &dyn std::fmt::Display| Some(Err(failure.to_string()));
        match (self, event) {
            (Self::Idle, Event::Idle)
            | (Self::Service, Event::ServiceAccepted { .. })
            | (Self::Register(_), Event::Registered { .. }) => Some(Ok(())),
            (Self::Deregister { .. }, Event::Deregistered { failure, .. }) => match failure {
                None => Some(Ok(())),
                Some(failure) => failed(failure),
            },
            (Self::Service, Event::ServiceFailed { failure })
            | (Self::Register(_), Event::RegistrationFailed { failure, .. }) => failed(failure),
            (Self::Establish { psi }, Event::SessionEstablished(info)) if info.psi == psi => Some(Ok(())),
            (Self::Release { psi }, Event::SessionReleased { psi: of, failure }) if *of == psi => match failure {
                None => Some(Ok(())),
                Some(failure) => failed(failure),
            },
            (Self::Establish { psi } | Self::Release { psi }, Event::SessionFailed { psi: of, failure })
                if *of == psi =>
            {
                failed(failure)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coeur_ran::ue::Failure;

    #[test]
    fn commands_are_words() {
        let idle = Command::Ue { action: Action::Idle, target: Target::One("001010000000001".into()) };
        assert_eq!(Command::parse("idle imsi-001010000000001"), Ok(idle));
        let all = Command::Ue { action: Action::Deregister { switch_off: false }, target: Target::All };
        assert_eq!(Command::parse(" deregister  all "), Ok(all));
        assert_eq!(Command::parse("reset 0"), Ok(Command::Reset { gnb: 0 }));
        for wrong in ["", "idle", "release 1", "release all x", "reset x", "jump all"] {
            assert!(Command::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_outcome_belongs_to_its_session() {
        let failed = Event::SessionFailed { psi: 2, failure: Failure::Gsm(26) };
        assert_eq!(Action::Establish { psi: 1 }.outcome(&failed), None);
        assert_eq!(Action::Establish { psi: 2 }.outcome(&failed), Some(Err("5GSM cause #26".into())));
        assert_eq!(Action::Service.outcome(&Event::Idle), None);
    }
}
