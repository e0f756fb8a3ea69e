//! Turns and places as callers see them, with a clock that stands still.

use tokio::task::yield_now;

use super::*;
use crate::pace::{Cause, Pause, Source};
use model::Timestamp;
use model::clock::ManualClock;

const ACCOUNT: &str = "https://a.kommo.com";
const MINUTE: Duration = Duration::from_secs(60);

fn gate(rate_per_account: u32) -> (Arc<Gate>, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_millis(0));
    (Gate::new(Limits { rate_per_account, rate_total: None, places: 100 }, clock.clock()), clock)
}

/// Uses up as many calls as there are now.
fn exhaust(gate: &Arc<Gate>) -> usize {
    gate.enter(ACCOUNT, 100).iter_mut().map(Pass::start).filter(Result::is_ok).count()
}

fn unauthorized() -> Pause {
    Pause { cause: Cause::Unauthorized, hint: None, source: Source::Call }
}

#[tokio::test]
async fn a_turn_comes_when_the_window_has_room_again() {
    let (gate, clock) = gate(2);
    assert_eq!(exhaust(&gate), 2);
    let mut waiting = wait_for_a_turn(gate.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    clock.advance(Duration::from_millis(1_100));
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn who_waits_gets_every_second_call_of_a_busy_account() {
    let (gate, clock) = gate(1);
    assert_eq!(exhaust(&gate), 1);
    let mut waiting = wait_for_a_turn(gate.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    // The sender is asked first, and has to leave this one.
    clock.advance(Duration::from_millis(1_100));
    assert_eq!(gate.enter(ACCOUNT, 100).len(), 0);
    let mut pass = waiting.await.unwrap().unwrap();
    pass.start().unwrap();
    drop(pass);
    let mut waiting = wait_for_a_turn(gate.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    clock.advance(Duration::from_millis(1_100));
    assert_eq!(gate.enter(ACCOUNT, 100).len(), 1, "the next is the sender's");
}

#[tokio::test]
async fn many_who_wait_leave_every_second_call_to_the_sender() {
    let (gate, clock) = gate(1);
    let turn = async || gate.turn(ACCOUNT, Errand::Call, Duration::ZERO).await;
    turn().await.unwrap().start().unwrap();
    assert_eq!(gate.enter(ACCOUNT, 100).len(), 0, "and the sender wants to call too");
    clock.advance(Duration::from_millis(1_100));
    assert!(turn().await.is_err(), "this one is the sender's");
    assert_eq!(exhaust(&gate), 1);
    clock.advance(Duration::from_millis(1_100));
    turn().await.unwrap().start().unwrap();
    // A sender that does not come back holds nobody up.
    assert_eq!(gate.enter(ACCOUNT, 100).len(), 0);
    clock.advance(Duration::from_millis(2_200));
    assert!(turn().await.is_ok());
}

#[tokio::test]
async fn many_who_wait_leave_every_second_probe_to_the_sender() {
    let (gate, clock) = gate(5);
    let turn = async || gate.turn(ACCOUNT, Errand::Call, Duration::ZERO).await;
    gate.enter(ACCOUNT, 1).remove(0).pause(unauthorized());
    clock.advance(Duration::from_secs(30));
    let mut probe = turn().await.unwrap();
    probe.start().unwrap();
    assert_eq!(gate.enter(ACCOUNT, 9).len(), 0, "a probe is under way");
    assert!(!probe.fine().account, "only a continue ends this pause");
    drop(probe);
    assert!(turn().await.is_err(), "this one is the sender's");
    let mut probe = gate.enter(ACCOUNT, 9).remove(0);
    probe.start().unwrap();
    drop(probe);
    let probe = turn().await.unwrap();
    assert_eq!(gate.enter(ACCOUNT, 9).len(), 0);
    drop(probe);
    assert!(turn().await.is_err());
    clock.advance(Duration::from_millis(5_500));
    assert!(turn().await.is_ok(), "a sender that does not come back holds up no one");
}

#[tokio::test]
async fn a_guest_who_goes_away_leaves_its_call_to_the_others() {
    let (gate, clock) = gate(1);
    exhaust(&gate);
    let mut waiting = wait_for_a_turn(gate.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    waiting.abort();
    assert!(waiting.await.is_err());
    clock.advance(Duration::from_millis(1_100));
    assert_eq!(gate.enter(ACCOUNT, 100).len(), 1);
}

#[tokio::test]
async fn nobody_waits_longer_than_the_patience() {
    let (gate, clock) = gate(2);
    gate.enter(ACCOUNT, 1).remove(0).pause(unauthorized());
    let paused = gate.turn(ACCOUNT, Errand::Call, Duration::from_secs(29)).await.err().unwrap();
    assert_eq!(paused.left, Some(Duration::from_secs(30)));
    assert!(paused.to_string().ends_with("paused for 30 s more"), "{paused}");
    clock.advance(Duration::from_secs(30));
    let probe = gate.turn(ACCOUNT, Errand::Call, Duration::ZERO).await.unwrap();
    // While the probe is under way nobody knows how long it will take.
    let paused = gate.turn(ACCOUNT, Errand::Call, Duration::ZERO).await.err().unwrap();
    assert_eq!(paused.left, None);
    drop(probe);
    assert!(gate.turn(ACCOUNT, Errand::Call, Duration::ZERO).await.is_ok());
}

#[tokio::test]
async fn a_lifted_pause_lets_those_who_wait_through() {
    let (gate, _clock) = gate(5);
    assert!(!gate.lift(ACCOUNT));
    gate.enter(ACCOUNT, 1).remove(0).pause(unauthorized());
    let mut waiting = wait_for_a_turn(gate.clone(), MINUTE);
    assert!(pending(&mut waiting).await);
    assert!(gate.lift(ACCOUNT));
    assert!(waiting.await.unwrap().is_ok());
    assert_eq!(gate.enter(ACCOUNT, 100).len(), 5, "what was not started counts no more");
}

#[tokio::test]
async fn who_gets_a_token_passes_a_pause_for_want_of_one() {
    let (gate, clock) = gate(5);
    let turn = async |errand| gate.turn(ACCOUNT, errand, Duration::ZERO).await;
    gate.enter(ACCOUNT, 1).remove(0).pause(unauthorized());
    assert!(turn(Errand::Call).await.is_err());
    let pass = turn(Errand::Token).await.unwrap();
    clock.advance(MINUTE);
    let probe = turn(Errand::Call).await.unwrap();
    drop(pass);
    assert!(turn(Errand::Call).await.is_err(), "it was not the probe, so it ends none");
    drop(probe);
    let many = Pause { cause: Cause::TooMany, hint: None, source: Source::Call };
    turn(Errand::Call).await.unwrap().pause(many);
    assert!(turn(Errand::Token).await.is_err(), "any other pause holds it");
}

#[tokio::test]
async fn a_renewed_pass_is_a_second_call() {
    let (gate, clock) = gate(2);
    let mut pass = gate.enter(ACCOUNT, 1).remove(0);
    pass.start().unwrap();
    pass.renew(Duration::ZERO).await.unwrap();
    assert_eq!(gate.enter(ACCOUNT, 100).len(), 0, "one has gone out, one is reserved");
    pass.start().unwrap();
    assert_eq!(pass.renew(Duration::ZERO).await, Err(Paused { left: Some(Duration::from_millis(1_100)) }));
    drop(pass);
    clock.advance(Duration::from_millis(1_100));
    assert_eq!(gate.enter(ACCOUNT, 100).len(), 2);
}

#[tokio::test]
async fn what_was_reserved_before_a_429_was_read_does_not_start_after_it() {
    let (gate, clock) = gate(5);
    let too_many = Pause { cause: Cause::TooMany, hint: Some(MINUTE), source: Source::Call };
    let [mut first, mut continues, mut again] = gate.enter(ACCOUNT, 3).try_into().ok().unwrap();
    let mut single = gate.turn(ACCOUNT, Errand::Call, Duration::ZERO).await.unwrap();
    let mut renewal = gate.turn(ACCOUNT, Errand::Token, Duration::ZERO).await.unwrap();
    first.start().unwrap();
    // One that has made its first call, got 401, and waits to make its second.
    again.start().unwrap();
    first.pause(too_many).unwrap();
    for pass in [&mut continues, &mut single, &mut renewal] {
        assert_eq!(pass.start(), Err(Paused { left: Some(MINUTE) }));
    }
    assert_eq!(again.renew(Duration::ZERO).await, Err(Paused { left: Some(MINUTE) }));
    clock.advance(MINUTE);
    assert!(continues.start().is_err(), "the pause ends with a probe, not with what waited");
    let mut probe = gate.enter(ACCOUNT, 5).remove(0);
    probe.start().unwrap();
    assert!(probe.fine().account);
}

#[tokio::test]
async fn what_was_reserved_before_all_were_paused_does_not_start_after_it() {
    let (gate, _clock) = gate(5);
    let blocked = Pause { cause: Cause::Blocked, hint: None, source: Source::Call };
    let mut reserved = gate.enter("https://c.kommo.com", 1).remove(0);
    for account in [ACCOUNT, "https://b.kommo.com"] {
        let mut pass = gate.enter(account, 1).remove(0);
        pass.start().unwrap();
        pass.pause(blocked).unwrap();
    }
    assert_eq!(reserved.start(), Err(Paused { left: Some(MINUTE) }));
    let waits = gate.everybody_waits().unwrap();
    assert_eq!((waits.accounts.len(), waits.left), (2, Some(MINUTE)));
    assert!(
        waits
            .to_string()
            .starts_with("continues to https://a.kommo.com and https://b.kommo.com were answered 403")
    );
}

type Waiting = tokio::task::JoinHandle<Result<Pass, Paused>>;

fn wait_for_a_turn(gate: Arc<Gate>, patience: Duration) -> Waiting {
    tokio::spawn(async move { gate.turn(ACCOUNT, Errand::Call, patience).await })
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
    let (gate, clock) = gate(7);
    let call = |account: &str| gate.enter(account, 1).pop().unwrap();
    for account in ["a", "b"] {
        let mut pass = call(account);
        pass.start().unwrap();
        pass.pause(Pause { cause: Cause::Blocked, hint: None, source: Source::Call }).unwrap();
    }
    clock.advance(MINUTE);
    assert!(gate.enter("a", 1).is_empty(), "it leaves the probe to one that was not refused");
    let mut probe = call("c");
    probe.start().unwrap();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hears = heard.clone();
    gate.on_freed(move |account| hears.lock().unwrap().push(account.to_owned()));
    assert!(probe.fine().everybody);
    let mut heard = heard.lock().unwrap().clone();
    heard.sort();
    heard.dedup();
    assert_eq!(heard, ["a", "b", "c"]);
}
