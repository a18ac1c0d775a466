//! Many operations as one transaction, and as few statements as their kinds allow: a statement costs more than a row.
//!
//! Operations on one key keep their order; operations on different keys have none. Of several writes of one context only the
//! last reaches the file, because the others could not be seen.

use crate::keys::MasterKey;
use coeur_model::{PduSessionId, Supi};
use coeur_nf::store::{AuthenticationSubscription, StoreError, StoreOp, StoreReply};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection, SqlitePool};
use std::collections::{HashMap, HashSet};

type Reply = Result<StoreReply, StoreError>;

/// Gives out the next SQN: SEQ and IND both one further (TS 33.102, C.1.1.1 and C.1.2; IND has five bits, C.3.2).
const RESERVE: &str = "UPDATE authentication \
    SET sqn = ((((sqn >> 5) + 1) << 5) | ((sqn + 1) & 31)) & 0xFFFFFFFFFFFF \
    WHERE supi IN (SELECT value FROM json_each(?)) RETURNING supi, keys, amf, sqn";

/// Rows of one statement: powers of two, so that few statements are prepared whatever the sizes of groups.
const ROWS_MAX: usize = 128;

/// Operations sorted by what they touch; each with its place in the group.
#[derive(Default)]
struct Group {
    reserve: Vec<(usize, Supi)>,
    resynchronise: Vec<(usize, Supi, u64)>,
    read: Vec<(usize, Supi)>,
    profiles: Vec<(usize, Supi)>,
    ues: HashMap<Supi, Option<Vec<u8>>>,
    sessions: HashMap<(Supi, PduSessionId), Option<Vec<u8>>>,
}

impl Group {
    fn writes(&self) -> bool {
        let authentication = !self.reserve.is_empty() || !self.resynchronise.is_empty();
        authentication || !self.ues.is_empty() || !self.sessions.is_empty()
    }
}

/// Carries out all of `operations`, or nothing. Replies are in the order of the operations.
pub(crate) async fn carry_out(
    pool: &SqlitePool,
    keys: &MasterKey,
    operations: Vec<StoreOp>,
) -> Result<Vec<Reply>, sqlx::Error> {
    let mut replies: Vec<Reply> = vec![Ok(StoreReply::Done); operations.len()];
    let mut group = sort(operations);
    let begin = if group.writes() { "BEGIN IMMEDIATE" } else { "BEGIN" };
    let mut transaction = pool.begin_with(begin).await?;
    for round in rounds(std::mem::take(&mut group.reserve)) {
        reserve(&mut transaction, keys, &round, &mut replies).await?;
    }
    for (index, supi, sqn_ms) in &group.resynchronise {
        replies[*index] = resynchronise(&mut transaction, keys, supi, *sqn_ms).await?;
    }
    for (index, supi) in &group.read {
        replies[*index] = read(&mut transaction, keys, supi).await?;
    }
    profiles(&mut transaction, &group.profiles, &mut replies).await?;
    put_ues(&mut transaction, group.ues).await?;
    put_sessions(&mut transaction, group.sessions).await?;
    transaction.commit().await?;
    Ok(replies)
}

fn sort(operations: Vec<StoreOp>) -> Group {
    let mut group = Group::default();
    for (index, operation) in operations.into_iter().enumerate() {
        match operation {
            StoreOp::ReserveSqn { supi } => group.reserve.push((index, supi)),
            StoreOp::ResynchroniseSqn { supi, sqn_ms } => group.resynchronise.push((index, supi, sqn_ms)),
            StoreOp::ReadAuthentication { supi } => group.read.push((index, supi)),
            StoreOp::ReadProfile { supi } => group.profiles.push((index, supi)),
            StoreOp::PutUe { supi, record } => drop(group.ues.insert(supi, Some(record))),
            StoreOp::RemoveUe { supi } => drop(group.ues.insert(supi, None)),
            StoreOp::PutSession { supi, session, record } => {
                drop(group.sessions.insert((supi, session), Some(record)));
            }
            StoreOp::RemoveSession { supi, session } => drop(group.sessions.insert((supi, session), None)),
        }
    }
    group
}

