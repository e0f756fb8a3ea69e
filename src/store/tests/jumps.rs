//! The machine's clock is set, by hours: schedules and leases go on by the time that passes, and nothing is deleted that only
//! one of the clocks calls too old.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Mutex;

use super::hand_over::Room;
use super::*;
use crate::store::bodies::{WINDOW, Walked};
use crate::store::keeper::{Maintenance, Retention};
use crate::store::{CodeLimits, NewCode, SealedCode, StateUse};

const HOUR: Duration = Duration::from_secs(3_600);
const HOURS: Duration = Duration::from_secs(3 * 3_600);
const DAYS: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The ways in which the clock is set.
fn jumps() -> [Timestamp; 2] {
    [START + HOURS, START - HOURS]
}

/// A store that is kept while time passes.
struct Kept<'h> {
    home: &'h Home,
    store: Store,
    maintenance: Maintenance,
}

impl<'h> Kept<'h> {
    fn start(home: &'h Home, store: &Store, retention: impl Into<Retention>) -> Self {
        Self { home, store: store.clone(), maintenance: Maintenance::new(store, retention) }
    }

    async fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.home.pass(Duration::from_secs(1));
            self.maintenance.step(&self.store).await;
        }
    }
}

/// Lets the keeper see `seconds` pass.
async fn keep(home: &Home, store: &Store, retention: impl Into<Retention>, seconds: u32) {
    Kept::start(home, store, retention).pass(seconds).await;
}

#[tokio::test]
async fn a_clock_set_forward_ends_no_lease() {
    let home = Home::new();
    let store = home.serve().await;
    let (running, sending) = (home.running(&store).await, home.delivering(&store).await);
    home.clock.set(START + HOURS);
    keep(&home, &store, DAYS, 10).await;
    assert_eq!(state(&store, running.id).await, StateName::Running);
    assert_eq!(store.sent(sent(sending, AfterDelivery::Delivered)).await, Ok(Written::Done));
}

#[tokio::test]
async fn a_clock_set_back_keeps_no_lease() {
    let home = Home::new();
    let store = home.serve().await;
    let lost = home.running(&store).await;
    home.clock.set(START - HOURS);
    keep(&home, &store, DAYS, 70).await;
    assert_eq!(state(&store, lost.id).await, StateName::Queued);
}

/// Every way to get a claim: from the store and from memory, of a worker and of the sender.
#[tokio::test]
async fn a_claim_lasts_as_long_as_it_says_after_the_clock_was_set() {
    for set in jumps() {
        let home = Home::new();
        let store = home.serve().await;
        home.clock.set(set);
        let claimed = [home.running(&store).await.id, home.delivering(&store).await.id];
        let waiting = home.running(&store).await;
        let sent = waiting.id;
        let (workers, senders) = (Room::with(1), Room::with(1));
        workers.offers_itself_to(store.work());
        senders.offers_itself_to(store.delivery());
        let request = home.request();
        store.handled(handled(waiting, AfterHandler::Deliver(prepared("hi")))).await.unwrap();
        accept(&store, request.clone()).await;
        store.probe().await.unwrap();
        assert_eq!((workers.taken().len(), senders.taken().len()), (1, 1));
        let mut kept = Kept::start(&home, &store, DAYS);
        kept.pass(30).await;
        let leases = "SELECT count(*) FROM jobs WHERE lease_until IS NOT NULL";
        assert_eq!(home.number(leases).await, 4, "all of {claimed:?}, {sent}, {}", request.id);
        kept.pass(20).await;
        assert_eq!(home.number(leases).await, 0);
        store.close().await;
    }
}

#[tokio::test]
async fn what_waits_is_due_as_before_the_clock_was_set() {
    for set in jumps() {
        let home = Home::new();
        let store = home.serve().await;
        let (waiting, queued) = (home.waiting(&store).await, home.queued(&store).await);
        home.clock.set(set);
        assert_eq!(store.claim_overdue(9, LEASE).await.unwrap().len(), 0, "its time to answer is not over");
        let later = home.queued(&store).await;
        let claimed = store.claim_work("greet".into(), 9, LEASE).await.unwrap();
        let ids = BTreeSet::from_iter(claimed.iter().map(|job| job.id));
        assert_eq!(ids, [queued, later].into());
        assert!(claimed.iter().all(|job| job.answer_by == START + Duration::from_secs(50)));
        let claimed = due_deliveries(&store).await;
        assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [waiting]);
        store.close().await;
    }
}

