//! The schema refuses the states that the types refuse.

use super::*;

/// Each row violates exactly one CHECK.
const REFUSED: &[(StateName, &str)] = &[
    (StateName::Queued, "state = 'asleep'"),
    (StateName::Queued, "handler = ''"),
    (StateName::Queued, "id = x'00'"),
    (StateName::Queued, "crashes = -1"),
    (StateName::Queued, "handler_attempts = -1"),
    (StateName::Queued, "delivery_attempts = -1"),
    (StateName::Queued, "failures = -1, failing_since = 1"),
    (StateName::Queued, "answer_lost = 2"),
    (StateName::Queued, "tried = 2"),
    (StateName::Queued, "superseded_by = x'00'"),
    (StateName::Queued, "handler_completion = '{}'"),
    (StateName::Delivering, "handler_completion = '{}'"),
    (StateName::Dead, "handler_completion = '{}'"),
    (StateName::Delivered, "data = NULL, completion = NULL, outcome = 'fallback', handler_completion = '{}'"),
    (StateName::Queued, "entity_id = NULL"),
    (StateName::Queued, "entity_type = NULL"),
    (StateName::Queued, "due_at = NULL"),
    (StateName::Queued, "turn = 0"),
    (StateName::Queued, "coalesce_ms = 5"),
    (StateName::Queued, "turn = 1, coalesce_ms = 0"),
    (StateName::Queued, "turn = 1, entity_type = NULL, entity_id = NULL"),
    (StateName::Queued, "joined_into = id"),
    (StateName::Delivering, "joined_into = x'00'"),
    (StateName::Delivering, "turn = 1"),
    (StateName::Dead, "turn = 1"),
    (StateName::Delivered, "data = NULL, completion = NULL, earlier_data = '[]'"),
    (StateName::Queued, "finished_at = 1, finished_service_at = 1"),
    (StateName::Queued, "lease_until = 1"),
    (StateName::Queued, "completion = '{}', outcome = 'handler'"),
    (StateName::Queued, "data = NULL"),
    (StateName::Queued, "outcome = 'handler'"),
    (StateName::Delivering, "data = NULL"),
    (StateName::Dead, "data = NULL"),
    (StateName::Delivered, "data = NULL"),
    (StateName::Delivered, "completion = NULL"),
    (StateName::Delivered, "data = NULL, completion = NULL, outcome = NULL"),
    (StateName::Queued, "received_at = 'yesterday'"),
    (StateName::Queued, "waiting_since = NULL"),
    (StateName::Queued, "finished_service_at = 1"),
    (StateName::Dead, "finished_service_at = NULL"),
    (StateName::Running, "lease_until = NULL"),
    (StateName::Running, "due_at = 1"),
    (StateName::Running, "finished_at = 1, finished_service_at = 1"),
    (StateName::Running, "completion = '{}', outcome = 'handler'"),
    (StateName::Delivering, "completion = NULL"),
    (StateName::Delivering, "outcome = NULL"),
    (StateName::Delivering, "completion = NULL, outcome = NULL"),
    (StateName::Delivering, "outcome = 'unknown'"),
    (StateName::Delivering, "outcome = 'fallback'"),
    (StateName::Delivering, "fallback_reason = 'failed'"),
    (StateName::Delivering, "outcome = 'fallback', fallback_reason = 'bad luck'"),
    (StateName::Queued, "fallback_reason = 'failed'"),
    (StateName::Delivering, "due_at = NULL"),
    (StateName::Delivering, "finished_at = 1, finished_service_at = 1"),
    (StateName::Delivering, "failures = 1"),
    (StateName::Delivering, "failing_since = 1"),
    (StateName::Dead, "finished_at = NULL, finished_service_at = NULL"),
    (StateName::Dead, "due_at = 1"),
    (StateName::Dead, "lease_until = 1"),
    (StateName::Dead, "completion = NULL, outcome = NULL"),
    (StateName::Queued, "handled_at = 1, handled_ms = 1, handler_attempts = 1"),
    (StateName::Running, "handled_at = 1, handled_ms = 1, handler_attempts = 1"),
    (StateName::Delivered, "handled_at = 1, handled_ms = 1, handler_attempts = 0"),
    (StateName::Delivered, "handled_at = 1, handled_ms = NULL"),
    (StateName::Delivered, "handled_at = NULL, handled_ms = 1"),
    (StateName::Delivered, "handled_at = 1, handled_ms = -1"),
    (StateName::Gone, "accepted_at = 1, accepted_ms = 1, delivery_attempts = 1"),
    (StateName::Delivered, "accepted_at = 1, accepted_ms = 1, delivery_attempts = 0"),
    (StateName::Delivered, "accepted_at = 1, accepted_ms = NULL"),
    (StateName::Delivered, "accepted_at = NULL, accepted_ms = 1"),
    (StateName::Delivered, "accepted_at = 1, accepted_ms = -1"),
    (StateName::Delivered, "accepted_at = NULL, accepted_ms = NULL, accepted_status = 202"),
    (StateName::Delivered, "accepted_at = 1, accepted_ms = 1, delivery_attempts = 1, accepted_status = 99"),
    (StateName::Cancelled, "finished_at = NULL, finished_service_at = NULL"),
    (StateName::Cancelled, "due_at = 1"),
    (StateName::Cancelled, "lease_until = 1"),
];

