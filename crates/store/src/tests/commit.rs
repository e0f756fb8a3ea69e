//! Many operations share one transaction, and a bad one does not affect the others.

use super::*;

#[tokio::test]
async fn a_failed_commit_answers_with_an_error_and_changes_nothing() {
    let home = Home::new();
    let store = home.serve().await;
    let (worker, sender) = (home.running(&store).await, home.delivering(&store).await);
    let claimed = [stored_job(&store, worker.id).await, stored_job(&store, sender.id).await];
    let request = home.request();
    let refuses = store.maintenance().commit_refusal().await;
    refuses.store(true, Ordering::SeqCst);
    let refused = store.jobs().accept(request.clone(), COMMIT_TIMEOUT).await;
    assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    let deliver = AfterHandler::Deliver(prepared("hi"));
    assert!(store.jobs().handled(handled(worker, deliver)).await.is_err());
    assert!(store.jobs().sent(sent(sender, AfterDelivery::Delivered)).await.is_err());
    refuses.store(false, Ordering::SeqCst);
    assert!(store.jobs().get(request.id).await.unwrap().is_none());
    for before in claimed {
        assert_eq!(stored_job(&store, before.id).await, before);
    }
    accept(&store, request).await;
}

#[tokio::test]
async fn the_end_of_the_writer_is_noticed() {
    let home = Home::new();
    let store = home.serve().await;
    store.0.abort_writer().await;
    tokio::time::timeout(COMMIT_TIMEOUT, store.ended()).await.expect("the store did not notice");
    assert_eq!(store.probe().await, Err(StoreError::Closed));
}
