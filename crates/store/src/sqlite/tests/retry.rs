//! The effect of an operator's retry on a job.

use super::*;
use crate::sqlite::jobs::operator::retry::RetryDead;
use crate::tests::retry::{claim, fallback, retried, sending};

/// Adds a job of which Kommo refused first the handler's completion and then the fallback.
async fn refused_twice(home: &Home, store: &Store) -> JobId {
    let job = home.delivering(store).await;
    let id = job.id;
    let next = AfterDelivery::Replace { prepared: fallback("sorry"), delivery: Delivery::default() };
    store.jobs().sent(sent(job, next)).await.unwrap();
    store.jobs().sent(sent(claim(store).await, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    id
}

#[tokio::test]
async fn the_handlers_completion_is_kept_beside_the_fallback_and_either_can_be_sent() {
    let home = Home::new();
    let store = home.serve().await;
    let id = refused_twice(&home, &store).await;
    let job = stored_job(&store, id).await;
    assert_eq!(job.state.prepared(), Some(&fallback("sorry")));
    assert_eq!(job.handler_completion, Some(prepared("hi").completion));

    // By default, a retry sends what was sent last.
    store.jobs().retry(id).await.unwrap();
    let job = claim(&store).await;
    assert_eq!(job.prepared, fallback("sorry"));
    store.jobs().sent(sent(job, AfterDelivery::Gone)).await.unwrap();

    // The refusal concerned the earlier completion, not the one that is sent now.
    let refuse = "UPDATE jobs SET refused_at = 5";
    home.run(refuse).await;
    store.jobs().retry_with(id, sending(Resend::Handler)).await.unwrap();
    assert_eq!(stored_job(&store, id).await.handler_completion, None);
    let job = claim(&store).await;
    assert_eq!((&job.prepared, job.delivery.refused_at), (&prepared("hi"), None));
    store.jobs().sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();

    let chosen = Outcome::Fallback(FallbackReason::Operator);
    for reply in ["we are sorry", "we are very sorry"] {
        home.run(refuse).await;
        let other = Resend::Fallback(prepared(reply).completion);
        store.jobs().retry_with(id, sending(other)).await.unwrap();
        assert_eq!(stored_job(&store, id).await.handler_completion, Some(prepared("hi").completion));
        let job = claim(&store).await;
        assert_eq!(job.prepared, PreparedCompletion { outcome: chosen, ..fallback(reply) });
        assert_eq!(job.delivery.refused_at, None);
        store.jobs().sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    }
}

#[tokio::test]
async fn the_handlers_completion_counts_as_bytes_and_is_dropped_with_the_other_bodies() {
    let home = Home::new();
    let store = home.serve().await;
    let id = refused_twice(&home, &store).await;
    let bytes = |job: &Job| {
        let completions =
            [job.state.prepared().map(|prepared| &prepared.completion), job.handler_completion.as_ref()];
        let completions: usize = completions.into_iter().flatten().map(|one| one.as_json().len()).sum();
        i64::try_from(job.request.data.to_string().len() + completions).unwrap()
    };
    let stored = || home.number("SELECT stored FROM account_bytes");
    assert_eq!(stored().await, bytes(&stored_job(&store, id).await));
    store.jobs().retry_with(id, sending(Resend::Handler)).await.unwrap();
    assert_eq!(stored().await, bytes(&stored_job(&store, id).await));
    let long = Resend::Fallback(prepared("a longer fallback than there was").completion);
    store.jobs().retry_with(id, sending(long)).await.unwrap();
    assert_eq!(stored().await, bytes(&stored_job(&store, id).await));
    assert_eq!(home.number("SELECT unfinished FROM account_bytes").await, stored().await);
    store.jobs().sent(sent(claim(&store).await, AfterDelivery::Delivered)).await.unwrap();
    store.maintenance().set_budget(Budget { stored: 1, ..Budget::default() });
    store.maintenance().trim().await;
    assert_eq!((stored().await, home.number("SELECT unfinished FROM account_bytes").await), (0, 0));
    assert_eq!(home.number("SELECT count(*) FROM jobs WHERE handler_completion IS NOT NULL").await, 0);
}

#[tokio::test]
async fn many_dead_letters_are_retried_by_handler_or_all() {
    let home = Home::new();
    let store = home.serve().await;
    for _ in 0..3 {
        home.dead(&store).await;
    }
    home.run("UPDATE jobs SET handler = 'other' WHERE id = (SELECT min(id) FROM jobs)").await;
    assert_eq!(store.jobs().retry_dead(Some(handler("unknown")), false).await, retried(0));
    assert_eq!(store.jobs().retry_dead(Some(handler("other")), false).await, retried(1));
    assert_eq!((count(&store, StateName::Dead).await, count(&store, StateName::Delivering).await), (2, 1));
    assert_eq!(store.jobs().retry_dead(None, false).await, retried(2));
    assert_eq!(store.jobs().retry_dead(None, false).await, retried(0));
}

#[tokio::test]
async fn a_dead_letter_that_dies_again_is_not_retried_twice() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = [home.dead(&store).await, home.dead(&store).await];
    let retry = |after| {
        let now = home.now();
        store.sqlite().execute(RetryDead {
            handler: None,
            group: None,
            force: false,
            after,
            limit: 1,
            now,
            by: Actor::new(ActionSource::Cli, "test"),
            action: None,
        })
    };
    assert_eq!(retry(None).await.unwrap().last, Some(ids[0]));
    let job = claim(&store).await;
    store.jobs().sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    assert_eq!(retry(Some(ids[0])).await.unwrap().last, Some(ids[1]));
    assert_eq!(retry(Some(ids[1])).await.unwrap().jobs, 0);
    assert_eq!(state(&store, ids[0]).await, StateName::Dead);
}
