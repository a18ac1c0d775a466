//! What a hosted core must not forget, in SQL: subscribers and their keys, SQN, UE contexts, sessions.
//!
//! One SQLite file a core: isolation, backup and erasure of a tenant are then files. [`Writer`] serves the network functions:
//! everything that is queued is carried out in one transaction, and is on the disk (`synchronous = FULL`) when the replies
//! come. [`Store`] serves administration.
//!
//! What it does not do: understand a record. UE contexts and sessions are octets here; what they mean is the affair of AMF and
//! SMF. And it keeps nothing in memory: a reply is what the file says.

mod batch;
mod keys;
mod subscribers;
mod writer;

pub use keys::MASTER_KEY_FILE;
pub use subscribers::{NewSubscriber, Subscriber, SubscriberError};
pub use writer::{OPERATIONS_MAX, Tagged, Writer};

use coeur_nf::store::{SessionRecord, UeRecord};
use keys::MasterKey;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row as _, SqlSafeStr as _, SqlitePool};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The database within the state folder.
pub const DATABASE_FILE: &str = "core.db";
/// Held as long as a process has the store open.
const LOCK_FILE: &str = "core.lock";

/// How long a statement waits for another connection's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The writer's connection, and those of administration.
const CONNECTIONS_MAX: u32 = 3;

/// The store of one core. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
    keys: Arc<MasterKey>,
    _lock: Arc<File>,
}

/// Why a store cannot be opened. All of it is the operator's affair.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
    #[error("{path} is in use by another process: a core has one process")]
    InUse { path: PathBuf },
    #[error("{path}: expected 64 hex digits")]
    MalformedKey { path: PathBuf },
    #[error("{path} is not the key that this database was made with")]
    WrongKey { path: PathBuf },
    #[error("{path}: {error}")]
    Database { path: PathBuf, error: sqlx::Error },
    #[error("{path}: {error}")]
    Migration { path: PathBuf, error: sqlx::migrate::MigrateError },
}

impl Store {
    /// Opens the store in `folder`, and makes it if it is not there: the folder, the database, the master key.
    pub async fn open(folder: &Path) -> Result<Self, OpenError> {
        let file_error = |path: &Path| {
            let path = path.to_owned();
            move |error| OpenError::File { path, error }
        };
        std::fs::create_dir_all(folder).map_err(file_error(folder))?;
        let lock_path = folder.join(LOCK_FILE);
        let lock = File::create(&lock_path).map_err(file_error(&lock_path))?;
        lock.try_lock().map_err(|_| OpenError::InUse { path: folder.to_owned() })?;

        let path = folder.join(DATABASE_FILE);
        let database_error = |error| OpenError::Database { path: path.clone(), error };
        let pool = connect(&path).await.map_err(database_error)?;
        let migration_error = |error| OpenError::Migration { path: path.clone(), error };
        migrator().run(&pool).await.map_err(migration_error)?;
        let keys = keys::open(&folder.join(MASTER_KEY_FILE), &pool, &path).await?;
        Ok(Self { pool, keys: Arc::new(keys), _lock: Arc::new(lock) })
    }

    /// Every UE context and every session, as they were last committed.
    pub async fn load(&self) -> Result<(Vec<UeRecord>, Vec<SessionRecord>), LoadError> {
        let rows = sqlx::query("SELECT supi, record FROM ue").fetch_all(&self.pool).await?;
        let supi = |row: &sqlx::sqlite::SqliteRow| -> Result<_, LoadError> {
            row.try_get::<&str, _>(0)?.parse().map_err(LoadError::Damaged)
        };
        let ues = rows.iter().map(|row| Ok(UeRecord { supi: supi(row)?, record: row.try_get(1)? }));
        let ues = ues.collect::<Result<Vec<_>, LoadError>>()?;
        let rows = sqlx::query("SELECT supi, session, record FROM session").fetch_all(&self.pool).await?;
        let sessions = rows.iter().map(|row| {
            let session = coeur_model::PduSessionId::new(row.try_get(1)?).map_err(LoadError::Damaged)?;
            Ok(SessionRecord { supi: supi(row)?, session, record: row.try_get(2)? })
        });
        let sessions = sessions.collect::<Result<Vec<_>, LoadError>>()?;
        Ok((ues, sessions))
    }

    /// The end of the network functions: starts the task that commits for them. `T` tells whose operation it is.
    pub fn writer<T: Send + 'static>(&self) -> Writer<T> {
        Writer::start(self.pool.clone(), Arc::clone(&self.keys))
    }

    /// Waits for what is being written, and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Why contexts could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("a row is damaged: {0}")]
    Damaged(coeur_model::Invalid),
}

async fn connect(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit is on the disk before a phone is told. Commits come in groups, so it costs one fsync for many phones.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        // What was a key is overwritten, not merely unlinked.
        .pragma("secure_delete", "ON");
    SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).connect_with(options).await
}

/// Each migration once, in order; a published one is never changed (sqlx checks their sums).
fn migrator() -> Migrator {
    let first = include_str!("../migrations/0001_first.sql").into_sql_str();
    Migrator::with_migrations(vec![Migration::new(1, "first".into(), MigrationType::Simple, first, false)])
}

#[cfg(test)]
mod tests;
