//! A window in longer periods, for pages: the numbers of several periods of a ring in one. Merging adds the histograms, so
//! a quantile of the longer period is as exact as one of the shorter periods.

use std::time::Duration;

use model::Timestamp;

use super::SAMPLE_INTERVAL;
use super::point::Point;
use super::ring::Ring;
use super::series::{Series, Window};

/// The interval of samples in milliseconds.
#[allow(clippy::cast_possible_wrap, clippy::cast_possible_truncation, reason = "5,000")]
const SAMPLE_MS: i64 = SAMPLE_INTERVAL.as_millis() as i64;

/// The numbers of a longer period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergedPeriod {
    /// When it begins.
    pub from: Timestamp,
    /// For how long of it there are numbers: shorter than the period if it is the current one, or if no bridge ran.
    pub recorded: Duration,
    point: Point,
}

impl MergedPeriod {
    /// A minute with these numbers.
    #[cfg(test)]
    pub fn of(requests: u32, by_handler: u32, by_fallback: u32) -> Self {
        let point = Point { requests, by_handler, by_fallback, ..Point::default() };
        Self { from: Timestamp::default(), recorded: Duration::from_secs(60), point }
    }

    /// A minute in which this number of jobs died.
    #[cfg(test)]
    pub fn with_dead(dead: u32) -> Self {
        let point = Point { dead, ..Point::default() };
        Self { from: Timestamp::default(), recorded: Duration::from_secs(60), point }
    }

    /// The value of a series; `None` if there is none.
    pub fn value(&self, series: Series) -> Option<u64> {
        if self.recorded.is_zero() { None } else { series.value(&self.point) }
    }

    /// The value of a series per minute of the recorded time; `None` if nothing is recorded.
    #[allow(clippy::cast_precision_loss, reason = "counts of a window are far below 2^52")]
    pub fn per_minute(&self, series: Series) -> Option<f64> {
        Some(self.value(series)? as f64 * 60.0 / self.recorded.as_secs_f64())
    }
}

/// The numbers of `window` in periods of `length`, oldest first. They begin with a multiple of their length, so that a
/// period is the same in each view; the last one contains the last sample before `now`.
pub(super) fn merged(ring: &Ring, window: Window, length: Duration, now: Timestamp) -> Vec<MergedPeriod> {
    let step = Duration::from_secs(ring.step_seconds().into());
    let per_period = i64::try_from(length.as_secs() / step.as_secs().max(1)).unwrap_or(i64::MAX).max(1);
    let last = ring.slot(now - SAMPLE_INTERVAL).div_euclid(per_period);
    let periods = (window.periods() / per_period).max(1);
    (last - periods + 1..=last)
        .map(|number| {
            let first = number.saturating_mul(per_period);
            period(ring, first, first.saturating_add(per_period - 1), now)
        })
        .collect()
}

/// The numbers of the whole `window`, which ends with the last sample before `now`.
pub(super) fn whole(ring: &Ring, window: Window, now: Timestamp) -> MergedPeriod {
    let last = ring.slot(now - SAMPLE_INTERVAL);
    period(ring, last - window.periods() + 1, last, now)
}

fn period(ring: &Ring, first: i64, last: i64, now: Timestamp) -> MergedPeriod {
    let step = Duration::from_secs(ring.step_seconds().into());
    // Samples end with a multiple of their interval. The current period of a ring of longer ones is not over yet.
    let sampled_until = now - Duration::from_millis(now.as_millis().rem_euclid(SAMPLE_MS).unsigned_abs());
    let (mut recorded, mut sum) = (Duration::ZERO, Point::default());
    for (slot, point) in (first..=last).zip(ring.range(first, last)) {
        if let Some(point) = point {
            recorded += sampled_until.since(ring.start(slot)).min(step);
            sum.merge(point);
        }
    }
    MergedPeriod { from: ring.start(first), recorded, point: sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meters::Times;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn sample(requests: u32, ms: &[u64]) -> Point {
        let mut times = Times::default();
        ms.iter().for_each(|ms| times.add(Duration::from_millis(*ms)));
        Point { requests, times, ..Point::default() }
    }

    #[test]
    fn quantiles_of_a_longer_period_are_those_of_all_its_jobs() {
        let mut ring = Ring::new(5, 720);
        // One slow job among 100: the mean of the quantiles of the periods would be far off.
        for slot in 0..12 {
            let times = if slot == 7 { vec![9_000] } else { vec![80; 9] };
            ring.add(at(3_600 + slot * 5), &sample(1, &times));
        }
        let periods = merged(&ring, Window::Hour, MINUTE, at(3_660));
        let last = periods.last().unwrap();
        assert_eq!((periods.len(), last.from, last.recorded), (60, at(3_600), MINUTE));
        assert_eq!(last.value(Series::Requests), Some(12));
        let exact = whole(&ring, Window::FiveMinutes, at(3_660));
        for series in [Series::P50Ms, Series::P99Ms] {
            assert_eq!(last.value(series), exact.value(series), "{series:?}");
        }
        assert!(last.value(Series::P99Ms) <= Some(100), "{last:?}");
    }

    #[test]
    fn periods_keep_their_place_and_a_rate_counts_only_the_recorded_time() {
        let mut ring = Ring::new(5, 720);
        for slot in [0, 1, 2, 3, 12, 13] {
            ring.add(at(7_200 + slot * 5), &sample(2, &[]));
        }
        let view = |seconds| merged(&ring, Window::Hour, MINUTE, at(seconds));
        let (now, later) = (view(7_270), view(7_290));
        assert_eq!(now, later, "the same two minutes");
        let [.., before, first, second] = &now[..] else { panic!("{now:?}") };
        assert_eq!((before.recorded, before.value(Series::Requests)), (Duration::ZERO, None));
        assert_eq!((first.from, first.value(Series::Requests)), (at(7_200), Some(8)));
        assert_eq!(first.per_minute(Series::Requests), Some(24.0));
        assert_eq!((second.from, second.per_minute(Series::Requests)), (at(7_260), Some(24.0)));
        assert_eq!(first.value(Series::P50Ms), None, "no job was delivered");
        assert_eq!(view(7_270).first().unwrap().from, at(7_260 - 59 * 60));
    }

    #[test]
    fn the_current_period_counts_only_until_the_last_sample() {
        let mut ring = Ring::new(60, 1_440);
        for seconds in (0..75).step_by(5) {
            ring.add(at(7_200 + seconds), &sample(1, &[]));
        }
        let day = whole(&ring, Window::Day, at(7_276));
        assert_eq!(day.recorded, Duration::from_secs(75));
        assert_eq!((day.value(Series::Requests), day.per_minute(Series::Requests)), (Some(15), Some(12.0)));
    }
}
