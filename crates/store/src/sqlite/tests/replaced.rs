//! What restores and vacuums write into the log of actions, and what they refuse to replace.

use std::fs;
use std::path::Path;

use super::backup::{ann, back_up_to, names};
use super::*;
use crate::backup::{Vacuumed, back_up, restore, vacuum};
use crate::inspect::{check, stats};

/// Returns the newest action of the store at the home's URL.
async fn newest_action(home: &Home) -> Action {
    let store = home.serve().await;
    let newest = store.actions(&crate::ActionFilter::default(), None, 1).await.unwrap().actions.remove(0);
    store.close().await;
    newest
}

#[tokio::test]
async fn a_restore_and_a_vacuum_are_logged_in_the_store_that_they_make() {
    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    home.dead(&store).await;
    back_up_to(&home, "copy.db").await.unwrap();
    store.operator(ann()).cancel(home.queued(&store).await).await.unwrap();
    store.close().await;
    let copy = home.folder.path().join("copy.db");
    home.pass(Duration::from_secs(3_600));
    let restored = restore(&home.url(), &copy, home.now(), &ann()).unwrap();
    assert_eq!((restored.served_until, restored.is_logged), (Some(START), true));
    assert_eq!(verify(&copy), (2, 0), "the backup is unchanged");

    let action = newest_action(&home).await;
    let bytes = fs::metadata(&copy).unwrap().len();
    let target = format!("{}, served until 2023-11-14T22:13:20Z, {bytes} bytes", copy.display());
    assert_eq!((action.what.as_str(), action.target, action.jobs), ("restore", Some(target), 2));
    assert_eq!((action.at, action.by), (home.now(), ann()));

    let Vacuumed { before, after, .. } = vacuum(&home.url(), home.now(), &ann()).unwrap();
    assert_eq!(fs::metadata(home.file()).unwrap().len(), after);
    let action = newest_action(&home).await;
    assert_eq!(action.target.unwrap(), format!("{before} bytes before, {after} after"));
    assert_eq!(verify(&home.file()), (2, 2), "the cancelled job is only in the replaced store");
}

/// The numbers of jobs and of actions in a file.
fn verify(path: &Path) -> (u64, i64) {
    let jobs = crate::sqlite::file::verify::verify(path, || false).unwrap().jobs;
    let connection = rusqlite::Connection::open(path).unwrap();
    (jobs, connection.query_row("SELECT count(*) FROM actions", [], |row| row.get(0)).unwrap())
}

#[tokio::test]
async fn a_backup_from_before_the_log_of_actions_is_restored_without_a_record() {
    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    back_up_to(&home, "copy.db").await.unwrap();
    store.close().await;
    let copy = home.folder.path().join("copy.db");
    let old = rusqlite::Connection::open(&copy).unwrap();
    let earlier =
        "DROP TABLE bulk_changes; DROP TABLE actions; DELETE FROM _sqlx_migrations WHERE version = 6";
    old.execute_batch(earlier).unwrap();
    drop(old);
    let restored = restore(&home.url(), &copy, START, &ann()).unwrap();
    assert_eq!((restored.copied.jobs, restored.is_logged), (1, false));
    assert!(!vacuum(&home.url(), START, &ann()).unwrap().is_logged);
    let store = home.serve().await;
    assert_eq!(store.actions(&crate::ActionFilter::default(), None, 1).await.unwrap().actions, []);
}

#[tokio::test]
async fn a_failed_restore_leaves_the_store_and_its_log() {
    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    back_up_to(&home, "copy.db").await.unwrap();
    store.operator(ann()).cancel(home.queued(&store).await).await.unwrap();
    store.close().await;
    let copy = home.folder.path().join("copy.db");
    let foreign = "CREATE TRIGGER refuse BEFORE INSERT ON actions BEGIN SELECT RAISE(ABORT, 'no'); END";
    rusqlite::Connection::open(&copy).unwrap().execute_batch(foreign).unwrap();
    let error = restore(&home.url(), &copy, START, &ann()).unwrap_err().to_string();
    assert!(error.contains("trigger refuse is not part of a store"), "{error}");
    assert_eq!(names(&home), ["bridge.db", "bridge.db.lock", "copy.db"]);
    assert_eq!(newest_action(&home).await.what, "jobs cancel");
}

#[tokio::test]
async fn what_is_not_a_store_is_neither_replaced_nor_rewritten() {
    let home = Home::new();
    let store = home.serve().await;
    back_up_to(&home, "copy.db").await.unwrap();
    store.close().await;
    let copy = home.folder.path().join("copy.db");
    let other = home.folder.path().join("other.db");
    let url = format!("sqlite:{}", other.display());
    let sql = |sql: &str| rusqlite::Connection::open(&other).unwrap().execute_batch(sql).unwrap();
    let restored = || restore(&url, &copy, START, &ann()).map_err(|error| error.to_string());
    let commands = || {
        let errors = [
            vacuum(&url, START, &ann()).err(),
            check(&url).err(),
            stats(&url, START).err(),
            back_up(&url, &home.folder.path().join("new.db"), || false).err(),
        ];
        errors.map(|error| error.map(|error| error.to_string()).unwrap_or_default())
    };
    let expect = |expected: &str, commands: [String; 4]| {
        for error in commands {
            assert!(
                error.contains(expected) && error.contains(&*other.to_string_lossy()),
                "{expected}: {error}"
            );
            assert!(!error.contains("other.db.") && !error.contains(".partial"), "{error}");
        }
    };

    fs::create_dir(&other).unwrap();
    assert!(restored().unwrap_err().contains("it is a folder: set store.url to a file in it"));
    expect("it is a folder", commands());
    fs::remove_dir(&other).unwrap();

    sql("CREATE TABLE other (x); PRAGMA journal_mode = WAL");
    assert!(restored().unwrap_err().contains("another program's database: set store.url"));
    expect("another program's database", commands());

    fs::copy(&copy, &other).unwrap();
    sql("UPDATE _sqlx_migrations SET version = 99 WHERE version = 2");
    expect("newer version", commands());
    restored().expect("a backup is the way back from a newer version");
    assert_eq!(commands(), [const { String::new() }; 4]);
}

#[test]
fn until_a_restore_ends_the_store_has_both_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bridge.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE jobs (x)").unwrap();
    let aside = crate::sqlite::file::replace::put_aside(&path, "then").unwrap().unwrap();
    assert_eq!(aside, folder.path().join("bridge.db.before-restore-then"));
    assert_eq!(
        fs::read(&aside).unwrap(),
        fs::read(&path).unwrap(),
        "after a crash here, a start finds the store"
    );
}