#[tokio::test]
async fn a_retry_comes_after_its_backoff_however_the_clock_was_set_meanwhile() {
    for set in jumps() {
        let home = Home::new();
        let store = home.serve().await;
        let job = home.delivering(&store).await;
        let (id, due_at) = (job.id, home.steady() + Duration::from_secs(9));
        let delivery = Delivery { failures: 1, failing_since: Some(START), ..job.delivery };
        store.sent(sent(job, AfterDelivery::Retry { due_at, delivery })).await.unwrap();
        home.clock.set(set);
        home.pass(Duration::from_secs(8));
        assert_eq!(due_deliveries(&store).await, []);
        let State::Delivering { due_at, .. } = look(&store, id).await.state else { panic!() };
        assert_eq!(due_at, home.now() + Duration::from_secs(1), "people see it by the calendar");
        home.pass(Duration::from_secs(1));
        assert_eq!(due_deliveries(&store).await.len(), 1);
        store.close().await;
    }
}

#[tokio::test]
async fn what_a_command_beside_the_bridge_retries_is_due_at_once_after_the_clock_was_set() {
    for set in jumps() {
        let home = Home::new();
        let store = home.serve().await;
        let dead = home.dead(&store).await;
        let mut kept = Kept::start(&home, &store, DAYS);
        home.clock.set(set);
        kept.pass(2).await;
        // Another process has the calendar in common with the bridge, and not where its steady clock starts.
        let own = ManualClock::new(home.now());
        let visitor = Store::open(&home.url(), Purpose::Visit, own.clock()).await.unwrap();
        visitor.retry(dead).await.unwrap();
        assert_eq!(due_deliveries(&store).await.len(), 1);
        store.close().await;
    }
}

#[tokio::test]
async fn a_start_after_the_clock_was_set_back_finds_what_waits() {
    let home = Home::new();
    let store = home.serve().await;
    home.waiting(&store).await;
    home.queued(&store).await;
    store.close().await;
    home.restart(START - HOURS);
    let store = home.serve().await;
    assert_eq!((store.work().due(home.steady()).len(), store.delivery().due(home.steady()).len()), (1, 1));
}

#[tokio::test]
async fn starts_after_the_clock_was_set_take_no_time_to_answer_and_add_none() {
    for set in jumps() {
        let home = Home::new();
        let store = home.serve().await;
        let id = home.queued(&store).await;
        home.clock.set(set);
        keep(&home, &store, DAYS, 2).await;
        store.close().await;
        for round in 0..3 {
            home.restart(home.now());
            let store = home.serve().await;
            let left = look(&store, id).await.answer_by.since(home.steady());
            assert_eq!(left, Duration::from_secs(50 - 2 - round));
            home.pass(Duration::from_secs(1));
            store.close().await;
        }
    }
}

/// It is down for an hour. The customer waited meanwhile; the bridge did not try.
#[tokio::test]
async fn the_time_between_two_processes_counts_for_the_customer_and_for_no_time_budget() {
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
    store.sent(sent(job, AfterDelivery::Retry { due_at, delivery })).await.unwrap();
    home.queued(&store).await;
    home.pass(Duration::from_secs(5));
    store.close().await;
    home.restart(home.now() + HOUR);
    let store = home.serve().await;
    assert_eq!(store.claim_overdue(9, LEASE).await.unwrap().len(), 1);
    let [job] = due_deliveries(&store).await.try_into().unwrap();
    assert_eq!(job.waiting_since, START);
    assert_eq!(job.delivery.failing_since, Some(START + HOUR), "it has failed for 5 s");
    assert_eq!(job.delivery.refused_at, Some(START + HOUR + Duration::from_secs(1)));
}

