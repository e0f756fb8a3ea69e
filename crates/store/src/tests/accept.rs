//! Acknowledged requests are on the disk, exactly once.

use super::*;

#[tokio::test]
async fn a_request_without_entity_and_data_is_stored() {
    let home = Home::new();
    let store = home.serve().await;
    let mut request = home.request();
    request.request.entity = None;
    request.request.data = serde_json::Value::Null;
    let expected = request.request.clone();
    let id = accept(&store, request).await;
    assert_eq!(stored_job(&store, id).await.request, expected);
}

#[tokio::test]
async fn a_repeated_request_in_a_later_batch_is_a_duplicate() {
    let home = Home::new();
    let store = home.serve().await;
    let (first, mut again) = (home.request(), home.request());
    again.idempotency_key = first.idempotency_key.clone();
    let id = accept(&store, first).await;
    assert_eq!(store.jobs().accept(again, COMMIT_TIMEOUT).await, Ok(Accepted { id, duplicate: true }));
    assert_eq!(count(&store, StateName::Queued).await, 1);
}

#[tokio::test]
async fn a_request_is_identified_by_account_and_key_and_not_by_return_url() {
    let home = Home::new();
    let store = home.serve().await;
    let (first, mut elsewhere, mut same_url) = (home.request(), home.request(), home.request());
    elsewhere.idempotency_key = first.idempotency_key.clone();
    elsewhere.request.account_id = AccountId(8);
    same_url.request.return_url = first.request.return_url.clone();
    for request in [first, elsewhere, same_url] {
        accept(&store, request).await;
    }
    assert_eq!(count(&store, StateName::Queued).await, 3);
}

#[tokio::test]
async fn a_key_is_known_until_its_token_expires() {
    let home = Home::new();
    let store = home.serve().await;
    let first = home.request();
    let id = accept(&store, first.clone()).await;
    let again = || home.repeated(&first);

    home.pass(first.token_expires_at.since(home.now()));
    store.0.move_keys(over(&store), 1).await.unwrap();
    assert_eq!(store.0.forget_keys(over(&store)).await, Ok(0));
    assert_eq!(store.jobs().accept(again(), COMMIT_TIMEOUT).await, Ok(Accepted { id, duplicate: true }));

    home.pass(Duration::from_millis(1));
    let later = accept(&store, again()).await;
    assert_ne!(later, id, "an expired key is not known, even before it is deleted");
    assert_eq!(store.0.forget_keys(over(&store)).await, Ok(1));
}

#[tokio::test]
async fn a_request_that_is_not_in_a_transaction_in_time_is_dropped() {
    let home = Home::new();
    let store = home.serve().await;
    let request = home.request();
    let open = hold(&store).await;
    let too_late = store.jobs().accept(request.clone(), Duration::ZERO).await;
    assert_eq!(too_late, Err(StoreError::Timeout));
    open.send(()).unwrap();
    store.probe().await.unwrap();
    assert_eq!(store.jobs().get(request.id).await, Ok(None));
    accept(&store, request).await;
}

#[tokio::test]
async fn a_closed_store_accepts_nothing() {
    let home = Home::new();
    let store = home.serve().await;
    store.close().await;
    assert_eq!(store.jobs().accept(home.request(), COMMIT_TIMEOUT).await, Err(StoreError::Closed));
    assert_eq!(store.probe().await, Err(StoreError::Closed));
}
