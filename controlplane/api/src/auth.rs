//! Who may call: one bearer token a platform, in a file that only its owner can read.

use crate::Problem;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use coeur_model::Secret;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Octets of randomness in a token.
const TOKEN_OCTETS: usize = 32;

/// What needs no token: it tells neither who uses the network nor how it is configured.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/metrics", crate::openapi::PATH];

/// The operator's token.
#[derive(Clone, Debug)]
pub struct Token(Secret<TOKEN_OCTETS>);

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: expected a token of {digits} hex digits", path = path.display(), digits = 2 * TOKEN_OCTETS)]
    Form { path: PathBuf },
    #[error("{path}: others can read it (mode {mode:04o}); expected 0600", path = path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("no randomness from the kernel: {0}")]
    Entropy(getrandom::Error),
}

impl Token {
    pub fn random() -> Result<Self, TokenError> {
        let mut octets = [0; TOKEN_OCTETS];
        getrandom::fill(&mut octets).map_err(TokenError::Entropy)?;
        Ok(Self(Secret::new(octets)))
    }

    /// Reads the token of `path`; refuses a file that others can read.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let io = |source| TokenError::Io { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(io)?;
        let mode = file.metadata().map_err(io)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(4 * TOKEN_OCTETS as u64).read_to_string(&mut text).map_err(io)?;
        Secret::from_hex(text.trim()).map(Self).map_err(|_| TokenError::Form { path: path.to_owned() })
    }

    /// Reads the token of `path`, or makes one if there is no such file.
    pub fn read_or_create(path: &Path) -> Result<Self, TokenError> {
        let io = |source| TokenError::Io { path: path.to_owned(), source };
        let token = Self::random()?;
        match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(mut file) => {
                writeln!(file, "{}", token.expose()).and_then(|()| file.sync_all()).map_err(io)?;
                Ok(token)
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Self::read(path),
            Err(error) => Err(io(error)),
        }
    }

    /// The token as it goes into an `Authorization` header.
    pub fn expose(&self) -> String {
        self.0.expose().iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// Takes the same time for every wrong token.
    fn is(&self, given: &str) -> bool {
        Secret::<TOKEN_OCTETS>::from_hex(given).is_ok_and(|given| given.expose().ct_eq(self.0.expose()).into())
    }
}

/// Lets through who has the token, and whoever asks for what is open.
pub(crate) async fn require(State(token): State<Arc<Token>>, request: Request, next: Next) -> Response {
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // RFC 9110, 11.1: the scheme is case-insensitive.
    let bearer =
        given.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let refusal = match bearer {
        Some((_, given)) if token.is(given.trim()) => return next.run(request).await,
        Some(_) => Problem::unauthorized("the bearer token is not the one of this platform"),
        None => Problem::unauthorized("expected the header `Authorization: Bearer <token>`"),
    };
    refusal.hint("the token is in the file operator.token of the platform's data_dir").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_made_once_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.token");
        let made = Token::read_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert!(Token::read_or_create(&path).unwrap().is(&made.expose()));
        assert!(!Token::random().unwrap().is(&made.expose()));
        assert!(!format!("{made:?}").contains(&made.expose()));
    }

    #[test]
    fn a_token_others_can_read_and_a_token_that_is_none_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("operator.token");
        Token::read_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Token::read(&path).unwrap_err().to_string().contains("mode 0640"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "secret").unwrap();
        let error = Token::read_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("64 hex digits") && !error.contains("secret"), "{error}");
        assert!(matches!(Token::read(&dir.path().join("none")), Err(TokenError::Io { .. })));
    }

    #[test]
    fn a_token_of_another_length_is_wrong_and_harmless() {
        let token = Token::random().unwrap();
        let text = token.expose();
        for wrong in ["", "é", &text[1..], &format!("{text}0"), &"g".repeat(64)] {
            assert!(!token.is(wrong), "{wrong}");
        }
        assert!(token.is(&text) && token.is(&text.to_uppercase()));
    }
}
