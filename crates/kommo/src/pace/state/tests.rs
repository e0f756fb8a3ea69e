//! The limiter's decisions as a simulation: however calls are asked for, no window has more of them than the rate.

use super::super::window::WINDOW;
use super::*;
use model::JobId;

mod props;

const ACCOUNT: &str = "https://a.kommo.com";
const OTHER: &str = "https://b.kommo.com";
const THIRD: &str = "https://c.kommo.com";

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An answer to a call of that reservation asks to wait; says until when the account does.
fn pause(
    state: &mut LimiterState,
    account: &str,
    reservation: Reservation,
    cause: Cause,
    now: Duration,
) -> Option<Duration> {
    let hint = (cause == Cause::TooMany).then_some(ms(1_000));
    let began = state.pause(account, reservation, Pause { cause, hint, source: job(1) }, now);
    began.map(|began| now + began.account)
}

fn job(number: u128) -> Source {
    Source::Job(JobId::new(Timestamp::from_millis(0), number))
}

/// Reserves a call to `account`, and starts it.
fn started(state: &mut LimiterState, account: &str, now: Duration) -> Reservation {
    let mut reservation = state.reserve(account, 1, now).remove(0);
    assert!(state.start(account, &mut reservation, now));
    reservation
}

/// Asks for as much as it gets, every few milliseconds, and starts each call a random time after its reservation.
fn starts(rate: u32, total: Option<u32>, accounts: &[&str], seed: u64) -> Vec<(String, Duration)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut state = LimiterState::new(rate, total);
    let mut waiting: Vec<(Duration, String, Reservation)> = Vec::new();
    let mut starts = Vec::new();
    for now in (0..10_000).map(ms) {
        waiting.sort_by_key(|(due, ..)| *due);
        while waiting.first().is_some_and(|(due, ..)| *due <= now) {
            let (_, account, mut reservation) = waiting.remove(0);
            assert!(state.start(&account, &mut reservation, now));
            starts.push((account, now));
        }
        let account = accounts[random.usize(..accounts.len())];
        for reservation in state.reserve(account, random.usize(..20), now) {
            waiting.push((now + ms(random.u64(..400)), account.to_owned(), reservation));
        }
    }
    starts
}

fn most_in_any_second(starts: &[Duration]) -> usize {
    starts
        .iter()
        .map(|from| starts.iter().filter(|at| *at >= from && **at < *from + ms(1_000)).count())
        .max()
        .unwrap_or(0)
}

#[test]
fn no_second_sees_more_calls_than_the_rate() {
    for seed in 0..20 {
        let starts = starts(7, None, &[ACCOUNT, OTHER], seed);
        for account in [ACCOUNT, OTHER] {
            let mine: Vec<Duration> =
                starts.iter().filter(|(whose, _)| whose == account).map(|(_, at)| *at).collect();
            assert!(most_in_any_second(&mine) <= 7, "seed {seed}");
            assert!(mine.len() > 40, "the rate is used, too: {} in 10 s", mine.len());
        }
    }
}

#[test]
fn the_total_rate_holds_over_all_accounts() {
    for seed in 0..20 {
        let all: Vec<Duration> =
            starts(7, Some(9), &[ACCOUNT, OTHER], seed).into_iter().map(|(_, at)| at).collect();
        assert!(most_in_any_second(&all) <= 9, "seed {seed}");
        assert!(all.len() > 55, "{}", all.len());
    }
}

#[test]
fn what_is_released_can_be_reserved_again() {
    let mut state = LimiterState::new(2, Some(2));
    let reservations = state.reserve(ACCOUNT, 5, ms(0));
    assert_eq!(reservations.len(), 2);
    assert_eq!(state.reserve(ACCOUNT, 1, ms(0)).len(), 0);
    state.release(ACCOUNT, reservations[0]);
    assert_eq!(state.reserve(OTHER, 5, ms(0)).len(), 1);
}

#[test]
fn it_says_when_to_ask_again() {
    let mut state = LimiterState::new(1, None);
    assert_eq!(state.next(ACCOUNT, CallKind::Api, ms(5)), Some(ms(5)));
    let mut reservation = state.reserve(ACCOUNT, 1, ms(5)).remove(0);
    assert!(state.start(ACCOUNT, &mut reservation, ms(10)));
    assert_eq!(state.next(ACCOUNT, CallKind::Api, ms(20)), Some(ms(10) + WINDOW));
}

