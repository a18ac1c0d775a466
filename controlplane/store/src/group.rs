//! One group of operations, as one transaction.
//!
//! A statement costs sqlx two changes of thread, whatever it does; so a group reads all that it needs by one or two
//! statements, is carried out in memory in the order of its operations, and writes what changed by a few more. What a later
//! operation of the group overwrites is never written.

use crate::error::unavailable;
use crate::seal::Sealer;
use crate::sqn;
use coeur_model::{Secret, SubscriptionProfile, Supi};
use coeur_nf::store::{AuthenticationSubscription, StoreError, StoreOp, StoreReply};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Row, SqlitePool};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Profiles that are kept as they were read: most subscribers of a core have the same one.
const PROFILES_MAX: usize = 256;
/// Rows of a statement that writes. Each size is a prepared statement of its own.
const ROWS: [usize; 3] = [64, 8, 1];

/// What is kept from group to group: nothing that the database does not have.
#[derive(Default)]
pub(crate) struct Memory {
    profiles: HashMap<String, SubscriptionProfile>,
}

/// What a group reads, and what it changes.
#[derive(Default)]
struct Workspace {
    authentication: HashMap<String, Result<Authentication, StoreError>>,
    profiles: HashMap<String, Result<SubscriptionProfile, StoreError>>,
    /// None: to be removed.
    ues: BTreeMap<String, Option<Vec<u8>>>,
    sessions: BTreeMap<SessionKey, Option<Vec<u8>>>,
}

/// IMSI and PDU session identity.
type SessionKey = (String, u8);

struct Authentication {
    k: Secret<16>,
    opc: Secret<16>,
    amf: [u8; 2],
    sqn: u64,
    reserved: bool,
}

/// Carries out `operations` in their order; their results, in the same order. Either all that succeeded is on disk, or
/// every result is `Unavailable`.
pub(crate) async fn carry_out(
    pool: &SqlitePool,
    sealer: &Sealer,
    memory: &mut Memory,
    operations: &[StoreOp],
) -> Vec<Result<StoreReply, StoreError>> {
    match transact(pool, sealer, memory, operations).await {
        Ok(results) => results,
        Err(error) => {
            tracing::error!(%error, operations = operations.len(), "a group was not committed");
            let failed = unavailable(error);
            operations.iter().map(|_| Err(failed.clone())).collect()
        }
    }
}

async fn transact(
    pool: &SqlitePool,
    sealer: &Sealer,
    memory: &mut Memory,
    operations: &[StoreOp],
) -> Result<Vec<Result<StoreReply, StoreError>>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let results = with_connection(&mut connection, sealer, memory, operations).await;
    if results.is_err() {
        // A full disk makes SQLite roll back by itself, which sqlx does not notice: a new connection knows where it is.
        let _ = connection.detach().close_hard().await;
    }
    results
}

async fn with_connection(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    memory: &mut Memory,
    operations: &[StoreOp],
) -> Result<Vec<Result<StoreReply, StoreError>>, sqlx::Error> {
    let reads_only =
        operations.iter().all(|op| matches!(op, StoreOp::ReadProfile { .. } | StoreOp::ReadAuthentication { .. }));
    if reads_only {
        let mut workspace = read(connection, sealer, memory, operations).await?;
        return Ok(operations.iter().map(|operation| workspace.carry_out(operation)).collect());
    }
    // IMMEDIATE: what is read here is still so when it is written.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut workspace = read(&mut transaction, sealer, memory, operations).await?;
    let results = operations.iter().map(|operation| workspace.carry_out(operation)).collect();
    write(&mut transaction, workspace).await?;
    transaction.commit().await?;
    Ok(results)
}

