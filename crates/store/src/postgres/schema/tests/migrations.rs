//! Migrations.

use std::path::Path;

use sqlx::migrate::{Migration, Migrator};

use super::*;
use crate::postgres::schema::migrate::{Version, nonce, version};
use crate::postgres::schema::migrations::{FILES, MIGRATIONS, VERSION};

const SERVER: &str = "postgres://db.example:5432/bridge";

#[tokio::test]
async fn the_list_of_migrations_matches_the_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    let read = Migrator::new(folder).await.unwrap();
    let all = |migrator: &Migrator| {
        let one =
            |each: &Migration| (each.version, each.description.clone(), each.checksum.clone(), each.no_tx);
        migrator.iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(all(&MIGRATIONS), all(&read));
}

#[test]
fn each_migration_records_its_number() {
    for (version, name, sql) in &FILES[1..] {
        let last = sql.trim_end().lines().last().unwrap();
        let start = format!("UPDATE store SET version = {version}, compatible_from = ");
        assert!(last.starts_with(&start), "{name}: {last}");
    }
}

#[tokio::test]
async fn an_owner_creates_the_tables_once() {
    let Some(database) = testing::empty_database() else { return };
    let mut connection = connect(&database).await;
    assert_eq!(version(&mut connection).await, Ok(None));
    let error = migrate(&mut connection, Role::Observer, SERVER).await.unwrap_err();
    assert!(error.to_string().contains("it contains no store: start `serve`"), "{error}");

    for _ in 0..2 {
        migrate(&mut connection, Role::Owner, SERVER).await.unwrap();
    }
    let found = Version { version: VERSION, compatible_from: VERSION };
    assert_eq!(version(&mut connection).await, Ok(Some(found)));
    migrate(&mut connection, Role::Observer, SERVER).await.unwrap();
    assert_eq!(number(&mut connection, "SELECT count(*) FROM job_counts").await, 8);
}

#[tokio::test]
async fn each_store_has_a_number_of_its_own() {
    let (Some(one), Some(other)) = (testing::empty_database(), testing::empty_database()) else { return };
    let mut nonces = Vec::new();
    for database in [&one, &other] {
        let mut connection = connect(database).await;
        migrate(&mut connection, Role::Owner, SERVER).await.unwrap();
        nonces.push(nonce(&mut connection).await.unwrap());
        migrate(&mut connection, Role::Owner, SERVER).await.unwrap();
        assert_eq!(nonce(&mut connection).await.as_ref(), Ok(nonces.last().unwrap()));
    }
    assert_ne!(nonces[0], nonces[1]);
}

#[tokio::test]
async fn two_owners_that_start_together_both_find_the_tables() {
    let Some(database) = testing::empty_database() else { return };
    let (mut one, mut other) = (connect(&database).await, connect(&database).await);
    let (first, second) =
        tokio::join!(migrate(&mut one, Role::Owner, SERVER), migrate(&mut other, Role::Owner, SERVER));
    assert_eq!((first, second), (Ok(()), Ok(())));
}

#[tokio::test]
async fn a_newer_store_is_refused_only_if_it_says_so() {
    let Some(database) = testing::database() else { return };
    let mut connection = connect(&database).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (999, 'later', true, '', 1)";
    run(&mut connection, newer).await;
    run(&mut connection, "UPDATE store SET version = 999").await;
    for role in [Role::Owner, Role::Observer] {
        assert_eq!(migrate(&mut connection, role, SERVER).await, Ok(()));
    }
    run(&mut connection, "UPDATE store SET compatible_from = 999").await;
    for role in [Role::Owner, Role::Observer] {
        let error = migrate(&mut connection, role, SERVER).await.unwrap_err();
        assert_eq!(error, StoreError::Newer { path: SERVER.into(), version: 999 });
    }
}

#[tokio::test]
async fn an_observer_does_not_use_older_tables() {
    let Some(database) = testing::database() else { return };
    let mut connection = connect(&database).await;
    run(&mut connection, "UPDATE store SET version = 1, compatible_from = 1").await;
    let error = migrate(&mut connection, Role::Observer, SERVER).await.unwrap_err();
    assert!(error.to_string().contains("start `serve`, which migrates them"), "{error}");
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    let Some(database) = testing::database() else { return };
    let mut connection = connect(&database).await;
    run(&mut connection, "UPDATE _sqlx_migrations SET checksum = '' WHERE version = 3").await;
    let error = migrate(&mut connection, Role::Owner, SERVER).await.unwrap_err();
    assert!(error.to_string().contains("its migration 3 differs"), "{error}");
}

#[tokio::test]
async fn tables_of_another_program_are_refused() {
    let Some(database) = testing::empty_database() else { return };
    let mut connection = connect(&database).await;
    run(&mut connection, "CREATE TABLE invoices (id bigint)").await;
    let error = migrate(&mut connection, Role::Owner, SERVER).await.unwrap_err();
    assert!(error.to_string().contains("tables of another program (`invoices`)"), "{error}");
    assert_eq!(
        number(&mut connection, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await,
        1
    );
}
