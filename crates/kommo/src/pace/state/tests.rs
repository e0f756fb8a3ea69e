//! The limiter's decisions as a simulation: no window contains more calls than the rate, whatever callers ask for.

use super::super::effects::Outage;
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

/// Records that the response to a reserved call asks to wait, and returns the end of the account's pause.
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

/// Reserves and starts a call to `account`.
fn started(state: &mut LimiterState, account: &str, now: Duration) -> Reservation {
    let mut reservation = state.reserve(account, 1, now).remove(0);
    assert!(state.start(account, &mut reservation, now));
    reservation
}

/// Asks for calls every millisecond, and starts each a random time after its reservation. Returns all starts.
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

fn max_in_any_second(starts: &[Duration]) -> usize {
    starts
        .iter()
        .map(|from| starts.iter().filter(|at| *at >= from && **at < *from + ms(1_000)).count())
        .max()
        .unwrap_or(0)
}

#[test]
fn no_second_contains_more_calls_than_the_rate() {
    for seed in 0..20 {
        let starts = starts(7, None, &[ACCOUNT, OTHER], seed);
        for account in [ACCOUNT, OTHER] {
            let mine: Vec<Duration> =
                starts.iter().filter(|(of, _)| of == account).map(|(_, at)| *at).collect();
            assert!(max_in_any_second(&mine) <= 7, "seed {seed}");
            assert!(mine.len() > 40, "the rate is used up: {} in 10 s", mine.len());
        }
    }
}

#[test]
fn total_rate_applies_to_all_accounts_together() {
    for seed in 0..20 {
        let all: Vec<Duration> =
            starts(7, Some(9), &[ACCOUNT, OTHER], seed).into_iter().map(|(_, at)| at).collect();
        assert!(max_in_any_second(&all) <= 9, "seed {seed}");
        assert!(all.len() > 55, "{}", all.len());
    }
}

#[test]
fn released_call_can_be_reserved_again() {
    let mut state = LimiterState::new(2, Some(2));
    let reservations = state.reserve(ACCOUNT, 5, ms(0));
    assert_eq!(reservations.len(), 2);
    assert_eq!(state.reserve(ACCOUNT, 1, ms(0)).len(), 0);
    state.release(ACCOUNT, reservations[0]);
    assert_eq!(state.reserve(OTHER, 5, ms(0)).len(), 1);
}

#[test]
fn next_is_the_moment_of_the_next_possible_call() {
    let mut state = LimiterState::new(1, None);
    assert_eq!(state.next(ACCOUNT, CallKind::Api, ms(5)), Some(ms(5)));
    let mut reservation = state.reserve(ACCOUNT, 1, ms(5)).remove(0);
    assert!(state.start(ACCOUNT, &mut reservation, ms(10)));
    assert_eq!(state.next(ACCOUNT, CallKind::Api, ms(20)), Some(ms(10) + WINDOW));
}

#[test]
fn paused_account_does_not_delay_others() {
    let mut state = LimiterState::new(7, None);
    let reservation = started(&mut state, ACCOUNT, ms(0));
    assert_eq!(pause(&mut state, ACCOUNT, reservation, Cause::TooMany, ms(100)), Some(ms(1_100)));
    assert_eq!(state.reserve(ACCOUNT, 1, ms(1_099)).len(), 0);
    assert_eq!(state.next(ACCOUNT, CallKind::Api, ms(200)), Some(ms(1_100)));
    assert_eq!(state.reserve(OTHER, 3, ms(200)).len(), 3);
    // Then one probe starts, and no second call before its response.
    let mut probe = state.reserve(ACCOUNT, 7, ms(1_100));
    assert_eq!(probe.len(), 1);
    assert_eq!(state.reserve(ACCOUNT, 7, ms(1_200)).len(), 0);
    assert_eq!(state.next(ACCOUNT, CallKind::Api, ms(1_200)), None);
    assert!(state.start(ACCOUNT, &mut probe[0], ms(1_200)));
    assert!(state.succeeded(ACCOUNT, probe[0], None).account);
    assert_eq!(state.reserve(ACCOUNT, 7, ms(1_300)).len(), 6);
}

/// Makes a call that gets a 403 without JSON. Returns the end of the pause of all accounts.
fn blocked(state: &mut LimiterState, account: &str, number: u128, now: Duration) -> Option<Duration> {
    let reservation = started(state, account, now);
    let pause = Pause { cause: Cause::Blocked, hint: None, source: job(number) };
    state.pause(account, reservation, pause, now).unwrap().all_accounts.map(|span| now + span)
}

