//! The migrations, compiled into the program.
//!
//! The list is written by hand, because sqlx's macro `migrate!` would make the build compile sqlx and SQLite a second
//! time. A test compares the list with the folder.

use std::sync::LazyLock;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The number, description and text of each migration. The text of a released one never changes, because stores remember
/// its checksum.
const FILES: [(i64, &str, &str); 6] = [
    (1, "jobs", include_str!("../../../migrations/sqlite/0001_jobs.sql")),
    (2, "accounts", include_str!("../../../migrations/sqlite/0002_accounts.sql")),
    (3, "search", include_str!("../../../migrations/sqlite/0003_search.sql")),
    (4, "errors", include_str!("../../../migrations/sqlite/0004_errors.sql")),
    (5, "history", include_str!("../../../migrations/sqlite/0005_history.sql")),
    (6, "actions", include_str!("../../../migrations/sqlite/0006_actions.sql")),
];

/// Migrates a file to the schema of this program.
pub(crate) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let migration = |(version, description, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(FILES.map(migration).into())
});

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn the_list_of_migrations_matches_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
        let read = Migrator::new(folder).await.unwrap();
        let all = |migrator: &Migrator| {
            let one = |each: &Migration| {
                (
                    each.version,
                    each.description.clone(),
                    each.migration_type,
                    each.checksum.clone(),
                    each.no_tx,
                )
            };
            migrator.iter().map(one).collect::<Vec<_>>()
        };
        assert_eq!(all(&MIGRATIONS), all(&read));
    }
}
