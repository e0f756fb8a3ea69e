//! A number of places, shared so that nobody takes them all.
//!
//! Workers share places between handlers, the sender between accounts. Whoever is slow holds its
//! places long, so no lane may take all that is free.
//!
//! Where all lanes are known, each of the others is left a share, half of an equal part: enough to go on,
//! and the busy ones get the rest. Where lanes come and go, a lane may hold as many places as it leaves
//! free (three quarters of all while it is alone), so that even many slow ones leave some for the next.

use std::collections::HashMap;
use std::sync::Arc;

/// Places, and who has them.
#[derive(Debug)]
pub struct Shares {
    capacity: usize,
    taken: HashMap<Arc<str>, usize>,
    /// The sum of what is taken.
    used: usize,
    newcomers: bool,
}

impl Shares {
    /// `capacity` places for lanes that are all known.
    pub fn among(capacity: usize, lanes: impl IntoIterator<Item = Arc<str>>) -> Self {
        let taken = lanes.into_iter().map(|lane| (lane, 0)).collect();
        Self { capacity, taken, used: 0, newcomers: false }
    }

    /// `capacity` places for lanes that come and go: some always stay free for the next to come.
    pub fn for_anybody(capacity: usize) -> Self {
        Self { capacity, taken: HashMap::new(), used: 0, newcomers: true }
    }

    /// Takes up to `wanted` places for `lane`; says how many it got.
    pub fn take(&mut self, lane: &str, wanted: usize) -> usize {
        let got = self.room(lane).min(wanted);
        self.used += got;
        if got > 0 {
            match self.taken.get_mut(lane) {
                Some(taken) => *taken += got,
                None => {
                    self.taken.insert(lane.into(), got);
                }
            }
        }
        got
    }

    /// Gives one place back.
    pub fn give_back(&mut self, lane: &str) {
        if let Some(taken) = self.taken.get_mut(lane) {
            self.used -= usize::from(*taken > 0);
            *taken = taken.saturating_sub(1);
            if *taken == 0 && self.newcomers {
                self.taken.remove(lane);
            }
        }
    }

    /// Whether all places are taken.
    pub fn is_full(&self) -> bool {
        self.used >= self.capacity
    }

    /// How many places `lane` could take now.
    fn room(&self, lane: &str) -> usize {
        let used = self.used;
        let free = self.capacity.saturating_sub(used);
        let mine = self.taken.get(lane).copied().unwrap_or(0);
        if self.newcomers {
            self.room_beside_newcomers(free, used, mine)
        } else {
            self.room_among_known(free, lane)
        }
    }

    fn room_beside_newcomers(&self, free: usize, used: usize, mine: usize) -> usize {
        let alone = used == mine;
        let room = if alone {
            (self.capacity - self.capacity / 4).saturating_sub(mine)
        } else {
            free.saturating_sub(mine) / 2
        };
        room.max(usize::from(mine == 0)).min(free)
    }

    fn room_among_known(&self, free: usize, lane: &str) -> usize {
        let lanes = self.taken.len() + usize::from(!self.taken.contains_key(lane));
        let share = (self.capacity / (2 * lanes)).max(usize::from(self.capacity > lanes));
        let others = self.taken.iter().filter(|(other, _)| &***other != lane);
        let owed: usize = others.map(|(_, taken)| share.saturating_sub(*taken)).sum();
        free.saturating_sub(owed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(capacity: usize, lanes: &[&str]) -> Shares {
        Shares::among(capacity, lanes.iter().map(|lane| (*lane).into()))
    }

    #[test]
    fn one_lane_alone_gets_everything() {
        let mut shares = among(64, &["a"]);
        assert_eq!(shares.take("a", 100), 64);
        assert_eq!(shares.take("a", 1), 0);
        shares.give_back("a");
        assert_eq!(shares.take("a", 5), 1);
    }

    #[test]
    fn a_greedy_lane_leaves_the_others_their_share() {
        let mut shares = among(64, &["slow", "a", "b", "c"]);
        assert_eq!(shares.take("slow", 100), 64 - 3 * 8);
        for lane in ["a", "b", "c"] {
            assert!(shares.take(lane, 8) == 8, "{lane}");
        }
        assert_eq!(shares.take("a", 1), 0);
    }

    #[test]
    fn few_places_still_leave_one_for_each() {
        let mut shares = among(3, &["a", "b"]);
        assert_eq!(shares.take("a", 9), 2);
        assert_eq!(shares.take("b", 9), 1);
        let mut single = among(1, &["a", "b"]);
        assert_eq!(single.take("a", 9), 1);
        assert_eq!(single.take("b", 9), 0);
    }

    /// As greedy as it can be: it tries again and again.
    fn all(shares: &mut Shares, lane: &str) -> usize {
        std::iter::from_fn(|| Some(shares.take(lane, usize::MAX)).filter(|got| *got > 0)).sum()
    }

    #[test]
    fn whoever_comes_next_finds_a_place() {
        let mut shares = Shares::for_anybody(512);
        let got = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|lane| all(&mut shares, lane));
        assert_eq!(got, [384, 64, 32, 16, 8, 4, 2, 1]);
        shares.give_back("b");
        assert_eq!(all(&mut shares, "z"), 1);
    }

    #[test]
    fn one_place_is_enough_for_whoever_is_first() {
        let mut shares = Shares::for_anybody(1);
        assert_eq!((all(&mut shares, "a"), all(&mut shares, "b")), (1, 0));
        shares.give_back("a");
        assert_eq!(all(&mut shares, "b"), 1);
    }
}
