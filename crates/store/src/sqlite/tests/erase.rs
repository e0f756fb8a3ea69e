//! Erasures in the file: which texts are left anywhere in it, and what the writer overwrites.

use super::*;
use crate::tests::erase::{by, erase, lead};

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
    let mut raw = home.raw().await;
    let sql =
        "SELECT m.name, p.name FROM sqlite_schema m, pragma_table_xinfo(m.name) p WHERE m.type = 'table'";
    let columns: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut raw).await.unwrap();
    let mut found = Vec::new();
    for (table, column) in columns {
        let sql = format!("SELECT count(*) FROM \"{table}\" WHERE instr(\"{column}\", '{MARK}') > 0");
        if home.number(&sql).await > 0 {
            found.push(format!("{table}.{column}"));
        }
    }
    found
}

#[tokio::test]
async fn no_column_of_any_table_keeps_a_text_of_an_erased_job() {
    let home = Home::new();
    let store = home.serve().await;
    telling(&home, &store).await;
    home.run(&format!(
        "UPDATE jobs SET outcome = 'fallback', fallback_reason = 'refused', earlier_data = '[\"{MARK}\"]', \
         handler_completion = '{{\"data\":\"{MARK}\"}}'"
    ))
    .await;
    let before = marked(&home).await;
    let expected = [
        "jobs.last_error",
        "jobs.data",
        "jobs.earlier_data",
        "jobs.completion",
        "jobs.handler_completion",
        "other_attempts.error",
        "notes.note",
        "error_groups.text",
    ];
    assert_eq!(before, expected, "the test covers every column that can hold such a text");
    assert_eq!(erase(&store, Erasure::new(Some(lead(5)), None), false).await, (1, 0));
    assert_eq!(marked(&home).await, Vec::<String>::new());
}

/// Earlier copies of a row can be in pages that became free before. They stay until SQLite uses those pages again, so
/// the job of this test has only one.
#[tokio::test]
async fn the_pages_of_erased_texts_are_overwritten() {
    let home = Home::new();
    let store = home.serve().await;
    let mut request = home.request();
    // A long text is in pages of its own.
    request.request.data = "x".repeat(20_000).into();
    accept(&store, request).await;
    assert_eq!(erase(&store, Erasure::new(Some(lead(5)), None), true).await, (1, 0));
    store.close().await;
    let file = std::fs::read(home.file()).unwrap();
    let text = "x".repeat(200);
    assert!(!file.windows(text.len()).any(|part| part == text.as_bytes()));
}

#[tokio::test]
async fn the_writer_overwrites_only_while_it_erases() {
    let home = Home::new();
    let store = home.serve().await;
    telling(&home, &store).await;
    erase(&store, Erasure::new(Some(lead(5)), None), false).await;
    store.sqlite().sql("CREATE TABLE mode AS SELECT secure_delete FROM pragma_secure_delete").await.unwrap();
    assert_eq!(home.number("SELECT secure_delete FROM mode").await, 0);
}

#[tokio::test]
async fn the_log_of_actions_keeps_the_newest_and_those_that_continue() {
    let home = Home::new();
    let store = home.serve().await;
    let by = store.operator(Actor::new(ActionSource::Cli, "ann"));
    let running = by.begin_erasure(Erasure::new(Some(lead(5)), None).unwrap(), false).await.unwrap();
    home.run(
        "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 10200) \
         INSERT INTO actions (id, at, source, who, what, jobs, result) SELECT i, 1, 'cli', 'ann', 'x', 0, 'done' FROM n",
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
    let store = home.serve().await;
    home.run(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500) \
         INSERT INTO jobs (id, state, handler, account_id, origin, return_url, data, last_error, received_at, \
         waiting_since, answer_by, finished_at, finished_service_at) \
         SELECT randomblob(16), 'cancelled', 'greet', 8, '', '', '1', 'why', 1, 1, 1, 1, 1 FROM n",
    )
    .await;
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
    assert_eq!(
        home.number("SELECT count(*) FROM jobs WHERE data IS NOT NULL OR last_error IS NOT NULL").await,
        0
    );
    observer.close().await;
}
