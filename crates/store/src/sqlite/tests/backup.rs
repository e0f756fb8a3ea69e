//! Backups, restores, checks and vacuums of a whole store.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::backup::{Copied, back_up, restore, vacuum};
use crate::inspect::{StoreStats, check, stats};
use crate::outside::Extent;

pub(super) fn ann() -> Actor {
    Actor::new(ActionSource::Cli, "ann")
}

pub(super) fn names(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(home.folder.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs a function of the crate that blocks, beside the store's tasks.
async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(run).await.unwrap()
}

pub(super) async fn back_up_to(home: &Home, name: &str) -> Result<Copied, StoreError> {
    let (url, target) = (home.url(), home.folder.path().join(name));
    blocking(move || back_up(&url, &target, || false)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_restores_every_job_acknowledged_before_it() {
    let home = Arc::new(Home::new());
    let store = home.serve().await;
    let mut before = Vec::new();
    for _ in 0..200 {
        before.push(home.queued(&store).await);
    }
    let (loaded, writes) = (store.clone(), home.clone());
    let (stop, mut stopped) = oneshot::channel::<()>();
    let load = tokio::spawn(async move {
        let mut accepted = 0_u64;
        while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
            writes.queued(&loaded).await;
            accepted += 1;
        }
        accepted
    });
    let copied = back_up_to(&home, "copy.db").await.unwrap();
    stop.send(()).unwrap();
    let during = load.await.unwrap();
    assert!((200..=200 + during).contains(&copied.jobs), "{copied:?} beside {during}");
    assert_eq!(copied.unfinished, copied.jobs);
    store.close().await;

    let copy = home.folder.path().join("copy.db");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let restored = restore(&home.url(), &copy, START, &ann()).unwrap();
    let aside = restored.replaced.unwrap();
    assert_eq!(aside, Path::new(&format!("{}.before-restore-20231114T221320Z", home.file().display())));
    let store = home.serve().await;
    for id in before {
        assert_eq!(state(&store, id).await, StateName::Queued);
    }
    store.close().await;
    // The replaced store is whole, so a restore can be taken back.
    let back = restore(&home.url(), &aside, START, &ann()).unwrap();
    assert_eq!(back.copied.jobs, 200 + during);
    assert_eq!(check(&home.url()), Ok(vec![]));
}

#[tokio::test]
async fn a_store_that_is_served_is_neither_restored_nor_vacuumed() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.queued(&store).await;
    back_up_to(&home, "copy.db").await.unwrap();
    let copy = home.folder.path().join("copy.db");
    assert!(matches!(restore(&home.url(), &copy, START, &ann()), Err(StoreError::Served { .. })));
    assert!(matches!(vacuum(&home.url(), START, &ann()), Err(StoreError::Served { .. })));
    assert_eq!(state(&store, id).await, StateName::Queued);
}

#[tokio::test]
async fn torn_foreign_and_damaged_files_are_refused_and_the_store_stays() {
    let home = Home::new();
    let store = home.serve().await;
    for _ in 0..100 {
        home.queued(&store).await;
    }
    back_up_to(&home, "copy.db").await.unwrap();
    store.close().await;
    let whole = fs::read(home.folder.path().join("copy.db")).unwrap();
    let bad = home.folder.path().join("bad.db");
    let torn = || fs::write(&bad, &whole[..whole.len() / 2]).unwrap();
    let damaged = || {
        fs::write(&bad, &whole).unwrap();
        let mut file = fs::OpenOptions::new().write(true).open(&bad).unwrap();
        file.seek(SeekFrom::Start(whole.len() as u64 / 2)).unwrap();
        file.write_all(&[0xa5; 6000]).unwrap();
    };
    let foreign = || {
        fs::remove_file(&bad).unwrap();
        let other = rusqlite::Connection::open(&bad).unwrap();
        other.execute_batch("CREATE TABLE other (x); INSERT INTO other VALUES (1)").unwrap();
    };
    let newer = || {
        fs::write(&bad, &whole).unwrap();
        let copy = rusqlite::Connection::open(&bad).unwrap();
        copy.execute_batch("UPDATE _sqlx_migrations SET version = 99 WHERE version = 2").unwrap();
    };
    let cases: [(&str, &dyn Fn()); 7] = [
        ("damaged", &torn),
        ("damaged", &damaged),
        ("another program's database", &foreign),
        ("it is empty", &|| fs::write(&bad, "").unwrap()),
        ("newer version", &newer),
        ("not a database", &|| fs::write(&bad, "x".repeat(9_000)).unwrap()),
        ("file not found", &|| fs::remove_file(&bad).unwrap()),
    ];
    for (expected, make) in cases {
        make();
        let error = restore(&home.url(), &bad, START, &ann()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("bad.db"), "{expected}: {error}");
        let is_about_the_store = error.contains("store.url") || error.contains("restore a backup");
        assert!(!is_about_the_store, "the backup is at fault, not the store: {error}");
    }
    let folder = restore(&home.url(), home.folder.path(), START, &ann()).unwrap_err().to_string();
    assert!(folder.contains("it is a folder"), "{folder}");
    assert!(
        restore(&home.url(), &home.file(), START, &ann())
            .unwrap_err()
            .to_string()
            .contains("the store itself")
    );
    assert_eq!(names(&home), ["bridge.db", "bridge.db.lock", "copy.db"]);
    assert_eq!(stats(&home.url(), START).unwrap().jobs["queued"], 100);
}

#[tokio::test]
async fn a_backup_that_fails_leaves_nothing_and_the_earlier_one_stays() {
    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    back_up_to(&home, "copy.db").await.unwrap();
    let before = fs::read(home.folder.path().join("copy.db")).unwrap();
    for _ in 0..300 {
        home.queued(&store).await;
    }
    let (url, target) = (home.url(), home.folder.path().join("copy.db"));
    let stopped = blocking(move || back_up(&url, &target, || true)).await.unwrap_err();
    assert!(stopped.to_string().contains("copy.db was not written: "), "{stopped}");
    assert_eq!(fs::read(home.folder.path().join("copy.db")).unwrap(), before);
    assert!(!names(&home).iter().any(|name| name.contains("partial")), "{:?}", names(&home));

    // What an interrupted process has left is used again.
    fs::write(home.folder.path().join("copy.db.partial"), "half").unwrap();
    assert_eq!(back_up_to(&home, "copy.db").await.unwrap().jobs, 301);
    assert!(!names(&home).iter().any(|name| name.contains("partial")), "{:?}", names(&home));
}

#[tokio::test]
async fn a_copy_that_is_damaged_is_not_kept() {
    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    let url = home.url();
    let raw = rusqlite::Connection::open(home.file()).unwrap();
    raw.execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE jobs SET crashes = -1").unwrap();
    let found = blocking(move || check(&url).unwrap()).await.join("\n");
    assert!(found.contains("CHECK constraint failed in jobs"), "{found}");
    let error = back_up_to(&home, "copy.db").await.unwrap_err().to_string();
    assert!(error.contains("copy.db was not written") && error.contains("CHECK constraint"), "{error}");
    assert!(!names(&home).iter().any(|name| name.starts_with("copy.db")), "{:?}", names(&home));
}

#[tokio::test]
async fn only_an_earlier_backup_is_overwritten() {
    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    let path = |name: &str| home.folder.path().join(name);
    fs::write(path("notes.txt"), "important").unwrap();
    std::os::unix::fs::symlink(path("elsewhere"), path("link")).unwrap();
    for (name, expected) in [
        ("bridge.db", "the store itself"),
        ("notes.txt", "is not a copy of a store"),
        ("link", "is not a copy of a store"),
        ("bridge.db.lock", "is not a copy of a store"),
    ] {
        let error = back_up_to(&home, name).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    assert_eq!(fs::read_to_string(path("notes.txt")).unwrap(), "important");
    home.queued(&store).await;
    for _ in 0..2 {
        back_up_to(&home, "a/b/copy.db").await.unwrap();
    }
}

#[tokio::test]
async fn a_backup_never_replaces_the_store_of_another_bridge() {
    let (home, other) = (Home::new(), Home::new());
    let store = home.serve().await;
    home.queued(&store).await;
    let theirs = other.serve().await;
    let id = other.queued(&theirs).await;
    let (url, target) = (home.url(), other.file());
    let refused = async || {
        let (url, target) = (url.clone(), target.clone());
        let error = blocking(move || back_up(&url, &target, || false)).await.unwrap_err().to_string();
        assert!(error.contains("the store of another bridge"), "{error}");
    };
    refused().await;
    assert_eq!(state(&theirs, id).await, StateName::Queued, "it is served");
    // As after a crash: the log is still beside it.
    let copy = other.folder.path().join("crashed.db");
    fs::copy(&target, &copy).unwrap();
    fs::copy(other.folder.path().join("bridge.db-wal"), other.folder.path().join("crashed.db-wal")).unwrap();
    let crashed = blocking({
        let (url, copy) = (url.clone(), copy.clone());
        move || back_up(&url, &copy, || false)
    });
    assert!(crashed.await.unwrap_err().to_string().contains("the store of another bridge"));
    theirs.close().await;
    refused().await;
    // A restored store has no log yet.
    let backup = other.folder.path().join("backup.db");
    let (their_url, to) = (other.url(), backup.clone());
    blocking(move || back_up(&their_url, &to, || false)).await.unwrap();
    restore(&other.url(), &backup, START, &ann()).unwrap();
    refused().await;
    let theirs = other.serve().await;
    assert_eq!(state(&theirs, id).await, StateName::Queued);
}

#[tokio::test]
async fn a_backup_that_the_check_refuses_is_not_restored() {
    for (change, expected) in [
        ("UPDATE job_counts SET jobs = 7 WHERE state = 'dead'", "job_counts says 7 dead jobs"),
        (
            "CREATE TRIGGER t AFTER INSERT ON jobs BEGIN DELETE FROM jobs; END",
            "trigger t is not part of a store",
        ),
        ("CREATE TABLE theirs (a)", "table theirs is not part of a store"),
        ("DROP INDEX bulk_changes_running", "index bulk_changes_running is missing"),
    ] {
        let home = Home::new();
        let store = home.serve().await;
        home.dead(&store).await;
        back_up_to(&home, "copy.db").await.unwrap();
        store.close().await;
        let copy = home.folder.path().join("copy.db");
        rusqlite::Connection::open(&copy).unwrap().execute_batch(change).unwrap();
        let error = restore(&home.url(), &copy, START, &ann()).unwrap_err().to_string();
        assert!(error.contains(expected), "{change}: {error}");
        let url = format!("sqlite:{}", copy.display());
        assert!(check(&url).unwrap().join("; ").contains(expected), "{change}");
        assert_eq!(check(&home.url()), Ok(vec![]), "the store stays");
    }
}

#[tokio::test]
async fn wrong_counts_and_dangling_rows_are_found() {
    let home = Home::new();
    let store = home.serve().await;
    home.dead(&store).await;
    let checked = |url: String| blocking(move || check(&url).unwrap());
    assert_eq!(checked(home.url()).await, [""; 0]);
    home.run("UPDATE job_counts SET jobs = 7 WHERE state = 'dead'").await;
    home.run("UPDATE account_bytes SET stored = stored + 5").await;
    let found = checked(home.url()).await.join("\n");
    assert!(found.contains("job_counts says 7 dead jobs, and there are 1"), "{found}");
    assert!(found.contains("stored bytes of account"), "{found}");
    let raw = rusqlite::Connection::open(home.file()).unwrap();
    raw.execute_batch(
        "PRAGMA foreign_keys = OFF; INSERT INTO notes (job_id, number, noted_at, note) VALUES (zeroblob(16), 1, 1, 'x')",
    )
    .unwrap();
    let found = checked(home.url()).await.join("\n");
    assert!(found.contains("a row of notes refers to a row of jobs that does not exist"), "{found}");
}

#[tokio::test]
async fn a_vacuum_gives_free_pages_back_and_keeps_every_job() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.dead(&store).await;
    home.run("CREATE TABLE filler (x BLOB)").await;
    home.run("INSERT INTO filler VALUES (zeroblob(2000000))").await;
    home.run("DROP TABLE filler").await;
    store.close().await;
    let before = stats(&home.url(), START).unwrap();
    assert!(free_bytes(&before) > 1_900_000, "{before:?}");
    let done = vacuum(&home.url(), START, &ann()).unwrap();
    assert!(done.after + 1_900_000 < done.before, "{done:?}");
    assert_eq!(fs::metadata(home.file()).unwrap().len(), done.after);
    assert_eq!(free_bytes(&stats(&home.url(), START).unwrap()), 0);
    let store = home.serve().await;
    assert_eq!(state(&store, id).await, StateName::Dead);
}

#[tokio::test]
async fn a_store_is_backed_up_before_its_schema_changes() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.queued(&store).await;
    store.close().await;
    assert_eq!(names(&home), ["bridge.db", "bridge.db.lock"], "a new store has no backup");
    // As a version without the second migration leaves it.
    let tables = ["accounts", "account_origins", "oauth_codes", "oauth_states", "revocation_calls"];
    for table in tables.into_iter().chain(["account_waits", "account_resumes"]) {
        home.run(&format!("DROP TABLE {table}")).await;
    }
    home.run("DELETE FROM _sqlx_migrations WHERE version = 2").await;
    let store = home.serve().await;
    assert_eq!(state(&store, id).await, StateName::Queued);
    store.close().await;
    let copy = home.folder.path().join("bridge.db.before-migration-2");
    assert_eq!(crate::sqlite::file::verify::verify(&copy, || false).unwrap().jobs, 1);
    home.serve().await.close().await;
    assert_eq!(names(&home).len(), 3, "{:?}", names(&home));
}

fn free_bytes(stats: &StoreStats) -> u64 {
    match stats.extent {
        Extent::File { free_bytes, .. } => free_bytes,
        Extent::Database(_) => panic!("{stats:?}"),
    }
}
