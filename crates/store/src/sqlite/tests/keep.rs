//! Maintenance: deletions, leases, and changes by other processes.

use super::*;
use crate::maintenance::bodies::Walked;
use crate::maintenance::chunks::{CHUNK_ROWS, CHUNKS_PER_TICK};
use crate::sqlite::maintenance::delete::{DeleteFinished, Deleted};
use crate::tests::keep::{MaintenanceTask, until};

async fn attempts_left(home: &Home) -> i64 {
    home.number("SELECT count(*) FROM attempts").await
}

#[tokio::test]
async fn finished_jobs_are_deleted_with_their_attempts_after_the_retention() {
    let home = Home::new();
    let store = home.serve().await;
    let (old, unfinished) = (home.dead(&store).await, home.waiting(&store).await);
    home.pass(Duration::from_secs(100));
    let young = home.dead(&store).await;
    let delete = |before| store.sqlite().execute(DeleteFinished { before: cutoff(before) });
    assert_eq!(delete(START).await, Ok(Deleted { jobs: 0, more: false }));
    assert_eq!(delete(START + Duration::from_secs(100)).await, Ok(Deleted { jobs: 1, more: false }));
    assert_eq!(store.jobs().get(old).await, Ok(None));
    assert_eq!(attempts_left(&home).await, 3);
    assert_eq!(state(&store, young).await, StateName::Dead);
    assert_eq!(state(&store, unfinished).await, StateName::Delivering);
    assert_eq!((count(&store, StateName::Dead).await, count(&store, StateName::Delivering).await), (1, 1));
}

#[tokio::test]
async fn the_retention_deletes_in_chunks_until_all_are_gone() {
    let home = Home::new();
    let store = home.serve().await;
    let jobs = usize::try_from(CHUNK_ROWS).unwrap() + 20;
    let ids = futures_util::future::join_all((0..jobs).map(|_| home.queued(&store))).await;
    futures_util::future::join_all(ids.iter().map(|id| store.jobs().cancel(*id))).await;
    assert_eq!(count(&store, StateName::Cancelled).await, jobs as u64);
    let first =
        store.sqlite().execute(DeleteFinished { before: cutoff(START + Duration::from_secs(1)) }).await;
    assert_eq!(first, Ok(Deleted { jobs: CHUNK_ROWS.unsigned_abs(), more: true }));
    let maintenance = MaintenanceTask::start(&store, Duration::from_secs(3_600));
    home.pass(Duration::from_secs(3_600));
    until(&home, &store, async || count(&store, StateName::Cancelled).await == 0).await;
    maintenance.stop().await;
    assert_eq!(home.number("SELECT count(*) FROM jobs").await, 0);
}

#[tokio::test]
async fn a_step_that_keeps_failing_does_not_block_other_maintenance() {
    let home = Home::new();
    let store = home.serve().await;
    let refuse = "BEGIN SELECT RAISE(ABORT, 'refused'); END";
    home.run(&format!("CREATE TRIGGER no_keys BEFORE INSERT ON idempotency_keys {refuse}")).await;
    let running = home.running(&store).await;
    home.dead(&store).await;
    let maintenance = MaintenanceTask::start(&store, Duration::from_secs(10));
    until(&home, &store, async || {
        count(&store, StateName::Dead).await == 0 && state(&store, running.id).await == StateName::Queued
    })
    .await;
    assert!(home.number("SELECT count(*) FROM recent_keys").await > 0, "they cannot be moved");
    maintenance.stop().await;
}

#[tokio::test]
async fn maintenance_checkpoints_the_log() {
    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    let before = std::fs::metadata(home.file()).unwrap().len();
    for _ in 0..20 {
        let mut request = home.request();
        request.request.data = "x".repeat(4_096).into();
        accept(&store, request).await;
    }
    assert_eq!(std::fs::metadata(home.file()).unwrap().len(), before, "commits do not wait for a checkpoint");
    let maintenance = MaintenanceTask::start(&store, Duration::from_secs(3_600));
    until(&home, &store, async || std::fs::metadata(home.file()).unwrap().len() > before).await;
    maintenance.stop().await;
}

#[tokio::test]
async fn aborted_maintenance_can_run_again() {
    let home = Home::new();
    let store = home.serve().await;
    home.dead(&store).await;
    for _ in 0..2 {
        // A panic drops the future at an await point as well.
        let maintenance = MaintenanceTask::start(&store, Duration::from_secs(3_600));
        home.pass(Duration::from_secs(1));
        store.probe().await.unwrap();
        assert!(!maintenance.task.is_finished());
        maintenance.task.abort();
        assert!(maintenance.task.await.unwrap_err().is_cancelled());
    }
    home.pass(Duration::from_secs(3_600));
    let maintenance = MaintenanceTask::start(&store, Duration::from_secs(3_600));
    until(&home, &store, async || attempts_left(&home).await == 0).await;
    maintenance.stop().await;
}

#[tokio::test]
async fn many_finished_jobs_are_deleted_in_steps() {
    let home = Home::new();
    let store = home.serve().await;
    home.dead(&store).await;
    let (chunks, chunk) = (i64::from(CHUNKS_PER_TICK), CHUNK_ROWS);
    home.run(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
         INSERT INTO jobs (id, state, handler, account_id, origin, return_url, data, received_at, \
         waiting_since, answer_by, finished_at, finished_service_at) \
         SELECT randomblob(16), 'cancelled', 'greet', 7, '', '', '1', 1, 1, 1, 1, -9000000 FROM n",
        chunks * chunk + 7
    ))
    .await;
    home.run("UPDATE job_counts SET jobs = 1000000 WHERE state = 'cancelled'").await;
    let left = async || home.number("SELECT count(*) FROM jobs WHERE state = 'cancelled'").await;
    let delete =
        async || store.sqlite().delete(&mut Walked::default(), store.sqlite().moment(), LEASE.into()).await;
    assert_eq!(delete().await, Ok(true), "there is more to delete");
    assert_eq!(left().await, 7);
    assert_eq!(delete().await, Ok(false));
    assert_eq!(left().await, 0);
}
