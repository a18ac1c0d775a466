//! Why a command did not do what it was asked: a message, perhaps a hint, and an exit code that means something.

use coeur_api::Problem;
use coeur_platform::UpError;
use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

/// Exit codes, as docs/cli.md has them. 2, wrong usage, is clap's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    Failed = 1,
    /// What was given is wrong: the configuration, a file, a field.
    Wrong = 3,
    /// The platform or the core does not answer, or is not ready.
    Unavailable = 4,
    NotFound = 5,
    /// No token, or not the right one.
    Unauthorized = 6,
}

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) hint: Option<Cow<'static, str>>,
    /// Whoever read stdout has gone: no failure of ours.
    pub(crate) quiet: bool,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, quiet: false }
    }

    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints itself, and becomes the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.quiet {
            return ExitCode::SUCCESS;
        }
        let mut stderr = std::io::stderr().lock();
        let (red, cyan, plain) = match crate::output::colour(stderr.is_terminal()) {
            true => ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m"),
            false => ("", "", ""),
        };
        // If stderr is gone there is nobody to tell; the exit code still says it.
        let _ = writeln!(stderr, "{red}error{plain}: {}", self.message);
        if let Some(hint) = &self.hint {
            let _ = writeln!(stderr, "{cyan}hint{plain}: {hint}");
        }
        ExitCode::from(self.code as u8)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let code = match problem.status {
            401 => Code::Unauthorized,
            404 => Code::NotFound,
            503 => Code::Unavailable,
            400..=499 => Code::Wrong,
            _ => Code::Failed,
        };
        let mut message = String::new();
        if let Some(line) = problem.line {
            message = format!("line {line}: ");
        }
        if let Some(field) = &problem.field {
            message.push_str(field);
            message.push_str(": ");
        }
        message.push_str(&problem.detail);
        Self { code, message, hint: problem.hint, quiet: false }
    }
}

impl From<UpError> for Failure {
    fn from(error: UpError) -> Self {
        let message = error.to_string();
        match error {
            UpError::Config(_) | UpError::User(_) => Self::new(Code::Wrong, message)
                .hint("docs/configuration.md has every field; `coeur config check FILE` checks without starting"),
            UpError::Binary(_) => Self::new(Code::Wrong, message).hint("--upf-binary says where it is"),
            UpError::Token(_) => Self::new(Code::Unauthorized, message),
            UpError::InUse(_) => Self::new(Code::Failed, message).hint("stop it, or choose another data_dir"),
            UpError::Listen { .. } => {
                Self::new(Code::Failed, message).hint("another program may be there: choose another api.listen")
            }
            _ => Self::new(Code::Failed, message),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let quiet = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { quiet, ..Self::new(Code::Failed, error.to_string()) }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        match error.io_error_kind() {
            Some(kind) => std::io::Error::from(kind).into(),
            None => Self::new(Code::Failed, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_becomes_a_message_a_hint_and_a_code() {
        let problem = Problem::invalid_field("expected 32 hex digits").field("k").line(7).hint("look");
        let failure = Failure::from(problem);
        assert_eq!((failure.code, failure.message.as_str()), (Code::Wrong, "line 7: k: expected 32 hex digits"));
        assert_eq!(failure.hint.as_deref(), Some("look"));
        for (problem, code) in [
            (Problem::unauthorized(""), Code::Unauthorized),
            (Problem::unknown_core(""), Code::NotFound),
            (Problem::unavailable(""), Code::Unavailable),
            (Problem::exists(""), Code::Wrong),
            (Problem::internal(""), Code::Failed),
        ] {
            assert_eq!(Failure::from(problem).code, code);
        }
    }
}
