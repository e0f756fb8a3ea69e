//! A fair semaphore: a greedy lane leaves permits for the others.
//!
//! The workers divide permits between handlers, and the sender divides them between accounts. A slow lane holds its permits
//! for a long time, so a lane with competitors may not take all free permits.
//!
//! If all lanes are known, each lane has a reserved share, which is half of an equal part. Busy lanes get the rest. If
//! lanes come and go, a lane may hold as many permits as it leaves free (three quarters of all permits while it is the only
//! lane). So even many slow lanes leave some permits for the next one.

use std::sync::Arc;

use crate::maps::HashMap;

/// Permits, and the lanes that hold them.
#[derive(Debug)]
pub struct FairSemaphore {
    capacity: usize,
    held: HashMap<Arc<str>, usize>,
    /// The sum of all held permits.
    used: usize,
    newcomers: bool,
}

impl FairSemaphore {
    /// Creates `capacity` permits for a known set of lanes.
    pub fn among_known(capacity: usize, lanes: impl IntoIterator<Item = Arc<str>>) -> Self {
        let held = lanes.into_iter().map(|lane| (lane, 0)).collect();
        Self { capacity, held, used: 0, newcomers: false }
    }

    /// Creates `capacity` permits for lanes that come and go. Some permits stay free for the next lane.
    pub fn among_newcomers(capacity: usize) -> Self {
        Self { capacity, held: HashMap::new(), used: 0, newcomers: true }
    }

    /// Takes up to `wanted` permits for `lane`, and returns how many it got.
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

    /// Releases one permit of `lane`.
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

    /// The number of permits, and how many of them are held.
    pub const fn use_of_all(&self) -> (usize, usize) {
        (self.capacity, self.used)
    }

    /// The number of permits that `lane` could take now.
    pub fn room(&self, lane: &str) -> usize {
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
    fn single_lane_gets_all_permits() {
        let mut permits = among(64, &["a"]);
        assert_eq!(permits.try_acquire("a", 100), 64);
        assert_eq!(permits.try_acquire("a", 1), 0);
        permits.release("a");
        assert_eq!(permits.try_acquire("a", 5), 1);
    }

    #[test]
    fn greedy_lane_leaves_other_lanes_their_share() {
        let mut permits = among(64, &["slow", "a", "b", "c"]);
        assert_eq!(permits.try_acquire("slow", 100), 64 - 3 * 8);
        for lane in ["a", "b", "c"] {
            assert!(permits.try_acquire(lane, 8) == 8, "{lane}");
        }
        assert_eq!(permits.try_acquire("a", 1), 0);
    }

    #[test]
    fn with_few_permits_each_lane_still_gets_one() {
        let mut permits = among(3, &["a", "b"]);
        assert_eq!(permits.try_acquire("a", 9), 2);
        assert_eq!(permits.try_acquire("b", 9), 1);
        let mut single = among(1, &["a", "b"]);
        assert_eq!(single.try_acquire("a", 9), 1);
        assert_eq!(single.try_acquire("b", 9), 0);
    }

    /// Takes as many permits as `lane` can get in repeated attempts.
    fn all(permits: &mut FairSemaphore, lane: &str) -> usize {
        std::iter::from_fn(|| Some(permits.try_acquire(lane, usize::MAX)).filter(|got| *got > 0)).sum()
    }

    #[test]
    fn next_lane_gets_a_permit() {
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