#[test]
fn a_403_without_json_pauses_its_account_and_two_in_a_row_pause_all() {
    let mut state = LimiterState::new(7, None);
    assert_eq!(blocked(&mut state, ACCOUNT, 1, ms(0)), None);
    assert_eq!(state.reserve(ACCOUNT, 1, ms(0)).len(), 0);
    let until = blocked(&mut state, OTHER, 2, ms(0)).unwrap();
    assert_eq!(until, ms(60_000));
    assert_eq!(state.reserve(THIRD, 1, until - ms(1)).len(), 0);
    let (refused, all_until, _) = state.everybody_waits().unwrap();
    assert_eq!((refused.len(), all_until), (2, until));
    // An account that was not refused sends the probe.
    assert_eq!(state.reserve(ACCOUNT, 1, until).len(), 0);
    let mut probe = state.reserve(THIRD, 5, until);
    assert_eq!(probe.len(), 1, "one call to one account is the probe");
    assert!(state.start(THIRD, &mut probe[0], until));
    assert!(state.succeeded(THIRD, probe[0], Some(Timestamp::from_millis(0))).all_accounts);
    assert_eq!(state.everybody_waits(), None);
    assert_eq!(state.reserve(THIRD, 7, until).len(), 6);
    assert_eq!(state.reserve(ACCOUNT, 7, until).len(), 1, "its own pause has its own probe");
}

#[test]
fn two_refused_jobs_of_the_only_active_account_are_shown_until_its_next_success() {
    let mut state = LimiterState::new(7, None);
    assert_eq!(blocked(&mut state, ACCOUNT, 1, ms(0)), None);
    assert_eq!(state.everybody_waits(), None);
    assert_eq!(blocked(&mut state, ACCOUNT, 2, ms(60_000)), None);
    assert_eq!(state.everybody_waits(), Some((vec![ACCOUNT.into()], ms(180_000), false)));
    assert_eq!(state.reserve(OTHER, 7, ms(60_000)).len(), 7, "an account that was not refused does not wait");
    let probe = started(&mut state, ACCOUNT, ms(180_000));
    state.succeeded(ACCOUNT, probe, Some(Timestamp::from_millis(0)));
    assert_eq!(state.everybody_waits(), None);
}

#[test]
fn probe_that_is_released_allows_another_one() {
    let mut state = LimiterState::new(7, None);
    let reservation = started(&mut state, ACCOUNT, ms(0));
    pause(&mut state, ACCOUNT, reservation, Cause::TooMany, ms(0));
    let probe = state.reserve(ACCOUNT, 1, ms(1_000))[0];
    state.release(ACCOUNT, probe);
    assert_eq!(state.reserve(ACCOUNT, 1, ms(1_000)).len(), 1);
}

#[test]
fn call_reserved_before_a_pause_does_not_start_in_the_pause() {
    for cause in
        [Cause::TooMany, Cause::Unauthorized, Cause::PaymentRequired, Cause::Forbidden, Cause::Blocked]
    {
        let mut state = LimiterState::new(7, Some(7));
        let reservation = started(&mut state, ACCOUNT, ms(0));
        let mut reserved = state.reserve(ACCOUNT, 3, ms(0));
        assert!(state.start(ACCOUNT, &mut reserved[0], ms(0)), "{cause:?}: no pause yet");
        let until = pause(&mut state, ACCOUNT, reservation, cause, ms(0)).unwrap();
        assert!(!state.start(ACCOUNT, &mut reserved[1], ms(0)), "{cause:?}");
        assert!(!state.start(ACCOUNT, &mut reserved[2], until), "{cause:?}: only a probe may");
        // The reservations are free again, and the probe is a new one.
        assert_eq!(state.reserve(OTHER, 7, until).len(), if until > WINDOW { 7 } else { 5 }, "{cause:?}");
    }
}

#[test]
fn an_accepted_continue_ends_an_outage_if_others_failed_and_none_was_accepted_for_long() {
    let at = Timestamp::from_millis;
    // A continue fails, and one that starts at `started_at` is accepted.
    for (what, taken_at, fails, started_at, expected) in [
        ("nothing failed", Some(0), false, 60_000, None),
        ("an hour without success", Some(0), true, 3_600_000, Some(Outage { since: Some(at(0)) })),
        ("the shortest outage", Some(0), true, 5_000, Some(Outage { since: Some(at(0)) })),
        ("another was accepted just before", Some(0), true, 4_999, None),
        ("no other was accepted before", None, true, 0, Some(Outage { since: None })),
    ] {
        let mut state = LimiterState::new(7, None);
        let mut call = || started(&mut state, ACCOUNT, ms(0));
        let [before, failed, after, last] = [call(), call(), call(), call()];
        if let Some(taken_at) = taken_at {
            state.succeeded(ACCOUNT, before, Some(at(taken_at)));
        }
        if fails {
            state.failed(ACCOUNT, failed);
        }
        assert_eq!(state.succeeded(ACCOUNT, after, Some(at(started_at))).outage, expected, "{what}");
        assert_eq!(state.succeeded(ACCOUNT, last, Some(at(9_000_000))).outage, None, "{what}: it has ended");
    }
}

