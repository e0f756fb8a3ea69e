//! Answers that come later, by a callback or from an operator, and notes.

use super::*;

/// Adds a job that awaits a callback.
pub(crate) async fn awaiting(home: &Home, store: &Store) -> JobId {
    let job = home.running(store).await;
    let id = job.id;
    let report = HandlerReport {
        attempt: Some(attempt(Stage::Handler, job.attempts + 1, AttemptResult::Accepted)),
        ..handled(job, AfterHandler::AwaitCallback)
    };
    assert_eq!(store.jobs().handled(report).await, Ok(Written::Done));
    id
}

async fn complete(store: &Store, id: JobId) -> Result<Completed, StoreError> {
    store.callbacks().complete(id, prepared("later").completion).await
}

async fn claim(store: &Store, id: JobId, attempt: Option<u32>) -> Result<AwaitingClaim, StoreError> {
    store.callbacks().claim_awaiting(id, attempt, LEASE).await
}

async fn texts(store: &Store, id: JobId) -> Vec<String> {
    store.callbacks().notes(id).await.unwrap().into_iter().map(|note| note.text).collect()
}

#[tokio::test]
async fn a_job_that_awaits_a_callback_keeps_its_attempt_and_survives_a_restart() {
    let home = Home::new();
    let store = home.serve().await;
    let id = awaiting(&home, &store).await;
    assert_eq!(store.callbacks().awaiting("greet"), 1);
    store.close().await;
    let store = home.serve().await;
    let job = stored_job(&store, id).await;
    assert_eq!((job.state, job.handler_attempts), (State::AwaitingCallback, 1));
    assert_eq!(attempts(&store, id).await[0].result, AttemptResult::Accepted);
    assert_eq!(store.callbacks().awaiting("greet"), 1);
    assert_eq!(store.callbacks().awaiting("other"), 0);
    let observer = home.open(Role::Observer).await.unwrap();
    assert_eq!(observer.callbacks().awaiting_by_handler().await.unwrap(), [("greet".to_owned(), 1)].into());
    observer.close().await;
    assert_eq!(store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap(), [], "it does not run again");
}

#[tokio::test]
async fn a_callback_gives_the_completion_once() {
    let home = Home::new();
    let store = home.serve().await;
    let running = home.running(&store).await;
    let (awaiting, queued) = (awaiting(&home, &store).await, home.queued(&store).await);
    for (id, before) in [
        (running.id, StateName::Running),
        (queued, StateName::Queued),
        (awaiting, StateName::AwaitingCallback),
    ] {
        assert_eq!(state(&store, id).await, before);
        assert_eq!(complete(&store, id).await, Ok(Completed::Accepted), "{before}");
        let expected =
            State::Delivering { prepared: prepared("later"), due_at: home.now(), lease_until: None };
        assert_eq!(stored_job(&store, id).await.state, expected);
        assert_eq!(complete(&store, id).await, Ok(Completed::Before(StateName::Delivering)));
        assert_eq!(texts(&store, id).await, ["the completion came by a callback"]);
    }
    let late = handled(running, AfterHandler::Deliver(prepared("too late")));
    assert_eq!(store.jobs().handled(late).await, Ok(Written::Stale), "the fence has risen");
    assert_eq!(store.delivery().due(home.now()), [ORIGIN.into()]);
    assert_eq!(due_deliveries(&store).await.len(), 3);
    assert_eq!(store.callbacks().awaiting("greet"), 0);
}

#[tokio::test]
async fn of_two_callbacks_in_the_same_transaction_one_is_accepted() {
    let home = Home::new();
    let store = home.serve().await;
    let id = awaiting(&home, &store).await;
    let answers = tokio::join!(complete(&store, id), complete(&store, id));
    assert_eq!(answers, (Ok(Completed::Accepted), Ok(Completed::Before(StateName::Delivering))));
}

#[tokio::test]
async fn a_callback_after_the_end_is_too_late_and_noted() {
    let home = Home::new();
    let store = home.serve().await;
    let cancelled = awaiting(&home, &store).await;
    store.jobs().cancel(cancelled).await.unwrap();
    assert_eq!(store.callbacks().awaiting("greet"), 0);
    assert_eq!(complete(&store, cancelled).await, Ok(Completed::TooLate(StateName::Cancelled)));
    let job = home.running(&store).await;
    let fallen_back = job.id;
    let sorry =
        PreparedCompletion { outcome: Outcome::Fallback(FallbackReason::Failed), ..prepared("sorry") };
    store.jobs().handled(handled(job, AfterHandler::Deliver(sorry.clone()))).await.unwrap();
    assert_eq!(complete(&store, fallen_back).await, Ok(Completed::TooLate(StateName::Delivering)));
    assert_eq!(stored_job(&store, fallen_back).await.state.prepared(), Some(&sorry));
    let overdue = awaiting(&home, &store).await;
    home.pass(Duration::from_secs(50));
    assert_eq!(complete(&store, overdue).await, Ok(Completed::TooLate(StateName::AwaitingCallback)));
    for id in [cancelled, fallen_back, overdue] {
        let expected = "a completion came by a callback, but too late: it was discarded";
        assert_eq!(texts(&store, id).await, [expected]);
    }
    let by_operator = |id| store.callbacks().complete_by_operator(id, prepared("hi").completion);
    assert_eq!(by_operator(overdue).await, Ok(()), "an operator may be late");
    let refused = by_operator(cancelled).await.unwrap_err().to_string();
    assert!(refused.contains("only a job that has no completion yet can be completed"), "{refused}");
    let unknown = home.request().id;
    assert_eq!(complete(&store, unknown).await, Err(StoreError::NoJob(unknown)));
}

