//! Maintenance: deletions, partitions, the owner's lock.

use super::conformance::*;
use crate::maintenance::chunks::{CHUNK_ROWS, CHUNKS_PER_TICK};
use crate::postgres::maintenance::delete::Walks;
use crate::postgres::maintenance::partitions;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The number of rows of the tables that belong to jobs, and of the jobs.
async fn rows(home: &Home) -> i64 {
    let tables = ["jobs", "job_bodies", "other_attempts", "notes"]
        .map(|table| format!("(SELECT count(*) FROM {table})"));
    home.number(&format!("SELECT {}", tables.join(" + "))).await
}

#[tokio::test]
async fn a_deleted_job_leaves_nothing_behind() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let id = job.id;
    let failed = Attempt { error: Some("no".into()), ..attempt(Stage::Delivery, 1, AttemptResult::Retry) };
    let next = AfterDelivery::Dead { answer_lost: false };
    let report = DeliveryReport { job, attempt: Some(failed), next, error: Some("no".into()) };
    store.jobs().sent(report).await.unwrap();
    store.callbacks().note(id, "seen").await.unwrap();
    assert!(rows(&home).await > 3);
    home.pass(Duration::from_secs(1));
    let before = store.0.moment().cutoff(Duration::ZERO);
    assert_eq!(store.0.delete_finished(before).await, Ok(1));
    assert_eq!(rows(&home).await, 0);
    assert_eq!(home.number("SELECT sum(stored)::bigint FROM account_bytes").await, 0);
    assert_eq!(count(&store, StateName::Dead).await, 0);
}

#[tokio::test]
async fn many_finished_jobs_are_deleted_in_steps() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    home.dead(&store).await;
    let jobs = i64::from(CHUNKS_PER_TICK) * CHUNK_ROWS + 7;
    home.run(&format!(
        "INSERT INTO jobs (id, state, handler, account_id, origin, return_url, received_at, waiting_since, answer_by, \
         body_bytes, finished_at, finished_service_at) \
         SELECT gen_random_uuid(), 'cancelled', 'greet', 7, '', '', 1, 1, 1, 1, 1, -9000000 FROM generate_series(1, {jobs})"
    ))
    .await;
    home.run("UPDATE job_counts SET jobs = 1000000 WHERE state = 'cancelled'").await;
    let left = async || home.number("SELECT count(*) FROM jobs WHERE state = 'cancelled'").await;
    let mut walks = Walks::default();
    let engine = store.postgres();
    let mut delete = async || engine.delete(&mut walks, engine.moment(), LEASE.into()).await;
    assert_eq!(delete().await, Ok(true), "there is more to delete");
    assert_eq!(left().await, 7);
    assert_eq!(delete().await, Ok(false));
    assert_eq!(left().await, 0);
    assert_eq!(count(&store, StateName::Dead).await, 1, "it is too young");
}

#[tokio::test]
async fn only_empty_partitions_of_past_days_are_dropped() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    let mut raw = home.raw().await;
    let today = "SELECT (to_regclass('jobs_20231114') IS NOT NULL)::int::bigint";
    let later = START + 10 * DAY;
    let (created, dropped) = partitions::keep(&mut raw, later).await.unwrap();
    assert_eq!(created, 5 * 9, "from the day before until seven days after");
    assert_eq!(home.number(today).await, 1, "it has a job");
    assert_eq!(state(&store, dead).await, StateName::Dead);
    assert_eq!(dropped, 5 * 9 - 4, "all but those of the job");
    home.pass(DAY);
    assert_eq!(store.0.delete_finished(store.0.moment().cutoff(Duration::ZERO)).await, Ok(1));
    store.0.forget_keys(over(&store)).await.unwrap();
    let (created, dropped) = partitions::keep(&mut raw, later).await.unwrap();
    assert_eq!((created, dropped), (0, 4), "those of the job, its bodies, its attempt and its key");
    assert_eq!(home.number(today).await, 0);
    let id = home.queued(&store).await;
    assert_eq!(state(&store, id).await, StateName::Queued, "its day has no partition");
}

#[tokio::test]
async fn the_owner_takes_its_lock_again_when_the_connection_broke() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    let mut ticks = store.ticks(DAY);
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(home.number(held).await, 1);
    home.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE '%(owner)'",
    )
    .await;
    assert_eq!(home.number(held).await, 0);
    for _ in 0..2 {
        home.pass(Duration::from_secs(1));
        ticks.tick().await;
    }
    assert_eq!(home.number(held).await, 1);
    home.queued(&store).await;
}