#[test]
fn fewer_calls_start_while_an_account_seems_to_be_down() {
    let mut state = LimiterState::new(1_000, None);
    let fail = |state: &mut LimiterState, times| {
        for _ in 0..times {
            let reservation = started(state, ACCOUNT, ms(0));
            state.failed(ACCOUNT, reservation);
        }
    };
    let room = |state: &mut LimiterState, now| {
        let reservations = state.reserve(ACCOUNT, 5_000, now);
        let room = reservations.len();
        reservations.into_iter().for_each(|reservation| state.release(ACCOUNT, reservation));
        room
    };
    fail(&mut state, 99);
    assert_eq!(room(&mut state, ms(2_000)), 1_000, "some jobs may fail on their own");
    fail(&mut state, 1);
    assert_eq!(room(&mut state, ms(2_000)), 100);
    let accepted = started(&mut state, ACCOUNT, ms(3_000));
    state.succeeded(ACCOUNT, accepted, Some(Timestamp::from_millis(0)));
    assert_eq!(room(&mut state, ms(5_000)), 1_000, "the account is back");

    let mut slow = LimiterState::new(7, None);
    for second in 0..100 {
        let reservation = started(&mut slow, ACCOUNT, ms(second * 2_000));
        slow.failed(ACCOUNT, reservation);
    }
    assert_eq!(room(&mut slow, ms(300_000)), 7, "never more than the rate of the account");
}

#[test]
fn a_handlers_call_ends_no_outage() {
    let mut state = LimiterState::new(7, None);
    let failed = started(&mut state, ACCOUNT, ms(0));
    state.failed(ACCOUNT, failed);
    let call = started(&mut state, ACCOUNT, ms(0));
    assert_eq!(state.succeeded(ACCOUNT, call, None).outage, None);
}

#[test]
fn call_reserved_before_the_pause_of_all_does_not_start_in_it() {
    let mut state = LimiterState::new(7, None);
    let mut reserved = state.reserve(THIRD, 1, ms(0)).remove(0);
    blocked(&mut state, ACCOUNT, 1, ms(0));
    blocked(&mut state, OTHER, 2, ms(0)).unwrap();
    assert!(!state.start(THIRD, &mut reserved, ms(0)));
    assert!(!state.start(THIRD, &mut reserved, ms(60_000)), "only a probe may");
}

#[test]
fn call_for_a_token_is_exempt_only_from_a_pause_that_waits_for_one() {
    let mut state = LimiterState::new(7, None);
    let reservation = started(&mut state, ACCOUNT, ms(0));
    pause(&mut state, ACCOUNT, reservation, Cause::Unauthorized, ms(0));
    let mut fetch = || state.reserve_for_waiter(ACCOUNT, CallKind::Token, ms(0)).unwrap();
    let (mut one, mut other) = (fetch(), fetch());
    assert!(state.start(ACCOUNT, &mut one, ms(0)));
    pause(&mut state, ACCOUNT, one, Cause::TooMany, ms(0)).unwrap();
    assert!(!state.start(ACCOUNT, &mut other, ms(0)), "the 429 holds both");
}

#[test]
fn account_without_a_token_does_not_show_the_end_of_a_block() {
    let mut state = LimiterState::new(7, None);
    blocked(&mut state, ACCOUNT, 1, ms(0));
    blocked(&mut state, OTHER, 2, ms(0)).unwrap();
    let probe = state.reserve(THIRD, 7, ms(60_000));
    assert_eq!(probe.len(), 1);
    // Nothing was sent, because there is no token for the account.
    state.release(THIRD, probe[0]);
    pause(&mut state, THIRD, probe[0], Cause::NotConnected, ms(60_000));
    assert_eq!(state.reserve(ACCOUNT, 7, ms(62_200)).len(), 1, "the block still needs a probe");
}

#[test]
fn idle_accounts_are_removed_and_others_are_kept() {
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
        assert!(state.reserve(&named, 1, now).is_empty(), "it is not removed while its call counts");
        state.waiter_leaves(&named);
    }
    assert!(state.accounts.len() <= 2 * MIN_ACCOUNTS_TO_TIDY, "{}", state.accounts.len());
    assert!(state.reserve(ACCOUNT, 1, ms(200_000)).is_empty(), "it is still paused");
    assert_eq!(state.accounts[OTHER].waiters, 1);
}