impl Workspace {
    fn carry_out(&mut self, operation: &StoreOp) -> Result<StoreReply, StoreError> {
        match operation {
            StoreOp::ReserveSqn { supi } => self.authentication(supi, |it| it.reserve(it.sqn)),
            StoreOp::ResynchroniseSqn { supi, sqn_ms } => {
                self.authentication(supi, |it| it.reserve(*sqn_ms & sqn::SQN_MASK))
            }
            StoreOp::ReadAuthentication { supi } => self.authentication(supi, |_| ()),
            StoreOp::ReadProfile { supi } => {
                let profile = self.profiles.get(supi.imsi()).unwrap_or(&Err(StoreError::NotFound)).clone()?;
                Ok(StoreReply::Profile(Box::new(profile)))
            }
            StoreOp::PutUe { supi, record } => self.ue(supi, Some(record.clone())),
            StoreOp::RemoveUe { supi } => self.ue(supi, None),
            StoreOp::PutSession { supi, session, record } => self.session(supi, session.get(), Some(record.clone())),
            StoreOp::RemoveSession { supi, session } => self.session(supi, session.get(), None),
        }
    }

    fn authentication(
        &mut self,
        supi: &Supi,
        change: impl FnOnce(&mut Authentication),
    ) -> Result<StoreReply, StoreError> {
        let known = match self.authentication.get_mut(supi.imsi()) {
            Some(Ok(known)) => known,
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(StoreError::NotFound),
        };
        change(known);
        Ok(StoreReply::Authentication(Box::new(AuthenticationSubscription {
            k: known.k.clone(),
            opc: known.opc.clone(),
            amf: known.amf,
            sqn: known.sqn,
        })))
    }

    fn ue(&mut self, supi: &Supi, record: Option<Vec<u8>>) -> Result<StoreReply, StoreError> {
        self.ues.insert(supi.imsi().to_owned(), record);
        Ok(StoreReply::Done)
    }

    fn session(&mut self, supi: &Supi, session: u8, record: Option<Vec<u8>>) -> Result<StoreReply, StoreError> {
        self.sessions.insert((supi.imsi().to_owned(), session), record);
        Ok(StoreReply::Done)
    }
}

impl Authentication {
    fn reserve(&mut self, last: u64) {
        self.sqn = sqn::next(last);
        self.reserved = true;
    }
}

