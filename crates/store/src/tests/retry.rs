//! What an operator's retry makes of a job.

use super::people::one_of_each;
use super::*;
use crate::sqlite::jobs::operator::retry::RetryDead;

async fn claim(store: &Store) -> DeliveringJob {
    let [job] = due_deliveries(store).await.try_into().unwrap();
    job
}

fn sending(send: Resend) -> RetryOptions {
    RetryOptions { send, force: false }
}

fn retried(retried: u64) -> Result<RetriedDead, StoreError> {
    Ok(RetriedDead { retried, superseded: 0 })
}

fn fallback(reply: &str) -> PreparedCompletion {
    PreparedCompletion { outcome: Outcome::Fallback(FallbackReason::Refused), ..prepared(reply) }
}

/// A job whose completion Kommo refused, and then its fallback too.
async fn refused_twice(home: &Home, store: &Store) -> JobId {
    let job = home.delivering(store).await;
    let id = job.id;
    let next = AfterDelivery::Replace { prepared: fallback("sorry"), delivery: Delivery::default() };
    store.sent(sent(job, next)).await.unwrap();
    store.sent(sent(claim(store).await, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    id
}

#[tokio::test]
async fn dead_gone_and_waiting_jobs_are_due_at_once_and_no_others() {
    let home = Home::new();
    let store = home.serve().await;
    for (name, id) in one_of_each(&home, &store).await {
        home.pass(Duration::from_secs(1));
        let result = store.retry(id).await;
        if matches!(name, StateName::Dead | StateName::Gone | StateName::Delivering) {
            assert_eq!(result, Ok(()), "{name}");
            let State::Delivering { due_at, lease_until: None, .. } = look(&store, id).await.state else {
                panic!("{name}")
            };
            assert_eq!(due_at, home.now());
        } else {
            let allowed = "only a job that is dead or gone, or that waits to be delivered, can be retried";
            assert_eq!(result, Err(StoreError::WrongState { id, state: name, allowed }));
            assert_eq!(state(&store, id).await, name);
        }
    }
    assert_eq!(count(&store, StateName::Delivering).await, 3);
    assert_eq!((count(&store, StateName::Dead).await, count(&store, StateName::Gone).await), (0, 0));
}

#[tokio::test]
async fn a_waiting_job_is_sent_now_and_one_that_is_on_its_way_is_left_alone() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let id = job.id;
    let error = store.retry(id).await.unwrap_err().to_string();
    assert!(error.contains("its continue is on its way"), "{error}");
    let delivery = Delivery { failures: 4, failing_since: Some(home.now()), ..Delivery::default() };
    let due_at = home.now() + Duration::from_secs(60);
    store.sent(sent(job, AfterDelivery::Retry { due_at, delivery })).await.unwrap();
    assert_eq!(due_deliveries(&store).await, []);
    store.retry(id).await.unwrap();
    assert_eq!(store.delivery().due(home.now()), [ORIGIN.into()]);
    let job = claim(&store).await;
    assert_eq!((job.id, job.attempts, job.delivery), (id, 1, Delivery::default()));
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
    store.sent(sent(claim(&store).await, AfterDelivery::Dead { answer_lost: true })).await.unwrap();
    home.pass(Duration::from_secs(3_600));
    store.retry(id).await.unwrap();
    assert_eq!(store.delivery().due(home.now()), [ORIGIN.into()]);
    let job = claim(&store).await;
    assert_eq!((job.id, job.attempts), (id, 2));
    assert_eq!(job.delivery, Delivery { failures: 0, failing_since: None, answer_lost: true, refused_at });
}

#[tokio::test]
async fn a_gone_job_that_is_retried_forgets_a_lost_answer() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let delivery = Delivery { answer_lost: true, ..Delivery::default() };
    let next = AfterDelivery::Wait { delivery, keeps_place: true };
    let id = job.id;
    store.sent(sent(job, next)).await.unwrap();
    store.sent(sent(claim(&store).await, AfterDelivery::Gone)).await.unwrap();
    store.retry(id).await.unwrap();
    assert_eq!(claim(&store).await.delivery, Delivery::default());
}

