//! Ordered conversations: one job at a time, in order of receipt, and messages that are joined.

use super::*;

const COALESCE: Duration = Duration::from_secs(2);

fn by_conversation(coalesce: Option<Duration>) -> JobOrdering {
    JobOrdering::Conversation { coalesce }
}

/// A message of the conversation about this lead.
fn message(home: &Home, lead: i64, coalesce: Option<Duration>) -> NewJob {
    let mut new = home.request();
    new.ordering = by_conversation(coalesce);
    new.request.entity = Some(Entity { kind: EntityKind::Lead, id: lead });
    new.request.data = json!({ "message": new.idempotency_key });
    new
}

async fn accept_all(store: &Store, messages: Vec<NewJob>) -> Vec<JobId> {
    let mut ids = Vec::new();
    for message in messages {
        ids.push(accept(store, message).await);
    }
    ids
}

async fn claimed(store: &Store) -> Vec<RunningJob> {
    store.jobs().claim_work("greet".into(), 100, LEASE).await.unwrap()
}

async fn answer(store: &Store, job: RunningJob) {
    let report = handled(job, AfterHandler::Deliver(prepared("hi")));
    assert_eq!(store.jobs().handled(report).await.unwrap(), Written::Done);
}

fn ids(jobs: &[RunningJob]) -> Vec<JobId> {
    jobs.iter().map(|job| job.id).collect()
}

#[tokio::test]
async fn jobs_of_a_conversation_run_one_at_a_time_in_order_of_receipt() {
    let home = Home::new();
    let store = home.serve().await;
    let all = accept_all(&store, (0..10).map(|_| message(&home, 5, None)).collect()).await;
    let other = accept(&store, message(&home, 6, None)).await;
    let mut first = claimed(&store).await;
    assert_eq!(ids(&first), [all[0], other], "conversations do not delay each other");
    assert_eq!(stored_job(&store, all[1]).await.state, State::Queued(QueueWait::Turn));
    answer(&store, first.remove(0)).await;
    for id in &all[1..] {
        assert!(store.work().due(home.steady()).contains(&"greet".into()), "no one has to poll");
        let mut next = claimed(&store).await;
        assert_eq!(ids(&next), [*id]);
        assert!(claimed(&store).await.is_empty(), "the next one waits until this one is answered");
        answer(&store, next.remove(0)).await;
    }
}

#[tokio::test]
async fn messages_that_arrive_in_one_transaction_keep_their_order() {
    let home = Home::new();
    let store = home.serve().await;
    let open = hold(&store).await;
    let new: Vec<NewJob> = (0..5).map(|_| message(&home, 5, None)).collect();
    let all: Vec<JobId> = new.iter().map(|job| job.id).collect();
    let accepted = new.into_iter().map(|job| store.jobs().accept(job, COMMIT_TIMEOUT));
    let release = async {
        gathered(&store, 5).await;
        open.send(()).unwrap();
    };
    tokio::join!(futures_util::future::join_all(accepted), release);
    for id in all {
        let mut next = claimed(&store).await;
        assert_eq!(ids(&next), [id]);
        answer(&store, next.remove(0)).await;
    }
}

#[tokio::test]
async fn a_retry_keeps_its_turn() {
    let home = Home::new();
    let store = home.serve().await;
    let all = accept_all(&store, vec![message(&home, 5, None), message(&home, 5, None)]).await;
    let job = claimed(&store).await.remove(0);
    let due_at = home.steady() + Duration::from_secs(3);
    store.jobs().handled(handled(job, AfterHandler::Retry { due_at })).await.unwrap();
    assert!(claimed(&store).await.is_empty());
    home.pass(Duration::from_secs(3));
    assert_eq!(ids(&claimed(&store).await), all[..1]);
}