#[test]
fn a_paused_account_delays_no_other() {
    let mut state = LimiterState::new(7, None);
    let reservation = started(&mut state, ACCOUNT, ms(0));
    assert_eq!(pause(&mut state, ACCOUNT, reservation, Cause::TooMany, ms(100)), Some(ms(1_100)));
    assert_eq!(state.reserve(ACCOUNT, 1, ms(1_099)).len(), 0);
    assert_eq!(state.next(ACCOUNT, CallKind::Api, ms(200)), Some(ms(1_100)));
    assert_eq!(state.reserve(OTHER, 3, ms(200)).len(), 3);
    // Then one probe, and no second before it is answered.
    let mut probe = state.reserve(ACCOUNT, 7, ms(1_100));
    assert_eq!(probe.len(), 1);
    assert_eq!(state.reserve(ACCOUNT, 7, ms(1_200)).len(), 0);
    assert_eq!(state.next(ACCOUNT, CallKind::Api, ms(1_200)), None);
    assert!(state.start(ACCOUNT, &mut probe[0], ms(1_200)));
    assert!(state.succeeded(ACCOUNT, probe[0], None).account);
    assert_eq!(state.reserve(ACCOUNT, 7, ms(1_300)).len(), 6);
}

/// The next is refused without JSON. Says until when all wait.
fn blocked(state: &mut LimiterState, account: &str, number: u128, now: Duration) -> Option<Duration> {
    let reservation = started(state, account, now);
    let pause = Pause { cause: Cause::Blocked, hint: None, source: job(number) };
    state.pause(account, reservation, pause, now).unwrap().all_accounts.map(|span| now + span)
}

#[test]
fn a_403_without_json_stops_its_account_and_two_in_a_row_stop_all() {
    let mut state = LimiterState::new(7, None);
    assert_eq!(blocked(&mut state, ACCOUNT, 1, ms(0)), None);
    assert_eq!(state.reserve(ACCOUNT, 1, ms(0)).len(), 0);
    let until = blocked(&mut state, OTHER, 2, ms(0)).unwrap();
    assert_eq!(until, ms(60_000));
    assert_eq!(state.reserve(THIRD, 1, until - ms(1)).len(), 0);
    let (refused, all_until, _) = state.everybody_waits().unwrap();
    assert_eq!((refused.len(), all_until), (2, until));
    // An account that was not refused finds out.
    assert_eq!(state.reserve(ACCOUNT, 1, until).len(), 0);
    let mut probe = state.reserve(THIRD, 5, until);
    assert_eq!(probe.len(), 1, "one call of one account finds out");
    assert!(state.start(THIRD, &mut probe[0], until));
    assert!(state.succeeded(THIRD, probe[0], Some(Timestamp::from_millis(0))).all_accounts);
    assert_eq!(state.everybody_waits(), None);
    assert_eq!(state.reserve(THIRD, 7, until).len(), 6);
    assert_eq!(state.reserve(ACCOUNT, 7, until).len(), 1, "its own pause has its own probe");
}

#[test]
fn two_refused_jobs_of_the_only_account_at_work_are_shown_until_its_next_success() {
    let mut state = LimiterState::new(7, None);
    assert_eq!(blocked(&mut state, ACCOUNT, 1, ms(0)), None);
    assert_eq!(state.everybody_waits(), None);
    assert_eq!(blocked(&mut state, ACCOUNT, 2, ms(60_000)), None);
    assert_eq!(state.everybody_waits(), Some((vec![ACCOUNT.into()], ms(180_000), false)));
    assert_eq!(state.reserve(OTHER, 7, ms(60_000)).len(), 7, "who was not refused is not held up");
    let probe = started(&mut state, ACCOUNT, ms(180_000));
    state.succeeded(ACCOUNT, probe, Some(Timestamp::from_millis(0)));
    assert_eq!(state.everybody_waits(), None);
}

#[test]
fn a_probe_that_is_not_sent_leaves_room_for_the_next() {
    let mut state = LimiterState::new(7, None);
    let reservation = started(&mut state, ACCOUNT, ms(0));
    pause(&mut state, ACCOUNT, reservation, Cause::TooMany, ms(0));
    let probe = state.reserve(ACCOUNT, 1, ms(1_000))[0];
    state.release(ACCOUNT, probe);
    assert_eq!(state.reserve(ACCOUNT, 1, ms(1_000)).len(), 1);
}

