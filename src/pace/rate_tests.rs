//! The pace as a simulation: no matter how calls are asked for, no window sees more than the rate.

use super::*;

const ACCOUNT: &str = "https://a.kommo.com";
const OTHER: &str = "https://b.kommo.com";

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Asks for as much as it gets, every few milliseconds, and starts each call a random time after its reservation.
fn starts(rate: u32, total: Option<u32>, accounts: &[&str], seed: u64) -> Vec<(String, Duration)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut pace = Pace::new(rate, total);
    let mut waiting: Vec<(Duration, String)> = Vec::new();
    let mut starts = Vec::new();
    for now in (0..10_000).map(ms) {
        waiting.sort();
        while waiting.first().is_some_and(|(due, _)| *due <= now) {
            let (_, account) = waiting.remove(0);
            pace.start(&account, now);
            starts.push((account, now));
        }
        let account = accounts[random.usize(..accounts.len())];
        for _ in pace.reserve(account, random.usize(..20), now) {
            waiting.push((now + ms(random.u64(..400)), account.to_owned()));
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
    let mut pace = Pace::new(2, Some(2));
    let tickets = pace.reserve(ACCOUNT, 5, ms(0));
    assert_eq!(tickets.len(), 2);
    assert_eq!(pace.reserve(ACCOUNT, 1, ms(0)).len(), 0);
    pace.release(ACCOUNT, tickets[0]);
    assert_eq!(pace.reserve(OTHER, 5, ms(0)).len(), 1);
}

#[test]
fn it_says_when_to_ask_again() {
    let mut pace = Pace::new(1, None);
    assert_eq!(pace.next(ACCOUNT, Errand::Call, ms(5)), Some(ms(5)));
    pace.reserve(ACCOUNT, 1, ms(5));
    pace.start(ACCOUNT, ms(10));
    assert_eq!(pace.next(ACCOUNT, Errand::Call, ms(20)), Some(ms(10) + WINDOW));
}

#[test]
fn a_paused_account_delays_nobody_else() {
    let mut pace = Pace::new(7, None);
    let ticket = pace.reserve(ACCOUNT, 1, ms(0))[0];
    pace.start(ACCOUNT, ms(0));
    assert_eq!(
        pace.pause(ACCOUNT, ticket, Scope::Account, Cause::TooMany, Some(ms(5_000)), ms(100)),
        Some(ms(5_100))
    );
    assert_eq!(pace.reserve(ACCOUNT, 1, ms(5_099)).len(), 0);
    assert_eq!(pace.next(ACCOUNT, Errand::Call, ms(200)), Some(ms(5_100)));
    assert_eq!(pace.reserve(OTHER, 3, ms(200)).len(), 3);
    // Then one probe, and no second before it is answered.
    let probe = pace.reserve(ACCOUNT, 7, ms(5_100));
    assert_eq!(probe.len(), 1);
    assert_eq!(pace.reserve(ACCOUNT, 7, ms(5_200)).len(), 0);
    assert_eq!(pace.next(ACCOUNT, Errand::Call, ms(5_200)), None);
    pace.start(ACCOUNT, ms(5_200));
    assert!(pace.fine(ACCOUNT, probe[0]));
    assert_eq!(pace.reserve(ACCOUNT, 7, ms(5_300)).len(), 6);
}

#[test]
fn a_blocked_address_stops_everybody() {
    let mut pace = Pace::new(7, None);
    let ticket = pace.reserve(ACCOUNT, 1, ms(0))[0];
    pace.start(ACCOUNT, ms(0));
    let until = pace.pause(ACCOUNT, ticket, Scope::Everybody, Cause::Blocked, None, ms(0)).unwrap();
    assert_eq!(pace.reserve(OTHER, 1, until - ms(1)).len(), 0);
    let probe = pace.reserve(OTHER, 5, until);
    assert_eq!(probe.len(), 1, "one call of one account finds out");
    assert_eq!(pace.reserve(ACCOUNT, 1, until).len(), 0);
    pace.fine(OTHER, probe[0]);
    assert_eq!(pace.reserve(ACCOUNT, 7, until).len(), 7);
}

#[test]
fn a_probe_that_is_not_sent_leaves_room_for_the_next() {
    let mut pace = Pace::new(7, None);
    let ticket = pace.reserve(ACCOUNT, 1, ms(0))[0];
    pace.start(ACCOUNT, ms(0));
    pace.pause(ACCOUNT, ticket, Scope::Account, Cause::TooMany, Some(ms(1_000)), ms(0));
    let probe = pace.reserve(ACCOUNT, 1, ms(1_000))[0];
    pace.release(ACCOUNT, probe);
    assert_eq!(pace.reserve(ACCOUNT, 1, ms(1_000)).len(), 1);
}

#[test]
fn an_account_without_a_token_says_nothing_about_a_block() {
    let mut pace = Pace::new(7, None);
    let ticket = pace.reserve(ACCOUNT, 1, ms(0))[0];
    let blocked = pace.pause(ACCOUNT, ticket, Scope::Everybody, Cause::Blocked, None, ms(0));
    assert_eq!(blocked, Some(ms(60_000)));
    let probe = pace.reserve(OTHER, 7, ms(60_000));
    assert_eq!(probe.len(), 1);
    // Nothing was sent: there is no token for that account.
    pace.pause(OTHER, probe[0], Scope::Account, Cause::NotConnected, None, ms(60_000));
    pace.release(OTHER, probe[0]);
    assert_eq!(pace.reserve(ACCOUNT, 7, ms(60_000)).len(), 1, "the block still has to be probed");
}

#[test]
fn accounts_that_anybody_names_do_not_pile_up_and_the_others_are_remembered() {
    let mut pace = Pace::new(1, None);
    let paused = pace.reserve(ACCOUNT, 1, ms(0)).remove(0);
    pace.start(ACCOUNT, ms(0));
    pace.pause(ACCOUNT, paused, Scope::Account, Cause::TooMany, Some(ms(3_600_000)), ms(0));
    pace.guest_comes(OTHER, ms(0));
    for nth in 0..10 * TIDY {
        let now = ms(10 * u64::try_from(nth).unwrap());
        let named = format!("https://a{nth}.kommo.com");
        pace.guest_comes(&named, now);
        pace.reserve_for_guest(&named, Errand::Token, now).unwrap();
        pace.start(&named, now);
        assert!(pace.reserve(&named, 1, now).is_empty(), "it is not forgotten while it counts");
        pace.guest_leaves(&named);
    }
    assert!(pace.accounts.len() <= 2 * TIDY, "{}", pace.accounts.len());
    assert!(pace.reserve(ACCOUNT, 1, ms(200_000)).is_empty(), "it is paused still");
    assert_eq!(pace.accounts[OTHER].guests, 1);
}
