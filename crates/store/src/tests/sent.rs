//! The effect of a report of the sender on a job.

use super::*;

fn in_a_row(failures: u32, since: Timestamp, answer_lost: bool) -> Delivery {
    Delivery { failures, failing_since: Some(since), answer_lost, refused_at: None }
}

async fn claim(store: &Store) -> DeliveringJob {
    let [job] = due_deliveries(store).await.try_into().unwrap();
    job
}

#[tokio::test]
async fn a_final_state_keeps_the_sent_completion() {
    let home = Home::new();
    let store = home.serve().await;
    let finished_at = home.now();
    let table = [
        (AfterDelivery::Delivered, State::Delivered { prepared: prepared("hi"), finished_at }),
        (AfterDelivery::Gone, State::Gone { prepared: prepared("hi"), finished_at }),
        (AfterDelivery::Dead { answer_lost: false }, State::Dead { prepared: prepared("hi"), finished_at }),
    ];
    for (next, expected) in table {
        let job = home.delivering(&store).await;
        let id = job.id;
        let charged = Attempt { status: Some(418), ..attempt(Stage::Delivery, 1, AttemptResult::Fail) };
        let error = Some("why".to_owned());
        let report = DeliveryReport { job, attempt: Some(charged.clone()), next, error };
        assert_eq!(store.jobs().sent(report).await, Ok(Written::Done));
        let job = stored_job(&store, id).await;
        assert_eq!(job.state, expected);
        assert_eq!((job.handler_attempts, job.delivery_attempts), (1, 1));
        assert_eq!(job.last_error.as_deref(), Some("why"));
        assert_eq!(attempts(&store, id).await[1], charged);
        assert_eq!(count(&store, expected.name()).await, 1);
        assert_eq!(count(&store, StateName::Delivering).await, 0);
    }
    assert_eq!(store.delivery().due(home.now()).len(), 0);
}

#[tokio::test]
async fn a_retry_waits_and_remembers_its_failures() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let (id, fence) = (job.id, job.fence);
    let due_at = home.now() + Duration::from_secs(4);
    let delivery = in_a_row(1, home.now(), true);
    store.jobs().sent(sent(job, AfterDelivery::Retry { due_at, delivery })).await.unwrap();
    let expected = State::Delivering { prepared: prepared("hi"), due_at, lease_until: None };
    assert_eq!(stored_job(&store, id).await.state, expected);
    assert_eq!(
        store.jobs().claim_deliveries(ORIGIN.into(), 9, LongestDue::default(), LEASE).await,
        Ok(vec![])
    );
    home.pass(Duration::from_secs(4));
    let job = claim(&store).await;
    assert_eq!((job.attempts, job.delivery), (1, delivery));
    assert!(job.fence > fence);
}

#[tokio::test]
async fn waiting_for_the_account_charges_nothing_and_keeps_the_place() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let id = job.id;
    let delivery = in_a_row(2, home.now(), false);
    let next = AfterDelivery::Retry { due_at: home.now(), delivery };
    store.jobs().sent(sent(job, next)).await.unwrap();
    home.pass(Duration::from_secs(9));
    let job = claim(&store).await;
    let error = Some("the account has to authorize".to_owned());
    let next = AfterDelivery::Wait { delivery, keeps_place: true };
    store.jobs().sent(DeliveryReport { job, attempt: None, next, error }).await.unwrap();
    let record = stored_job(&store, id).await;
    let expected = State::Delivering { prepared: prepared("hi"), due_at: START, lease_until: None };
    assert_eq!((record.state, record.delivery_attempts), (expected, 1));
    assert_eq!(record.last_error.as_deref(), Some("the account has to authorize"));
    assert_eq!(attempts(&store, id).await.len(), 2);
    assert_eq!(claim(&store).await.delivery, delivery);
}

#[tokio::test]
async fn a_replaced_completion_is_due_at_once() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let id = job.id;
    home.pass(Duration::from_secs(1));
    let fallback = PreparedCompletion {
        completion: CheckedCompletion::failed(),
        outcome: Outcome::Fallback(FallbackReason::Refused),
    };
    let next = AfterDelivery::Replace { prepared: fallback.clone(), delivery: Delivery::default() };
    store.jobs().sent(sent(job, next)).await.unwrap();
    let expected = State::Delivering { prepared: fallback.clone(), due_at: home.now(), lease_until: None };
    assert_eq!(stored_job(&store, id).await.state, expected);
    let job = claim(&store).await;
    assert_eq!((job.prepared, job.attempts), (fallback, 1));
}

#[tokio::test]
async fn success_keeps_the_earlier_error() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let id = job.id;
    let delivery = in_a_row(1, home.now(), false);
    let next = AfterDelivery::Retry { due_at: home.now(), delivery };
    store.jobs().sent(DeliveryReport { error: Some("502".into()), ..sent(job, next) }).await.unwrap();
    let job = claim(&store).await;
    store.jobs().sent(sent(job, AfterDelivery::Delivered)).await.unwrap();
    let job = stored_job(&store, id).await;
    assert_eq!((job.state.name(), job.last_error.as_deref()), (StateName::Delivered, Some("502")));
}

#[tokio::test]
async fn only_deliveries_refused_with_their_account_are_due_when_it_resumes() {
    let home = Home::new();
    let store = home.serve().await;
    let later = home.now() + Duration::from_secs(3_600);
    let refused = Delivery { refused_at: Some(home.now()), ..Delivery::default() };
    let alone = Delivery { refused_at: Some(home.now()), ..in_a_row(1, home.now(), false) };
    let mut jobs = Vec::new();
    for delivery in [refused, alone, in_a_row(1, home.now(), false)] {
        let job = home.delivering(&store).await;
        jobs.push(job.id);
        store.jobs().sent(sent(job, AfterDelivery::Retry { due_at: later, delivery })).await.unwrap();
    }
    assert_eq!(store.jobs().release_refused("https://other.kommo.com".into()).await, Ok(0));
    assert_eq!(store.delivery().due(home.now()).len(), 0);
    assert_eq!(store.jobs().release_refused(ORIGIN.into()).await, Ok(1));
    assert_eq!(store.delivery().due(home.now()), [ORIGIN.into()]);
    let job = claim(&store).await;
    assert_eq!((job.id, job.delivery), (jobs[0], refused));
    assert_eq!(store.jobs().release_refused(ORIGIN.into()).await, Ok(0), "the delivery is under way");
}
