//! What can go wrong with a store, and whose affair it is.

use coeur_nf::store::StoreError;
use std::io;
use std::path::PathBuf;

/// The store could not be opened: the operator's affair.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{}: cannot be used: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("{}: in use by another process", path.display())]
    InUse { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Database { path: PathBuf, source: sqlx::Error },
    #[error("{}: expected a file of 32 octets, readable by its owner alone: {source}", path.display())]
    KeyFile { path: PathBuf, source: io::Error },
    #[error("{}: missing, and the database beside it was made with it: restore it from a backup", path.display())]
    KeyMissing { path: PathBuf },
    #[error("the master key is not the one that the database was made with")]
    WrongKey,
    #[error("no random octets: {0}")]
    Entropy(getrandom::Error),
}

/// What an operator asked for was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriberError {
    #[error("no such subscriber")]
    NotFound,
    /// The SUPI, in full: the caller gave it.
    #[error("subscriber {0} is there already")]
    Exists(String),
    #[error("store unavailable: {0}")]
    Unavailable(String),
}

impl From<sqlx::Error> for SubscriberError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

pub(crate) fn unavailable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
