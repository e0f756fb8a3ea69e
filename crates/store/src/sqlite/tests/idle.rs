//! Maintenance of an idle store: it sleeps until something changes, and gives memory back.

use super::*;
use crate::sqlite::jobs::lane_reload::ReloadLanesIfChanged;
use crate::tests::bodies::{bare, delivered};
use crate::tests::keep::MaintenanceTask;

#[tokio::test]
async fn only_transactions_that_change_something_wake_maintenance() {
    let home = Home::new();
    let store = home.serve().await;
    let count = || store.sqlite().changes.count();
    let before = count();
    store.sqlite().free_leases(Some(home.now()), home.now()).await.unwrap();
    store.sqlite().execute(ReloadLanesIfChanged { seen: None }).await.unwrap();
    assert_eq!(count(), before);
    home.queued(&store).await;
    assert_eq!(count(), before + 1);
    store.probe().await.unwrap();
    assert_eq!(count(), before + 2);
}

#[tokio::test]
async fn a_commit_is_checkpointed_soon_after_a_long_idle_time() {
    let home = Home::new();
    let store = home.serve().await;
    let maintenance = MaintenanceTask::start(&store, Duration::from_secs(3_600));
    for _ in 0..20 {
        home.pass(Duration::from_secs(1));
        home.number("SELECT count(*) FROM jobs").await;
    }
    let length = || std::fs::metadata(home.file()).unwrap().len();
    let before = length();
    let mut request = home.request();
    request.request.data = "x".repeat(100_000).into();
    accept(&store, request).await;
    // Far less than the time between the checkpoints of an idle store.
    for _ in 0..40 {
        home.pass(Duration::from_millis(50));
        home.number("SELECT count(*) FROM jobs").await;
    }
    assert!(length() > before, "{before}");
    maintenance.stop().await;
}

#[tokio::test]
async fn changes_by_other_processes_are_checkpointed_too() {
    let home = Home::new();
    let store = home.serve().await;
    let maintenance = MaintenanceTask::start(&store, Duration::from_secs(3_600));
    // The checkpoints of the start.
    for _ in 0..3 {
        home.pass(Duration::from_millis(100));
        home.number("SELECT count(*) FROM jobs").await;
    }
    let mut raw = home.raw().await;
    for sql in ["PRAGMA wal_autocheckpoint = 0", "CREATE TABLE bulk (x)"] {
        sqlx::query(sql).execute(&mut raw).await.unwrap();
    }
    let before = std::fs::metadata(home.file()).unwrap().len();
    sqlx::query("INSERT INTO bulk VALUES (zeroblob(1000000))").execute(&mut raw).await.unwrap();
    for _ in 0..30 {
        home.pass(Duration::from_secs(1));
        home.number("SELECT count(*) FROM jobs").await;
    }
    assert!(std::fs::metadata(home.file()).unwrap().len() > before);
    maintenance.stop().await;
}

#[tokio::test]
async fn gathered_keys_are_moved_when_the_store_becomes_idle() {
    let home = Home::new();
    let store = home.serve().await;
    let mut ticks = store.ticks(Duration::from_secs(3_600));
    futures_util::future::join_all((0..600).map(|_| home.queued(&store))).await;
    ticks.tick().await;
    assert_eq!(home.number("SELECT count(*) FROM recent_keys").await, 600, "keys gather while jobs arrive");
    // The regular move is much later.
    for _ in 0..20 {
        ticks.tick().await;
    }
    assert_eq!(home.number("SELECT count(*) FROM recent_keys").await, 0);
    assert_eq!(home.number("SELECT count(*) FROM idempotency_keys").await, 600);
}

#[tokio::test]
async fn budgets_are_enforced_after_a_new_limit_and_after_a_change_by_another_process() {
    let home = Home::new();
    let store = home.serve().await;
    let mut ticks = store.ticks(Duration::from_secs(1 << 20));
    let first = delivered(&home, &store, 7).await;
    for _ in 0..6 {
        ticks.tick().await;
    }
    assert_eq!(bare(&store).await, [].into());
    store.maintenance().set_budget(Budget { stored: 1, ..Budget::default() });
    for _ in 0..6 {
        ticks.tick().await;
    }
    assert_eq!(bare(&store).await, [first].into());

    store.maintenance().set_budget(Budget::default());
    let second = delivered(&home, &store, 8).await;
    for _ in 0..6 {
        ticks.tick().await;
    }
    assert_eq!(bare(&store).await, [first].into());
    let huge = "UPDATE account_bytes SET stored = stored + (1 << 60) WHERE account_id = 8";
    assert_eq!(home.run(huge).await, 1);
    for _ in 0..6 {
        ticks.tick().await;
    }
    assert_eq!(bare(&store).await, [first, second].into());
}
