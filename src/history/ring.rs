//! A ring: the latest periods of one length. Pure, and bounded by its capacity.

use std::collections::VecDeque;

use model::Timestamp;

use super::point::Point;

/// The latest periods of one length. A period without a sample is missing.
#[derive(Debug)]
pub(super) struct Ring {
    step_seconds: u32,
    capacity: u16,
    /// By the number of the period, rising.
    points: VecDeque<(i64, Point)>,
    /// The first period that is not saved.
    unsaved_from: i64,
}

impl Ring {
    /// Creates a ring of `capacity` periods of `step_seconds`.
    pub(super) const fn new(step_seconds: u32, capacity: u16) -> Self {
        Self { step_seconds, capacity, points: VecDeque::new(), unsaved_from: i64::MIN }
    }

    /// The length of a period.
    pub(super) const fn step_seconds(&self) -> u32 {
        self.step_seconds
    }

    /// The number of the period that contains `at`.
    pub(super) fn slot(&self, at: Timestamp) -> i64 {
        at.as_millis().div_euclid(i64::from(self.step_seconds) * 1_000)
    }

    /// When the period `slot` begins.
    pub(super) fn start(&self, slot: i64) -> Timestamp {
        Timestamp::from_millis(slot.saturating_mul(i64::from(self.step_seconds) * 1_000))
    }

    /// Adds a sample to the period that contains `at`. If the calendar was set back, this drops the periods after `at`,
    /// which have not happened yet.
    pub(super) fn add(&mut self, at: Timestamp, sample: &Point) {
        let slot = self.slot(at);
        while self.points.back().is_some_and(|(last, _)| *last > slot) {
            self.points.pop_back();
        }
        self.unsaved_from = self.unsaved_from.min(slot);
        match self.points.back_mut() {
            Some((last, point)) if *last == slot => point.merge(sample),
            _ => self.points.push_back((slot, *sample)),
        }
        self.drop_old();
    }

    /// Adds a saved period. Periods must come in their order.
    pub(super) fn restore(&mut self, slot: i64, point: Point) {
        if self.points.back().is_none_or(|(last, _)| *last < slot) {
            self.points.push_back((slot, point));
            self.unsaved_from = slot;
            self.drop_old();
        }
    }

    fn drop_old(&mut self) {
        let Some((last, _)) = self.points.back() else { return };
        let first = last - i64::from(self.capacity) + 1;
        while self.points.front().is_some_and(|(slot, _)| *slot < first) {
            self.points.pop_front();
        }
    }

    /// The periods from `first` to `last`, each with its numbers; `None` for a missing one.
    pub(super) fn range(&self, first: i64, last: i64) -> impl Iterator<Item = Option<&Point>> {
        let begin = self.points.partition_point(|(slot, _)| *slot < first);
        let mut points = self.points.range(begin..).peekable();
        (first..=last).map(move |slot| points.next_if(|(at, _)| *at == slot).map(|(_, point)| point))
    }

    /// The periods that may have changed since they were saved.
    pub(super) fn unsaved(&self) -> impl Iterator<Item = (i64, &Point)> {
        let begin = self.points.partition_point(|(slot, _)| *slot < self.unsaved_from);
        self.points.range(begin..).map(|(slot, point)| (*slot, point))
    }

    /// The first and the last period; `None` if there are none.
    pub(super) fn kept(&self) -> Option<(i64, i64)> {
        Some((self.points.front()?.0, self.points.back()?.0))
    }

    /// Records that the periods until `last` are saved. The last one may still change.
    pub(super) const fn saved_until(&mut self, last: i64) {
        self.unsaved_from = last;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(requests: u32) -> Point {
        Point { requests, unfinished: requests, ..Point::default() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn requests(ring: &Ring, first: i64, last: i64) -> Vec<Option<u32>> {
        ring.range(first, last).map(|point| point.map(|point| point.requests)).collect()
    }

    #[test]
    fn samples_of_one_period_add_up_and_missing_periods_stay_missing() {
        let mut ring = Ring::new(60, 10);
        for (seconds, count) in [(0, 1), (59, 2), (60, 4), (250, 8)] {
            ring.add(at(seconds), &sample(count));
        }
        assert_eq!(requests(&ring, -1, 5), [None, Some(3), Some(4), None, None, Some(8), None]);
        assert_eq!(ring.range(0, 0).next().unwrap().unwrap().unfinished, 2, "the highest, not the sum");
        assert_eq!(requests(&ring, 1, 2), [Some(4), None]);
        assert_eq!(ring.start(4), at(240));
    }

    #[test]
    fn old_periods_are_dropped() {
        let mut ring = Ring::new(5, 3);
        for slot in 0..10 {
            ring.add(at(slot * 5), &sample(1));
        }
        assert_eq!(ring.kept(), Some((7, 9)));
        ring.add(at(1_000), &sample(1));
        assert_eq!((ring.kept(), ring.points.len()), (Some((200, 200)), 1));
    }

    #[test]
    fn a_calendar_that_is_set_back_drops_the_periods_that_have_not_happened() {
        let mut ring = Ring::new(5, 10);
        (0..6).for_each(|slot| ring.add(at(slot * 5), &sample(1)));
        ring.saved_until(5);
        ring.add(at(12), &sample(1));
        assert_eq!(requests(&ring, 0, 5), [Some(1), Some(1), Some(2), None, None, None]);
        assert_eq!(ring.unsaved().map(|(slot, _)| slot).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_period_is_saved_again_until_a_later_one_is_saved() {
        let mut ring = Ring::new(5, 10);
        let unsaved = |ring: &Ring| ring.unsaved().map(|(slot, _)| slot).collect::<Vec<_>>();
        (0..3).for_each(|slot| ring.add(at(slot * 5), &sample(1)));
        assert_eq!(unsaved(&ring), [0, 1, 2]);
        ring.saved_until(2);
        ring.add(at(14), &sample(1));
        ring.add(at(15), &sample(1));
        assert_eq!(unsaved(&ring), [2, 3]);
    }

    #[test]
    fn saved_periods_are_restored_in_order() {
        let mut ring = Ring::new(5, 2);
        for slot in [3, 3, 2, 4, 5] {
            ring.restore(slot, sample(1));
        }
        assert_eq!(requests(&ring, 2, 5), [None, None, Some(1), Some(1)]);
        ring.add(at(27), &sample(2));
        assert_eq!(requests(&ring, 4, 5), [Some(1), Some(3)], "a restart within a period");
    }

    proptest! {
        #[test]
        fn a_ring_is_bounded_and_in_order(times in prop::collection::vec(-100_000_i64..100_000, 0..200)) {
            let mut ring = Ring::new(5, 7);
            for seconds in times {
                ring.add(at(seconds), &sample(1));
                prop_assert!(ring.points.len() <= 7);
                prop_assert!(ring.points.iter().is_sorted_by(|one, next| one.0 < next.0));
                prop_assert_eq!(ring.points.back().unwrap().0, ring.slot(at(seconds)));
            }
        }
    }
}
