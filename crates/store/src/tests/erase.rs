//! Erasures: which jobs lose their texts, and what stays of them.

use super::operator::one_of_each;
use super::*;

pub(crate) fn lead(id: i64) -> Entity {
    Entity { kind: EntityKind::Lead, id }
}

pub(crate) fn by(store: &Store) -> Operator<'_> {
    store.operator(Actor::new(ActionSource::Cli, "ann"))
}

/// Erases, and returns how many jobs have changed, and how many were left.
pub(crate) async fn erase(store: &Store, erasure: Option<Erasure>, cancels: bool) -> (u64, u64) {
    let id = by(store).begin_erasure(erasure.unwrap(), cancels).await.unwrap();
    let mut bulk = by(store).bulk(id).await.unwrap().unwrap();
    while bulk.state == ActionResult::Running {
        bulk = by(store).step_bulk(bulk).await.unwrap();
    }
    assert_eq!(bulk.state, ActionResult::Done);
    (bulk.changed, bulk.skipped)
}

async fn has_texts(store: &Store, id: JobId) -> bool {
    let (job, attempts) = store.jobs().get(id).await.unwrap().unwrap();
    let notes = store.callbacks().notes(id).await.unwrap();
    let errors = attempts.iter().any(|attempt| attempt.error.is_some());
    job.clone().whole().is_some() || job.summary().last_error.is_some() || errors || !notes.is_empty()
}

#[tokio::test]
async fn finished_jobs_in_every_state_lose_their_texts_and_keep_their_state() {
    let home = Home::new();
    let store = home.serve().await;
    let jobs = one_of_each(&home, &store).await;
    for (_, id) in &jobs {
        store.callbacks().note(*id, "Ann asked").await.unwrap();
    }
    let before = store.jobs().stats().await.unwrap().jobs;
    assert_eq!(erase(&store, Erasure::new(Some(lead(5)), None), false).await, (4, 3));
    for (state, id) in &jobs {
        let (record, _) = store.jobs().get(*id).await.unwrap().unwrap();
        assert_eq!(has_texts(&store, *id).await, !state.is_finished(), "{state}");
        assert_eq!(record.summary().state, *state);
    }
    assert_eq!(store.jobs().stats().await.unwrap().jobs, before);
    assert_eq!(erase(&store, Erasure::new(Some(lead(5)), None), false).await, (0, 3), "nothing is left");
}

#[tokio::test]
async fn unfinished_jobs_are_erased_only_if_they_may_be_cancelled() {
    let home = Home::new();
    let store = home.serve().await;
    let jobs = one_of_each(&home, &store).await;
    assert_eq!(erase(&store, Erasure::new(None, Some(AccountId(7))), true).await, (7, 0));
    for (state, id) in jobs {
        let (record, _) = store.jobs().get(id).await.unwrap().unwrap();
        let expected = if state.is_finished() { state } else { StateName::Cancelled };
        assert_eq!(record.summary().state, expected);
        assert!(!has_texts(&store, id).await);
    }
    let stats = store.jobs().stats().await.unwrap();
    assert_eq!((stats.unfinished_bytes, stats.stored_bytes), (0, 0));
}

