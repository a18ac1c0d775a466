//! The schema, as the steps that led to it. A step that was ever in a release is not changed: sqlx compares its checksum.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Version, what it does, SQL.
const STEPS: [(i64, &str, &str); 1] = [(1, "first", include_str!("../migrations/0001_first.sql"))];

/// By hand instead of by sqlx's macro: that needs a database driver in the compiler, and does no more.
pub(crate) fn migrator() -> Migrator {
    let step = |&(version, description, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(STEPS.iter().map(step).collect())
}
