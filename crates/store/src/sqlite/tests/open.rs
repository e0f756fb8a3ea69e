//! Opening a store: which process may open what, and the errors if it cannot.

use super::*;
use crate::sqlite::jobs::operator::cancel::Cancel;

async fn refused(url: &str, role: Role) -> StoreError {
    let clock = ManualClock::new(START).clock();
    Store::open(url, role, clock).await.err().unwrap()
}

#[tokio::test]
async fn opening_creates_the_file_and_its_folders() {
    let home = Home::new();
    let file = home.folder.path().join("a/b/bridge.db");
    let store = Store::open(&format!("sqlite:{}", file.display()), Role::Owner, home.clock.clock()).await;
    store.unwrap().close().await;
    assert!(file.exists());
}

#[tokio::test]
async fn stored_jobs_are_there_after_a_close() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.dead(&store).await;
    let before = store.jobs().get(id).await.unwrap();
    store.close().await;
    store.close().await;
    assert!(!home.folder.path().join("bridge.db-wal").exists(), "the log is checkpointed");
    let store = home.serve().await;
    assert_eq!(store.jobs().get(id).await.unwrap(), before);
}

#[tokio::test]
async fn a_store_has_one_owner_at_a_time() {
    let home = Home::new();
    let store = home.serve().await;
    let error = home.open(Role::Owner).await.err().unwrap();
    let owner = format!("process {}", std::process::id());
    assert_eq!(error, StoreError::InUse { path: home.file().display().to_string(), owner: owner.clone() });
    let text = error.to_string();
    assert!(text.contains(&owner) && text.contains("store.url"), "{text}");
    store.close().await;
    home.serve().await;
}