#[tokio::test]
async fn a_valid_token_makes_no_second_job_though_the_clock_is_set_forward_and_back() {
    let home = Home::new();
    let mut store = home.serve().await;
    let request = home.request();
    let id = accept(&store, request.clone()).await;
    let again = || NewJob { idempotency_key: request.idempotency_key.clone(), ..home.request() };
    // In memory, then in its table, then after a restart.
    for round in 0..3 {
        home.clock.set(home.now() + HOURS);
        assert_eq!(store.accept(again(), PATIENCE).await, Ok(Accepted { id, duplicate: true }), "{round}");
        keep(&home, &store, DAYS, 65).await;
        home.clock.set(home.now() - HOURS);
        assert_eq!(store.accept(again(), PATIENCE).await, Ok(Accepted { id, duplicate: true }), "{round}");
        store.close().await;
        store = home.serve().await;
    }
    assert_eq!(home.number("SELECT count(*) FROM idempotency_keys").await, 1);
}

#[tokio::test]
async fn a_token_that_the_calendar_calls_valid_again_is_known_however_long_ago_it_came() {
    let home = Home::new();
    let store = home.serve().await;
    let request = home.request();
    let id = accept(&store, request.clone()).await;
    home.clock.set(START - HOURS);
    home.pass(HOUR);
    keep(&home, &store, DAYS, 65).await;
    let again = NewJob { idempotency_key: request.idempotency_key.clone(), ..home.request() };
    assert_eq!(store.accept(again, PATIENCE).await, Ok(Accepted { id, duplicate: true }));
}

#[tokio::test]
async fn a_start_with_a_clock_that_is_ahead_deletes_nothing() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    let sending = home.delivering(&store).await;
    let delivered = sending.id;
    store.sent(sent(sending, AfterDelivery::Delivered)).await.unwrap();
    store.close().await;
    home.restart(START + DAYS);
    let store = home.serve().await;
    keep(&home, &store, Retention { jobs: 2 * HOUR, bodies: HOUR }, 70).await;
    assert_eq!(state(&store, dead).await, StateName::Dead);
    assert_eq!(state(&store, delivered).await, StateName::Delivered, "with its bodies");
}

#[tokio::test]
async fn jobs_and_bodies_go_when_both_clocks_call_them_too_old() {
    let home = Home::new();
    let store = home.serve().await;
    let deliver = async || {
        let sending = home.delivering(&store).await;
        let id = sending.id;
        store.sent(sent(sending, AfterDelivery::Delivered)).await.unwrap();
        id
    };
    let has_bodies = async |id| store.job(id).await.unwrap().map(|(record, _)| record.whole().is_some());
    let retention = Retention { jobs: 4 * HOUR, bodies: 2 * HOUR };
    let mut walked = Walked::default();
    // By the calendar that is set back then, the first one finishes three hours after the second one.
    let first = deliver().await;
    home.clock.set(START - HOURS);
    let second = deliver().await;
    // So many without bodies that a walk needs more than one look.
    let others = WINDOW + 7;
    home.run(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {others}) \
         INSERT INTO jobs (id, state, handler, account_id, origin, return_url, received_at, waiting_since, answer_by, \
         finished_at, finished_service_at) \
         SELECT randomblob(16), 'cancelled', 'greet', 8, '', '', 1, 1, 1, 1, 1 FROM n"
    ))
    .await;
    let minute = Duration::from_secs(60);
    for (pass, of_first, of_second) in [
        (2 * HOUR - minute, Some(true), Some(true)),
        (2 * minute, Some(true), Some(false)),
        (2 * HOUR, Some(true), None),
        (HOUR - 2 * minute, Some(true), None),
        (2 * minute, Some(false), None),
        (2 * HOUR, None, None),
    ] {
        home.pass(pass);
        store.delete(&mut walked, store.moment(), retention).await.unwrap();
        assert_eq!(
            (has_bodies(first).await, has_bodies(second).await),
            (of_first, of_second),
            "{}",
            home.now()
        );
    }
}

