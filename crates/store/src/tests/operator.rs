//! Operator actions on jobs in each state, and on unknown jobs.

use super::*;

/// Adds one job in each state.
pub(crate) async fn one_of_each(home: &Home, store: &Store) -> Vec<(StateName, JobId)> {
    let mut jobs = vec![(StateName::Dead, home.dead(store).await)];
    for (state, next) in
        [(StateName::Delivered, AfterDelivery::Delivered), (StateName::Gone, AfterDelivery::Gone)]
    {
        let job = home.delivering(store).await;
        jobs.push((state, job.id));
        store.jobs().sent(sent(job, next)).await.unwrap();
    }
    let cancelled = home.queued(store).await;
    store.jobs().cancel(cancelled).await.unwrap();
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
async fn the_error_names_an_unknown_job() {
    let home = Home::new();
    let store = home.serve().await;
    let id = JobId::new(START, 1);
    assert_eq!(store.jobs().retry(id).await, Err(StoreError::NoJob(id)));
    assert_eq!(store.jobs().cancel(id).await, Err(StoreError::NoJob(id)));
    let error = store.jobs().cancel(id).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("job {id} not found: ")), "{error}");
}
