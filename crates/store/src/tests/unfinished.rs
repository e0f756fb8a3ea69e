//! The unfinished jobs that have waited longest.

use super::*;

async fn oldest(store: &Store, limit: u32) -> (Vec<JobId>, bool) {
    let found = store.jobs().oldest_unfinished(limit).await.unwrap();
    (found.jobs.iter().map(|one| one.job.id).collect(), found.is_exact)
}

#[tokio::test]
async fn the_oldest_unfinished_jobs_of_all_states_come_first() {
    let home = Home::new();
    let store = home.serve().await;
    assert_eq!(oldest(&store, 10).await, (vec![], true));
    let mut expected = Vec::new();
    home.dead(&store).await;
    home.pass(Duration::from_secs(1));
    expected.push(home.delivering(&store).await.id);
    home.pass(Duration::from_secs(1));
    expected.push(home.waiting(&store).await);
    home.pass(Duration::from_secs(1));
    expected.push(home.running(&store).await.id);
    home.pass(Duration::from_secs(1));
    let job = home.running(&store).await;
    expected.push(job.id);
    assert_eq!(store.jobs().handled(handled(job, AfterHandler::AwaitCallback)).await.unwrap(), Written::Done);
    home.pass(Duration::from_secs(1));
    // Its deadline is before those of the others, but it is the youngest.
    let hasty = NewJob { answer_by: home.steady(), ..home.request() };
    expected.push(accept(&store, hasty).await);
    assert_eq!(oldest(&store, 10).await, (expected.clone(), true));
    assert_eq!(oldest(&store, 2).await, (expected[..2].to_vec(), true));
    let first = store.jobs().oldest_unfinished(1).await.unwrap().jobs.remove(0);
    assert_eq!(home.now().since(first.since), Duration::from_secs(4));
    assert_eq!(first.answer_by.since(first.since), Duration::from_secs(50));
}

#[tokio::test]
async fn a_job_waits_for_as_long_after_the_calendar_is_set() {
    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    home.pass(Duration::from_secs(7));
    home.clock.set(home.now() + Duration::from_secs(86_400));
    let first = store.jobs().oldest_unfinished(1).await.unwrap().jobs.remove(0);
    assert_eq!(home.now().since(first.since), Duration::from_secs(7));
    assert_eq!(home.now().since(first.job.received_at), Duration::from_secs(86_407));
}
