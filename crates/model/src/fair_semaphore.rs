//! A fair semaphore: permits that no lane can take all of.
//!
//! Workers divide permits between handlers, the sender between accounts. A slow lane holds its permits for long, so no lane
//! may take all that are free.
//!
//! If all lanes are known, each keeps a share, half of an equal part: enough to go on. Busy lanes get the rest. If lanes
//! come and go, a lane may hold as many permits as it leaves free (three quarters while it is alone), so that even many
//! slow lanes leave some for the next one.

use std::collections::HashMap;
use std::sync::Arc;

/// Permits, and who holds them.
#[derive(Debug)]
pub struct FairSemaphore {
    capacity: usize,
    held: HashMap<Arc<str>, usize>,
    /// The sum of what is held.
    used: usize,
    newcomers: bool,
}

impl FairSemaphore {
    /// `capacity` permits for lanes that are all known.
    pub fn among_known(capacity: usize, lanes: impl IntoIterator<Item = Arc<str>>) -> Self {
        let held = lanes.into_iter().map(|lane| (lane, 0)).collect();
        Self { capacity, held, used: 0, newcomers: false }
    }

    /// `capacity` permits for lanes that come and go: some always stay free for the next one.
    pub fn among_newcomers(capacity: usize) -> Self {
        Self { capacity, held: HashMap::new(), used: 0, newcomers: true }
    }

    /// Takes up to `wanted` permits for `lane`. Returns how many it got.
    pub fn try_acquire(&mut self, lane: &str, wanted: usize) -> usize {
        let got = self.room(lane).min(wanted);
        self.used += got;
        if got > 0 {
            match self.held.get_mut(lane) {
                Some(held) => *held += got,
                None => {
                    self.held.insert(lane.into(), got);
                }
            }
        }
        got
    }

    /// Returns one permit of `lane`.
    pub fn release(&mut self, lane: &str) {
        if let Some(held) = self.held.get_mut(lane) {
            self.used -= usize::from(*held > 0);
            *held = held.saturating_sub(1);
            if *held == 0 && self.newcomers {
                self.held.remove(lane);
            }
        }
    }

    /// Whether all permits are held.
    pub fn is_exhausted(&self) -> bool {
        self.used >= self.capacity
    }

    /// How many permits `lane` could take now.
    fn room(&self, lane: &str) -> usize {
        let used = self.used;
        let free = self.capacity.saturating_sub(used);
        let mine = self.held.get(lane).copied().unwrap_or(0);
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
        let lanes = self.held.len() + usize::from(!self.held.contains_key(lane));
        let share = (self.capacity / (2 * lanes)).max(usize::from(self.capacity > lanes));
        let others = self.held.iter().filter(|(other, _)| &***other != lane);
        let owed: usize = others.map(|(_, held)| share.saturating_sub(*held)).sum();
        free.saturating_sub(owed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(capacity: usize, lanes: &[&str]) -> FairSemaphore {
        FairSemaphore::among_known(capacity, lanes.iter().map(|lane| (*lane).into()))
    }

    #[test]
    fn one_lane_alone_gets_everything() {
        let mut permits = among(64, &["a"]);
        assert_eq!(permits.try_acquire("a", 100), 64);
        assert_eq!(permits.try_acquire("a", 1), 0);
        permits.release("a");
        assert_eq!(permits.try_acquire("a", 5), 1);
    }

    #[test]
    fn a_greedy_lane_leaves_the_others_their_share() {
        let mut permits = among(64, &["slow", "a", "b", "c"]);
        assert_eq!(permits.try_acquire("slow", 100), 64 - 3 * 8);
        for lane in ["a", "b", "c"] {
            assert!(permits.try_acquire(lane, 8) == 8, "{lane}");
        }
        assert_eq!(permits.try_acquire("a", 1), 0);
    }

    #[test]
    fn few_permits_still_leave_one_for_each() {
        let mut permits = among(3, &["a", "b"]);
        assert_eq!(permits.try_acquire("a", 9), 2);
        assert_eq!(permits.try_acquire("b", 9), 1);
        let mut single = among(1, &["a", "b"]);
        assert_eq!(single.try_acquire("a", 9), 1);
        assert_eq!(single.try_acquire("b", 9), 0);
    }

    /// As greedy as it can be: it tries again and again.
    fn all(permits: &mut FairSemaphore, lane: &str) -> usize {
        std::iter::from_fn(|| Some(permits.try_acquire(lane, usize::MAX)).filter(|got| *got > 0)).sum()
    }

    #[test]
    fn the_next_lane_finds_a_permit() {
        let mut permits = FairSemaphore::among_newcomers(512);
        let got = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|lane| all(&mut permits, lane));
        assert_eq!(got, [384, 64, 32, 16, 8, 4, 2, 1]);
        permits.release("b");
        assert_eq!(all(&mut permits, "z"), 1);
    }

    #[test]
    fn one_permit_is_enough_for_the_first_lane() {
        let mut permits = FairSemaphore::among_newcomers(1);
        assert_eq!((all(&mut permits, "a"), all(&mut permits, "b")), (1, 0));
        permits.release("a");
        assert_eq!(all(&mut permits, "b"), 1);
    }
}
