//! The effect of an operator's retry on the rows of a job.

use super::conformance::retry::{claim, fallback, retried, sending};
use super::conformance::*;
use crate::postgres::jobs::operator::retry_dead::{Dead, RetryDead};

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
    if home.is_without_server() {
        return;
    }
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
    home.run("UPDATE jobs SET refused_at = 5").await;
    store.jobs().retry_with(id, sending(Resend::Handler)).await.unwrap();
    assert_eq!(stored_job(&store, id).await.handler_completion, None);
    let job = claim(&store).await;
    assert_eq!((job.prepared.clone(), job.delivery.refused_at), (prepared("hi"), None));
    store.jobs().sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();

    for reply in ["sorry", "sorry again"] {
        home.run("UPDATE jobs SET refused_at = 5").await;
        store.jobs().retry_with(id, sending(Resend::Fallback(prepared(reply).completion))).await.unwrap();
        let job = claim(&store).await;
        let outcome = Outcome::Fallback(FallbackReason::Operator);
        let expected = PreparedCompletion { completion: prepared(reply).completion, outcome };
        assert_eq!((job.prepared.clone(), job.delivery.refused_at), (expected, None));
        assert_eq!(stored_job(&store, id).await.handler_completion, Some(prepared("hi").completion));
        store.jobs().sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    }
}

#[tokio::test]
async fn the_handlers_completion_counts_as_bytes_and_is_dropped_with_the_other_bodies() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    let id = refused_twice(&home, &store).await;
    let bytes = |job: &Job| {
        let completions =
            [job.state.prepared().map(|prepared| &prepared.completion), job.handler_completion.as_ref()];
        let completions: usize = completions.into_iter().flatten().map(|one| one.as_json().len()).sum();
        i64::try_from(job.request.data.to_string().len() + completions).unwrap()
    };
    let stored = || home.number("SELECT stored FROM account_bytes");
    let in_row = || home.number("SELECT body_bytes FROM jobs");
    let agree = async |store: &Store| {
        let expected = bytes(&stored_job(store, id).await);
        assert_eq!((stored().await, in_row().await), (expected, expected));
    };
    agree(&store).await;
    store.jobs().retry_with(id, sending(Resend::Handler)).await.unwrap();
    agree(&store).await;
    let long = Resend::Fallback(prepared("a longer fallback than there was").completion);
    store.jobs().retry_with(id, sending(long)).await.unwrap();
    agree(&store).await;
    assert_eq!(home.number("SELECT unfinished FROM account_bytes").await, stored().await);
    store.jobs().sent(sent(claim(&store).await, AfterDelivery::Delivered)).await.unwrap();
    store.maintenance().set_budget(Budget { stored: 1, ..Budget::default() });
    store.maintenance().trim().await;
    assert_eq!((stored().await, home.number("SELECT unfinished FROM account_bytes").await), (0, 0));
    assert_eq!(home.number("SELECT count(*) FROM job_bodies").await, 0);
}

#[tokio::test]
async fn many_dead_letters_are_retried_by_handler_or_all() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    let ids = [home.dead(&store).await, home.dead(&store).await, home.dead(&store).await];
    home.run(&format!("UPDATE jobs SET handler = 'other' WHERE id = '{}'", ids[0].as_uuid())).await;
    assert_eq!(store.jobs().retry_dead(Some(handler("unknown")), false).await, retried(0));
    assert_eq!(store.jobs().retry_dead(Some(handler("other")), false).await, retried(1));
    assert_eq!((count(&store, StateName::Dead).await, count(&store, StateName::Delivering).await), (2, 1));
    assert_eq!(store.jobs().retry_dead(None, false).await, retried(2));
    assert_eq!(store.jobs().retry_dead(None, false).await, retried(0));
}

#[tokio::test]
async fn a_dead_letter_that_dies_again_is_not_retried_twice() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = home.serve().await;
    let ids = [home.dead(&store).await, home.dead(&store).await];
    let (engine, by) = (store.postgres(), Actor::new(ActionSource::Cli, "test"));
    let all = Dead { handler: None, group: None, force: false };
    let retry = async |after, expected: u64| {
        let (which, by, now) = (all.clone(), by.clone(), engine.moment().steady);
        let request = RetryDead { which, after, limit: 1, now, by, action: None };
        let some = engine.execute(request).await.unwrap();
        assert_eq!(some.jobs, expected);
        some.end
    };
    assert_eq!(retry(None, 1).await, Some(ids[0]));
    let job = claim(&store).await;
    store.jobs().sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    assert_eq!(retry(Some(ids[0]), 1).await, Some(ids[1]));
    assert_eq!(retry(Some(ids[1]), 0).await, None);
    assert_eq!(state(&store, ids[0]).await, StateName::Dead);
}
