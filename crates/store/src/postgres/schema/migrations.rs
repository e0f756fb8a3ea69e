//! The migrations, compiled into the program.
//!
//! The list is written by hand, because sqlx's macro `migrate!` would make the build compile sqlx a second time. A test
//! compares the list with the folder.
//!
//! The last statement of each migration records its number and the oldest program that still works with the new tables,
//! in the table `store`. So an older program can keep serving a store that a newer one has migrated, unless the change
//! rules it out. The migrator therefore ignores migrations that it does not know.

use std::sync::LazyLock;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The number, description and text of each migration. The text of a released one never changes, because stores remember
/// its checksum.
pub(super) const FILES: [(i64, &str, &str); 6] = [
    (1, "jobs", include_str!("../../../migrations/postgres/0001_jobs.sql")),
    (2, "accounts", include_str!("../../../migrations/postgres/0002_accounts.sql")),
    (3, "search", include_str!("../../../migrations/postgres/0003_search.sql")),
    (4, "errors", include_str!("../../../migrations/postgres/0004_errors.sql")),
    (5, "history", include_str!("../../../migrations/postgres/0005_history.sql")),
    (6, "actions", include_str!("../../../migrations/postgres/0006_actions.sql")),
];

/// The version of this program's schema: the number of its newest migration.
pub(crate) const VERSION: i64 = FILES[FILES.len() - 1].0;

/// Migrates a database to the schema of this program.
pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let migration = |(version, description, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations(FILES.map(migration).into());
    migrator.set_ignore_missing(true);
    migrator
});

/// A number that differs between programs with different migrations.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn fingerprint() -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    FILES.hash(&mut hasher);
    hasher.finish()
}
