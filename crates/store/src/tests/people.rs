//! Which jobs an operator may cancel.

use super::*;

/// One job in each state.
pub(super) async fn one_of_each(home: &Home, store: &Store) -> Vec<(StateName, JobId)> {
    let mut jobs = vec![(StateName::Dead, home.dead(store).await)];
    for (state, next) in
        [(StateName::Delivered, AfterDelivery::Delivered), (StateName::Gone, AfterDelivery::Gone)]
    {
        let job = home.delivering(store).await;
        jobs.push((state, job.id));
        store.sent(sent(job, next)).await.unwrap();
    }
    let cancelled = home.queued(store).await;
    store.cancel(cancelled).await.unwrap();
    jobs.push((StateName::Cancelled, cancelled));
    jobs.push((StateName::Delivering, home.waiting(store).await));
    jobs.push((StateName::Running, home.running(store).await.id));
    jobs.push((StateName::Queued, home.queued(store).await));
    for (name, id) in &jobs {
        assert_eq!(state(store, *id).await, *name);
    }
    jobs
}

#[tokio::test]
async fn any_unfinished_job_can_be_cancelled() {
    let home = Home::new();
    let store = home.serve().await;
    for (name, id) in one_of_each(&home, &store).await {
        let result = store.cancel(id).await;
        if name.is_finished() {
            let allowed = "only an unfinished job can be cancelled";
            assert_eq!(result, Err(StoreError::WrongState { id, state: name, allowed }));
            assert_eq!(state(&store, id).await, name);
        } else {
            assert_eq!((result, state(&store, id).await), (Ok(()), StateName::Cancelled));
        }
    }
    let held =
        home.number("SELECT count(*) FROM jobs WHERE due_at IS NOT NULL OR lease_until IS NOT NULL").await;
    assert_eq!(held, 0);
}

#[tokio::test]
async fn an_unknown_job_is_named() {
    let home = Home::new();
    let store = home.serve().await;
    let id = JobId::new(START, 1);
    assert_eq!(store.retry(id).await, Err(StoreError::NoJob(id)));
    assert_eq!(store.cancel(id).await, Err(StoreError::NoJob(id)));
    let error = store.cancel(id).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("there is no job {id}: ")), "{error}");
}