async fn refuses(raw: &mut SqliteConnection, sql: String) {
    let error = sqlx::query(AssertSqlSafe(sql.clone())).execute(raw).await.err();
    let error = error.unwrap_or_else(|| panic!("{sql}")).to_string();
    let refusal = ["CHECK constraint failed", "NOT NULL constraint failed", "cannot store"];
    assert!(refusal.iter().any(|text| error.contains(text)), "{sql}: {error}");
}

#[tokio::test]
async fn every_check_of_a_job_rejects_bad_rows() {
    let home = Home::new();
    let store = home.serve().await;
    home.dead(&store).await;
    for next in [AfterDelivery::Delivered, AfterDelivery::Gone] {
        store.jobs().sent(sent(home.delivering(&store).await, next)).await.unwrap();
    }
    home.delivering(&store).await;
    home.running(&store).await;
    store.jobs().cancel(home.queued(&store).await).await.unwrap();
    home.queued(&store).await;
    let mut raw = home.raw().await;
    for (state, change) in REFUSED {
        refuses(&mut raw, format!("UPDATE jobs SET {change} WHERE state = '{state}'")).await;
    }
    for change in [
        "stage = 'lunch'",
        "number = 0",
        "duration_ms = -1",
        "result = 'maybe'",
        "status = 99",
        "status = 1000",
    ] {
        refuses(&mut raw, format!("UPDATE other_attempts SET {change}")).await;
    }
    let group = "INSERT INTO error_groups (stage, handler, text, failures, first_at, last_at, last_service_at, sample) \
         VALUES ('handler', 'greet', 'a', 1, 1, 1, 1, x'00000000000000000000000000000000')";
    sqlx::query(group).execute(&mut raw).await.unwrap();
    let hour = "INSERT INTO error_hours (group_id, hour, failures) SELECT id, 1, 1 FROM error_groups";
    sqlx::query(hour).execute(&mut raw).await.unwrap();
    for change in [
        "stage = 'lunch'",
        "handler = hex(zeroblob(33))",
        "text = ''",
        "text = hex(zeroblob(151))",
        "failures = 0",
        "sample = x'00'",
    ] {
        refuses(&mut raw, format!("UPDATE error_groups SET {change}")).await;
    }
    refuses(&mut raw, "UPDATE error_hours SET failures = 0".into()).await;
    for point in ["0, 1, '{}'", "5, -1, '{}'", "5, 1, ''"] {
        refuses(&mut raw, format!("INSERT INTO history (step_seconds, slot, point) VALUES ({point})")).await;
    }
    refuses(&mut raw, "UPDATE job_counts SET jobs = -1".into()).await;
    refuses(&mut raw, "UPDATE recent_keys SET job_id = x'00'".into()).await;
    for change in ["service_at = -1", "steady_at = NULL", "calendar_at = NULL", "id = 2"] {
        refuses(&mut raw, format!("UPDATE service SET {change}")).await;
    }
}

#[tokio::test]
async fn the_schema_allows_every_state() {
    let home = Home::new();
    let store = home.serve().await;
    assert_eq!(store.jobs().stats().await.unwrap().jobs.len(), StateName::ALL.len());
    assert_eq!(home.number("SELECT count(*) FROM job_counts").await, 8);
}