#[tokio::test]
async fn the_turn_passes_on_however_a_job_leaves() {
    let home = Home::new();
    let store = home.serve().await;
    let all = accept_all(&store, (0..5).map(|_| message(&home, 5, None)).collect()).await;
    let next = async |expected: usize| {
        let claimed = claimed(&store).await;
        assert_eq!(ids(&claimed), [all[expected]]);
        claimed.into_iter().next().unwrap()
    };
    drop(next(0).await);
    store.jobs().cancel(all[0]).await.unwrap();
    let awaited = next(1).await;
    store.jobs().handled(handled(awaited, AfterHandler::AwaitCallback)).await.unwrap();
    assert!(claimed(&store).await.is_empty(), "a job that awaits a callback keeps its turn");
    store.callbacks().complete(all[1], prepared("later").completion).await.unwrap();
    // A job in the middle leaves, and the others keep their order.
    store.jobs().cancel(all[3]).await.unwrap();
    answer(&store, next(2).await).await;
    answer(&store, next(4).await).await;
    let last = accept(&store, message(&home, 5, None)).await;
    assert_eq!(ids(&claimed(&store).await), [last], "an empty line is open at once");
}

#[tokio::test]
async fn a_job_that_waited_too_long_for_its_turn_gets_its_fallback() {
    let home = Home::new();
    let store = home.serve().await;
    let slow =
        accept(&store, NewJob { answer_by: home.steady() + LEASE * 9, ..message(&home, 5, None) }).await;
    let late = accept(&store, message(&home, 5, None)).await;
    let third =
        accept(&store, NewJob { answer_by: home.steady() + LEASE * 9, ..message(&home, 5, None) }).await;
    let running = claimed(&store).await.remove(0);
    assert_eq!(running.id, slow);
    home.pass(Duration::from_secs(51));
    let mut overdue = store.jobs().claim_overdue(10, LEASE).await.unwrap().queued;
    assert_eq!(ids(&overdue), [late]);
    answer(&store, overdue.remove(0)).await;
    assert!(claimed(&store).await.is_empty(), "the first job still has its turn");
    answer(&store, running).await;
    assert_eq!(ids(&claimed(&store).await), [third]);
}

#[tokio::test]
async fn a_crash_changes_no_order() {
    let home = Home::new();
    let store = home.serve().await;
    let all = accept_all(&store, (0..3).map(|_| message(&home, 5, None)).collect()).await;
    assert_eq!(ids(&claimed(&store).await), all[..1]);
    store.0.die().await;
    let store = home.serve().await;
    for id in &all {
        let mut next = claimed(&store).await;
        assert_eq!(ids(&next), [*id]);
        answer(&store, next.remove(0)).await;
    }
}

#[tokio::test]
async fn jobs_without_an_entity_or_an_order_run_side_by_side() {
    let home = Home::new();
    let store = home.serve().await;
    for _ in 0..2 {
        let mut without = message(&home, 5, Some(COALESCE));
        without.request.entity = None;
        accept(&store, without).await;
        accept(&store, NewJob { ordering: JobOrdering::None, ..message(&home, 5, None) }).await;
    }
    assert_eq!(claimed(&store).await.len(), 4);
}

#[tokio::test]
async fn messages_within_a_pause_become_one_job() {
    let home = Home::new();
    let store = home.serve().await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(accept(&store, message(&home, 5, Some(COALESCE))).await);
        home.pass(Duration::from_millis(1_500));
    }
    let due_at = home.steady() + Duration::from_millis(500);
    assert_eq!(stored_job(&store, all[0]).await.state, State::Queued(QueueWait::Messages(due_at)));
    assert!(claimed(&store).await.is_empty());
    home.pass(Duration::from_millis(500));
    let mut jobs = claimed(&store).await;
    assert_eq!(ids(&jobs), all[2..], "the newest one runs");
    let request = jobs[0].request.clone();
    assert_eq!(request.data, json!({ "message": "jti-2" }));
    assert_eq!(request.earlier, [json!({ "message": "jti-0" }), json!({ "message": "jti-1" })]);
    for id in &all[..2] {
        let job = stored_job(&store, *id).await;
        let completion = job.state.prepared().unwrap().completion.as_json().to_owned();
        assert_eq!(completion, r#"{"data":{"status":"superseded"}}"#);
        assert_eq!((job.state.name(), job.joined_into), (StateName::Delivering, Some(all[2])));
    }
    assert_eq!(due_deliveries(&store).await.len(), 2, "their bots are continued at once");
    // A message that comes now belongs to the next job.
    let next = accept(&store, message(&home, 5, Some(COALESCE))).await;
    let retried = jobs.remove(0);
    store.jobs().handled(handled(retried, AfterHandler::Retry { due_at: home.steady() })).await.unwrap();
    let mut again = claimed(&store).await;
    assert_eq!((again[0].id, &again[0].request), (all[2], &request), "a retry sees the same messages");
    answer(&store, again.remove(0)).await;
    home.pass(COALESCE);
    let last = claimed(&store).await;
    assert_eq!((ids(&last), last[0].request.earlier.len()), (vec![next], 0));
}

