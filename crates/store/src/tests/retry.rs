//! The effect of an operator's retry on a job.

use super::operator::one_of_each;
use super::*;

pub(crate) async fn claim(store: &Store) -> DeliveringJob {
    let [job] = due_deliveries(store).await.try_into().unwrap();
    job
}

pub(crate) fn sending(send: Resend) -> RetryOptions {
    RetryOptions { send, force: false }
}

pub(crate) fn retried(retried: u64) -> Result<RetriedDead, StoreError> {
    Ok(RetriedDead { retried, superseded: 0 })
}

pub(crate) fn fallback(reply: &str) -> PreparedCompletion {
    PreparedCompletion { outcome: Outcome::Fallback(FallbackReason::Refused), ..prepared(reply) }
}

#[tokio::test]
async fn a_retry_makes_only_dead_gone_and_waiting_jobs_due() {
    let home = Home::new();
    let store = home.serve().await;
    for (name, id) in one_of_each(&home, &store).await {
        home.pass(Duration::from_secs(1));
        let result = store.jobs().retry(id).await;
        if matches!(name, StateName::Dead | StateName::Gone | StateName::Delivering) {
            assert_eq!(result, Ok(()), "{name}");
            let State::Delivering { due_at, lease_until: None, .. } = stored_job(&store, id).await.state
            else {
                panic!("{name}")
            };
            assert_eq!(due_at, home.now());
        } else {
            let allowed = "only a job that is dead, gone or waiting for delivery can be retried";
            assert_eq!(result, Err(StoreError::WrongState { id, state: name, allowed }));
            assert_eq!(state(&store, id).await, name);
        }
    }
    assert_eq!(count(&store, StateName::Delivering).await, 3);
    assert_eq!((count(&store, StateName::Dead).await, count(&store, StateName::Gone).await), (0, 0));
}

#[tokio::test]
async fn a_retry_sends_a_waiting_job_now_and_refuses_one_under_way() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let id = job.id;
    let error = store.jobs().retry(id).await.unwrap_err().to_string();
    assert!(error.contains("its continue is on its way"), "{error}");
    let delivery = Delivery { failures: 4, failing_since: Some(home.now()), ..Delivery::default() };
    let due_at = home.now() + Duration::from_secs(60);
    store.jobs().sent(sent(job, AfterDelivery::Retry { due_at, delivery })).await.unwrap();
    assert_eq!(due_deliveries(&store).await, []);
    store.jobs().retry(id).await.unwrap();
    assert_eq!(store.delivery().due(home.now()), [ORIGIN.into()]);
    let job = claim(&store).await;
    assert_eq!((job.id, job.attempts, job.delivery), (id, 1, Delivery::default()));
}

#[tokio::test]
async fn a_retry_restarts_the_time_budget_and_remembers_a_lost_answer_and_a_refusal() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let id = job.id;
    let refused_at = Some(home.now());
    let delivery = Delivery { failures: 4, failing_since: refused_at, answer_lost: false, refused_at };
    let next = AfterDelivery::Retry { due_at: home.now(), delivery };
    store.jobs().sent(sent(job, next)).await.unwrap();
    store.jobs().sent(sent(claim(&store).await, AfterDelivery::Dead { answer_lost: true })).await.unwrap();
    home.pass(Duration::from_secs(3_600));
    store.jobs().retry(id).await.unwrap();
    assert_eq!(store.delivery().due(home.now()), [ORIGIN.into()]);
    let job = claim(&store).await;
    assert_eq!((job.id, job.attempts), (id, 2));
    assert_eq!(job.delivery, Delivery { failures: 0, failing_since: None, answer_lost: true, refused_at });
}

#[tokio::test]
async fn retrying_a_gone_job_clears_its_lost_answer() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let delivery = Delivery { answer_lost: true, ..Delivery::default() };
    let next = AfterDelivery::Wait { delivery, keeps_place: true };
    let id = job.id;
    store.jobs().sent(sent(job, next)).await.unwrap();
    store.jobs().sent(sent(claim(&store).await, AfterDelivery::Gone)).await.unwrap();
    store.jobs().retry(id).await.unwrap();
    assert_eq!(claim(&store).await.delivery, Delivery::default());
}

#[tokio::test]
async fn adding_a_goto_does_not_store_a_second_handler_completion() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let id = job.id;
    let with_goto = job.prepared.completion.with_goto(Step::question(1)).unwrap();
    let with_goto = PreparedCompletion { completion: with_goto, outcome: Outcome::Handler };
    let next = AfterDelivery::Replace { prepared: with_goto.clone(), delivery: Delivery::default() };
    store.jobs().sent(sent(job, next)).await.unwrap();
    assert_eq!(stored_job(&store, id).await.handler_completion, None);
    let next = AfterDelivery::Replace { prepared: fallback("sorry"), delivery: Delivery::default() };
    store.jobs().sent(sent(claim(&store).await, next)).await.unwrap();
    assert_eq!(stored_job(&store, id).await.handler_completion, Some(with_goto.completion));
}

#[tokio::test]
async fn a_retry_with_the_handlers_completion_fails_if_there_is_none() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.running(&store).await;
    let id = job.id;
    store.jobs().handled(handled(job, AfterHandler::Deliver(fallback("sorry")))).await.unwrap();
    store.jobs().sent(sent(claim(&store).await, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    let refused = store.jobs().retry_with(id, sending(Resend::Handler)).await;
    assert_eq!(refused, Err(StoreError::NoHandlerCompletion(id)));
    assert_eq!(state(&store, id).await, StateName::Dead);
}
