//! Groups of errors: which reports count, what a group shows, and the retry of a group.

use super::*;

/// Fails the attempt of a new job for good, with this error: its bot gets the fallback.
async fn fails(home: &Home, store: &Store, error: &str) -> JobId {
    let job = home.running(store).await;
    let id = job.id;
    let fallback = PreparedCompletion {
        completion: CheckedCompletion::failed(),
        outcome: Outcome::Fallback(FallbackReason::Failed),
    };
    let attempt = Some(attempt(Stage::Handler, 1, AttemptResult::Fail));
    let report =
        HandlerReport { job, attempt, next: AfterHandler::Deliver(fallback), error: Some(error.into()) };
    assert_eq!(store.jobs().handled(report).await.unwrap(), Written::Done);
    id
}

/// Lets the delivery of a new job end as dead, with this error.
async fn dies(home: &Home, store: &Store, error: &str) -> JobId {
    let job = home.delivering(store).await;
    let id = job.id;
    let report =
        DeliveryReport { error: Some(error.into()), ..sent(job, AfterDelivery::Dead { answer_lost: false }) };
    assert_eq!(store.jobs().sent(report).await.unwrap(), Written::Done);
    id
}

async fn groups(store: &Store) -> Vec<ErrorGroup> {
    store.errors().groups().await.unwrap()
}

async fn group_of(store: &Store, id: JobId) -> Option<i64> {
    let group = store.jobs().surroundings(id).await.unwrap().unwrap().error_group;
    let (job, _) = store.jobs().get(id).await.unwrap().unwrap();
    assert_eq!(job.summary().error_group, group);
    let listed = store.jobs().list(&JobFilter { limit: 100, ..JobFilter::default() }).await.unwrap().jobs;
    assert_eq!(listed.iter().find(|job| job.id == id).unwrap().error_group, group);
    group
}

#[tokio::test]
async fn errors_that_differ_only_in_numbers_form_a_group_with_its_last_job() {
    let home = Home::new();
    let store = home.serve().await;
    fails(&home, &store, "lead 31764961 not found").await;
    home.pass(Duration::from_secs(3_600));
    let second = fails(&home, &store, "lead 5 not found").await;
    home.pass(Duration::from_secs(2 * 3_600));
    let other = dies(&home, &store, "503 Service Unavailable").await;
    let found = groups(&store).await;
    let [delivery, handler_group] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        (&*delivery.text, delivery.stage, &delivery.handler),
        ("503 Service Unavailable", Stage::Delivery, &None)
    );
    assert_eq!((delivery.failures, delivery.sample), (1, other));
    assert_eq!((&*handler_group.text, handler_group.stage), ("lead N not found", Stage::Handler));
    assert_eq!(handler_group.handler, Some(handler("greet")));
    assert_eq!((handler_group.failures, handler_group.sample), (2, second));
    assert_eq!(handler_group.last_at.since(handler_group.first_at), Duration::from_secs(3_600));
    assert_eq!(handler_group.last_day[20..], [1, 1, 0, 0], "the last hour is the current one");
    assert_eq!(handler_group.last_day.len(), 24);
    assert_eq!(group_of(&store, second).await, Some(handler_group.id));
    assert_eq!(store.errors().group(handler_group.id).await.unwrap().as_ref(), Some(handler_group));
    assert_eq!(store.errors().group(77).await.unwrap(), None);
}

#[tokio::test]
async fn the_groups_with_most_errors_within_a_day_come_first() {
    let home = Home::new();
    let store = home.serve().await;
    assert_eq!(store.errors().top(5).await.unwrap(), []);
    for error in ["old", "old", "old", "often"] {
        fails(&home, &store, error).await;
    }
    home.pass(Duration::from_secs(24 * 3_600));
    for error in ["often", "often", "once"] {
        fails(&home, &store, error).await;
    }
    let texts = |groups: Vec<ErrorGroup>| groups.into_iter().map(|group| group.text).collect::<Vec<_>>();
    let top = store.errors().top(5).await.unwrap();
    assert_eq!((top[0].failures, top[0].last_day.iter().sum::<u64>()), (3, 2));
    assert_eq!(texts(top), ["often", "once"]);
    assert_eq!(texts(store.errors().top(1).await.unwrap()), ["often"]);
}

#[tokio::test]
async fn only_an_attempt_with_an_error_a_fallback_or_a_dead_job_counts() {
    let home = Home::new();
    let store = home.serve().await;
    // A delivered job.
    let job = home.delivering(&store).await;
    let delivered = job.id;
    store.jobs().sent(sent(job, AfterDelivery::Delivered)).await.unwrap();
    // A job that waits for its account.
    let job = home.delivering(&store).await;
    let waits = job.id;
    let next = AfterDelivery::Wait { delivery: job.delivery, keeps_place: true };
    let report = DeliveryReport { job, attempt: None, next, error: Some("429".into()) };
    store.jobs().sent(report).await.unwrap();
    assert_eq!(groups(&store).await, []);
    assert_eq!((group_of(&store, delivered).await, group_of(&store, waits).await), (None, None));
    // A failed attempt that the bridge retries.
    let job = home.running(&store).await;
    let next = AfterHandler::Retry { due_at: home.steady() };
    let report = HandlerReport { error: Some("timeout".into()), ..handled(job, next) };
    store.jobs().handled(report).await.unwrap();
    assert_eq!(groups(&store).await.len(), 1);
}