#[tokio::test]
async fn the_first_message_waits_at_most_three_times_the_pause() {
    let home = Home::new();
    let store = home.serve().await;
    let mut all = Vec::new();
    for _ in 0..6 {
        assert!(claimed(&store).await.is_empty());
        all.push(accept(&store, message(&home, 5, Some(COALESCE))).await);
        home.pass(Duration::from_secs(1));
    }
    assert_eq!(ids(&claimed(&store).await), all[5..], "six seconds after the first one");
}

#[tokio::test]
async fn messages_that_come_during_a_turn_form_the_next_one() {
    let home = Home::new();
    let store = home.serve().await;
    let first = accept(&store, message(&home, 5, Some(COALESCE))).await;
    home.pass(COALESCE);
    let mut running = claimed(&store).await;
    assert_eq!(ids(&running), [first]);
    let all = accept_all(&store, (0..3).map(|_| message(&home, 5, Some(COALESCE))).collect()).await;
    home.pass(COALESCE * 2);
    assert!(claimed(&store).await.is_empty());
    answer(&store, running.remove(0)).await;
    let next = claimed(&store).await;
    assert_eq!((ids(&next), next[0].request.earlier.len()), (all[2..].to_vec(), 2), "their pause is over");
}

#[tokio::test]
async fn joined_messages_survive_a_crash_and_count_as_bytes_of_their_account() {
    let home = Home::new();
    let store = home.serve().await;
    let all = accept_all(&store, (0..10).map(|_| message(&home, 5, Some(COALESCE))).collect()).await;
    store.0.die().await;
    let store = home.serve().await;
    home.pass(COALESCE);
    let request = claimed(&store).await.remove(0).request;
    assert_eq!(request.earlier.len(), 9);
    store.0.die().await;
    let store = home.serve().await;
    let again = claimed(&store).await.remove(0);
    assert_eq!((again.id, &again.request), (all[9], &request));
    let data = r#"{"message":"jti-0"}"#.len() as u64;
    let superseded = CheckedCompletion::superseded().as_json().len() as u64;
    let expected = 10 * data + 9 * superseded + (9 * data + 10);
    assert_eq!(store.0.stored_bytes().await[&7], (expected, expected));
}

#[tokio::test]
async fn a_job_answers_at_most_a_hundred_messages() {
    let home = Home::new();
    let store = home.serve().await;
    let all = accept_all(&store, (0..130).map(|_| message(&home, 5, Some(COALESCE))).collect()).await;
    home.pass(COALESCE);
    let mut jobs = claimed(&store).await;
    assert_eq!((ids(&jobs), jobs[0].request.earlier.len()), (vec![all[99]], 99));
    answer(&store, jobs.remove(0)).await;
    let rest = claimed(&store).await;
    assert_eq!((ids(&rest), rest[0].request.earlier.len()), (vec![all[129]], 29));
}

#[tokio::test]
async fn an_observer_gives_the_turn_too() {
    let home = Home::new();
    let store = home.serve().await;
    let all = accept_all(&store, vec![message(&home, 5, None), message(&home, 5, None)]).await;
    assert_eq!(ids(&claimed(&store).await), all[..1]);
    let observer = home.open(Role::Observer).await.unwrap();
    observer.jobs().cancel(all[0]).await.unwrap();
    store.0.reload().await;
    assert_eq!(ids(&claimed(&store).await), all[1..]);
}
