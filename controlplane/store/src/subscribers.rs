//! Subscribers, as operators see them: everything but the keys.

use crate::seal::Sealer;
use crate::{Store, SubscriberError, supi};
use coeur_model::{Secret, SubscriptionProfile, Supi};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Row};
use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// Rows of one INSERT of an import.
const IMPORT_ROWS: usize = 64;

/// A subscriber to add. No method gives the keys back.
#[derive(Clone, Debug)]
pub struct NewSubscriber {
    pub supi: Supi,
    pub k: Secret<16>,
    pub opc: Secret<16>,
    /// Authentication management field (TS 33.102, annex H).
    pub amf: [u8; 2],
    /// Last SQN used, 48 bits.
    pub sqn: u64,
    pub profile: SubscriptionProfile,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    pub supi: Supi,
    pub profile: SubscriptionProfile,
    pub created_unix_ms: u64,
    /// When the profile was last written.
    pub updated_unix_ms: u64,
}

impl Store {
    pub async fn add_subscriber(&self, new: NewSubscriber) -> Result<Subscriber, SubscriberError> {
        let now = unix_ms();
        let mut connection = self.inner.writer.acquire().await?;
        let rows = [Sealed::new(&self.inner.sealer, &new)?];
        match insert(&mut connection, "subscriber", &rows, now).await {
            Ok(()) => {
                let (created_unix_ms, updated_unix_ms) = (now as u64, now as u64);
                Ok(Subscriber { supi: new.supi, profile: new.profile, created_unix_ms, updated_unix_ms })
            }
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                Err(SubscriberError::Exists(new.supi.expose()))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub async fn subscriber(&self, supi: &Supi) -> Result<Subscriber, SubscriberError> {
        let query = "SELECT supi, profile, created_unix_ms, updated_unix_ms FROM subscriber WHERE supi = ?1";
        let row = sqlx::query(query).bind(supi.imsi()).fetch_optional(&self.inner.readers).await?;
        Ok(subscriber_of(&row.ok_or(SubscriberError::NotFound)?)?)
    }

    /// Up to `limit` subscribers in the order of their SUPI, from the first one after `after`.
    pub async fn list_subscribers(&self, after: Option<&Supi>, limit: u32) -> Result<Vec<Subscriber>, SubscriberError> {
        let query = "SELECT supi, profile, created_unix_ms, updated_unix_ms FROM subscriber \
                     WHERE supi > ?1 ORDER BY supi LIMIT ?2";
        let query = sqlx::query(query).bind(after.map_or("", Supi::imsi)).bind(i64::from(limit));
        let rows = query.fetch_all(&self.inner.readers).await?;
        Ok(rows.iter().map(subscriber_of).collect::<Result<_, _>>()?)
    }

    pub async fn count_subscribers(&self) -> Result<u64, SubscriberError> {
        let row = sqlx::query("SELECT count(*) FROM subscriber").fetch_one(&self.inner.readers).await?;
        Ok(row.try_get::<i64, _>(0)? as u64)
    }

    /// Removes a subscription. The UE context and sessions that there may be are their owners' to remove.
    pub async fn remove_subscriber(&self, supi: &Supi) -> Result<(), SubscriberError> {
        let query = sqlx::query("DELETE FROM subscriber WHERE supi = ?1").bind(supi.imsi());
        match query.execute(&self.inner.writer).await?.rows_affected() {
            0 => Err(SubscriberError::NotFound),
            _ => Ok(()),
        }
    }

    pub async fn update_profile(
        &self,
        supi: &Supi,
        profile: SubscriptionProfile,
    ) -> Result<Subscriber, SubscriberError> {
        let query = "UPDATE subscriber SET profile = ?2, updated_unix_ms = ?3 WHERE supi = ?1 \
                     RETURNING supi, profile, created_unix_ms, updated_unix_ms";
        let query = sqlx::query(query).bind(supi.imsi()).bind(profile_text(&profile)?).bind(unix_ms());
        let row = query.fetch_optional(&self.inner.writer).await?;
        Ok(subscriber_of(&row.ok_or(SubscriberError::NotFound)?)?)
    }

    /// Adds all records or none; how many. An error bears the index of the record at fault, where one is.
    ///
    /// The records are sealed and collected in a table beside the database, so that others write in the meantime; only the
    /// last step, which copies them, keeps others waiting.
    pub async fn import_subscribers(
        &self,
        records: Vec<NewSubscriber>,
    ) -> Result<u64, (Option<usize>, SubscriberError)> {
        let mut seen = HashSet::with_capacity(records.len());
        if let Some(index) = records.iter().position(|record| !seen.insert(&record.supi)) {
            return Err((Some(index), SubscriberError::Exists(records[index].supi.expose())));
        }
        let fault = |error: sqlx::Error| (None, error.into());
        // A connection of its own: its temporary table goes with it, also when this future is dropped half-way.
        let pooled = self.inner.readers.acquire().await.map_err(fault)?;
        let mut connection = pooled.detach();
        let imported = self.import_with(&mut connection, &records).await;
        // An import that is committed is committed, whatever closing says.
        let _ = connection.close().await;
        imported
    }

    async fn import_with(
        &self,
        connection: &mut SqliteConnection,
        records: &[NewSubscriber],
    ) -> Result<u64, (Option<usize>, SubscriberError)> {
        let fault = |error: sqlx::Error| (None, SubscriberError::from(error));
        let create = "CREATE TEMP TABLE import AS SELECT * FROM subscriber WHERE false";
        sqlx::query(create).execute(&mut *connection).await.map_err(fault)?;
        let now = unix_ms();
        let mut collecting = connection.begin().await.map_err(fault)?;
        for chunk in records.chunks(IMPORT_ROWS) {
            let rows: Result<Vec<Sealed>, _> = chunk.iter().map(|new| Sealed::new(&self.inner.sealer, new)).collect();
            let rows = rows.map_err(|error| (None, error))?;
            insert(&mut collecting, "temp.import", &rows, now).await.map_err(fault)?;
        }
        collecting.commit().await.map_err(fault)?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
        let known = "SELECT import.supi FROM temp.import JOIN subscriber USING (supi) ORDER BY import.rowid LIMIT 1";
        let known = sqlx::query(known).fetch_optional(&mut *transaction).await.map_err(fault)?;
        if let Some(row) = known {
            let imsi: String = row.try_get(0).map_err(fault)?;
            let index = records.iter().position(|record| record.supi.imsi() == imsi);
            return Err((index, SubscriberError::Exists(format!("imsi-{imsi}"))));
        }
        let copy = "INSERT INTO subscriber SELECT * FROM temp.import ORDER BY supi";
        let copied = sqlx::query(copy).execute(&mut *transaction).await.map_err(fault)?.rows_affected();
        transaction.commit().await.map_err(fault)?;
        Ok(copied)
    }
}

/// A row, with its keys sealed.
struct Sealed {
    imsi: String,
    keys: Vec<u8>,
    amf: i64,
    sqn: i64,
    profile: String,
}

impl Sealed {
    fn new(sealer: &Sealer, new: &NewSubscriber) -> Result<Self, SubscriberError> {
        let imsi = new.supi.imsi().to_owned();
        let keys = sealer
            .seal_keys(&imsi, &new.k, &new.opc)
            .map_err(|error| SubscriberError::Unavailable(error.to_string()))?;
        let amf = i64::from(u16::from_be_bytes(new.amf));
        // 48 bits fit.
        let sqn = (new.sqn & crate::sqn::SQN_MASK) as i64;
        Ok(Self { imsi, keys, amf, sqn, profile: profile_text(&new.profile)? })
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    table: &'static str,
    rows: &[Sealed],
    now: i64,
) -> Result<(), sqlx::Error> {
    let values = vec!["(?, ?, ?, ?, ?, ?, ?)"; rows.len()].join(", ");
    let statement = format!(
        "INSERT INTO {table} (supi, sealed_keys, amf, sqn, profile, created_unix_ms, updated_unix_ms) VALUES {values}"
    );
    // The table is one of two names, and only the number of placeholders differs.
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for row in rows {
        query =
            query.bind(&row.imsi).bind(&row.keys).bind(row.amf).bind(row.sqn).bind(&row.profile).bind(now).bind(now);
    }
    query.execute(connection).await.map(|_| ())
}

fn subscriber_of(row: &SqliteRow) -> Result<Subscriber, sqlx::Error> {
    let profile = serde_json::from_str(row.try_get(1)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Subscriber {
        supi: supi(row.try_get(0)?)?,
        profile,
        created_unix_ms: row.try_get::<i64, _>(2)? as u64,
        updated_unix_ms: row.try_get::<i64, _>(3)? as u64,
    })
}

fn profile_text(profile: &SubscriptionProfile) -> Result<String, SubscriberError> {
    serde_json::to_string(profile).map_err(|error| SubscriberError::Unavailable(error.to_string()))
}

fn unix_ms() -> i64 {
    // A clock before 1970 is the operator's affair; the time stamp is for people to read.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
