//! Which claim gets which jobs, and in which order.

use super::*;

async fn claim(store: &Store, name: &str, limit: usize) -> Vec<JobId> {
    let jobs = store.jobs().claim_work(name.into(), limit, LEASE).await.unwrap();
    jobs.into_iter().map(|job| job.id).collect()
}

pub(crate) async fn claim_deliveries(store: &Store, limit: usize, longest_due: LongestDue) -> Vec<JobId> {
    let jobs = store.jobs().claim_deliveries(ORIGIN.into(), limit, longest_due, LEASE).await.unwrap();
    jobs.into_iter().map(|job| job.id).collect()
}

#[tokio::test]
async fn a_worker_gets_the_whole_request_under_a_lease() {
    let home = Home::new();
    let store = home.serve().await;
    let request = home.request();
    accept(&store, request.clone()).await;
    home.pass(Duration::from_secs(1));
    let [job] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    let expected = RunningJob {
        id: request.id,
        fence: Fence(1),
        handler: request.handler,
        request: request.request.into(),
        received_at: request.received_at,
        waiting_since: START,
        answer_by: request.answer_by,
        attempts: 0,
        crashes: 0,
        last_error: None,
        is_ordered: false,
    };
    assert_eq!(job, expected);
    let lease_until = home.now() + LEASE;
    assert_eq!(stored_job(&store, job.id).await.state, State::Running { lease_until });
}

#[tokio::test]
async fn a_claim_gets_the_oldest_jobs_up_to_the_limit_and_no_job_twice() {
    let home = Home::new();
    let store = home.serve().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(home.queued(&store).await);
        home.pass(Duration::from_millis(1));
    }
    assert_eq!(claim(&store, "greet", 0).await, []);
    assert_eq!(claim(&store, "greet", 2).await, ids[..2]);
    assert_eq!(claim(&store, "greet", 9).await, ids[2..]);
    assert_eq!(claim(&store, "greet", 9).await, []);
}

#[tokio::test]
async fn concurrent_claims_share_the_jobs() {
    let home = Home::new();
    let store = home.serve().await;
    for _ in 0..40 {
        home.queued(&store).await;
    }
    let claims = (0..16).map(|_| claim(&store, "greet", 3));
    let mut ids: Vec<JobId> = futures_util::future::join_all(claims).await.concat();
    assert_eq!(ids.len(), 40);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40);
}

#[tokio::test]
async fn each_lane_has_its_own_jobs() {
    let home = Home::new();
    let store = home.serve().await;
    let ours = home.queued(&store).await;
    let theirs = accept(&store, NewJob { handler: handler("other"), ..home.request() }).await;
    assert_eq!(claim(&store, "unknown", 9).await, []);
    assert_eq!(claim(&store, "other", 9).await, [theirs]);
    assert_eq!(claim(&store, "greet", 9).await, [ours]);
}

#[tokio::test]
async fn a_retry_is_claimed_when_it_is_due_with_a_higher_fence() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.running(&store).await;
    let due_at = home.now() + Duration::from_secs(5);
    store.jobs().handled(handled(job, AfterHandler::Retry { due_at })).await.unwrap();
    home.pass(Duration::from_millis(4_999));
    assert_eq!(claim(&store, "greet", 9).await, []);
    home.pass(Duration::from_millis(1));
    let [job] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    assert_eq!((job.fence, job.attempts), (Fence(2), 1));
}

#[tokio::test]
async fn overdue_jobs_of_any_handler_are_claimed_whether_due_or_not() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.running(&store).await;
    let waits_for_retry = job.id;
    let due_at = home.now() + Duration::from_secs(500);
    store.jobs().handled(handled(job, AfterHandler::Retry { due_at })).await.unwrap();
    home.pass(Duration::from_secs(1));
    let removed = accept(&store, NewJob { handler: handler("removed"), ..home.request() }).await;
    let fresh = NewJob { answer_by: home.now() + Duration::from_secs(900), ..home.request() };
    let fresh = accept(&store, fresh).await;

    assert_eq!(store.jobs().claim_overdue(9, LEASE).await.unwrap().queued, []);
    home.pass(Duration::from_secs(49));
    let ids = |jobs: Vec<RunningJob>| jobs.into_iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(ids(store.jobs().claim_overdue(1, LEASE).await.unwrap().queued), [waits_for_retry]);
    home.pass(Duration::from_secs(1));
    assert_eq!(ids(store.jobs().claim_overdue(9, LEASE).await.unwrap().queued), [removed]);
    assert_eq!(state(&store, fresh).await, StateName::Queued);
}

#[tokio::test]
async fn overdue_jobs_do_not_delay_jobs_that_can_still_be_answered() {
    let home = Home::new();
    let store = home.serve().await;
    let overdue = [home.queued(&store).await, home.queued(&store).await];
    home.pass(Duration::from_secs(50));
    let fresh = home.queued(&store).await;
    assert_eq!(claim(&store, "greet", 9).await, [fresh]);
    let claimed = store.jobs().claim_overdue(9, LEASE).await.unwrap().queued;
    assert_eq!(claimed.into_iter().map(|job| job.id).collect::<Vec<_>>(), overdue);
}

