//! The budget for unfinished jobs, and the counts behind it.

use super::*;

/// Returns a request of `account` with about `bytes` bytes.
pub(crate) fn sized(home: &Home, account: i64, bytes: usize) -> NewJob {
    let mut request = home.request();
    request.request.account_id = AccountId(account);
    request.request.data = "x".repeat(bytes).into();
    request
}

pub(crate) fn limit(unfinished: u64) -> Budget {
    Budget { unfinished, ..Budget::default() }
}

pub(crate) fn over(limit: u64) -> Result<Accepted, StoreError> {
    Err(StoreError::OverBudget(OverBudget::Unfinished { limit }))
}

#[tokio::test]
async fn a_start_knows_the_bytes_of_each_account_without_reading_the_jobs() {
    let home = Home::new();
    let store = home.serve().await;
    let id = accept(&store, sized(&home, 7, 98)).await;
    for crash in [false, true] {
        if crash {
            store.0.die().await;
        } else {
            store.close().await;
        }
        let store = home.serve().await;
        store.maintenance().set_budget(limit(150));
        assert_eq!(store.jobs().accept(sized(&home, 7, 98), COMMIT_TIMEOUT).await, over(150));
        assert_eq!(store.0.budgets().unfinished(), [(7, 100)].into());
        store.close().await;
    }
    let store = home.serve().await;
    store.jobs().cancel(id).await.unwrap();
    assert!(store.0.budgets().unfinished().is_empty());
}

#[tokio::test]
async fn jobs_cancelled_by_an_observer_stop_counting_at_the_next_poll() {
    let home = Home::new();
    let store = home.serve().await;
    store.maintenance().set_budget(limit(150));
    let id = accept(&store, sized(&home, 7, 98)).await;
    let observer = home.open(Role::Observer).await.unwrap();
    observer.jobs().cancel(id).await.unwrap();
    assert_eq!(store.jobs().accept(sized(&home, 7, 98), COMMIT_TIMEOUT).await, over(150));
    store.0.reload().await;
    assert!(store.jobs().accept(sized(&home, 7, 98), COMMIT_TIMEOUT).await.is_ok());
}
