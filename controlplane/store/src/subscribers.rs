//! Administration of subscribers. Keys go in and never come out.

use crate::Store;
use coeur_model::{Secret, SubscriptionProfile, Supi};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};
use std::time::{SystemTime, UNIX_EPOCH};

/// A subscriber to be added.
#[derive(Clone, Debug)]
pub struct NewSubscriber {
    pub supi: Supi,
    pub k: Secret<16>,
    pub opc: Secret<16>,
    /// Authentication management field (TS 33.102, annex H).
    pub amf: [u8; 2],
    /// The last SQN that was used, 48 bits.
    pub sqn: u64,
    pub profile: SubscriptionProfile,
}

/// A subscriber as administration sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscriber {
    pub supi: Supi,
    pub profile: SubscriptionProfile,
    pub created_unix_ms: u64,
    pub updated_unix_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriberError {
    #[error("no such subscriber")]
    NotFound,
    /// Unmasked: the caller has just named it.
    #[error("{} is a subscriber already", .0.expose())]
    Exists(Supi),
    #[error("store unavailable: {0}")]
    Unavailable(String),
}

impl From<sqlx::Error> for SubscriberError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// The columns are those that `read` expects.
const ONE: &str = "SELECT supi, profile, created_unix_ms, updated_unix_ms FROM subscription WHERE supi = ?";
const PAGE: &str = "SELECT supi, profile, created_unix_ms, updated_unix_ms FROM subscription \
                    WHERE supi > ? ORDER BY supi LIMIT ?";

impl Store {
    pub async fn add_subscriber(&self, new: NewSubscriber) -> Result<Subscriber, SubscriberError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let subscriber = self.insert(&mut transaction, new).await?;
        transaction.commit().await?;
        Ok(subscriber)
    }

    /// Adds all, or none; a refusal says at which record, counted from 0, or none if it is nobody's.
    pub async fn import_subscribers(&self, new: Vec<NewSubscriber>) -> Result<u64, (Option<usize>, SubscriberError)> {
        let nobodys = |error: sqlx::Error| (None, error.into());
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(nobodys)?;
        let count = new.len() as u64;
        for (index, new) in new.into_iter().enumerate() {
            self.insert(&mut transaction, new).await.map_err(|error| (Some(index), error))?;
        }
        transaction.commit().await.map_err(nobodys)?;
        Ok(count)
    }

    pub async fn subscriber(&self, supi: &Supi) -> Result<Subscriber, SubscriberError> {
        let row = sqlx::query(ONE).bind(supi.imsi()).fetch_optional(&self.pool).await?;
        read(&row.ok_or(SubscriberError::NotFound)?)
    }

    /// At most `limit` subscribers after `after`, in the order of their SUPI.
    pub async fn list_subscribers(&self, after: Option<&Supi>, limit: u32) -> Result<Vec<Subscriber>, SubscriberError> {
        let query = sqlx::query(PAGE).bind(after.map_or("", Supi::imsi)).bind(limit);
        query.fetch_all(&self.pool).await?.iter().map(read).collect()
    }

    pub async fn count_subscribers(&self) -> Result<u64, SubscriberError> {
        let row = sqlx::query("SELECT count(*) FROM subscription").fetch_one(&self.pool).await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
    }

    pub async fn remove_subscriber(&self, supi: &Supi) -> Result<(), SubscriberError> {
        let delete = sqlx::query("DELETE FROM authentication WHERE supi = ?").bind(supi.imsi());
        match delete.execute(&self.pool).await?.rows_affected() {
            0 => Err(SubscriberError::NotFound),
            _ => Ok(()),
        }
    }

    pub async fn update_profile(
        &self,
        supi: &Supi,
        profile: SubscriptionProfile,
    ) -> Result<Subscriber, SubscriberError> {
        let update = sqlx::query("UPDATE subscription SET profile = ?, updated_unix_ms = ? WHERE supi = ?")
            .bind(json(&profile))
            .bind(unix_ms() as i64)
            .bind(supi.imsi());
        match update.execute(&self.pool).await?.rows_affected() {
            0 => Err(SubscriberError::NotFound),
            _ => self.subscriber(supi).await,
        }
    }

    async fn insert(
        &self,
        transaction: &mut Transaction<'_, Sqlite>,
        new: NewSubscriber,
    ) -> Result<Subscriber, SubscriberError> {
        let keys = self.keys.seal(&new.supi, &new.k, &new.opc);
        let insert = sqlx::query("INSERT INTO authentication (supi, keys, amf, sqn) VALUES (?, ?, ?, ?)")
            .bind(new.supi.imsi())
            .bind(keys)
            .bind(new.amf.to_vec())
            .bind(new.sqn as i64);
        insert.execute(&mut **transaction).await.map_err(|error| match error.as_database_error() {
            Some(database) if database.is_unique_violation() => SubscriberError::Exists(new.supi.clone()),
            _ => error.into(),
        })?;
        let now = unix_ms();
        let insert = sqlx::query(
            "INSERT INTO subscription (supi, profile, created_unix_ms, updated_unix_ms) VALUES (?, ?, ?, ?)",
        )
        .bind(new.supi.imsi())
        .bind(json(&new.profile))
        .bind(now as i64)
        .bind(now as i64);
        insert.execute(&mut **transaction).await?;
        Ok(Subscriber { supi: new.supi, profile: new.profile, created_unix_ms: now, updated_unix_ms: now })
    }
}

fn read(row: &SqliteRow) -> Result<Subscriber, SubscriberError> {
    let damaged = |what: &dyn std::fmt::Display| SubscriberError::Unavailable(format!("a row is damaged: {what}"));
    let ms = |index| row.try_get::<i64, _>(index).map(|ms| u64::try_from(ms).unwrap_or(0));
    Ok(Subscriber {
        supi: row.try_get::<&str, _>(0)?.parse().map_err(|error| damaged(&error))?,
        profile: serde_json::from_str(row.try_get(1)?).map_err(|error| damaged(&error))?,
        created_unix_ms: ms(2)?,
        updated_unix_ms: ms(3)?,
    })
}

fn json(profile: &SubscriptionProfile) -> String {
    serde_json::to_string(profile).expect("a profile has no map with keys that are not text")
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
