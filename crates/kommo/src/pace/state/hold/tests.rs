//! The holds, and that a hold exists exactly if no call can be reserved.

use proptest::prelude::*;

use super::super::super::window::WINDOW;
use super::*;
use crate::pace::{CallKind, Cause, Pause, Source};

const A: &str = "https://a.kommo.com";
const B: &str = "https://b.kommo.com";
const C: &str = "https://c.kommo.com";

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Reserves and starts `calls` calls.
fn call(state: &mut LimiterState, account: &str, calls: usize, now: Duration) {
    let reservations = state.reserve(account, calls, now);
    assert_eq!(reservations.len(), calls);
    reservations.into_iter().for_each(|mut reservation| assert!(state.start(account, &mut reservation, now)));
}

const fn pause(cause: Cause, hint: Option<Duration>) -> Pause {
    Pause { cause, hint, source: Source::Call }
}

#[test]
fn account_that_can_be_called_is_not_held() {
    let mut state = LimiterState::new(2, Some(9));
    assert_eq!(state.hold(A, ms(0)), None);
    call(&mut state, A, 1, ms(0));
    assert_eq!(state.hold(A, ms(1)), None);
}

#[test]
fn full_window_holds_its_account_until_its_first_call_leaves() {
    let mut state = LimiterState::new(2, None);
    call(&mut state, A, 1, ms(100));
    call(&mut state, A, 1, ms(300));
    assert_eq!(state.hold(A, ms(400)), Some(Hold::Account(Some(ms(1_200)))));
    assert_eq!(state.hold(A, ms(1_200)), None);
    assert_eq!(state.hold(B, ms(400)), None);
    // A call that is only reserved counts as if it started now.
    let mut state = LimiterState::new(1, None);
    state.reserve(A, 1, ms(100));
    assert_eq!(state.hold(A, ms(400)), Some(Hold::Account(Some(ms(1_500)))));
}

#[test]
fn pause_holds_its_account_until_its_end_and_then_until_the_response_to_its_probe() {
    let mut state = LimiterState::new(2, None);
    let reservation = state.reserve(A, 1, ms(0))[0];
    state.pause(A, reservation, pause(Cause::TooMany, Some(ms(5_000))), ms(0));
    assert_eq!(state.hold(A, ms(10)), Some(Hold::Account(Some(ms(5_000)))));
    assert_eq!(state.hold(A, ms(5_000)), None);
    call(&mut state, A, 1, ms(5_000));
    assert_eq!(state.hold(A, ms(5_001)), Some(Hold::Account(None)));
}

#[test]
fn blocked_address_holds_all_accounts_and_the_refused_ones_a_little_longer() {
    let mut state = LimiterState::new(2, None);
    for account in [A, B] {
        let reservation = state.reserve(account, 1, ms(0))[0];
        state.pause(account, reservation, pause(Cause::Blocked, Some(ms(1_000))), ms(0));
    }
    assert_eq!(state.hold(C, ms(10)), Some(Hold::All(Some(ms(60_000)))));
    assert_eq!(state.hold(A, ms(1_000)), Some(Hold::All(Some(ms(60_000)))));
    assert_eq!(state.hold(A, ms(60_000)), Some(Hold::Account(Some(ms(60_000) + WINDOW * 2))));
    call(&mut state, C, 1, ms(60_000));
    assert_eq!(state.hold(A, ms(60_001)), Some(Hold::All(None)), "the probe for all accounts is in flight");
}

#[test]
fn full_total_holds_all_accounts_until_its_first_call_leaves() {
    let mut state = LimiterState::new(2, Some(2));
    call(&mut state, A, 1, ms(0));
    call(&mut state, B, 1, ms(200));
    assert_eq!(state.hold(A, ms(300)), Some(Hold::All(Some(ms(1_100)))));
    assert_eq!(state.hold(C, ms(300)), Some(Hold::All(Some(ms(1_100)))));
}

#[test]
fn call_left_to_a_waiter_holds_the_account_until_the_window_has_room() {
    let mut state = LimiterState::new(2, None);
    call(&mut state, A, 1, ms(100));
    state.waiter_arrives(A, ms(200));
    assert_eq!(state.hold(A, ms(200)), Some(Hold::Account(Some(ms(1_200)))));
    state.waiter_leaves(A);
    assert_eq!(state.hold(A, ms(200)), None);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u64),
    Reserve(usize, usize),
    Start(usize),
    Settle(usize, bool),
    Pause(usize, bool, u64),
    Waiter(usize),
    WaiterLeaves(usize),
    WaiterReserves(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let account = || 0..2_usize;
    prop_oneof![
        3 => (0..1_500_u64).prop_map(Step::Pass),
        4 => (account(), 1..4_usize).prop_map(|(account, calls)| Step::Reserve(account, calls)),
        3 => (0..9_usize).prop_map(Step::Start),
        2 => (0..9_usize, any::<bool>()).prop_map(|(call, fine)| Step::Settle(call, fine)),
        1 => (0..9_usize, any::<bool>(), 0..4_000_u64).prop_map(|(call, all, hint)| Step::Pause(call, all, hint)),
        1 => account().prop_map(Step::Waiter),
        1 => account().prop_map(Step::WaiterLeaves),
        1 => account().prop_map(Step::WaiterReserves),
    ]
}

proptest! {
    #[test]
    fn hold_exists_exactly_if_no_call_can_be_reserved(steps in prop::collection::vec(step(), 1..50), total in prop::option::of(1..5_u32)) {
        let mut state = LimiterState::new(3, total);
        let (mut now, mut reserved, mut started) = (Duration::ZERO, Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Pass(span) => now += ms(span),
                Step::Reserve(account, calls) => {
                    let account = [A, B][account];
                    let hold = state.hold(account, now);
                    let reservations = state.reserve(account, calls, now);
                    prop_assert_eq!(hold.is_none(), !reservations.is_empty(), "{:?}", hold);
                    prop_assert_eq!(state.hold(account, now).is_some() || !reservations.is_empty(), true);
                    if let Some(Hold::Account(Some(until)) | Hold::All(Some(until))) = hold {
                        prop_assert!(until > now, "{until:?} is not later than {now:?}");
                    }
                    reserved.extend(reservations.into_iter().map(|reservation| (account, reservation)));
                }
                Step::Start(call) if call < reserved.len() => {
                    let (account, mut reservation) = reserved.swap_remove(call);
                    if state.start(account, &mut reservation, now) {
                        started.push((account, reservation));
                    }
                }
                Step::Settle(call, fine) if call < started.len() => {
                    let (account, reservation) = started.swap_remove(call);
                    if fine {
                        state.succeeded(account, reservation, None);
                    } else {
                        state.inconclusive(account, reservation);
                    }
                }
                Step::Pause(call, all, hint) if call < started.len() => {
                    let (account, reservation) = started.swap_remove(call);
                    let cause = if all { Cause::Blocked } else { Cause::TooMany };
                    state.pause(account, reservation, pause(cause, Some(ms(hint))), now);
                }
                Step::Waiter(account) => state.waiter_arrives([A, B][account], now),
                Step::WaiterLeaves(account) => state.waiter_leaves([A, B][account]),
                Step::WaiterReserves(account) => {
                    if let Some(reservation) = state.reserve_for_waiter([A, B][account], CallKind::Api, now) {
                        reserved.push(([A, B][account], reservation));
                    }
                }
                Step::Start(_) | Step::Settle(..) | Step::Pause(..) => {}
            }
        }
    }
}
