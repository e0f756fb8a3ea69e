//! Someone sets the machine's clock by hours: schedules and leases follow the elapsed time, and the jump is logged.

use std::collections::BTreeSet;

use super::*;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const THREE_HOURS: Duration = Duration::from_secs(3 * 3_600);
pub(crate) const THIRTY_DAYS: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Returns the times to which tests set the clock.
pub(crate) fn jumps() -> [Timestamp; 2] {
    [START + THREE_HOURS, START - THREE_HOURS]
}

/// The maintenance of a store. It runs one step for each second that a test lets pass.
pub(crate) struct SteppedMaintenance<'h> {
    home: &'h Home,
    ticks: Ticks,
}

impl<'h> SteppedMaintenance<'h> {
    pub(crate) fn start(home: &'h Home, store: &Store, retention: impl Into<Retention>) -> Self {
        Self { home, ticks: store.ticks(retention) }
    }

    pub(crate) async fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.home.pass(Duration::from_secs(1));
            self.ticks.tick().await;
        }
    }
}

/// Runs maintenance while `seconds` pass.
pub(crate) async fn maintain(home: &Home, store: &Store, retention: impl Into<Retention>, seconds: u32) {
    SteppedMaintenance::start(home, store, retention).pass(seconds).await;
}

#[tokio::test]
async fn setting_the_clock_forward_does_not_end_a_lease() {
    let home = Home::new();
    let store = home.serve().await;
    let (running, sending) = (home.running(&store).await, home.delivering(&store).await);
    home.clock.set(START + THREE_HOURS);
    maintain(&home, &store, THIRTY_DAYS, 10).await;
    assert_eq!(state(&store, running.id).await, StateName::Running);
    assert_eq!(store.jobs().sent(sent(sending, AfterDelivery::Delivered)).await, Ok(Written::Done));
}

#[tokio::test]
async fn setting_the_clock_back_does_not_prolong_a_lease() {
    let home = Home::new();
    let store = home.serve().await;
    let lost = home.running(&store).await;
    home.clock.set(START - THREE_HOURS);
    maintain(&home, &store, THIRTY_DAYS, 70).await;
    assert_eq!(state(&store, lost.id).await, StateName::Queued);
}

#[tokio::test]
async fn setting_the_clock_does_not_change_when_waiting_jobs_are_due() {
    for set in jumps() {
        let home = Home::new();
        let store = home.serve().await;
        let (waiting, queued) = (home.waiting(&store).await, home.queued(&store).await);
        home.clock.set(set);
        assert_eq!(
            store.jobs().claim_overdue(9, LEASE).await.unwrap().queued.len(),
            0,
            "its time to answer has not ended"
        );
        let later = home.queued(&store).await;
        let claimed = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap();
        let ids = BTreeSet::from_iter(claimed.iter().map(|job| job.id));
        assert_eq!(ids, [queued, later].into());
        assert!(claimed.iter().all(|job| job.answer_by == START + Duration::from_secs(50)));
        let claimed = due_deliveries(&store).await;
        assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [waiting]);
        store.close().await;
    }
}

#[tokio::test]
async fn a_retry_waits_for_its_backoff_however_the_clock_is_set() {
    for set in jumps() {
        let home = Home::new();
        let store = home.serve().await;
        let job = home.delivering(&store).await;
        let (id, due_at) = (job.id, home.steady() + Duration::from_secs(9));
        let delivery = Delivery { failures: 1, failing_since: Some(START), ..job.delivery };
        store.jobs().sent(sent(job, AfterDelivery::Retry { due_at, delivery })).await.unwrap();
        home.clock.set(set);
        home.pass(Duration::from_secs(8));
        assert_eq!(due_deliveries(&store).await, []);
        let State::Delivering { due_at, .. } = stored_job(&store, id).await.state else { panic!() };
        assert_eq!(due_at, home.now() + Duration::from_secs(1), "the calendar's time is displayed");
        home.pass(Duration::from_secs(1));
        assert_eq!(due_deliveries(&store).await.len(), 1);
        store.close().await;
    }
}

#[tokio::test]
async fn a_retry_by_an_observer_is_due_at_once_after_the_clock_was_set() {
    for set in jumps() {
        let home = Home::new();
        let store = home.serve().await;
        let dead = home.dead(&store).await;
        let mut maintenance = SteppedMaintenance::start(&home, &store, THIRTY_DAYS);
        home.clock.set(set);
        maintenance.pass(2).await;
        // Another process shares the calendar with the bridge, but its steady clock started at another time.
        let own = ManualClock::new(home.now());
        let observer = Store::open(&home.url(), Role::Observer, own.clock()).await.unwrap();
        observer.jobs().retry(dead).await.unwrap();
        store.0.reload().await;
        assert_eq!(due_deliveries(&store).await.len(), 1);
        store.close().await;
    }
}

#[tokio::test]
async fn a_start_after_the_clock_was_set_back_finds_waiting_jobs() {
    let home = Home::new();
    let store = home.serve().await;
    home.waiting(&store).await;
    home.queued(&store).await;
    store.close().await;
    home.restart(START - THREE_HOURS);
    let store = home.serve().await;
    assert_eq!((store.work().due(home.steady()).len(), store.delivery().due(home.steady()).len()), (1, 1));
}