#[test]
fn what_was_reserved_before_a_pause_does_not_go_out_in_it() {
    for cause in
        [Cause::TooMany, Cause::Unauthorized, Cause::PaymentRequired, Cause::Forbidden, Cause::Blocked]
    {
        let mut state = LimiterState::new(7, Some(7));
        let reservation = started(&mut state, ACCOUNT, ms(0));
        let mut reserved = state.reserve(ACCOUNT, 3, ms(0));
        assert!(state.start(ACCOUNT, &mut reserved[0], ms(0)), "{cause:?}: nothing is wrong yet");
        let until = pause(&mut state, ACCOUNT, reservation, cause, ms(0)).unwrap();
        assert!(!state.start(ACCOUNT, &mut reserved[1], ms(0)), "{cause:?}");
        assert!(!state.start(ACCOUNT, &mut reserved[2], until), "{cause:?}: only a probe may");
        // What they had reserved is free again, and the probe is not one of them.
        assert_eq!(state.reserve(OTHER, 7, until).len(), if until > WINDOW { 7 } else { 5 }, "{cause:?}");
    }
}

#[test]
fn what_was_reserved_before_the_pause_of_all_does_not_go_out_in_it() {
    let mut state = LimiterState::new(7, None);
    let mut reserved = state.reserve(THIRD, 1, ms(0)).remove(0);
    blocked(&mut state, ACCOUNT, 1, ms(0));
    blocked(&mut state, OTHER, 2, ms(0)).unwrap();
    assert!(!state.start(THIRD, &mut reserved, ms(0)));
    assert!(!state.start(THIRD, &mut reserved, ms(60_000)), "only a probe may");
}

#[test]
fn the_call_that_brings_a_token_passes_a_pause_for_want_of_one_and_no_other() {
    let mut state = LimiterState::new(7, None);
    let reservation = started(&mut state, ACCOUNT, ms(0));
    pause(&mut state, ACCOUNT, reservation, Cause::Unauthorized, ms(0));
    let mut fetch = || state.reserve_for_waiter(ACCOUNT, CallKind::Token, ms(0)).unwrap();
    let (mut one, mut other) = (fetch(), fetch());
    assert!(state.start(ACCOUNT, &mut one, ms(0)));
    pause(&mut state, ACCOUNT, one, Cause::TooMany, ms(0)).unwrap();
    assert!(!state.start(ACCOUNT, &mut other, ms(0)), "429 to one of them");
}

#[test]
fn an_account_without_a_token_says_nothing_about_a_block() {
    let mut state = LimiterState::new(7, None);
    blocked(&mut state, ACCOUNT, 1, ms(0));
    blocked(&mut state, OTHER, 2, ms(0)).unwrap();
    let probe = state.reserve(THIRD, 7, ms(60_000));
    assert_eq!(probe.len(), 1);
    // Nothing was sent: there is no token for that account.
    state.release(THIRD, probe[0]);
    pause(&mut state, THIRD, probe[0], Cause::NotConnected, ms(60_000));
    assert_eq!(state.reserve(ACCOUNT, 7, ms(62_200)).len(), 1, "the block still has to be probed");
}

#[test]
fn accounts_that_anyone_names_do_not_pile_up_and_the_others_are_remembered() {
    let mut state = LimiterState::new(1, None);
    let paused = started(&mut state, ACCOUNT, ms(0));
    let hour = Pause { cause: Cause::TooMany, hint: Some(ms(3_600_000)), source: job(1) };
    state.pause(ACCOUNT, paused, hour, ms(0)).unwrap();
    state.waiter_arrives(OTHER, ms(0));
    for nth in 0..10 * MIN_ACCOUNTS_TO_TIDY {
        let now = ms(10 * u64::try_from(nth).unwrap());
        let named = format!("https://a{nth}.kommo.com");
        state.waiter_arrives(&named, now);
        let mut reservation = state.reserve_for_waiter(&named, CallKind::Token, now).unwrap();
        assert!(state.start(&named, &mut reservation, now));
        assert!(state.reserve(&named, 1, now).is_empty(), "it is not forgotten while it counts");
        state.waiter_leaves(&named);
    }
    assert!(state.accounts.len() <= 2 * MIN_ACCOUNTS_TO_TIDY, "{}", state.accounts.len());
    assert!(state.reserve(ACCOUNT, 1, ms(200_000)).is_empty(), "it is paused still");
    assert_eq!(state.accounts[OTHER].waiters, 1);
}
