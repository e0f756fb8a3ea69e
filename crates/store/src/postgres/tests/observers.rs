//! Changes by commands beside the owner of the store: they reach its schedule in memory.

use super::conformance::*;

/// The owner's maintenance, which looks for changes by others.
async fn look(store: &Store) {
    store.ticks(Duration::from_secs(3_600)).tick().await;
}

/// A message of an ordered conversation.
fn in_line(home: &Home) -> NewJob {
    NewJob { ordering: JobOrdering::Conversation { coalesce: None }, ..home.request() }
}

#[tokio::test]
async fn the_owner_delivers_what_a_command_beside_it_retries() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    let observer = home.open(Role::Observer).await.unwrap();
    observer.jobs().retry(dead).await.unwrap();
    look(&store).await;
    assert_eq!(store.delivery().due(home.now()), [ORIGIN.into()]);
    let claimed = due_deliveries(&store).await;
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [dead]);
    assert_eq!(home.number("SELECT count(*) FROM outside_changes").await, 0);
    observer.close().await;
}

#[tokio::test]
async fn a_claim_leaves_out_a_job_that_a_command_has_just_cancelled() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    let (first, second) = (home.queued(&store).await, home.queued(&store).await);
    let observer = home.open(Role::Observer).await.unwrap();
    observer.jobs().cancel(first).await.unwrap();
    let claimed = store.jobs().claim_work("greet".into(), 10, LEASE).await.unwrap();
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [second]);
    observer.close().await;
}

/// The transaction of the command has not seen the new message, and the one that accepts the message has not seen the
/// cancellation. So neither gives the turn.
#[tokio::test]
async fn a_message_that_comes_while_a_command_cancels_the_one_before_it_gets_its_turn() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    let first = accept(&store, in_line(&home)).await;
    let mut raw = home.raw().await;
    for sql in [
        "BEGIN".to_owned(),
        format!(
            "UPDATE jobs SET state = 'cancelled', turn = NULL, due_at = NULL, finished_at = 1, finished_service_at = 1, \
             fence = fence + 1 WHERE id = '{}'",
            first.as_uuid()
        ),
        format!("INSERT INTO outside_changes (job_id) VALUES ('{}')", first.as_uuid()),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut raw).await.unwrap();
    }
    let second = accept(&store, in_line(&home)).await;
    sqlx::query("COMMIT").execute(&mut raw).await.unwrap();
    look(&store).await;
    let claimed = store.jobs().claim_work("greet".into(), 10, LEASE).await.unwrap();
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [second]);
}
