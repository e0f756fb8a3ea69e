//! Erasures in the database: which texts are left anywhere in it, and how two processes share one.

use super::conformance::erase::{by, erase, lead};
use super::conformance::*;

/// A text that occurs nowhere else.
const MARK: &str = "the-words-of-a-customer";

/// Adds a dead job whose every text contains [`MARK`].
async fn telling(home: &Home, store: &Store) -> JobId {
    let mut request = home.request();
    request.request.data = json!({ "text": MARK });
    let id = accept(store, request).await;
    let job = store.jobs().claim_work("greet".into(), 1, LEASE).await.unwrap().remove(0);
    store.callbacks().note(id, MARK).await.unwrap();
    let next = AfterHandler::Deliver(prepared(MARK));
    let mut failed = attempt(Stage::Handler, 1, AttemptResult::Retry);
    failed.error = Some(MARK.into());
    let report = HandlerReport { job, attempt: Some(failed), next, error: Some(MARK.into()) };
    store.jobs().handled(report).await.unwrap();
    let [job] = due_deliveries(store).await.try_into().unwrap();
    let mut failed = attempt(Stage::Delivery, 1, AttemptResult::Fail);
    failed.error = Some(MARK.into());
    let next = AfterDelivery::Dead { answer_lost: false };
    store
        .jobs()
        .sent(DeliveryReport { job, attempt: Some(failed), next, error: Some(MARK.into()) })
        .await
        .unwrap();
    id
}

/// Returns the columns of all tables that contain [`MARK`], as `table.column`.
async fn marked(home: &Home) -> Vec<String> {
    let columns = home
        .texts(
            "SELECT table_name || '.' || column_name FROM information_schema.columns JOIN pg_class \
             ON relname = table_name AND relkind IN ('r', 'p') AND NOT relispartition \
             WHERE table_schema = 'public' ORDER BY table_name, ordinal_position",
        )
        .await;
    let mut found = Vec::new();
    for column in columns {
        let table = column.split('.').next().unwrap();
        let sql = format!("SELECT count(*) FROM {table} WHERE position('{MARK}' IN {column}::text) > 0");
        if home.number(&sql).await > 0 {
            found.push(column);
        }
    }
    found
}

#[tokio::test]
async fn no_column_of_any_table_keeps_a_text_of_an_erased_job() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    telling(&home, &store).await;
    home.run("UPDATE jobs SET outcome = 'fallback', fallback_reason = 'refused'").await;
    home.run(&format!(
        "INSERT INTO job_bodies (id, kind, body) SELECT id, kind, '[\"{MARK}\"]' FROM jobs, unnest('{{1,3}}'::smallint[]) AS kind"
    ))
    .await;
    let before = marked(&home).await;
    let expected =
        ["error_groups.text", "job_bodies.body", "jobs.last_error", "notes.note", "other_attempts.error"];
    assert_eq!(before, expected, "the test covers every column that can hold such a text");
    assert_eq!(erase(&store, Erasure::new(Some(lead(5)), None), false).await, (1, 0));
    assert_eq!(marked(&home).await, Vec::<String>::new());
    assert_eq!(home.number("SELECT count(*) FROM job_bodies").await, 0);
}

#[tokio::test]
async fn the_log_of_actions_keeps_the_newest_and_those_that_continue() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    let by = store.operator(Actor::new(ActionSource::Cli, "ann"));
    let running = by.begin_erasure(Erasure::new(Some(lead(5)), None).unwrap(), false).await.unwrap();
    home.run(
        "INSERT INTO actions (at, source, who, what, jobs, result) \
         SELECT 1, 'cli', 'ann', 'x', 0, 'done' FROM generate_series(1, 10100)",
    )
    .await;
    by.record(ActionKind::Backup, "a", ActionResult::Done).await.unwrap();
    assert_eq!(home.number("SELECT count(*) FROM actions WHERE what <> 'jobs erase'").await, 10_000);
    assert_eq!(by.bulk(running).await.unwrap().unwrap().state, ActionResult::Running);
    by.stop_bulk(running).await.unwrap();
    assert_eq!(by.bulk(running).await.unwrap(), None, "it ended, and is no longer among the newest");
}

#[tokio::test]
async fn an_erasure_continues_after_a_restart_and_two_processes_may_share_it() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    home.run(
        "INSERT INTO jobs (id, state, handler, account_id, origin, return_url, last_error, received_at, \
         waiting_since, answer_by, finished_at, finished_service_at, body_bytes) \
         SELECT gen_random_uuid(), 'cancelled', 'greet', 8, '', '', 'why', 1, 1, 1, 1, 1, 1 FROM generate_series(1, 4500)",
    )
    .await;
    home.run("INSERT INTO job_bodies (id, kind, body) SELECT id, 0, '1' FROM jobs").await;
    let id = by(&store).begin_erasure(Erasure::new(None, Some(AccountId(8))).unwrap(), false).await.unwrap();
    let bulk = by(&store).bulk(id).await.unwrap().unwrap();
    let after = by(&store).step_bulk(bulk.clone()).await.unwrap();
    assert_eq!((after.state, after.changed), (ActionResult::Running, 2_001));
    store.close().await;

    let store = home.serve().await;
    let observer = home.open(Role::Observer).await.unwrap();
    let second = by(&observer).step_bulk(after).await.unwrap();
    assert_eq!(second.changed, 4_002);
    // A process that has not seen these steps comes too late.
    assert_eq!(by(&observer).step_bulk(bulk).await.unwrap(), second);
    let mut ticks = store.ticks(Duration::from_secs(3_600));
    ticks.tick().await;
    let bulk = by(&store).bulk(id).await.unwrap().unwrap();
    assert_eq!((bulk.state, bulk.changed, bulk.skipped), (ActionResult::Done, 4_500, 0));
    let left = "SELECT (SELECT count(*) FROM job_bodies) + count(*) FROM jobs \
         WHERE NOT bodies_dropped OR last_error IS NOT NULL";
    assert_eq!(home.number(left).await, 0);
    observer.close().await;
}
