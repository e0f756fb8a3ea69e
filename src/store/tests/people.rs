//! What a person may do to a job, and what not.

use super::*;
use crate::store::people::RetryDead;

/// One job in each state.
async fn one_of_each(home: &Home, store: &Store) -> Vec<(StateName, JobId)> {
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
async fn only_a_dead_job_can_be_retried() {
    let home = Home::new();
    let store = home.serve().await;
    for (name, id) in one_of_each(&home, &store).await {
        let result = store.retry(id).await;
        if name == StateName::Dead {
            assert_eq!((result, state(&store, id).await), (Ok(()), StateName::Delivering));
        } else {
            let allowed = "only a dead job can be retried";
            assert_eq!(result, Err(StoreError::WrongState { id, state: name, allowed }));
            assert_eq!(state(&store, id).await, name);
        }
    }
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
    assert_eq!(store.cancel(id).await.unwrap_err().to_string(), format!("there is no job {id}"));
}

#[tokio::test]
async fn a_retry_starts_the_time_anew_and_remembers_a_lost_answer_and_a_refusal() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let id = job.id;
    let refused_at = Some(home.now());
    let delivery = Delivery { failures: 4, failing_since: refused_at, answer_lost: false, refused_at };
    let next = AfterDelivery::Retry { due_at: home.now(), delivery };
    store.sent(sent(job, next)).await.unwrap();
    let [job] = due_deliveries(&store).await.try_into().unwrap();
    store.sent(sent(job, AfterDelivery::Dead { answer_lost: true })).await.unwrap();
    home.pass(Duration::from_secs(3_600));
    store.retry(id).await.unwrap();
    assert_eq!(store.delivery().due(home.now()), [ORIGIN.into()]);
    let [job] = due_deliveries(&store).await.try_into().unwrap();
    assert_eq!((job.id, job.attempts), (id, 2));
    assert_eq!(job.delivery, Delivery { failures: 0, failing_since: None, answer_lost: true, refused_at });
}

#[tokio::test]
async fn many_dead_letters_are_retried_by_handler_or_all() {
    let home = Home::new();
    let store = home.serve().await;
    for _ in 0..3 {
        home.dead(&store).await;
    }
    home.run("UPDATE jobs SET handler = 'other' WHERE id = (SELECT min(id) FROM jobs)").await;
    assert_eq!(store.retry_dead(Some(handler("nobody"))).await, Ok(0));
    assert_eq!(store.retry_dead(Some(handler("other"))).await, Ok(1));
    assert_eq!((count(&store, StateName::Dead).await, count(&store, StateName::Delivering).await), (2, 1));
    assert_eq!(store.retry_dead(None).await, Ok(2));
    assert_eq!(store.retry_dead(None).await, Ok(0));
}

#[tokio::test]
async fn a_dead_letter_that_dies_again_is_not_retried_twice() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = [home.dead(&store).await, home.dead(&store).await];
    let retry = |after| store.ask(RetryDead { handler: None, after, limit: 1, now: home.now() });
    assert_eq!(retry(None).await.unwrap().last, Some(ids[0]));
    let [job] = due_deliveries(&store).await.try_into().unwrap();
    store.sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    assert_eq!(retry(Some(ids[0])).await.unwrap().last, Some(ids[1]));
    assert_eq!(retry(Some(ids[1])).await.unwrap().jobs, 0);
    assert_eq!(state(&store, ids[0]).await, StateName::Dead);
}
