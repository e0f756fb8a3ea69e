//! The tables refuse the states that the types refuse.

use super::*;

/// A valid row of each kind, by its state: the changes that make it from a queued job.
const ROWS: &[(&str, &str)] = &[
    ("queued", ""),
    ("running", "due_at = NULL, lease_until = 5, state = 'running'"),
    ("delivering", "state = 'delivering', outcome = 'handler'"),
    ("dead", "state = 'dead', due_at = NULL, outcome = 'handler', finished_at = 2, finished_service_at = 2"),
    ("gone", "state = 'gone', due_at = NULL, outcome = 'handler', finished_at = 2, finished_service_at = 2"),
    (
        "delivered",
        "state = 'delivered', due_at = NULL, outcome = 'handler', finished_at = 2, finished_service_at = 2, \
         handler_attempts = 1, delivery_attempts = 1",
    ),
    ("cancelled", "state = 'cancelled', due_at = NULL, finished_at = 2, finished_service_at = 2"),
    ("awaiting_callback", "state = 'awaiting_callback', due_at = NULL"),
];

/// Each change violates a CHECK or another rule.
const REFUSED: &[(&str, &str)] = &[
    ("queued", "state = 'asleep'"),
    ("queued", "handler = ''"),
    ("queued", "handler = repeat('a', 65)"),
    ("queued", "crashes = -1"),
    ("queued", "handler_attempts = -1"),
    ("queued", "delivery_attempts = -1"),
    ("queued", "failures = -1, failing_since = 1"),
    ("queued", "body_bytes = -1"),
    ("queued", "body_bytes = 0"),
    ("queued", "bodies_dropped = true"),
    ("queued", "bodies_dropped = true, body_bytes = 0"),
    ("queued", "entity_id = NULL"),
    ("queued", "entity_type = NULL"),
    ("queued", "due_at = NULL"),
    ("queued", "turn = 0"),
    ("queued", "coalesce_ms = 5"),
    ("queued", "turn = 1, coalesce_ms = 0"),
    ("queued", "turn = 1, entity_type = NULL, entity_id = NULL"),
    ("queued", "joined_into = id"),
    ("queued", "refused_at = 1"),
    ("queued", "finished_at = 1, finished_service_at = 1"),
    ("queued", "lease_until = 1"),
    ("queued", "outcome = 'handler'"),
    ("queued", "waiting_since = NULL"),
    ("queued", "answer_lost = NULL"),
    ("queued", "finished_service_at = 1"),
    ("queued", "fallback_reason = 'failed'"),
    ("queued", "handled_at = 1, handled_ms = 1, handler_attempts = 1"),
    ("running", "lease_until = NULL"),
    ("running", "due_at = 1"),
    ("running", "finished_at = 1, finished_service_at = 1"),
    ("running", "outcome = 'handler'"),
    ("running", "handled_at = 1, handled_ms = 1, handler_attempts = 1"),
    ("awaiting_callback", "lease_until = 1"),
    ("awaiting_callback", "due_at = 1"),
    ("delivering", "turn = 1"),
    ("delivering", "outcome = NULL"),
    ("delivering", "outcome = 'unknown'"),
    ("delivering", "outcome = 'fallback'"),
    ("delivering", "fallback_reason = 'failed'"),
    ("delivering", "outcome = 'fallback', fallback_reason = 'bad luck'"),
    ("delivering", "due_at = NULL"),
    ("delivering", "finished_at = 1, finished_service_at = 1"),
    ("delivering", "failures = 1"),
    ("delivering", "failing_since = 1"),
    ("dead", "turn = 1"),
    ("dead", "finished_service_at = NULL"),
    ("dead", "finished_at = NULL, finished_service_at = NULL"),
    ("dead", "due_at = 1"),
    ("dead", "lease_until = 1"),
    ("dead", "outcome = NULL"),
    ("delivered", "handled_at = 1, handled_ms = 1, handler_attempts = 0"),
    ("delivered", "handled_at = 1, handled_ms = NULL"),
    ("delivered", "handled_at = NULL, handled_ms = 1"),
    ("delivered", "handled_at = 1, handled_ms = -1"),
    ("delivered", "accepted_at = 1, accepted_ms = 1, delivery_attempts = 0"),
    ("delivered", "accepted_at = 1, accepted_ms = NULL"),
    ("delivered", "accepted_at = NULL, accepted_ms = 1"),
    ("delivered", "accepted_at = 1, accepted_ms = -1"),
    ("delivered", "accepted_status = 202"),
    ("delivered", "accepted_at = 1, accepted_ms = 1, accepted_status = 99"),
    ("delivered", "ended = 'dead'"),
    ("gone", "accepted_at = 1, accepted_ms = 1, delivery_attempts = 1"),
    ("cancelled", "finished_at = NULL, finished_service_at = NULL"),
    ("cancelled", "due_at = 1"),
    ("cancelled", "lease_until = 1"),
];

