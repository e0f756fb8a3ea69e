//! A row that the program cannot have written is reported, and does not affect other rows.

use super::*;

/// Writes values that no statement of the store would write.
async fn damage(home: &Home, id: JobId, change: &str) {
    let mut raw = home.raw().await;
    sqlx::query("PRAGMA ignore_check_constraints = ON").execute(&mut raw).await.unwrap();
    let sql = format!("UPDATE jobs SET {change} WHERE id = ?");
    let changed = sqlx::query(AssertSqlSafe(sql)).bind(id.as_uuid()).execute(&mut raw).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
}

async fn list(store: &Store) -> Vec<JobId> {
    let page = store.jobs().list(&JobFilter { limit: 99, ..JobFilter::default() }).await.unwrap();
    page.jobs.into_iter().map(|job| job.id).collect()
}

#[tokio::test]
async fn a_damaged_row_is_named_by_table_column_and_id() {
    let home = Home::new();
    let store = home.serve().await;
    let table: &[(&str, &str)] = &[
        ("state", "state = 'asleep'"),
        ("handler", "handler = 'a b'"),
        ("return_url", "return_url = 'nowhere'"),
        ("data", "data = '{'"),
        ("due_at", "due_at = NULL"),
        ("completion", "completion = '[]'"),
        ("completion", "completion = NULL"),
        ("outcome", "outcome = 'unknown'"),
        ("fallback_reason", "outcome = 'fallback'"),
        ("fallback_reason", "outcome = 'fallback', fallback_reason = 'bad luck'"),
        ("handler_attempts", "handler_attempts = -1"),
        ("delivery_attempts", "delivery_attempts = 99999999999"),
    ];
    for (column, change) in table {
        let (good, id) = (home.queued(&store).await, home.waiting(&store).await);
        damage(&home, id, change).await;
        let error = store.jobs().get(id).await.unwrap_err();
        let StoreError::Corrupt { table: "jobs", column: named, id: job, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((named, job), (column, &id.to_string()), "{change}");
        let listed = list(&store).await;
        // A list reads no bodies, so it does not notice damage in them.
        let is_listed = matches!(*column, "data" | "completion" | "due_at");
        assert!(listed.contains(&good) && listed.contains(&id) == is_listed, "{change}");
    }
}

#[tokio::test]
async fn a_worker_gets_the_other_jobs_despite_a_damaged_row() {
    let home = Home::new();
    let store = home.serve().await;
    let bad = [home.queued(&store).await, home.queued(&store).await];
    damage(&home, bad[0], "data = '{'").await;
    damage(&home, bad[1], "return_url = 'nowhere'").await;
    let good = home.queued(&store).await;
    let claimed = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap();
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [good]);
    assert_eq!(store.work().due(home.now()).len(), 0);
}

#[tokio::test]
async fn the_sender_gets_the_other_deliveries_despite_a_damaged_row() {
    let home = Home::new();
    let store = home.serve().await;
    let (bad, good) = (home.waiting(&store).await, home.waiting(&store).await);
    damage(&home, bad, "completion = 'no JSON'").await;
    let claimed = due_deliveries(&store).await;
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [good]);
}

#[tokio::test]
async fn a_damaged_job_is_claimed_once_and_then_stays_leased() {
    let home = Home::new();
    let store = home.serve().await;
    let (bad, good) = (home.queued(&store).await, home.queued(&store).await);
    damage(&home, bad, "crashes = -1").await;
    assert_eq!(store.jobs().claim_work("greet".into(), 1, LEASE).await, Ok(vec![]));
    assert_eq!(store.work().due(home.now()), ["greet".into()], "more jobs are due");
    let claimed = store.jobs().claim_work("greet".into(), 1, LEASE).await.unwrap();
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [good]);
    store.jobs().cancel(bad).await.unwrap();
    assert_eq!(count(&store, StateName::Cancelled).await, 1);
}

#[tokio::test]
async fn a_damaged_attempt_is_named_too() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.dead(&store).await;
    let mut raw = home.raw().await;
    sqlx::query("PRAGMA ignore_check_constraints = ON").execute(&mut raw).await.unwrap();
    sqlx::query("UPDATE other_attempts SET result = 'maybe'").execute(&mut raw).await.unwrap();
    let error = store.jobs().get(id).await.unwrap_err();
    let StoreError::Corrupt { table: "attempts", column: "result", id: job, .. } = &error else { panic!() };
    assert_eq!(job, &id.to_string());
}
