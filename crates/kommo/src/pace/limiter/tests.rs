//! Permits from the caller's view, with a manual clock.

use tokio::task::yield_now;

use super::*;
use crate::pace::{Cause, Pause, Permit, Source};
use model::Timestamp;
use model::clock::ManualClock;

const ACCOUNT: &str = "https://a.kommo.com";
const MINUTE: Duration = Duration::from_secs(60);

fn limiter(rate_per_account: u32) -> (Arc<CallLimiter>, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_millis(0));
    (
        CallLimiter::new(CallLimits { rate_per_account, rate_total: None, concurrency: 100 }, clock.clock()),
        clock,
    )
}

/// Starts all calls that are available now, and returns their number.
fn exhaust(limiter: &Arc<CallLimiter>) -> usize {
    limiter.acquire_now(ACCOUNT, 100).iter_mut().map(Permit::start).filter(Result::is_ok).count()
}

fn unauthorized() -> Pause {
    Pause { cause: Cause::Unauthorized, hint: None, source: Source::Call }
}

#[tokio::test]
async fn waiter_gets_a_permit_when_the_window_has_room_again() {
    let (limiter, clock) = limiter(2);
    assert_eq!(exhaust(&limiter), 2);
    let mut waiting = wait_for_permit(limiter.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    clock.advance(Duration::from_millis(1_100));
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn waiter_gets_every_second_call_of_a_busy_account() {
    let (limiter, clock) = limiter(1);
    assert_eq!(exhaust(&limiter), 1);
    let mut waiting = wait_for_permit(limiter.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    // The sender asks first, but must leave this call to the waiter.
    clock.advance(Duration::from_millis(1_100));
    assert_eq!(limiter.acquire_now(ACCOUNT, 100).len(), 0);
    let mut permit = waiting.await.unwrap().unwrap();
    permit.start().unwrap();
    drop(permit);
    let mut waiting = wait_for_permit(limiter.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    clock.advance(Duration::from_millis(1_100));
    assert_eq!(limiter.acquire_now(ACCOUNT, 100).len(), 1, "the next call is the sender's");
}

#[tokio::test]
async fn many_waiters_leave_every_second_call_to_the_sender() {
    let (limiter, clock) = limiter(1);
    let one_call = async || limiter.acquire(ACCOUNT, CallKind::Api, Duration::ZERO).await;
    one_call().await.unwrap().start().unwrap();
    assert_eq!(
        limiter.acquire_now(ACCOUNT, 100).len(),
        0,
        "the sender gets none, and is expected to ask again"
    );
    clock.advance(Duration::from_millis(1_100));
    assert!(one_call().await.is_err(), "this call is the sender's");
    assert_eq!(exhaust(&limiter), 1);
    clock.advance(Duration::from_millis(1_100));
    one_call().await.unwrap().start().unwrap();
    // A sender that does not ask again delays no one.
    assert_eq!(limiter.acquire_now(ACCOUNT, 100).len(), 0);
    clock.advance(Duration::from_millis(2_200));
    assert!(one_call().await.is_ok());
}

#[tokio::test]
async fn many_waiters_leave_every_second_probe_to_the_sender() {
    let (limiter, clock) = limiter(5);
    let one_call = async || limiter.acquire(ACCOUNT, CallKind::Api, Duration::ZERO).await;
    limiter.acquire_now(ACCOUNT, 1).remove(0).pause(unauthorized());
    clock.advance(Duration::from_secs(30));
    let mut probe = one_call().await.unwrap();
    probe.start().unwrap();
    assert_eq!(limiter.acquire_now(ACCOUNT, 9).len(), 0, "a probe is in flight");
    assert!(!probe.succeeded().account, "only a continue ends this pause");
    drop(probe);
    assert!(one_call().await.is_err(), "this probe is the sender's");
    let mut probe = limiter.acquire_now(ACCOUNT, 9).remove(0);
    probe.start().unwrap();
    drop(probe);
    let probe = one_call().await.unwrap();
    assert_eq!(limiter.acquire_now(ACCOUNT, 9).len(), 0);
    drop(probe);
    assert!(one_call().await.is_err());
    clock.advance(Duration::from_millis(5_500));
    assert!(one_call().await.is_ok(), "a sender that does not ask again delays no one");
}

#[tokio::test]
async fn call_of_a_waiter_that_leaves_goes_to_others() {
    let (limiter, clock) = limiter(1);
    exhaust(&limiter);
    let mut waiting = wait_for_permit(limiter.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    waiting.abort();
    assert!(waiting.await.is_err());
    clock.advance(Duration::from_millis(1_100));
    assert_eq!(limiter.acquire_now(ACCOUNT, 100).len(), 1);
}

#[tokio::test]
async fn waiter_waits_at_most_for_its_patience() {
    let (limiter, clock) = limiter(2);
    limiter.acquire_now(ACCOUNT, 1).remove(0).pause(unauthorized());
    let paused = limiter.acquire(ACCOUNT, CallKind::Api, Duration::from_secs(29)).await.err().unwrap();
    assert_eq!(paused.left, Some(Duration::from_secs(30)));
    assert!(paused.to_string().ends_with("paused for another 30 s"), "{paused}");
    clock.advance(Duration::from_secs(30));
    let probe = limiter.acquire(ACCOUNT, CallKind::Api, Duration::ZERO).await.unwrap();
    // While the probe is in flight, the remaining time is unknown.
    let paused = limiter.acquire(ACCOUNT, CallKind::Api, Duration::ZERO).await.err().unwrap();
    assert_eq!(paused.left, None);
    drop(probe);
    assert!(limiter.acquire(ACCOUNT, CallKind::Api, Duration::ZERO).await.is_ok());
}

#[tokio::test]
async fn new_token_that_ends_a_pause_wakes_waiters() {
    let (limiter, _clock) = limiter(5);
    assert!(!limiter.resume_with_new_token(ACCOUNT));
    limiter.acquire_now(ACCOUNT, 1).remove(0).pause(unauthorized());
    let mut waiting = wait_for_permit(limiter.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    assert!(limiter.resume_with_new_token(ACCOUNT));
    assert!(waiting.await.unwrap().is_ok());
    assert_eq!(limiter.acquire_now(ACCOUNT, 100).len(), 5, "calls that did not start no longer count");
}

#[tokio::test]
async fn call_for_a_token_is_exempt_from_a_pause_that_waits_for_one() {
    let (limiter, clock) = limiter(5);
    let one_call = async |kind| limiter.acquire(ACCOUNT, kind, Duration::ZERO).await;
    limiter.acquire_now(ACCOUNT, 1).remove(0).pause(unauthorized());
    assert!(one_call(CallKind::Api).await.is_err());
    let permit = one_call(CallKind::Token).await.unwrap();
    clock.advance(MINUTE);
    let probe = one_call(CallKind::Api).await.unwrap();
    drop(permit);
    assert!(one_call(CallKind::Api).await.is_err(), "the exempt call was not the probe");
    drop(probe);
    let many = Pause { cause: Cause::TooMany, hint: None, source: Source::Call };
    one_call(CallKind::Api).await.unwrap().pause(many);
    assert!(one_call(CallKind::Token).await.is_err(), "any other pause holds it too");
}

#[tokio::test]
async fn reacquired_permit_counts_as_a_second_call() {
    let (limiter, clock) = limiter(2);
    let mut permit = limiter.acquire_now(ACCOUNT, 1).remove(0);
    permit.start().unwrap();
    permit.reacquire(Duration::ZERO).await.unwrap();
    assert_eq!(limiter.acquire_now(ACCOUNT, 100).len(), 0, "one call has started, and one is reserved");
    permit.start().unwrap();
    assert_eq!(
        permit.reacquire(Duration::ZERO).await,
        Err(Paused { left: Some(Duration::from_millis(1_100)) })
    );
    drop(permit);
    clock.advance(Duration::from_millis(1_100));
    assert_eq!(limiter.acquire_now(ACCOUNT, 100).len(), 2);
}

#[tokio::test]
async fn call_reserved_before_a_429_does_not_start_after_it() {
    let (limiter, clock) = limiter(5);
    let too_many = Pause { cause: Cause::TooMany, hint: Some(MINUTE), source: Source::Call };
    let [mut first, mut continues, mut retried] = limiter.acquire_now(ACCOUNT, 3).try_into().ok().unwrap();
    let mut single = limiter.acquire(ACCOUNT, CallKind::Api, Duration::ZERO).await.unwrap();
    let mut renewal = limiter.acquire(ACCOUNT, CallKind::Token, Duration::ZERO).await.unwrap();
    first.start().unwrap();
    // This one has made its first call, got 401, and will make a second call.
    retried.start().unwrap();
    first.pause(too_many).unwrap();
    for permit in [&mut continues, &mut single, &mut renewal] {
        assert_eq!(permit.start(), Err(Paused { left: Some(MINUTE) }));
    }
    assert_eq!(retried.reacquire(Duration::ZERO).await, Err(Paused { left: Some(MINUTE) }));
    clock.advance(MINUTE);
    assert!(continues.start().is_err(), "the pause ends with a probe, not with an older reservation");
    let mut probe = limiter.acquire_now(ACCOUNT, 5).remove(0);
    probe.start().unwrap();
    assert!(probe.succeeded().account);
}

#[tokio::test]
async fn call_reserved_before_all_accounts_paused_does_not_start() {
    let (limiter, _clock) = limiter(5);
    let blocked = Pause { cause: Cause::Blocked, hint: None, source: Source::Call };
    let mut reserved = limiter.acquire_now("https://c.kommo.com", 1).remove(0);
    for account in [ACCOUNT, "https://b.kommo.com"] {
        let mut permit = limiter.acquire_now(account, 1).remove(0);
        permit.start().unwrap();
        permit.pause(blocked).unwrap();
    }
    assert_eq!(reserved.start(), Err(Paused { left: Some(MINUTE) }));
    let waits = limiter.everybody_waits().unwrap();
    assert_eq!((waits.accounts.len(), waits.left), (2, Some(MINUTE)));
    assert!(waits.to_string().starts_with(
        "Kommo answered 403 to continues for https://a.kommo.com and https://b.kommo.com in a row"
    ));
}

type Waiting = tokio::task::JoinHandle<Result<Permit, Paused>>;

fn wait_for_permit(limiter: Arc<CallLimiter>, patience: Duration) -> Waiting {
    tokio::spawn(async move { limiter.acquire(ACCOUNT, CallKind::Api, patience).await })
}

/// Lets the task run as far as it can, and returns whether it still waits.
async fn pending(waiting: &mut Waiting) -> bool {
    for _ in 0..10 {
        yield_now().await;
    }
    !waiting.is_finished()
}

#[test]
fn accounts_that_left_the_probe_to_another_are_notified() {
    let (limiter, clock) = limiter(7);
    let call = |account: &str| limiter.acquire_now(account, 1).pop().unwrap();
    for account in ["a", "b"] {
        let mut permit = call(account);
        permit.start().unwrap();
        permit.pause(Pause { cause: Cause::Blocked, hint: None, source: Source::Call }).unwrap();
    }
    clock.advance(MINUTE);
    assert!(limiter.acquire_now("a", 1).is_empty(), "it leaves the probe to an account that was not refused");
    let mut probe = call("c");
    probe.start().unwrap();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let events = heard.clone();
    limiter.on_freed(move |account| events.lock().unwrap().push(account.to_owned()));
    assert!(probe.succeeded().all_accounts);
    let mut heard = heard.lock().unwrap().clone();
    heard.sort();
    heard.dedup();
    assert_eq!(heard, ["a", "b", "c"]);
}