/// Rows of the other tables that violate a rule.
const REFUSED_ROWS: &[&str] = &[
    "INSERT INTO job_bodies VALUES (gen_random_uuid(), 4, '{}')",
    "INSERT INTO job_bodies VALUES (gen_random_uuid(), 0, '')",
    "INSERT INTO other_attempts VALUES (gen_random_uuid(), 'lunch', 1, 1, 1, 'ok', NULL, NULL)",
    "INSERT INTO other_attempts VALUES (gen_random_uuid(), 'handler', 0, 1, 1, 'ok', NULL, NULL)",
    "INSERT INTO other_attempts VALUES (gen_random_uuid(), 'handler', 1, 1, -1, 'ok', NULL, NULL)",
    "INSERT INTO other_attempts VALUES (gen_random_uuid(), 'handler', 1, 1, 1, 'maybe', NULL, NULL)",
    "INSERT INTO other_attempts VALUES (gen_random_uuid(), 'delivery', 1, 1, 1, 'ok', 1000, NULL)",
    "INSERT INTO notes VALUES (gen_random_uuid(), 101, 1, 'a')",
    "INSERT INTO notes VALUES (gen_random_uuid(), 1, 1, '')",
    "INSERT INTO error_groups (stage, handler, text, failures, first_at, last_at, last_service_at, sample) \
     VALUES ('lunch', '', 'a', 1, 1, 1, 1, gen_random_uuid())",
    "INSERT INTO error_groups (stage, handler, text, failures, first_at, last_at, last_service_at, sample) \
     VALUES ('handler', '', 'a', 0, 1, 1, 1, gen_random_uuid())",
    "INSERT INTO history VALUES (0, 1, '{}')",
    "INSERT INTO history VALUES (5, -1, '{}')",
    "INSERT INTO history VALUES (5, 1, '')",
    "INSERT INTO callback_key VALUES (1, '\\x00', NULL)",
    "UPDATE job_counts SET jobs = -1",
    "UPDATE service SET service_at = -1",
    "UPDATE service SET steady_at = 1",
    "UPDATE service SET id = 2",
    "UPDATE store SET version = 1",
    "UPDATE probe SET filler = '\\x00'",
];

async fn refuses(connection: &mut PgConnection, sql: String) {
    let result = connection.execute(AssertSqlSafe(sql.clone())).await;
    let error = result.err().unwrap_or_else(|| panic!("{sql}"));
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    // A violated CHECK or NOT NULL, or a generated column.
    assert!(["23514", "23502", "428C9"].contains(&&*code), "{sql}: {error}");
}

#[tokio::test]
async fn every_rule_of_the_tables_rejects_bad_rows() {
    let Some(database) = testing::database() else { return };
    let mut connection = connect(&database).await;
    for (state, change) in ROWS {
        let id = Uuid::from_u128(
            (1_700_000_000_000 << 80) + u128::from(state.len() as u64 * 256 + u64::from(state.as_bytes()[0])),
        );
        queued(&mut connection, id).await;
        if !change.is_empty() {
            run(&mut connection, format!("UPDATE jobs SET {change} WHERE id = '{id}'")).await;
        }
    }
    for (state, change) in REFUSED {
        let row = format!("SELECT count(*) FROM jobs WHERE state = '{state}'");
        assert_eq!(number(&mut connection, row).await, 1, "{state}");
        refuses(&mut connection, format!("UPDATE jobs SET {change} WHERE state = '{state}'")).await;
    }
    for sql in REFUSED_ROWS {
        refuses(&mut connection, (*sql).to_owned()).await;
    }
}

#[tokio::test]
async fn a_finished_job_may_lose_its_bodies() {
    let Some(database) = testing::database() else { return };
    let mut connection = connect(&database).await;
    queued(&mut connection, first_id(START)).await;
    let end = "state = 'dead', due_at = NULL, outcome = 'fallback', fallback_reason = 'failed', finished_at = 2, \
         finished_service_at = 2, refused_at = 3";
    run(&mut connection, format!("UPDATE jobs SET {end}")).await;
    run(&mut connection, "UPDATE jobs SET bodies_dropped = true, body_bytes = 0").await;
    let ended = "SELECT count(*) FROM jobs WHERE ended = 'dead' AND fell_back";
    assert_eq!(number(&mut connection, ended).await, 1);
}
