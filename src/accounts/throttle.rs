//! Limits on what strangers can make the bridge do.
//!
//! Anyone can send an installation without a link, as often as they like. An exchange costs a call to Kommo, and too
//! many bad codes could get the bridge's IP address blocked; storing a code costs a write. So both are limited, per
//! address and in total. An address without an exchange in the last minute has slots of its own, so junk for a few
//! addresses does not keep out a genuine installation at another one. A code that finds no slot is stored and
//! exchanged later, newest first, so earlier junk does not keep out a genuine code. Links are not limited, because
//! the bridge has signed them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// The limit of exchanges. Codes are exchanged only at known addresses, so a stranger cannot invent fresh ones.
const MAX_EXCHANGES: PerMinute = PerMinute { for_one: 12, for_all: 60, with_fresh: 240 };
/// The limit of stored codes. Any address is allowed here, so a fresh one gets no extra slots.
const MAX_KEPT_CODES: PerMinute = PerMinute { for_one: 300, for_all: 600, with_fresh: 600 };
/// The longest pause that an address can ask for.
const MAX_HINTED_PAUSE: Duration = Duration::from_secs(60 * 60);

/// A limit per minute.
#[derive(Clone, Copy)]
struct PerMinute {
    for_one: usize,
    for_all: usize,
    /// The total, if its address had none within the last minute.
    with_fresh: usize,
}

/// What strangers caused within the last minute.
#[derive(Default)]
pub(super) struct Throttle {
    exchanges: LastMinute,
    kept: LastMinute,
    /// Addresses that must not be called, and until when.
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
    /// Whether one more code may be exchanged at `origin` now. If so, the exchange is counted.
    pub(super) fn admits_exchange(&mut self, origin: &str, now: Duration) -> bool {
        self.paused.retain(|_, until| now < *until);
        !self.paused.contains_key(origin) && self.exchanges.admits(origin, now, MAX_EXCHANGES)
    }

    /// Whether one more code may be stored for `origin`. If so, the code is counted.
    pub(super) fn admits_code(&mut self, origin: &str, now: Duration) -> bool {
        self.kept.admits(origin, now, MAX_KEPT_CODES)
    }

    /// Pauses exchanges at `origin`, which asks for a pause or cannot exchange codes now.
    pub(super) fn pause(&mut self, origin: &str, span: Option<Duration>, now: Duration) {
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
    fn exchanges_are_limited_per_address_and_in_total() {
        let mut throttle = Throttle::default();
        let shop = (0..20).filter(|second| throttle.admits_exchange("shop.kommo.com", at(*second))).count();
        assert_eq!(shop, MAX_EXCHANGES.for_one);
        assert!(!throttle.admits_exchange("shop.kommo.com", at(59)));
        assert!(throttle.admits_exchange("shop.kommo.com", at(60)), "the first was a minute ago");
        assert!(!throttle.admits_exchange("shop.kommo.com", at(60)));
        assert!(throttle.admits_exchange("shop.kommo.com", at(61)));
        assert!(throttle.admits_exchange("other.kommo.com", at(61)));
        let others = |n: &u32| throttle.admits_exchange(&format!("{n}.kommo.com"), at(61));
        assert_eq!((0..300).filter(others).count(), MAX_EXCHANGES.with_fresh - MAX_EXCHANGES.for_one - 1);
        assert!(!throttle.admits_exchange("other.kommo.com", at(62)), "all slots are used up");
    }

    #[test]
    fn junk_for_a_few_addresses_leaves_slots_for_another() {
        let mut throttle = Throttle::default();
        let junk = |n: &u32| throttle.admits_exchange(&format!("{}.kommo.com", n % 7), at(0));
        assert_eq!((0..700).filter(junk).count(), MAX_EXCHANGES.for_all);
        assert!(throttle.admits_exchange("shop.kommo.com", at(1)));
    }

    #[test]
    fn codes_and_exchanges_have_separate_limits() {
        let mut throttle = Throttle::default();
        let kept =
            (0..MAX_KEPT_CODES.for_one + 9).filter(|_| throttle.admits_code("shop.kommo.com", at(0))).count();
        assert_eq!(kept, MAX_KEPT_CODES.for_one);
        assert!(throttle.admits_code("other.kommo.com", at(0)));
        assert!(throttle.admits_exchange("shop.kommo.com", at(0)));
    }

    #[test]
    fn only_the_address_that_asks_to_wait_is_paused() {
        let mut throttle = Throttle::default();
        throttle.pause("shop.kommo.com", Some(at(600)), at(0));
        assert!(!throttle.admits_exchange("shop.kommo.com", at(599)));
        assert!(throttle.admits_exchange("other.kommo.com", at(599)));
        assert!(throttle.admits_exchange("shop.kommo.com", at(600)));
        throttle.pause("shop.kommo.com", None, at(600));
        assert!(!throttle.admits_exchange("shop.kommo.com", at(659)));
        throttle.pause("shop.kommo.com", Some(Duration::MAX), at(660));
        assert!(throttle.admits_exchange("shop.kommo.com", at(660) + MAX_HINTED_PAUSE));
    }
}
