//! Permits as callers get them, with a clock that a test advances.

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

/// Uses up as many calls as there are now.
fn exhaust(limiter: &Arc<CallLimiter>) -> usize {
    limiter.acquire_now(ACCOUNT, 100).iter_mut().map(Permit::start).filter(Result::is_ok).count()
}

fn unauthorized() -> Pause {
    Pause { cause: Cause::Unauthorized, hint: None, source: Source::Call }
}

#[tokio::test]
async fn a_permit_comes_when_the_window_has_room_again() {
    let (limiter, clock) = limiter(2);
    assert_eq!(exhaust(&limiter), 2);
    let mut waiting = wait_for_permit(limiter.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    clock.advance(Duration::from_millis(1_100));
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_waiter_gets_every_second_call_of_a_busy_account() {
    let (limiter, clock) = limiter(1);
    assert_eq!(exhaust(&limiter), 1);
    let mut waiting = wait_for_permit(limiter.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    // The sender is asked first, and has to leave this one.
    clock.advance(Duration::from_millis(1_100));
    assert_eq!(limiter.acquire_now(ACCOUNT, 100).len(), 0);
    let mut permit = waiting.await.unwrap().unwrap();
    permit.start().unwrap();
    drop(permit);
    let mut waiting = wait_for_permit(limiter.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    clock.advance(Duration::from_millis(1_100));
    assert_eq!(limiter.acquire_now(ACCOUNT, 100).len(), 1, "the next is the sender's");
}

#[tokio::test]
async fn many_waiters_leave_every_second_call_to_the_sender() {
    let (limiter, clock) = limiter(1);
    let one_call = async || limiter.acquire(ACCOUNT, CallKind::Api, Duration::ZERO).await;
    one_call().await.unwrap().start().unwrap();
    assert_eq!(limiter.acquire_now(ACCOUNT, 100).len(), 0, "and the sender wants to call too");
    clock.advance(Duration::from_millis(1_100));
    assert!(one_call().await.is_err(), "this one is the sender's");
    assert_eq!(exhaust(&limiter), 1);
    clock.advance(Duration::from_millis(1_100));
    one_call().await.unwrap().start().unwrap();
    // A sender that does not come back holds no one up.
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
    assert_eq!(limiter.acquire_now(ACCOUNT, 9).len(), 0, "a probe is under way");
    assert!(!probe.succeeded().account, "only a continue ends this pause");
    drop(probe);
    assert!(one_call().await.is_err(), "this one is the sender's");
    let mut probe = limiter.acquire_now(ACCOUNT, 9).remove(0);
    probe.start().unwrap();
    drop(probe);
    let probe = one_call().await.unwrap();
    assert_eq!(limiter.acquire_now(ACCOUNT, 9).len(), 0);
    drop(probe);
    assert!(one_call().await.is_err());
    clock.advance(Duration::from_millis(5_500));
    assert!(one_call().await.is_ok(), "a sender that does not come back holds up no one");
}

#[tokio::test]
async fn a_waiter_that_leaves_gives_its_call_to_the_others() {
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
async fn no_waiter_waits_longer_than_its_patience() {
    let (limiter, clock) = limiter(2);
    limiter.acquire_now(ACCOUNT, 1).remove(0).pause(unauthorized());
    let paused = limiter.acquire(ACCOUNT, CallKind::Api, Duration::from_secs(29)).await.err().unwrap();
    assert_eq!(paused.left, Some(Duration::from_secs(30)));
    assert!(paused.to_string().ends_with("paused for 30 s more"), "{paused}");
    clock.advance(Duration::from_secs(30));
    let probe = limiter.acquire(ACCOUNT, CallKind::Api, Duration::ZERO).await.unwrap();
    // While the probe is under way, the time is unknown.
    let paused = limiter.acquire(ACCOUNT, CallKind::Api, Duration::ZERO).await.err().unwrap();
    assert_eq!(paused.left, None);
    drop(probe);
    assert!(limiter.acquire(ACCOUNT, CallKind::Api, Duration::ZERO).await.is_ok());
}

#[tokio::test]
async fn a_pause_that_a_new_token_ends_lets_waiters_through() {
    let (limiter, _clock) = limiter(5);
    assert!(!limiter.resume_with_new_token(ACCOUNT));
    limiter.acquire_now(ACCOUNT, 1).remove(0).pause(unauthorized());
    let mut waiting = wait_for_permit(limiter.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    assert!(limiter.resume_with_new_token(ACCOUNT));
    assert!(waiting.await.unwrap().is_ok());
    assert_eq!(limiter.acquire_now(ACCOUNT, 100).len(), 5, "what was not started no longer counts");
}

#[tokio::test]
async fn a_call_for_a_token_passes_a_pause_for_want_of_one() {
    let (limiter, clock) = limiter(5);
    let one_call = async |kind| limiter.acquire(ACCOUNT, kind, Duration::ZERO).await;
    limiter.acquire_now(ACCOUNT, 1).remove(0).pause(unauthorized());
    assert!(one_call(CallKind::Api).await.is_err());
    let permit = one_call(CallKind::Token).await.unwrap();
    clock.advance(MINUTE);
    let probe = one_call(CallKind::Api).await.unwrap();
    drop(permit);
    assert!(one_call(CallKind::Api).await.is_err(), "it was not the probe, so it ends none");
    drop(probe);
    let many = Pause { cause: Cause::TooMany, hint: None, source: Source::Call };
    one_call(CallKind::Api).await.unwrap().pause(many);
    assert!(one_call(CallKind::Token).await.is_err(), "any other pause holds it");
}

#[tokio::test]
async fn a_reacquired_permit_is_a_second_call() {
    let (limiter, clock) = limiter(2);
    let mut permit = limiter.acquire_now(ACCOUNT, 1).remove(0);
    permit.start().unwrap();
    permit.reacquire(Duration::ZERO).await.unwrap();
    assert_eq!(limiter.acquire_now(ACCOUNT, 100).len(), 0, "one has gone out, one is reserved");
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
async fn what_was_reserved_before_a_429_was_read_does_not_start_after_it() {
    let (limiter, clock) = limiter(5);
    let too_many = Pause { cause: Cause::TooMany, hint: Some(MINUTE), source: Source::Call };
    let [mut first, mut continues, mut again] = limiter.acquire_now(ACCOUNT, 3).try_into().ok().unwrap();
    let mut single = limiter.acquire(ACCOUNT, CallKind::Api, Duration::ZERO).await.unwrap();
    let mut renewal = limiter.acquire(ACCOUNT, CallKind::Token, Duration::ZERO).await.unwrap();
    first.start().unwrap();
    // One that has made its first call, got 401, and waits to make its second.
    again.start().unwrap();
    first.pause(too_many).unwrap();
    for permit in [&mut continues, &mut single, &mut renewal] {
        assert_eq!(permit.start(), Err(Paused { left: Some(MINUTE) }));
    }
    assert_eq!(again.reacquire(Duration::ZERO).await, Err(Paused { left: Some(MINUTE) }));
    clock.advance(MINUTE);
    assert!(continues.start().is_err(), "the pause ends with a probe, not with what waited");
    let mut probe = limiter.acquire_now(ACCOUNT, 5).remove(0);
    probe.start().unwrap();
    assert!(probe.succeeded().account);
}

#[tokio::test]
async fn what_was_reserved_before_all_were_paused_does_not_start_after_it() {
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
    assert!(
        waits
            .to_string()
            .starts_with("continues to https://a.kommo.com and https://b.kommo.com were answered 403")
    );
}

type Waiting = tokio::task::JoinHandle<Result<Permit, Paused>>;

fn wait_for_permit(limiter: Arc<CallLimiter>, patience: Duration) -> Waiting {
    tokio::spawn(async move { limiter.acquire(ACCOUNT, CallKind::Api, patience).await })
}

/// Lets the task run as far as it can; says whether it still waits.
async fn pending(waiting: &mut Waiting) -> bool {
    for _ in 0..10 {
        yield_now().await;
    }
    !waiting.is_finished()
}

#[test]
fn accounts_that_left_the_end_of_the_pause_of_all_to_another_hear_of_it() {
    let (limiter, clock) = limiter(7);
    let call = |account: &str| limiter.acquire_now(account, 1).pop().unwrap();
    for account in ["a", "b"] {
        let mut permit = call(account);
        permit.start().unwrap();
        permit.pause(Pause { cause: Cause::Blocked, hint: None, source: Source::Call }).unwrap();
    }
    clock.advance(MINUTE);
    assert!(limiter.acquire_now("a", 1).is_empty(), "it leaves the probe to one that was not refused");
    let mut probe = call("c");
    probe.start().unwrap();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hears = heard.clone();
    limiter.on_freed(move |account| hears.lock().unwrap().push(account.to_owned()));
    assert!(probe.succeeded().all_accounts);
    let mut heard = heard.lock().unwrap().clone();
    heard.sort();
    heard.dedup();
    assert_eq!(heard, ["a", "b", "c"]);
}
