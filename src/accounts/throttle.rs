//! How often strangers may cause an exchange.
//!
//! A callback without a `state` of ours can come from anybody, and each costs a call to Kommo: it takes from the pace of
//! the account that it names, and too many bad codes could get the bridge's address blocked. So there are few in a minute
//! for one account, and not many in all. Whoever is refused can still use a link, whose `state` we have signed.

use std::collections::VecDeque;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Exchanges in a minute for one address: an installation, and a person who tries again.
const FOR_ONE: usize = 3;
/// In all.
const FOR_ALL: usize = 60;

/// The exchanges of the last minute.
#[derive(Default)]
pub(super) struct Throttle(VecDeque<(Duration, String)>);

impl Throttle {
    /// Whether one more may be caused for `origin`; if so, it counts.
    pub(super) fn admits(&mut self, origin: &str, now: Duration) -> bool {
        while self.0.front().is_some_and(|(at, _)| *at + MINUTE <= now) {
            self.0.pop_front();
        }
        let same = self.0.iter().filter(|(_, other)| other == origin).count();
        let admitted = same < FOR_ONE && self.0.len() < FOR_ALL;
        if admitted {
            self.0.push_back((now, origin.to_owned()));
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn there_are_few_for_one_and_not_many_in_all() {
        let mut throttle = Throttle::default();
        let shop = (0..5).filter(|second| throttle.admits("shop.kommo.com", at(*second))).count();
        assert_eq!(shop, FOR_ONE);
        assert!(throttle.admits("other.kommo.com", at(5)));
        let others = (0..200).filter(|n| throttle.admits(&format!("{n}.kommo.com"), at(6))).count();
        assert_eq!(others, FOR_ALL - FOR_ONE - 1);
        assert!(!throttle.admits("shop.kommo.com", at(59)));
        assert!(throttle.admits("shop.kommo.com", at(60)), "the first is a minute ago");
        assert!(!throttle.admits("shop.kommo.com", at(60)));
        assert!(throttle.admits("shop.kommo.com", at(61)));
    }
}