#[tokio::test]
async fn no_other_process_owns_the_store_before_the_last_write() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.queued(&store).await;
    let open = hold(&store).await;
    let (cancel, _) = Queued::new(Cancel { id, now: store.sqlite().moment(), why: None, by: None });
    store.sqlite().operations.send(Message::Command(cancel)).await.unwrap();
    let writer = crate::lock::lock(&store.sqlite().writer).take().unwrap();
    drop(store);
    assert!(matches!(home.open(Role::Owner).await.err(), Some(StoreError::InUse { .. })));
    open.send(()).unwrap();
    drop(writer.await.unwrap());
    assert_eq!(state(&home.serve().await, id).await, StateName::Cancelled);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_the_file_opens_the_same_store() {
    let home = Home::new();
    let _store = home.serve().await;
    let link = home.folder.path().join("link.db");
    std::os::unix::fs::symlink(home.file(), &link).unwrap();
    let error = refused(&format!("sqlite:{}", link.display()), Role::Owner).await;
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[tokio::test]
async fn an_observer_reads_and_changes_jobs_beside_the_owner() {
    let home = Home::new();
    let store = home.serve().await;
    let (dead, queued, running) =
        (home.dead(&store).await, home.queued(&store).await, home.running(&store).await);
    let observer = home.open(Role::Observer).await.unwrap();
    assert_eq!(state(&observer, running.id).await, StateName::Running, "an observer does not free claims");
    assert_eq!(
        observer.jobs().list(&JobFilter { limit: 9, ..JobFilter::default() }).await.unwrap().jobs.len(),
        3
    );
    observer.jobs().retry(dead).await.unwrap();
    observer.jobs().cancel(queued).await.unwrap();
    observer.close().await;
    assert_eq!(state(&store, dead).await, StateName::Delivering);
    assert_eq!(state(&store, queued).await, StateName::Cancelled);
    assert_eq!(store.jobs().handled(handled(running, AfterHandler::HandBack)).await, Ok(Written::Done));
}

#[tokio::test]
async fn an_observer_creates_no_file() {
    let home = Home::new();
    let error = home.open(Role::Observer).await.err().unwrap().to_string();
    assert!(error.contains("bridge.db") && error.contains("file not found"), "{error}");
    assert_eq!(std::fs::read_dir(home.folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_created_is_an_error() {
    let home = Home::new();
    std::fs::write(home.folder.path().join("file"), "").unwrap();
    let url = format!("sqlite:{}/file/below/bridge.db", home.folder.path().display());
    let error = refused(&url, Role::Owner).await.to_string();
    assert!(error.contains("its folder cannot be created"), "{error}");
    let (place, we) = (home.folder.path().display(), rustix::process::geteuid().as_raw());
    assert!(error.contains(&format!("; {place}/file belongs to user {we} (mode ")), "{error}");
    assert!(error.ends_with(&format!(", and this process runs as user {we}")), "{error}");
}

#[tokio::test]
async fn a_folder_in_place_of_the_file_is_an_error() {
    let home = Home::new();
    std::fs::create_dir(home.file()).unwrap();
    let error = refused(&home.url(), Role::Owner).await.to_string();
    assert!(error.starts_with("cannot open the store") && error.contains("bridge.db"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_an_error() {
    for role in [Role::Owner, Role::Observer] {
        let home = Home::new();
        std::fs::write(home.file(), "It was a dark and stormy night. ".repeat(99)).unwrap();
        let error = refused(&home.url(), role).await.to_string();
        assert!(error.contains("bridge.db") && error.contains("not a database"), "{error}");
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_not_changed() {
    let home = Home::new();
    let options = SqliteConnectOptions::new().filename(home.file()).create_if_missing(true);
    let mut raw = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("CREATE TABLE theirs (x)").execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    let before = std::fs::read(home.file()).unwrap();
    let error = refused(&home.url(), Role::Observer).await.to_string();
    assert!(error.contains("it is not a store of this program"), "{error}");
    let error = refused(&home.url(), Role::Owner).await.to_string();
    assert!(error.contains("another program"), "{error}");
    assert!(std::fs::read(home.file()).unwrap() == before);
}

#[tokio::test]
async fn a_newer_store_is_not_changed() {
    let home = Home::new();
    home.serve().await.close().await;
    home.run(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9001, 'from the future', 1, x'00', 0)",
    )
    .await;
    for role in [Role::Owner, Role::Observer] {
        let error = refused(&home.url(), role).await;
        assert_eq!(error, StoreError::Newer { path: home.file().display().to_string(), version: 9001 });
    }
}

#[tokio::test]
async fn a_store_from_before_the_first_release_is_refused() {
    let home = Home::new();
    home.serve().await.close().await;
    home.run("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
    for role in [Role::Owner, Role::Observer] {
        let error = refused(&home.url(), role).await;
        assert_eq!(error, StoreError::Unreleased { path: home.file().display().to_string() });
    }
}

#[tokio::test]
async fn only_an_owner_migrates_an_older_store() {
    let home = Home::new();
    home.serve().await.close().await;
    home.run("DELETE FROM _sqlx_migrations").await;
    let error = refused(&home.url(), Role::Observer).await.to_string();
    assert!(error.contains("older than this program"), "{error}");
}

#[tokio::test]
async fn an_error_names_the_absolute_path_of_a_relative_one() {
    let error = refused("sqlite:no/such/bridge.db", Role::Observer).await.to_string();
    let here = std::env::current_dir().unwrap();
    assert!(error.contains(&format!("{}/no/such/bridge.db: file not found", here.display())), "{error}");
}

#[tokio::test]
async fn urls_that_name_no_file_are_errors() {
    for url in
        ["", "sqlite:", "mysql://user:secret@host/db", "bridge.db", "sqlite::memory:", "sqlite://:memory:"]
    {
        let error = refused(url, Role::Owner).await;
        let text = error.to_string();
        assert!(matches!(error, StoreError::Url(_)), "{url}: {text}");
        assert!(
            text.contains("store.url") && text.contains("path of a file") && !text.contains("secret"),
            "{text}"
        );
    }
    assert!(!std::path::Path::new(":memory:.lock").exists());
}

#[tokio::test]
async fn a_new_store_is_accessible_only_to_its_user() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    for name in ["bridge.db", "bridge.db-wal", "bridge.db-shm"] {
        let mode = std::fs::metadata(home.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}

/// The table of migrations is created before the first migration runs, in a separate transaction.
#[tokio::test]
async fn a_start_completes_a_store_that_a_killed_first_start_left() {
    let home = Home::new();
    home.serve().await.close().await;
    let left = Home::new();
    let schema = {
        let mut raw = home.raw().await;
        let sql = "SELECT sql FROM sqlite_schema WHERE name = '_sqlx_migrations'";
        sqlx::query_scalar::<_, String>(sql).fetch_one(&mut raw).await.unwrap()
    };
    let options = SqliteConnectOptions::new().filename(left.file()).create_if_missing(true);
    let mut raw = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(AssertSqlSafe(schema)).execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    left.queued(&left.serve().await).await;
}