/// One statement gives a subscriber one SQN: who asks twice in a group gets the second in the next round.
fn rounds(mut asked: Vec<(usize, Supi)>) -> Vec<Vec<(usize, Supi)>> {
    let mut rounds = Vec::new();
    while !asked.is_empty() {
        let mut seen = HashSet::new();
        let (now, later) = asked.into_iter().partition(|(_, supi)| seen.insert(supi.clone()));
        rounds.push(now);
        asked = later;
    }
    rounds
}

async fn reserve(
    connection: &mut SqliteConnection,
    keys: &MasterKey,
    asked: &[(usize, Supi)],
    replies: &mut [Reply],
) -> Result<(), sqlx::Error> {
    let rows = sqlx::query(RESERVE).bind(json_list(asked)).fetch_all(connection).await?;
    let found = by_supi(&rows)?;
    for (index, supi) in asked {
        replies[*index] = match found.get(supi.imsi()) {
            Some(row) => authentication(keys, supi, row)?,
            None => Err(StoreError::NotFound),
        };
    }
    Ok(())
}

async fn resynchronise(
    connection: &mut SqliteConnection,
    keys: &MasterKey,
    supi: &Supi,
    sqn_ms: u64,
) -> Result<Reply, sqlx::Error> {
    sqlx::query("UPDATE authentication SET sqn = ? WHERE supi = ?")
        .bind(sqn_ms as i64)
        .bind(supi.imsi())
        .execute(&mut *connection)
        .await?;
    let mut reply = [Ok(StoreReply::Done)];
    reserve(connection, keys, &[(0, supi.clone())], &mut reply).await?;
    let [reply] = reply;
    Ok(reply)
}

async fn read(connection: &mut SqliteConnection, keys: &MasterKey, supi: &Supi) -> Result<Reply, sqlx::Error> {
    let select = sqlx::query("SELECT supi, keys, amf, sqn FROM authentication WHERE supi = ?").bind(supi.imsi());
    match select.fetch_optional(connection).await? {
        Some(row) => authentication(keys, supi, &row),
        None => Ok(Err(StoreError::NotFound)),
    }
}

fn authentication(keys: &MasterKey, supi: &Supi, row: &SqliteRow) -> Result<Reply, sqlx::Error> {
    let damaged = || Err(StoreError::Unavailable("the authentication data of a subscriber is damaged".to_owned()));
    let Ok((k, opc)) = keys.open(supi, row.try_get(1)?) else { return Ok(damaged()) };
    let Ok(amf) = row.try_get::<&[u8], _>(2)?.try_into() else { return Ok(damaged()) };
    let Ok(sqn) = u64::try_from(row.try_get::<i64, _>(3)?) else { return Ok(damaged()) };
    let subscription = AuthenticationSubscription { k, opc, amf, sqn };
    Ok(Ok(StoreReply::Authentication(Box::new(subscription))))
}

async fn profiles(
    connection: &mut SqliteConnection,
    asked: &[(usize, Supi)],
    replies: &mut [Reply],
) -> Result<(), sqlx::Error> {
    if asked.is_empty() {
        return Ok(());
    }
    let sql = "SELECT supi, profile FROM subscription WHERE supi IN (SELECT value FROM json_each(?))";
    let rows = sqlx::query(sql).bind(json_list(asked)).fetch_all(connection).await?;
    let found = by_supi(&rows)?;
    for (index, supi) in asked {
        replies[*index] = match found.get(supi.imsi()) {
            Some(row) => serde_json::from_str(row.try_get(1)?)
                .map(|profile| StoreReply::Profile(Box::new(profile)))
                .map_err(|error| StoreError::Unavailable(format!("a profile is damaged: {error}"))),
            None => Err(StoreError::NotFound),
        };
    }
    Ok(())
}

