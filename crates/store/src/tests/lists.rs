//! The cost of a list: no bodies, a bounded page, bounded time, and few at a time.

use super::*;

#[tokio::test]
async fn a_list_waits_for_a_permit_for_a_limited_time() {
    let home = Home::new();
    let store = home.serve().await;
    let filter = JobFilter { limit: 9, ..JobFilter::default() };
    let permits = store.jobs().hold_lists().await;
    let mut waiting = Box::pin(store.jobs().list(&filter));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    home.pass(Duration::from_secs(2));
    assert_eq!(waiting.await, Err(StoreError::TooManyLists));
    assert!(store.jobs().stats().await.is_ok() && store.jobs().get(JobId::new(START, 1)).await.is_ok());
    drop(permits);
    assert!(store.jobs().list(&filter).await.is_ok());
}
