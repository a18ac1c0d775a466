//! SQL storage of one hosted core: subscribers, authentication state, UE contexts and sessions.
//!
//! Network functions reach it through a [`Writer`]: whatever is queued becomes one transaction, and replies come when that
//! is on disk (write-ahead log, `synchronous = FULL`: a reply given survives kill -9 and loss of power). Operators reach it
//! through the methods of [`Store`]; no answer of theirs carries a key. K and OPc are sealed with AES-256-GCM under a key
//! that lies beside the database, in a file of its own.
//!
//! What it does not do: decide anything about a phone or a session (records are octets of the AMF and the SMF), check a
//! profile against a core's configuration, share a database between processes (a second one is refused).
//!
//! ```text
//! <folder>/core.db      the database     <folder>/master.key   32 octets, mode 0600
//! <folder>/core.lock    held while open
//! ```

mod error;
mod group;
mod migrations;
mod seal;
mod sqn;
mod subscribers;
mod writer;

pub use error::{OpenError, SubscriberError};
pub use seal::MasterKey;
pub use subscribers::{NewSubscriber, Subscriber};
pub use writer::{GROUP_OPERATIONS_MAX, OUTSTANDING_MAX, Writer};

use coeur_model::{PduSessionId, Supi};
use coeur_nf::store::{SessionRecord, StoreError, UeRecord};
use seal::Sealer;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqlitePool};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Connections that read, for operators.
const READERS_MAX: u32 = 4;
/// How long a writer waits for another one: only an import writes beside the one that all others share.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Pages that a connection keeps: a group reads subscribers all over the table.
const CACHE_KIB: u32 = 64 * 1024;
/// Rows that sqlx hands over at a time; with fewer than a group reads, its two threads wait for each other.
const ROW_BUFFER: usize = GROUP_OPERATIONS_MAX;

/// The database of one core, open. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// One connection: writers take turns in here, not in SQLite.
    writer: SqlitePool,
    readers: SqlitePool,
    sealer: Sealer,
    closing: watch::Sender<bool>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    _lock: File,
}

impl Store {
    /// Opens the store in `folder`, makes what is not there, with the master key that lies in the folder.
    pub async fn open(folder: &Path) -> Result<Self, OpenError> {
        let lock = prepare(folder)?;
        let database = folder.join("core.db");
        let key = seal::key_in(&folder.join("master.key"), database.exists())?;
        Self::open_locked(lock, &database, &key).await
    }

    /// As [`Store::open`], with a master key from elsewhere.
    pub async fn open_with_key(folder: &Path, key: &MasterKey) -> Result<Self, OpenError> {
        let lock = prepare(folder)?;
        Self::open_locked(lock, &folder.join("core.db"), key).await
    }

    async fn open_locked(lock: File, database: &Path, key: &MasterKey) -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::new()
            .filename(database)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("cache_size", format!("-{CACHE_KIB}"))
            .row_buffer_size(ROW_BUFFER);
        let failed = |source| OpenError::Database { path: database.to_owned(), source };
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false);
        let writer = pool(1).connect_with(options.clone()).await.map_err(failed)?;
        migrations::migrator().run(&writer).await.map_err(|error| failed(error.into()))?;
        let sealer = Sealer::new(key);
        sealer.check(&writer).await?;
        let readers = pool(READERS_MAX).connect_with(options).await.map_err(failed)?;
        let (closing, _) = watch::channel(false);
        let inner = Inner { writer, readers, sealer, closing, workers: Mutex::default(), _lock: lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A queue of operations, with a task that commits them in groups. To be called inside a tokio runtime.
    pub fn writer<T: Send + 'static>(&self) -> Writer<T> {
        let (writer, worker) = writer::start(self.inner.writer.clone(), self.inner.sealer.clone(), &self.inner.closing);
        self.inner.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        writer
    }

    /// All UE contexts and sessions, in the order of their SUPI: what a core starts with.
    pub async fn load(&self) -> Result<(Vec<UeRecord>, Vec<SessionRecord>), StoreError> {
        let rows = sqlx::query("SELECT supi, record FROM ue ORDER BY supi").fetch_all(&self.inner.readers).await;
        let ues = rows
            .map_err(error::unavailable)?
            .iter()
            .map(|row| Ok(UeRecord { supi: supi(row.try_get(0)?)?, record: row.try_get(1)? }))
            .collect::<Result<_, sqlx::Error>>()
            .map_err(error::unavailable)?;
        let rows = sqlx::query("SELECT supi, session_id, record FROM session ORDER BY supi, session_id")
            .fetch_all(&self.inner.readers)
            .await;
        let sessions = rows
            .map_err(error::unavailable)?
            .iter()
            .map(|row| {
                let session = PduSessionId::new(row.try_get(1)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
                Ok(SessionRecord { supi: supi(row.try_get(0)?)?, session, record: row.try_get(2)? })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(error::unavailable)?;
        Ok((ues, sessions))
    }

    /// Forgets all UE contexts and sessions; subscribers and their sequence numbers stay.
    pub async fn wipe_contexts(&self) -> Result<(), StoreError> {
        // Two statements, either of which can be repeated: no transaction is needed.
        for query in ["DELETE FROM ue", "DELETE FROM session"] {
            sqlx::query(query).execute(&self.inner.writer).await.map_err(error::unavailable)?;
        }
        Ok(())
    }

    /// Commits what is queued, and closes. The store is of no use afterwards, nor are its clones.
    pub async fn close(&self) {
        self.inner.closing.send_replace(true);
        let workers = std::mem::take(&mut *self.inner.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            if let Err(error) = worker.await {
                tracing::error!(%error, "the store's writer ended before it was told to");
            }
        }
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }
}

/// Makes the folder, and locks the store in it for this process.
fn prepare(folder: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Folder { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let lock =
        File::options().create(true).truncate(false).write(true).open(folder.join("core.lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// A SUPI as the database has it.
fn supi(imsi: &str) -> Result<Supi, sqlx::Error> {
    Supi::from_imsi(imsi).map_err(|error| sqlx::Error::Decode(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use coeur_nf::store::{StoreOp, StoreReply};

    #[tokio::test]
    async fn a_full_disk_is_told_and_room_again_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let mut writer = store.writer();
        let put = |octets| StoreOp::PutUe { supi: supi("001010000000001").unwrap(), record: vec![1; octets] };
        let mut replies = Vec::new();
        sqlx::query("PRAGMA max_page_count = 40").fetch_all(&store.inner.writer).await.unwrap();
        writer.submit(vec![(1, put(10)), (2, put(1_000_000))]);
        writer.replies(&mut replies).await;
        // One transaction: neither is there, and both are told so.
        let full = |reply: &Result<StoreReply, StoreError>| matches!(reply, Err(StoreError::Unavailable(_)));
        assert!(replies.len() == 2 && replies.iter().all(|(_, reply)| full(reply)), "{replies:?}");
        assert_eq!(store.load().await.unwrap().0, []);
        // Room again: the limit went with the connection that met it.
        replies.clear();
        writer.submit(vec![(3, put(1_000_000))]);
        writer.replies(&mut replies).await;
        assert_eq!(replies, [(3, Ok(StoreReply::Done))]);
        assert_eq!(store.load().await.unwrap().0.len(), 1);
    }
}
