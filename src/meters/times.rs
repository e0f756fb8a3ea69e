//! A histogram of times, from which quantiles of any period follow: the histograms of two periods add up.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The upper bounds of the buckets, in milliseconds. Two neighbours differ by at most a factor of two, so a quantile is off
/// by less than that. Longer times are in one more bucket.
pub(super) const BOUNDS_MS: [u64; 40] = [
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000,
    7_000, 10_000, 15_000, 20_000, 30_000, 50_000, 70_000, 100_000, 150_000, 200_000, 300_000, 500_000,
    700_000, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 5_000_000,
];
/// The number of buckets.
pub(super) const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// The bucket of `time`.
pub(super) fn bucket(time: Duration) -> usize {
    let ms = u64::try_from(time.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
    BOUNDS_MS.partition_point(|bound| *bound < ms)
}

/// How many times fell into each bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times([u32; BUCKETS]);

impl Default for Times {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Times {
    /// The difference of two growing histograms.
    pub(super) fn between(before: &[u64; BUCKETS], after: &[u64; BUCKETS]) -> Self {
        let mut times = Self::default();
        for ((count, before), after) in times.0.iter_mut().zip(before).zip(after) {
            *count = u32::try_from(after.saturating_sub(*before)).unwrap_or(u32::MAX);
        }
        times
    }

    /// Adds a time.
    #[cfg(test)]
    pub fn add(&mut self, time: Duration) {
        self.0[bucket(time)] += 1;
    }

    /// Adds the times of another period.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }

    /// The time that `share` (0 to 1) of the times do not exceed, in milliseconds; `None` if there are no times. Within a
    /// bucket, it assumes that the times are evenly spread.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let total: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        if total == 0 {
            return None;
        }
        let wanted = share.clamp(0.0, 1.0) * as_f64(total);
        let (mut below, mut lower) = (0.0, 0.0);
        for (count, bound) in self.0.iter().zip(BOUNDS_MS) {
            let (inside, upper) = (f64::from(*count), as_f64(bound));
            if inside > 0.0 && below + inside >= wanted {
                return Some(lower + (upper - lower) * ((wanted - below) / inside).clamp(0.0, 1.0));
            }
            below += inside;
            lower = upper;
        }
        // Longer than the last bound.
        Some(lower)
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts and bounds are far below 2^52")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

/// Writes only buckets that are not empty, each with its number, so that a quiet period takes little space.
impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().enumerate().filter(|(_, count)| **count > 0))
    }
}

/// Ignores buckets that do not exist.
impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut times = Self::default();
        for (number, count) in Vec::<(usize, u32)>::deserialize(deserializer)? {
            if let Some(bucket) = times.0.get_mut(number) {
                *bucket = bucket.saturating_add(count);
            }
        }
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[(u64, u32)]) -> Times {
        let mut all = Times::default();
        for (ms, count) in times {
            (0..*count).for_each(|_| all.add(Duration::from_millis(*ms)));
        }
        all
    }

    #[test]
    fn neighbouring_bounds_differ_by_at_most_a_factor_of_two() {
        for pair in BOUNDS_MS.windows(2) {
            assert!(pair[0] < pair[1] && pair[1] <= pair[0] * 2, "{pair:?}");
        }
    }

    #[test]
    fn a_time_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        for (time, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_micros(1), 0),
            (Duration::from_millis(1), 0),
            (Duration::from_micros(1_001), 1),
            (Duration::from_secs(5_000), 39),
            (Duration::from_millis(5_000_001), 40),
            (Duration::MAX, 40),
        ] {
            assert_eq!(bucket(time), expected, "{time:?}");
        }
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_time() {
        for (times, share, expected) in [
            (&[][..], 0.5, None),
            (&[(80, 100)][..], 0.5, Some(85.0)),
            (&[(80, 100)][..], 1.0, Some(100.0)),
            (&[(80, 99), (9_000, 1)][..], 0.5, Some(70.0 + 30.0 * 50.0 / 99.0)),
            (&[(80, 98), (9_000, 2)][..], 0.99, Some(8_500.0)),
            (&[(80, 1)][..], 0.0, Some(70.0)),
            (&[(9_000_000, 3)][..], 0.5, Some(5_000_000.0)),
        ] {
            assert_eq!(of(times).quantile_ms(share), expected, "{times:?} {share}");
        }
    }

    #[test]
    fn periods_add_up_and_survive_json() {
        let mut both = of(&[(3, 2), (400, 1)]);
        both.merge(&of(&[(3, 1), (u64::MAX, 1)]));
        assert_eq!(both, of(&[(3, 3), (400, 1), (u64::MAX, 1)]));
        let json = serde_json::to_string(&both).unwrap();
        assert_eq!(json, "[[2,3],[15,1],[40,1]]");
        assert_eq!(serde_json::from_str::<Times>(&json).unwrap(), both);
        assert_eq!(serde_json::from_str::<Times>("[[99,3]]").unwrap(), Times::default());
    }
}