async fn put_ues(connection: &mut SqliteConnection, ues: HashMap<Supi, Option<Vec<u8>>>) -> Result<(), sqlx::Error> {
    let (put, gone): (Vec<_>, Vec<_>) = ues.into_iter().partition(|(_, record)| record.is_some());
    for rows in chunks(&put) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO ue (supi, record) ");
        insert.push_values(rows, |mut row, (supi, record)| {
            row.push_bind(supi.imsi()).push_bind(record.as_deref());
        });
        insert.push(" ON CONFLICT (supi) DO UPDATE SET record = excluded.record");
        insert.build().execute(&mut *connection).await?;
    }
    for rows in chunks(&gone) {
        let mut delete = QueryBuilder::<Sqlite>::new("DELETE FROM ue WHERE supi IN (");
        let mut list = delete.separated(", ");
        for (supi, _) in rows {
            list.push_bind(supi.imsi());
        }
        delete.push(")");
        delete.build().execute(&mut *connection).await?;
    }
    Ok(())
}

async fn put_sessions(
    connection: &mut SqliteConnection,
    sessions: HashMap<(Supi, PduSessionId), Option<Vec<u8>>>,
) -> Result<(), sqlx::Error> {
    let (put, gone): (Vec<_>, Vec<_>) = sessions.into_iter().partition(|(_, record)| record.is_some());
    for rows in chunks(&put) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO session (supi, session, record) ");
        insert.push_values(rows, |mut row, ((supi, session), record)| {
            row.push_bind(supi.imsi()).push_bind(session.get()).push_bind(record.as_deref());
        });
        insert.push(" ON CONFLICT (supi, session) DO UPDATE SET record = excluded.record");
        insert.build().execute(&mut *connection).await?;
    }
    for rows in chunks(&gone) {
        let mut delete = QueryBuilder::<Sqlite>::new("DELETE FROM session WHERE (supi, session) IN (");
        delete.push_values(rows, |mut row, ((supi, session), _)| {
            row.push_bind(supi.imsi()).push_bind(session.get());
        });
        delete.push(")");
        delete.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Slices of 128, 64, ... 1 rows that together are all of `rows`.
fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = rows.len().checked_ilog2().map(|log| (1 << log).min(ROWS_MAX))?;
        let (chunk, rest) = rows.split_at(size);
        rows = rest;
        Some(chunk)
    })
}

/// The SUPIs as a JSON list: one bound value, whatever their number. An IMSI is digits, so nothing needs escaping.
fn json_list(asked: &[(usize, Supi)]) -> String {
    let quoted: Vec<_> = asked.iter().map(|(_, supi)| format!("\"{}\"", supi.imsi())).collect();
    format!("[{}]", quoted.join(","))
}

fn by_supi(rows: &[SqliteRow]) -> Result<HashMap<&str, &SqliteRow>, sqlx::Error> {
    rows.iter().map(|row| Ok((row.try_get(0)?, row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_powers_of_two_and_lose_nothing() {
        let rows: Vec<u32> = (0..300).collect();
        let sizes: Vec<_> = chunks(&rows).map(<[u32]>::len).collect();
        assert_eq!(sizes, [128, 128, 32, 8, 4]);
        assert_eq!(chunks(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        assert_eq!(chunks::<u32>(&[]).count(), 0);
    }

    #[test]
    fn a_subscriber_has_one_place_a_round() {
        let supi = |n: u32| Supi::from_imsi(&format!("{n:015}")).unwrap();
        let rounds = rounds(vec![(0, supi(1)), (1, supi(2)), (2, supi(1)), (3, supi(1))]);
        let places: Vec<Vec<_>> = rounds.iter().map(|round| round.iter().map(|(index, _)| *index).collect()).collect();
        assert_eq!(places, [vec![0, 1], vec![2], vec![3]]);
    }
}