#[tokio::test]
async fn starts_after_the_clock_was_set_do_not_change_the_time_to_answer() {
    for set in jumps() {
        let home = Home::new();
        let store = home.serve().await;
        let id = home.queued(&store).await;
        home.clock.set(set);
        maintain(&home, &store, THIRTY_DAYS, 2).await;
        store.close().await;
        for round in 0..3 {
            home.restart(home.now());
            let store = home.serve().await;
            let left = stored_job(&store, id).await.answer_by.since(home.steady());
            assert_eq!(left, Duration::from_secs(50 - 2 - round));
            home.pass(Duration::from_secs(1));
            store.close().await;
        }
    }
}

/// The bridge is down for an hour. The customer waits during that hour, but the bridge does not try to deliver.
#[tokio::test]
async fn downtime_counts_as_waiting_but_not_in_the_time_budget() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.delivering(&store).await;
    let delivery = Delivery {
        failures: 1,
        failing_since: Some(START),
        refused_at: Some(START + Duration::from_secs(1)),
        ..job.delivery
    };
    let due_at = START + Duration::from_secs(60);
    store.jobs().sent(sent(job, AfterDelivery::Retry { due_at, delivery })).await.unwrap();
    home.queued(&store).await;
    home.pass(Duration::from_secs(5));
    store.close().await;
    home.restart(home.now() + HOUR);
    let store = home.serve().await;
    assert_eq!(store.jobs().claim_overdue(9, LEASE).await.unwrap().queued.len(), 1);
    let [job] = due_deliveries(&store).await.try_into().unwrap();
    assert_eq!(job.waiting_since, START);
    assert_eq!(job.delivery.failing_since, Some(START + HOUR), "it has been failing for 5 s");
    assert_eq!(job.delivery.refused_at, Some(START + HOUR + Duration::from_secs(1)));
}

/// A refusal in the future would count as newer than any call that Kommo accepts, and would keep pausing the account.
#[tokio::test]
async fn a_retry_after_the_clock_was_set_back_has_no_refusal_in_the_future() {
    for end in [AfterDelivery::Dead { answer_lost: false }, AfterDelivery::Gone] {
        let home = Home::new();
        let store = home.serve().await;
        let job = home.delivering(&store).await;
        let id = job.id;
        let delivery = Delivery { refused_at: Some(home.steady()), ..job.delivery };
        store.jobs().sent(sent(job, AfterDelivery::Wait { delivery, keeps_place: false })).await.unwrap();
        let [job] = due_deliveries(&store).await.try_into().unwrap();
        store.jobs().sent(sent(job, end)).await.unwrap();
        store.close().await;
        home.restart(START - THREE_HOURS);
        let store = home.serve().await;
        store.jobs().retry(id).await.unwrap();
        let [job] = due_deliveries(&store).await.try_into().unwrap();
        assert_eq!(job.delivery.refused_at, Some(home.steady()));
    }
}

#[tokio::test]
async fn people_see_each_moment_of_a_job_by_the_calendar() {
    let home = Home::new();
    let store = home.serve().await;
    let running = home.running(&store).await.id;
    let delivering = home.delivering(&store).await.id;
    let waiting = home.waiting(&store).await;
    let queued = home.queued(&store).await;
    let all = async || {
        let mut all = Vec::new();
        for id in [running, delivering, waiting, queued] {
            let job = stored_job(&store, id).await;
            let (due_at, lease_until) = match job.state {
                State::Queued(QueueWait::Until(due_at)) => (Some(due_at), None),
                State::Running { lease_until } => (None, Some(lease_until)),
                State::Delivering { due_at, lease_until, .. } => (Some(due_at), lease_until),
                _ => (None, None),
            };
            all.push((Some(job.answer_by), due_at, lease_until));
        }
        all
    };
    let before = all().await;
    home.clock.set(START + THREE_HOURS);
    let later = |moment: Option<Timestamp>| moment.map(|moment| moment + THREE_HOURS);
    let expected: Vec<_> = before.into_iter().map(|(a, b, c)| (later(a), later(b), later(c))).collect();
    assert_eq!(all().await, expected);
}

/// Returns the log lines about the clock since the last call.
fn taken(log: &test_log::CollectedLog) -> Vec<String> {
    let lines = log.with("clock");
    log.clear();
    lines
}

#[tokio::test]
async fn a_jump_is_logged_once_with_its_size() {
    let log = test_log::collect(tracing::Level::INFO);
    let home = Home::new();
    let store = home.serve().await;
    let mut maintenance = SteppedMaintenance::start(&home, &store, THIRTY_DAYS);
    type Set = fn(Timestamp) -> Timestamp;
    let cases: [(Set, Option<[&str; 2]>); 3] = [
        (|now| now + 2 * HOUR, Some(["by_seconds=7200", "direction=\"forward\""])),
        (|now| now, None),
        (|now| now - HOUR, Some(["by_seconds=3600", "direction=\"back\""])),
    ];
    for (set, expected) in cases {
        home.clock.set(set(home.now()));
        maintenance.pass(3).await;
        let logged = taken(&log);
        assert_eq!(logged.len(), usize::from(expected.is_some()), "{logged:?}");
        for field in expected.into_iter().flatten() {
            assert!(logged[0].contains(field), "{logged:?}");
        }
    }
    store.close().await;
    home.restart(home.now() - HOUR);
    home.serve().await.close().await;
    let logged = taken(&log);
    assert!(logged.len() == 1 && logged[0].contains("by_seconds=3600"), "{logged:?}");
}