#[tokio::test]
async fn a_job_without_a_callback_in_time_is_overdue() {
    let home = Home::new();
    let store = home.serve().await;
    let id = awaiting(&home, &store).await;
    let deadline = home.steady() + Duration::from_secs(50);
    assert_eq!(store.work().deadline(), Some(deadline));
    home.pass(Duration::from_millis(49_999));
    assert_eq!(store.jobs().claim_overdue(9, LEASE).await.unwrap(), Overdue::default());
    home.pass(Duration::from_millis(1));
    let overdue = store.jobs().claim_overdue(9, LEASE).await.unwrap();
    assert_eq!((overdue.queued.len(), overdue.awaiting[0].id), (0, id));
    assert_eq!((store.callbacks().awaiting("greet"), store.work().deadline()), (0, None));
}

#[tokio::test]
async fn an_error_claims_only_the_attempt_that_awaits() {
    let home = Home::new();
    let store = home.serve().await;
    let queued = home.queued(&store).await;
    assert_eq!(claim(&store, queued, None).await, Ok(AwaitingClaim::NotAwaiting(StateName::Queued)));
    let id = awaiting(&home, &store).await;
    let other = Ok(AwaitingClaim::NotAwaiting(StateName::AwaitingCallback));
    assert_eq!(claim(&store, id, Some(2)).await, other);
    let Ok(AwaitingClaim::Claimed(job)) = claim(&store, id, Some(1)).await else { panic!("not claimed") };
    assert_eq!((job.id, job.attempts, store.callbacks().awaiting("greet")), (id, 1, 0));
    assert_eq!(claim(&store, id, Some(1)).await, Ok(AwaitingClaim::NotAwaiting(StateName::Running)));
    for attempt in [None, Some(2)] {
        assert_eq!(claim(&store, id, attempt).await, Ok(AwaitingClaim::NotYet), "the attempt may end soon");
    }
    let due_at = home.steady() + Duration::from_secs(3);
    let report = HandlerReport { attempt: None, ..handled(*job, AfterHandler::Retry { due_at }) };
    assert_eq!(store.jobs().handled(report).await, Ok(Written::Done));
    assert_eq!(state(&store, id).await, StateName::Queued);
}

#[tokio::test]
async fn a_job_keeps_its_first_hundred_notes() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.queued(&store).await;
    for number in 1..=100 {
        home.pass(Duration::from_millis(1));
        assert_eq!(store.callbacks().note(id, &format!(" step {number}\n")).await, Ok(true));
    }
    assert_eq!(store.callbacks().note(id, "one more").await, Ok(false));
    assert_eq!(store.callbacks().note(id, " ").await, Ok(true));
    let notes = store.callbacks().notes(id).await.unwrap();
    assert_eq!((notes.len(), notes[0].text.as_str(), notes[99].text.as_str()), (100, "step 1", "step 100"));
    assert_eq!(notes[99].noted_at, home.now());
    let unknown = home.request().id;
    assert_eq!(store.callbacks().note(unknown, "x").await, Err(StoreError::NoJob(unknown)));
}

#[tokio::test]
async fn notes_go_with_the_bodies() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.queued(&store).await;
    store.callbacks().note(id, "the customer said yes").await.unwrap();
    store.jobs().cancel(id).await.unwrap();
    home.pass(Duration::from_secs(1));
    store.0.drop_bodies_before(store.0.moment().cutoff(Duration::ZERO)).await;
    assert_eq!(texts(&store, id).await, [""; 0]);
}

#[tokio::test]
async fn the_key_is_made_once_and_can_be_encrypted() {
    let home = Home::new();
    let store = home.serve().await;
    let key = |byte, id: Option<&str>| StoredKey { key: vec![byte; 32], key_id: id.map(str::to_owned) };
    for new in [key(1, None), key(2, None)] {
        assert!(store.callbacks().key(new).await.unwrap() == key(1, None));
    }
    store.callbacks().encrypt_key(key(9, Some("a key"))).await.unwrap();
    store.close().await;
    let store = home.serve().await;
    assert!(store.callbacks().key(key(3, None)).await.unwrap() == key(9, Some("a key")));
}
