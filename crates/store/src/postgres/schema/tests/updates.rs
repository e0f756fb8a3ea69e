//! The updates of a job before it ends change no index.

use super::*;

#[tokio::test]
async fn the_updates_of_an_unfinished_job_change_no_index() {
    let Some(database) = testing::database() else { return };
    let mut connection = connect(&database).await;
    queued(&mut connection, first_id(START)).await;
    let updates = [
        "state = 'running', due_at = NULL, lease_until = 5, fence = 1",
        "state = 'queued', due_at = 7, lease_until = NULL, handler_attempts = 1, last_error = 'no'",
        "state = 'running', due_at = NULL, lease_until = 9, fence = 2",
        "state = 'awaiting_callback', lease_until = NULL",
        "state = 'delivering', due_at = 9, outcome = 'handler', handled_at = 1, handled_ms = 1, handler_attempts = 2, \
         body_bytes = 30",
        "lease_until = 20, fence = 3",
        "lease_until = NULL, failures = 1, failing_since = 11, due_at = 12, tried = true, answer_lost = true",
        "lease_until = 20, fence = 4",
    ];
    for (done, update) in (1..).zip(updates) {
        // The server counts them for the session, and adds them to its statistics from time to time between transactions.
        let hot = "SELECT pg_stat_get_xact_tuples_hot_updated('jobs_20231114'::regclass)";
        run(&mut connection, "BEGIN").await;
        let before = number(&mut connection, hot).await;
        run(&mut connection, format!("UPDATE jobs SET {update}")).await;
        assert_eq!(number(&mut connection, hot).await, before + 1, "update {done}: {update}");
        run(&mut connection, "COMMIT").await;
    }
    let end =
        "state = 'delivered', due_at = NULL, lease_until = NULL, finished_at = 20, finished_service_at = 20";
    run(&mut connection, format!("UPDATE jobs SET {end}")).await;
    assert_eq!(number(&mut connection, "SELECT count(*) FROM jobs WHERE ended = 'delivered'").await, 1);
}