#[tokio::test]
async fn only_the_named_lead_and_account_are_erased() {
    let home = Home::new();
    let store = home.serve().await;
    let mut jobs = Vec::new();
    for (account, entity) in [
        (7, Some(lead(5))),
        (7, Some(lead(6))),
        (8, Some(lead(5))),
        (8, Some(Entity { kind: EntityKind::Contact, id: 5 })),
        (8, None),
    ] {
        let mut request = home.request();
        (request.request.account_id, request.request.entity) = (AccountId(account), entity);
        let id = accept(&store, request).await;
        store.jobs().cancel(id).await.unwrap();
        jobs.push(id);
    }
    let left = async || {
        let mut left = Vec::new();
        for (place, id) in jobs.iter().enumerate() {
            if has_texts(&store, *id).await {
                left.push(place);
            }
        }
        left
    };
    let account = Some(AccountId(8));
    let found = by(&store).erasable(Erasure::new(Some(lead(5)), None).unwrap()).await.unwrap();
    assert_eq!(found, Erasable { finished: 2, unfinished: 0, accounts: [(7, 1), (8, 1)].into() });
    assert_eq!(erase(&store, Erasure::new(Some(lead(5)), account), false).await, (1, 0));
    assert_eq!(left().await, [0, 1, 3, 4]);
    assert_eq!(erase(&store, Erasure::new(Some(lead(5)), None), false).await, (1, 0));
    assert_eq!(left().await, [1, 3, 4]);
    assert_eq!(erase(&store, Erasure::new(None, account), false).await, (2, 0));
    assert_eq!(left().await, [1]);
}

#[tokio::test]
async fn erased_jobs_cannot_be_retried() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    let gone = home.delivering(&store).await;
    let gone_id = gone.id;
    store.jobs().sent(sent(gone, AfterDelivery::Gone)).await.unwrap();
    erase(&store, Erasure::new(Some(lead(5)), None), false).await;
    for id in [dead, gone_id] {
        for force in [false, true] {
            let options = RetryOptions { force, ..RetryOptions::default() };
            let error = store.jobs().retry_with(id, options).await.unwrap_err().to_string();
            assert!(error.contains("its texts were erased"), "{error}");
        }
    }
    let none = RetriedDead { retried: 0, superseded: 0 };
    assert_eq!(store.jobs().retry_dead(None, true).await.unwrap(), none);
    // A new request with the same return_url, and a restart, leave them as they are.
    home.pass(Duration::from_secs(1));
    store.close().await;
    let store = home.serve().await;
    assert_eq!(count(&store, StateName::Dead).await, 1);
}

#[tokio::test]
async fn jobs_that_arrive_after_the_start_of_an_erasure_keep_their_texts() {
    let home = Home::new();
    let store = home.serve().await;
    let old = home.dead(&store).await;
    let id = by(&store).begin_erasure(Erasure::new(Some(lead(5)), None).unwrap(), true).await.unwrap();
    home.pass(Duration::from_secs(1));
    let new = home.queued(&store).await;
    let mut ticks = store.ticks(Duration::from_secs(3_600));
    ticks.tick().await;
    let bulk = by(&store).bulk(id).await.unwrap().unwrap();
    assert_eq!((bulk.state, bulk.changed), (ActionResult::Done, 1));
    assert!(!has_texts(&store, old).await && has_texts(&store, new).await);
}

#[tokio::test]
async fn an_erasure_of_an_empty_store_ends() {
    let home = Home::new();
    let store = home.serve().await;
    assert_eq!(erase(&store, Erasure::new(Some(lead(5)), None), true).await, (0, 0));
}

#[tokio::test]
async fn an_erasure_can_be_stopped_and_then_changes_nothing() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    let id = by(&store).begin_erasure(Erasure::new(Some(lead(5)), None).unwrap(), false).await.unwrap();
    assert!(by(&store).stop_bulk(id).await.unwrap());
    assert!(!by(&store).stop_bulk(id).await.unwrap(), "it has already ended");
    let mut ticks = store.ticks(Duration::from_secs(3_600));
    ticks.tick().await;
    let bulk = by(&store).bulk(id).await.unwrap().unwrap();
    assert_eq!((bulk.state, bulk.changed), (ActionResult::Stopped, 0));
    assert!(has_texts(&store, dead).await);
    let log = store.actions(&crate::ActionFilter::default(), None, 9).await.unwrap().actions;
    let log: Vec<_> = log.iter().map(|action| (&*action.what, action.result)).collect();
    assert_eq!(log, [("jobs stop", ActionResult::Done), ("jobs erase", ActionResult::Stopped)]);
}
