//! Acknowledged requests are on the disk, exactly once.

use super::*;

#[tokio::test]
async fn an_accepted_request_is_on_the_disk() {
    let home = Home::new();
    let store = home.serve().await;
    let request = home.request();
    let id = accept(&store, request.clone()).await;

    let copy = Home::new();
    for name in ["bridge.db", "bridge.db-wal"] {
        std::fs::copy(home.folder.path().join(name), copy.folder.path().join(name)).unwrap();
    }
    let after_crash = copy.serve().await;
    let job = stored_job(&after_crash, id).await;
    assert_eq!((job.handler, job.request), (request.handler, request.request));
    assert_eq!((job.received_at, job.answer_by), (request.received_at, request.answer_by));
    assert_eq!((job.handler_attempts, job.delivery_attempts, job.last_error), (0, 0, None));
    assert_eq!(job.state, State::Queued(QueueWait::Until(home.now())));
}

#[tokio::test]
async fn a_repeated_request_in_the_same_batch_is_a_duplicate() {
    let home = Home::new();
    let store = home.serve().await;
    let (first, mut again) = (home.request(), home.request());
    again.idempotency_key = first.idempotency_key.clone();
    let id = first.id;

    let open = hold(&store).await;
    let release = async {
        gathered(&store, 2).await;
        open.send(()).unwrap();
    };
    let (first, again, ()) = tokio::join!(
        store.jobs().accept(first, COMMIT_TIMEOUT),
        store.jobs().accept(again, COMMIT_TIMEOUT),
        release
    );
    assert_eq!(first, Ok(Accepted { id, duplicate: false }));
    assert_eq!(again, Ok(Accepted { id, duplicate: true }));
    assert_eq!(home.number("SELECT count(*) FROM jobs").await, 1);
}

#[tokio::test]
async fn a_request_that_waits_too_long_for_another_process_is_dropped() {
    let home = Home::new();
    let store = home.serve().await;
    let request = home.request();
    let mut raw = home.raw().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut raw).await.unwrap();
    // The writer takes the request from the channel in time, and then waits in BEGIN.
    let accepting = tokio::spawn({
        let (store, request) = (store.clone(), request.clone());
        async move { store.jobs().accept(request, Duration::from_millis(300)).await }
    });
    assert_eq!(accepting.await.unwrap(), Err(StoreError::Timeout));
    sqlx::query("ROLLBACK").execute(&mut raw).await.unwrap();
    store.probe().await.unwrap();
    assert_eq!(store.jobs().get(request.id).await, Ok(None));
}

/// A key is only in memory until its commit, then in one table, then in the other. It is known at each stage.
#[tokio::test]
async fn a_key_is_known_before_and_after_it_is_moved_and_after_a_restart_in_between() {
    let home = Home::new();
    let mut store = home.serve().await;
    let requests: Vec<NewJob> = (0..700).map(|_| home.request()).collect();
    for request in &requests {
        accept(&store, request.clone()).await;
    }
    let still_known = async |store: &Store| {
        for request in &requests {
            let again = NewJob { idempotency_key: request.idempotency_key.clone(), ..home.request() };
            let known = Ok(Accepted { id: request.id, duplicate: true });
            assert_eq!(store.jobs().accept(again, COMMIT_TIMEOUT).await, known);
        }
    };
    still_known(&store).await;
    store.close().await;
    store = home.serve().await;
    still_known(&store).await;

    // The process dies after it has moved some of the keys.
    assert!(store.sqlite().move_some_keys(over(&store)).await);
    assert_eq!(home.number("SELECT count(*) FROM idempotency_keys").await, 512);
    still_known(&store).await;
    store.close().await;
    store = home.serve().await;
    still_known(&store).await;

    store.sqlite().move_keys(over(&store), 701).await.unwrap();
    assert_eq!(home.number("SELECT count(*) FROM recent_keys").await, 700, "too few to be worth it");
    store.sqlite().move_keys(over(&store), 700).await.unwrap();
    let left = "SELECT (SELECT count(*) FROM recent_keys) * 10000 + (SELECT count(*) FROM idempotency_keys)";
    assert_eq!(home.number(left).await, 700);
    still_known(&store).await;
    store.close().await;
    store = home.serve().await;
    still_known(&store).await;
}

#[tokio::test]
async fn keys_that_have_expired_before_the_move_are_deleted() {
    let home = Home::new();
    let store = home.serve().await;
    let (short, mut long) = (home.request(), home.request());
    long.token_expires_at = home.now() + Duration::from_secs(9_000);
    accept(&store, short.clone()).await;
    accept(&store, long.clone()).await;
    home.pass(short.token_expires_at.since(home.now()) + Duration::from_millis(1));
    store.sqlite().move_keys(over(&store), 1).await.unwrap();
    assert_eq!(home.number("SELECT count(*) FROM idempotency_keys").await, 1);
    accept(&store, NewJob { id: home.request().id, ..short }).await;
    let again = NewJob { idempotency_key: long.idempotency_key.clone(), ..home.request() };
    assert_eq!(
        store.jobs().accept(again, COMMIT_TIMEOUT).await,
        Ok(Accepted { id: long.id, duplicate: true })
    );
}