#[tokio::test]
async fn a_report_for_an_old_claim_counts_nothing() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    store.jobs().cancel(job.id).await.unwrap();
    let report =
        DeliveryReport { error: Some("503".into()), ..sent(job, AfterDelivery::Dead { answer_lost: false }) };
    assert_eq!(store.jobs().sent(report).await.unwrap(), Written::Stale);
    assert_eq!(groups(&store).await, []);
}

#[tokio::test]
async fn a_retry_of_a_group_leaves_other_dead_jobs() {
    let home = Home::new();
    let store = home.serve().await;
    let (first, second) = (dies(&home, &store, "503").await, dies(&home, &store, "503").await);
    let other = dies(&home, &store, "500").await;
    let group = group_of(&store, first).await.unwrap();
    let done = store.operator(Actor::new(ActionSource::Cli, "test")).retry_group(group, false).await.unwrap();
    assert_eq!((done.retried, done.superseded), (2, 0));
    for (id, expected) in
        [(first, StateName::Delivering), (second, StateName::Delivering), (other, StateName::Dead)]
    {
        assert_eq!(state(&store, id).await, expected);
    }
}

#[tokio::test]
async fn lists_begin_with_new_groups_and_counts_agree() {
    let home = Home::new();
    let store = home.serve().await;
    fails(&home, &store, "no such lead").await;
    home.pass(Duration::from_secs(3_600));
    let new_since = home.now();
    home.pass(Duration::from_secs(60));
    dies(&home, &store, "503").await;
    home.pass(Duration::from_secs(60));
    fails(&home, &store, "no such lead").await;
    let counts = store.errors().counts(new_since).await.unwrap();
    let last_at = Some(home.now());
    assert_eq!(counts, ErrorCounts { all: 2, recent: 2, new: 1, failures: 3, last_at });
    let first = store.errors().list(new_since, None, 1).await.unwrap();
    let [new] = &first.groups[..] else { panic!("{first:?}") };
    assert_eq!((&*new.text, first.has_more), ("503", true), "the other one failed later, but is not new");
    let after = Some((true, new.last_at, new.id));
    let second = store.errors().list(new_since, after, 1).await.unwrap();
    let [old] = &second.groups[..] else { panic!("{second:?}") };
    assert_eq!((&*old.text, old.failures, second.has_more), ("no such lead", 2, false));
    assert_eq!(old.last_day[22..], [1, 1]);
    assert_eq!(store.errors().group(old.id).await.unwrap().as_ref(), Some(old));
}

#[tokio::test]
async fn the_dead_jobs_of_a_group_are_counted_as_a_retry_takes_them() {
    let home = Home::new();
    let store = home.serve().await;
    let first = dies(&home, &store, "503").await;
    dies(&home, &store, "500").await;
    let group = group_of(&store, first).await.unwrap();
    let dead = async || store.errors().dead(group).await.unwrap();
    assert_eq!(dead().await, DeadInGroup { jobs: 1, superseded: 0, is_complete: true });
    store.operator(Actor::new(ActionSource::Cli, "test")).retry_group(group, false).await.unwrap();
    assert_eq!(dead().await, DeadInGroup { jobs: 0, superseded: 0, is_complete: true });
}

#[tokio::test]
async fn a_group_of_which_no_job_is_left_expires_with_the_retention() {
    let home = Home::new();
    let store = home.serve().await;
    dies(&home, &store, "503").await;
    let retention = Duration::from_secs(3_600);
    let mut ticks = store.ticks(retention);
    for (pass, left) in [(3_000, 1), (700, 0)] {
        home.pass(Duration::from_secs(pass));
        for _ in 0..61 {
            ticks.tick().await;
        }
        assert_eq!(groups(&store).await.len(), left, "after {pass} s");
    }
}

#[tokio::test]
async fn groups_are_bounded_and_the_rest_is_counted_together() {
    let home = Home::new();
    let store = home.serve().await;
    let word = |number: usize| {
        let letter = |place: usize| char::from(b'a' + u8::try_from(number / place % 26).unwrap());
        format!("error {}{}{}", letter(676), letter(26), letter(1))
    };
    for number in 0..1_010 {
        dies(&home, &store, &word(number)).await;
    }
    let found = groups(&store).await;
    assert_eq!(found.len(), 1_001);
    let other = found.iter().find(|group| group.text.starts_with("other errors")).unwrap();
    assert_eq!((other.failures, other.handler.clone()), (10, None));
    dies(&home, &store, &word(3)).await;
    let known = groups(&store).await.into_iter().find(|group| group.text == word(3)).unwrap();
    assert_eq!(known.failures, 2, "a known group still counts");
}