#[tokio::test]
async fn the_sender_gets_the_whole_delivery_under_a_lease() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.waiting(&store).await;
    let [job] = due_deliveries(&store).await.try_into().unwrap();
    let expected = DeliveringJob {
        id,
        fence: Fence(2),
        handler: handler("greet"),
        account_id: AccountId(7),
        entity: Some(Entity { kind: EntityKind::Lead, id: 5 }),
        return_url: return_url(ORIGIN, 0),
        received_at: START,
        waiting_since: START,
        handler_attempts: 1,
        prepared: prepared("hi"),
        attempts: 0,
        delivery: Delivery::default(),
        tried: false,
        superseded_by: None,
        due_at: START,
        last_run: Some(HandlerRun { started_at: START, duration: Duration::from_millis(12) }),
    };
    assert_eq!(job, expected);
    let State::Delivering { lease_until, .. } = stored_job(&store, id).await.state else { panic!() };
    assert_eq!(lease_until, Some(home.now() + LEASE));
    assert_eq!(claim_deliveries(&store, 9, LongestDue::default()).await, []);
}

#[tokio::test]
async fn first_tries_precede_retries_unless_the_claim_prefers_retries() {
    let home = Home::new();
    let store = home.serve().await;
    let mut retries = Vec::new();
    for _ in 0..3 {
        let job = home.delivering(&store).await;
        retries.push(job.id);
        let delivery =
            Delivery { failures: 1, failing_since: Some(home.now()), answer_lost: false, refused_at: None };
        let next = AfterDelivery::Retry { due_at: home.now() + Duration::from_secs(1), delivery };
        store.jobs().sent(sent(job, next)).await.unwrap();
    }
    home.pass(Duration::from_secs(1));
    let mut firsts = Vec::new();
    for _ in 0..3 {
        firsts.push(home.waiting(&store).await);
    }
    assert_eq!(claim_deliveries(&store, 2, LongestDue::default()).await, firsts[..2]);
    assert_eq!(claim_deliveries(&store, 2, LongestDue { jobs: 2, retries_first: true }).await, retries[..2]);
    let mut rest = claim_deliveries(&store, 9, LongestDue::default()).await;
    rest.sort();
    assert_eq!(rest, [retries[2], firsts[2]]);
}

/// Adds a job that is received now, and that waits for a retry that is due at once.
pub(crate) async fn retried(home: &Home, store: &Store) -> JobId {
    let job = home.delivering(store).await;
    let id = job.id;
    let delivery = Delivery { failures: 1, failing_since: Some(home.now()), ..Delivery::default() };
    store.jobs().sent(sent(job, AfterDelivery::Retry { due_at: home.now(), delivery })).await.unwrap();
    id
}

#[tokio::test]
async fn a_job_is_young_for_a_minute() {
    for (age, older_first) in [(59_999, true), (60_000, false)] {
        let home = Home::new();
        let store = home.serve().await;
        let older = home.waiting(&store).await;
        home.pass(Duration::from_millis(age));
        let younger = home.waiting(&store).await;
        let expected = if older_first { older } else { younger };
        assert_eq!(claim_deliveries(&store, 1, LongestDue::default()).await, [expected], "{age} ms");
    }
}

#[tokio::test]
async fn the_longest_due_jobs_start_with_the_kind_that_the_claim_prefers() {
    let home = Home::new();
    let store = home.serve().await;
    let retry = retried(&home, &store).await;
    home.pass(Duration::from_millis(1));
    let old = home.waiting(&store).await;
    home.pass(Duration::from_secs(61));
    let young = home.waiting(&store).await;
    for (retries_first, expected) in [(true, [retry, young]), (false, [old, young])] {
        let longest_due = LongestDue { jobs: 1, retries_first };
        let claimed = store.jobs().claim_deliveries(ORIGIN.into(), 2, longest_due, LEASE).await.unwrap();
        assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), expected);
        for job in claimed {
            let delivery = job.delivery;
            let next = AfterDelivery::Wait { delivery, keeps_place: true };
            store.jobs().sent(DeliveryReport { job, attempt: None, next, error: None }).await.unwrap();
        }
    }
    assert_eq!(claim_deliveries(&store, 2, LongestDue { jobs: 2, retries_first: true }).await, [retry, old]);
}

#[tokio::test]
async fn deliveries_to_another_origin_are_not_claimed() {
    let home = Home::new();
    let store = home.serve().await;
    home.waiting(&store).await;
    let claimed = store
        .jobs()
        .claim_deliveries("https://two.kommo.com".into(), 9, LongestDue::default(), LEASE)
        .await
        .unwrap();
    assert_eq!(claimed, []);
}
