//! How often strangers may make the bridge do something.
//!
//! An installation without a link can be claimed by anyone, as often as they like. An exchange costs a call to Kommo, and too
//! many bad codes could get the bridge's address blocked; a code that is kept costs a write. So both are bounded for one
//! address and in all. An address that no exchange was made with in the last minute has places of its own: junk for a few
//! addresses does not keep a genuine installation at another one out. A code whose exchange has no place now is kept and
//! exchanged later, newest first: junk that came before it does not keep a genuine one out. A link is bounded by neither,
//! because we have signed it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Exchanges in a minute. They are made with addresses that are known, so a stranger cannot make up fresh ones.
const MAX_EXCHANGES: PerMinute = PerMinute { for_one: 12, for_all: 60, with_fresh: 240 };
/// Codes in a minute that are kept. Any address will do, so a fresh one is worth nothing more.
const MAX_KEPT_CODES: PerMinute = PerMinute { for_one: 300, for_all: 600, with_fresh: 600 };
/// An address that says so is left alone for no longer than this.
const MAX_HINTED_PAUSE: Duration = Duration::from_secs(60 * 60);

/// How many there may be in a minute.
#[derive(Clone, Copy)]
struct PerMinute {
    for_one: usize,
    for_all: usize,
    /// In all, if the next one is the first for its address.
    with_fresh: usize,
}

/// What strangers caused within the last minute.
#[derive(Default)]
pub(super) struct Throttle {
    exchanges: LastMinute,
    kept: LastMinute,
    /// Addresses that are left alone, and until when.
    paused: HashMap<String, Duration>,
}

#[derive(Default)]
struct LastMinute(VecDeque<(Duration, String)>);

impl LastMinute {
    fn admits(&mut self, origin: &str, now: Duration, limit: PerMinute) -> bool {
        while self.0.front().is_some_and(|(at, _)| *at + MINUTE <= now) {
            self.0.pop_front();
        }
        let same = self.0.iter().filter(|(_, other)| other == origin).count();
        let in_all = if same == 0 { limit.with_fresh } else { limit.for_all };
        let admitted = same < limit.for_one && self.0.len() < in_all;
        if admitted {
            self.0.push_back((now, origin.to_owned()));
        }
        admitted
    }
}

impl Throttle {
    /// Whether `origin` may be asked to exchange one more code now; if so, it counts.
    pub(super) fn admits_exchange(&mut self, origin: &str, now: Duration) -> bool {
        self.paused.retain(|_, until| now < *until);
        !self.paused.contains_key(origin) && self.exchanges.admits(origin, now, MAX_EXCHANGES)
    }

    /// Whether one more code may be kept for `origin`; if so, it counts.
    pub(super) fn admits_code(&mut self, origin: &str, now: Duration) -> bool {
        self.kept.admits(origin, now, MAX_KEPT_CODES)
    }

    /// `origin` cannot exchange codes now, or asks to wait.
    pub(super) fn rest(&mut self, origin: &str, span: Option<Duration>, now: Duration) {
        let span = span.unwrap_or(MINUTE).clamp(Duration::from_secs(1), MAX_HINTED_PAUSE);
        self.paused.insert(origin.to_owned(), now + span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn there_are_few_exchanges_for_one_and_not_many_in_all() {
        let mut throttle = Throttle::default();
        let shop = (0..20).filter(|second| throttle.admits_exchange("shop.kommo.com", at(*second))).count();
        assert_eq!(shop, MAX_EXCHANGES.for_one);
        assert!(!throttle.admits_exchange("shop.kommo.com", at(59)));
        assert!(throttle.admits_exchange("shop.kommo.com", at(60)), "the first is a minute ago");
        assert!(!throttle.admits_exchange("shop.kommo.com", at(60)));
        assert!(throttle.admits_exchange("shop.kommo.com", at(61)));
        assert!(throttle.admits_exchange("other.kommo.com", at(61)));
        let others = |n: &u32| throttle.admits_exchange(&format!("{n}.kommo.com"), at(61));
        assert_eq!((0..300).filter(others).count(), MAX_EXCHANGES.with_fresh - MAX_EXCHANGES.for_one - 1);
        assert!(!throttle.admits_exchange("other.kommo.com", at(62)), "all places are used up");
    }

    #[test]
    fn junk_for_a_few_addresses_leaves_another_one_its_places() {
        let mut throttle = Throttle::default();
        let junk = |n: &u32| throttle.admits_exchange(&format!("{}.kommo.com", n % 7), at(0));
        assert_eq!((0..700).filter(junk).count(), MAX_EXCHANGES.for_all);
        assert!(throttle.admits_exchange("shop.kommo.com", at(1)));
    }

    #[test]
    fn codes_are_counted_apart_from_exchanges() {
        let mut throttle = Throttle::default();
        let kept =
            (0..MAX_KEPT_CODES.for_one + 9).filter(|_| throttle.admits_code("shop.kommo.com", at(0))).count();
        assert_eq!(kept, MAX_KEPT_CODES.for_one);
        assert!(throttle.admits_code("other.kommo.com", at(0)));
        assert!(throttle.admits_exchange("shop.kommo.com", at(0)));
    }

    #[test]
    fn an_address_that_asks_to_wait_is_left_alone_and_no_other() {
        let mut throttle = Throttle::default();
        throttle.rest("shop.kommo.com", Some(at(600)), at(0));
        assert!(!throttle.admits_exchange("shop.kommo.com", at(599)));
        assert!(throttle.admits_exchange("other.kommo.com", at(599)));
        assert!(throttle.admits_exchange("shop.kommo.com", at(600)));
        throttle.rest("shop.kommo.com", None, at(600));
        assert!(!throttle.admits_exchange("shop.kommo.com", at(659)));
        throttle.rest("shop.kommo.com", Some(Duration::MAX), at(660));
        assert!(throttle.admits_exchange("shop.kommo.com", at(660) + MAX_HINTED_PAUSE));
    }
}