/// Reads what the operations ask for.
async fn read(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    memory: &mut Memory,
    operations: &[StoreOp],
) -> Result<Workspace, sqlx::Error> {
    let (mut authentication, mut profiles) = (HashSet::new(), HashSet::new());
    for operation in operations {
        match operation {
            StoreOp::ReserveSqn { supi }
            | StoreOp::ResynchroniseSqn { supi, .. }
            | StoreOp::ReadAuthentication { supi } => drop(authentication.insert(supi.imsi())),
            StoreOp::ReadProfile { supi } => drop(profiles.insert(supi.imsi())),
            StoreOp::PutUe { .. }
            | StoreOp::RemoveUe { .. }
            | StoreOp::PutSession { .. }
            | StoreOp::RemoveSession { .. } => {}
        }
    }
    let mut workspace = Workspace::default();
    if !authentication.is_empty() {
        let query = sqlx::query(
            "SELECT supi, sealed_keys, amf, sqn FROM subscriber WHERE supi IN (SELECT value FROM json_each(?1))",
        );
        for row in query.bind(json_texts(authentication)).fetch_all(&mut *connection).await? {
            let (supi, sealed): (String, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
            let (amf, sqn): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
            let known = match sealer.unseal_keys(&supi, sealed) {
                Some((k, opc)) => {
                    let amf = (amf as u16).to_be_bytes();
                    Ok(Authentication { k, opc, amf, sqn: sqn as u64 & sqn::SQN_MASK, reserved: false })
                }
                None => Err(StoreError::Unavailable("the keys of a subscriber are damaged".to_owned())),
            };
            workspace.authentication.insert(supi, known);
        }
    }
    if !profiles.is_empty() {
        let query = sqlx::query("SELECT supi, profile FROM subscriber WHERE supi IN (SELECT value FROM json_each(?1))");
        for row in query.bind(json_texts(profiles)).fetch_all(&mut *connection).await? {
            let profile = memory.profile(row.try_get(1)?);
            workspace.profiles.insert(row.try_get(0)?, profile);
        }
    }
    Ok(workspace)
}

impl Memory {
    fn profile(&mut self, text: &str) -> Result<SubscriptionProfile, StoreError> {
        if let Some(known) = self.profiles.get(text) {
            return Ok(known.clone());
        }
        let profile: SubscriptionProfile = serde_json::from_str(text).map_err(unavailable)?;
        if self.profiles.len() == PROFILES_MAX {
            self.profiles.clear();
        }
        self.profiles.insert(text.to_owned(), profile.clone());
        Ok(profile)
    }
}

/// Writes what changed.
async fn write(connection: &mut SqliteConnection, workspace: Workspace) -> Result<(), sqlx::Error> {
    let reserved: Vec<(&String, u64)> = workspace
        .authentication
        .iter()
        .filter_map(|(supi, known)| known.as_ref().ok().filter(|known| known.reserved).map(|known| (supi, known.sqn)))
        .collect();
    if !reserved.is_empty() {
        let query = "UPDATE subscriber SET sqn = reserved.value ->> 1 FROM json_each(?1) AS reserved \
                     WHERE subscriber.supi = reserved.value ->> 0";
        sqlx::query(query).bind(json(&reserved)).execute(&mut *connection).await?;
    }
    let (ues, gone): (Vec<_>, Vec<_>) = workspace.ues.into_iter().partition(|(_, record)| record.is_some());
    put_ues(connection, ues).await?;
    if !gone.is_empty() {
        let query = "DELETE FROM ue WHERE supi IN (SELECT value FROM json_each(?1))";
        sqlx::query(query)
            .bind(json_texts(gone.iter().map(|(supi, _)| supi.as_str())))
            .execute(&mut *connection)
            .await?;
    }
    let (sessions, gone): (Vec<_>, Vec<_>) = workspace.sessions.into_iter().partition(|(_, record)| record.is_some());
    put_sessions(connection, sessions).await?;
    if !gone.is_empty() {
        let gone: Vec<_> = gone.into_iter().map(|(key, _)| key).collect();
        let query = "DELETE FROM session WHERE (supi, session_id) IN \
                     (SELECT value ->> 0, value ->> 1 FROM json_each(?1))";
        sqlx::query(query).bind(json(&gone)).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn put_ues(
    connection: &mut SqliteConnection,
    mut ues: Vec<(String, Option<Vec<u8>>)>,
) -> Result<(), sqlx::Error> {
    for rows in ROWS {
        while ues.len() >= rows {
            let statement = format!(
                "INSERT INTO ue (supi, record) VALUES {} ON CONFLICT (supi) DO UPDATE SET record = excluded.record",
                placeholders(rows, 2)
            );
            // Only the number of placeholders differs; sqlx keeps each prepared.
            let mut query = sqlx::query(AssertSqlSafe(statement));
            for (supi, record) in ues.drain(ues.len() - rows..) {
                query = query.bind(supi).bind(record);
            }
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

async fn put_sessions(
    connection: &mut SqliteConnection,
    mut sessions: Vec<(SessionKey, Option<Vec<u8>>)>,
) -> Result<(), sqlx::Error> {
    for rows in ROWS {
        while sessions.len() >= rows {
            let statement = format!(
                "INSERT INTO session (supi, session_id, record) VALUES {} \
                 ON CONFLICT (supi, session_id) DO UPDATE SET record = excluded.record",
                placeholders(rows, 3)
            );
            // As above.
            let mut query = sqlx::query(AssertSqlSafe(statement));
            for ((supi, session), record) in sessions.drain(sessions.len() - rows..) {
                query = query.bind(supi).bind(i64::from(session)).bind(record);
            }
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// `(?, ?), (?, ?)`: so many rows of so many columns.
fn placeholders(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
}

/// A JSON array of texts without a character that JSON would escape: IMSIs.
fn json_texts<'a>(imsis: impl IntoIterator<Item = &'a str>) -> String {
    json(&imsis.into_iter().collect::<Vec<_>>())
}

fn json<T: serde::Serialize>(values: &[T]) -> String {
    serde_json::to_string(values).expect("texts and integers are always JSON")
}
