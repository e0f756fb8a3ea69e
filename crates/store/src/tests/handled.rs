//! The effect of a worker's report on a job.

use super::*;

fn failure(job: RunningJob, next: AfterHandler) -> HandlerReport {
    let attempt = Attempt {
        result: AttemptResult::Retry,
        error: Some("no answer from the shop".into()),
        ..attempt(Stage::Handler, job.attempts + 1, AttemptResult::Retry)
    };
    HandlerReport { attempt: Some(attempt), next, error: Some("no answer from the shop".into()), job }
}

#[tokio::test]
async fn a_completion_is_stored_and_due_at_once() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.running(&store).await;
    let id = job.id;
    home.pass(Duration::from_secs(3));
    let report = handled(job, AfterHandler::Deliver(prepared("hi")));
    let charged = report.attempt.clone().unwrap();
    assert_eq!(store.jobs().handled(report).await, Ok(Written::Done));
    let job = stored_job(&store, id).await;
    let expected = State::Delivering { prepared: prepared("hi"), due_at: home.now(), lease_until: None };
    assert_eq!(job.state, expected);
    assert_eq!((job.handler_attempts, job.delivery_attempts, job.last_error), (1, 0, None));
    assert_eq!(attempts(&store, id).await, [charged]);
}

/// How many messages fit into the writer's channel.
const CHANNEL: usize = 4_096;

/// Reports like a worker that does not wait, and returns what it gets.
pub(crate) async fn handled_then(store: &Store, report: HandlerReport) -> Result<Written, StoreError> {
    let (then, written) = oneshot::channel();
    store.jobs().handled_then(report, move |result| drop(then.send(result)));
    written.await.unwrap()
}

#[tokio::test]
async fn a_worker_that_does_not_wait_gets_the_result_too() {
    let home = Home::new();
    let store = home.serve().await;
    let deliver = || AfterHandler::Deliver(prepared("hi"));
    let job = home.running(&store).await;
    let id = job.id;
    assert_eq!(handled_then(&store, handled(job, deliver())).await, Ok(Written::Done));
    assert_eq!(state(&store, id).await, StateName::Delivering);
    let cancelled = home.running(&store).await;
    store.jobs().cancel(cancelled.id).await.unwrap();
    assert_eq!(handled_then(&store, handled(cancelled, deliver())).await, Ok(Written::Stale));
    let [left, right] = [home.running(&store).await, home.running(&store).await];
    store.0.abort_writer().await;
    assert_eq!(handled_then(&store, handled(left, deliver())).await, Err(StoreError::Closed));
    store.close().await;
    assert_eq!(handled_then(&store, handled(right, deliver())).await, Err(StoreError::Closed));
}

#[tokio::test]
async fn reports_that_do_not_fit_into_the_writers_channel_are_written_later() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.running(&store).await;
    let id = job.id;
    let open = store.0.hold().await;
    let others = store.clone();
    let probes = async move { futures_util::future::join_all((0..CHANNEL).map(|_| others.probe())).await };
    let probes = tokio::spawn(tokio::task::unconstrained(probes));
    store.0.gathered(CHANNEL).await;
    let report = handled(job, AfterHandler::Deliver(prepared("hi")));
    let written = tokio::spawn({
        let store = store.clone();
        async move { handled_then(&store, report).await }
    });
    // The report is sent in the first poll of its task.
    tokio::task::yield_now().await;
    assert!(!written.is_finished());
    open.send(()).unwrap();
    assert_eq!(written.await.unwrap(), Ok(Written::Done));
    assert!(probes.await.unwrap().iter().all(Result::is_ok));
    assert_eq!(state(&store, id).await, StateName::Delivering);
}

#[tokio::test]
async fn a_fallback_stores_its_reason() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.running(&store).await;
    let id = job.id;
    let prepared = PreparedCompletion {
        completion: CheckedCompletion::failed(),
        outcome: Outcome::Fallback(FallbackReason::Overdue),
    };
    let next = AfterHandler::Deliver(prepared.clone());
    let report = HandlerReport { job, attempt: None, next, error: Some("too late".into()) };
    store.jobs().handled(report).await.unwrap();
    let job = stored_job(&store, id).await;
    let State::Delivering { prepared: stored, .. } = job.state else { panic!() };
    assert_eq!((stored, job.last_error.as_deref()), (prepared, Some("too late")));
    assert_eq!((job.handler_attempts, attempts(&store, id).await), (0, vec![]));
}

#[tokio::test]
async fn a_retry_waits_and_the_history_grows() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.queued(&store).await;
    for number in 1..=3 {
        let [job] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
        assert_eq!(job.attempts, number - 1);
        let due_at = home.now() + Duration::from_secs(2);
        store.jobs().handled(failure(job, AfterHandler::Retry { due_at })).await.unwrap();
        let job = stored_job(&store, id).await;
        assert_eq!(job.state, State::Queued(QueueWait::Until(due_at)));
        assert_eq!(job.handler_attempts, number);
        assert_eq!(job.last_error.as_deref(), Some("no answer from the shop"));
        home.pass(Duration::from_secs(2));
    }
    let history = attempts(&store, id).await;
    assert_eq!(history.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(history[2].error.as_deref(), Some("no answer from the shop"));
    assert_eq!(history[2].result, AttemptResult::Retry);
}

#[tokio::test]
async fn handing_back_charges_nothing_and_resets_crashes() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.running(&store).await;
    let id = job.id;
    home.pass(LEASE);
    store.0.free_leases(Some(home.now()), home.now()).await.unwrap();
    let [job] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    assert_eq!(job.crashes, 1);
    let report = HandlerReport { job, attempt: None, next: AfterHandler::HandBack, error: None };
    assert_eq!(store.jobs().handled(report).await, Ok(Written::Done));
    let record = stored_job(&store, id).await;
    assert_eq!(record.state, State::Queued(QueueWait::Until(home.now())));
    assert_eq!((record.handler_attempts, attempts(&store, id).await), (0, vec![]));
    let [job] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    assert_eq!((job.crashes, job.attempts), (0, 0));
}

#[tokio::test]
async fn many_reports_in_one_batch_each_get_their_own_answer() {
    let home = Home::new();
    let store = home.serve().await;
    let mut jobs = Vec::new();
    for _ in 0..70 {
        jobs.push(home.running(&store).await);
    }
    let cancelled: Vec<JobId> = jobs.iter().skip(1).step_by(7).map(|job| job.id).collect();
    for id in &cancelled {
        store.jobs().cancel(*id).await.unwrap();
    }
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    let open = hold(&store).await;
    let reports = futures_util::future::join_all(
        jobs.into_iter().map(|job| store.jobs().handled(handled(job, AfterHandler::Deliver(prepared("hi"))))),
    );
    let release = async {
        gathered(&store, 70).await;
        open.send(()).unwrap();
    };
    let (written, ()) = tokio::join!(reports, release);
    for (id, written) in ids.into_iter().zip(written) {
        let stale = cancelled.contains(&id);
        assert_eq!(written, Ok(if stale { Written::Stale } else { Written::Done }));
        assert_eq!(state(&store, id).await, if stale { StateName::Cancelled } else { StateName::Delivering });
        assert_eq!(attempts(&store, id).await.len(), usize::from(!stale));
    }
}