#[tokio::test]
async fn the_time_of_service_goes_on_over_restarts_and_loses_no_finished_job_to_a_kill() {
    let home = Home::new();
    let store = home.serve().await;
    home.pass(HOUR);
    store.close().await;
    // While no bridge runs, the calendar goes on alone.
    home.restart(home.now() + DAYS);
    let store = home.serve().await;
    assert_eq!(store.moment().service, ServiceTime::from_millis(3_600_000));
    home.pass(HOUR);
    home.dead(&store).await;
    home.pass(HOUR);
    // Killed: it is not written down when.
    lock(&store.0.operations).take();
    lock(&store.0.writer).take().unwrap().await.unwrap();
    home.restart(home.now());
    let store = home.serve().await;
    assert_eq!(store.moment().service, ServiceTime::from_millis(2 * 3_600_000));
    keep(&home, &store, DAYS, 65).await;
    assert!(
        home.number("SELECT service_at FROM service").await > 2 * 3_600_000,
        "it is written once a minute"
    );
}

/// Codes and used links are few; each is needed until both clocks call it over.
#[tokio::test]
async fn a_code_and_a_used_link_are_kept_though_the_clock_is_set_forward_and_back() {
    let home = Home::new();
    let store = home.serve().await;
    let code = |origin: &str| NewCode {
        client_uuid: "client-1".into(),
        origin: origin.into(),
        sealed: SealedCode { key_id: "0123456789abcdef".into(), code: vec![1; 41] },
        received_at: home.now(),
        expires_at: home.now() + HOUR,
    };
    let limits = CodeLimits { per_origin: 3, total: 9 };
    let used = async |nonce, code| store.use_state([nonce; 16], [code; 32], START + HOUR).await.unwrap();
    store.keep_code(code("https://one.kommo.com"), limits).await.unwrap();
    assert_eq!(used(1, 1).await, StateUse::Granted);
    home.clock.set(START + DAYS);
    store.keep_code(code("https://two.kommo.com"), limits).await.unwrap();
    assert_eq!(used(2, 1).await, StateUse::Granted);
    assert_eq!(store.kept_codes().await.unwrap().len(), 2, "Kommo takes both");
    home.clock.set(START);
    assert_eq!(used(1, 2).await, StateUse::OtherCode);
    home.clock.set(START + DAYS);
    home.pass(2 * HOUR + Duration::from_millis(1));
    store.keep_code(code("https://three.kommo.com"), limits).await.unwrap();
    assert_eq!(used(3, 1).await, StateUse::Granted);
    let left = "SELECT (SELECT count(*) FROM oauth_codes) * 10 + (SELECT count(*) FROM oauth_states)";
    assert_eq!(home.number(left).await, 11);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// What was logged since the last look, as far as it is about the clock.
    fn take(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().filter(|line| line.contains("clock")).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_jump_is_logged_once_with_its_size() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let home = Home::new();
    let store = home.serve().await;
    let mut kept = Kept::start(&home, &store, DAYS);
    // Another test may be the first to log such a line, and find no subscriber. What was found is kept, so it has to be found
    // again once the lines are known.
    home.clock.set(START + HOURS);
    kept.pass(2).await;
    tracing::callsite::rebuild_interest_cache();
    lines.take();
    type Set = fn(Timestamp) -> Timestamp;
    let cases: [(Set, Option<[&str; 2]>); 3] = [
        (|now| now + 2 * HOUR, Some(["by_seconds=7200", "direction=\"forward\""])),
        (|now| now, None),
        (|now| now - HOUR, Some(["by_seconds=3600", "direction=\"back\""])),
    ];
    for (set, expected) in cases {
        home.clock.set(set(home.now()));
        kept.pass(3).await;
        let logged = lines.take();
        assert_eq!(logged.len(), usize::from(expected.is_some()), "{logged:?}");
        for field in expected.into_iter().flatten() {
            assert!(logged[0].contains(field), "{logged:?}");
        }
    }
    store.close().await;
    home.restart(home.now() - HOUR);
    home.serve().await;
    let logged = lines.take();
    assert!(logged.len() == 1 && logged[0].contains("by_seconds=3600"), "{logged:?}");
}