#[tokio::test]
async fn what_the_handler_returned_is_kept_beside_its_fallback_and_either_can_be_sent() {
    let home = Home::new();
    let store = home.serve().await;
    let id = refused_twice(&home, &store).await;
    let job = look(&store, id).await;
    assert_eq!(job.state.prepared(), Some(&fallback("sorry")));
    assert_eq!(job.handler_completion, Some(prepared("hi").completion));

    // By default what was sent last.
    store.retry(id).await.unwrap();
    let job = claim(&store).await;
    assert_eq!(job.prepared, fallback("sorry"));
    store.sent(sent(job, AfterDelivery::Gone)).await.unwrap();

    // A refusal was of what was sent, not of what is sent now.
    let refuse = "UPDATE jobs SET refused_at = 5";
    home.run(refuse).await;
    store.retry_with(id, sending(Resend::Handler)).await.unwrap();
    assert_eq!(look(&store, id).await.handler_completion, None);
    let job = claim(&store).await;
    assert_eq!((&job.prepared, job.delivery.refused_at), (&prepared("hi"), None));
    store.sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();

    let chosen = Outcome::Fallback(FallbackReason::Operator);
    for reply in ["we are sorry", "we are very sorry"] {
        home.run(refuse).await;
        let other = Resend::Fallback(prepared(reply).completion);
        store.retry_with(id, sending(other)).await.unwrap();
        assert_eq!(look(&store, id).await.handler_completion, Some(prepared("hi").completion));
        let job = claim(&store).await;
        assert_eq!(job.prepared, PreparedCompletion { outcome: chosen, ..fallback(reply) });
        assert_eq!(job.delivery.refused_at, None);
        store.sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    }
}

#[tokio::test]
async fn a_goto_that_is_added_to_what_the_handler_returned_is_no_second_completion() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let id = job.id;
    let with_goto = job.prepared.completion.with_goto(Step::question(1)).unwrap();
    let with_goto = PreparedCompletion { completion: with_goto, outcome: Outcome::Handler };
    let next = AfterDelivery::Replace { prepared: with_goto.clone(), delivery: Delivery::default() };
    store.sent(sent(job, next)).await.unwrap();
    assert_eq!(look(&store, id).await.handler_completion, None);
    let next = AfterDelivery::Replace { prepared: fallback("sorry"), delivery: Delivery::default() };
    store.sent(sent(claim(&store).await, next)).await.unwrap();
    assert_eq!(look(&store, id).await.handler_completion, Some(with_goto.completion));
}

#[tokio::test]
async fn a_handler_that_returned_nothing_has_nothing_to_send() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.running(&store).await;
    let id = job.id;
    store.handled(handled(job, AfterHandler::Deliver(fallback("sorry")))).await.unwrap();
    store.sent(sent(claim(&store).await, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    let refused = store.retry_with(id, sending(Resend::Handler)).await;
    assert_eq!(refused, Err(StoreError::NoHandlerCompletion(id)));
    assert_eq!(state(&store, id).await, StateName::Dead);
}

#[tokio::test]
async fn what_the_handler_returned_counts_as_bytes_of_its_account_and_goes_with_the_other_bodies() {
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
    assert_eq!(stored().await, bytes(&look(&store, id).await));
    store.retry_with(id, sending(Resend::Handler)).await.unwrap();
    assert_eq!(stored().await, bytes(&look(&store, id).await));
    let long = Resend::Fallback(prepared("a longer fallback than there was").completion);
    store.retry_with(id, sending(long)).await.unwrap();
    assert_eq!(stored().await, bytes(&look(&store, id).await));
    assert_eq!(home.number("SELECT unfinished FROM account_bytes").await, stored().await);
    store.sent(sent(claim(&store).await, AfterDelivery::Delivered)).await.unwrap();
    store.set_budget(Budget { stored: 1, ..Budget::default() });
    store.trim().await;
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
    assert_eq!(store.retry_dead(Some(handler("nobody")), false).await, retried(0));
    assert_eq!(store.retry_dead(Some(handler("other")), false).await, retried(1));
    assert_eq!((count(&store, StateName::Dead).await, count(&store, StateName::Delivering).await), (2, 1));
    assert_eq!(store.retry_dead(None, false).await, retried(2));
    assert_eq!(store.retry_dead(None, false).await, retried(0));
}

#[tokio::test]
async fn a_dead_letter_that_dies_again_is_not_retried_twice() {
    let home = Home::new();
    let store = home.serve().await;
    let ids = [home.dead(&store).await, home.dead(&store).await];
    let retry = |after| {
        let now = home.now();
        store.ask(RetryDead { handler: None, force: false, after, limit: 1, now })
    };
    assert_eq!(retry(None).await.unwrap().last, Some(ids[0]));
    let job = claim(&store).await;
    store.sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    assert_eq!(retry(Some(ids[0])).await.unwrap().last, Some(ids[1]));
    assert_eq!(retry(Some(ids[1])).await.unwrap().jobs, 0);
    assert_eq!(state(&store, ids[0]).await, StateName::Dead);
}
