//! How long the disk lasts. Pure.

use std::time::Duration;

use crate::history::{MergedPeriod, Series};

const DAY: Duration = Duration::from_secs(86_400);
/// A shorter record says nothing about a day.
const MIN_RECORDED: Duration = Duration::from_secs(3_600);

/// What is known about the growth of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin::pages) struct Growth {
    /// The bytes of the file that hold data.
    pub(in crate::admin::pages) used: u64,
    /// The bytes that the file can still use: inside it, and on its disk.
    pub(in crate::admin::pages) room: u64,
    /// The number of stored jobs.
    pub(in crate::admin::pages) jobs: u64,
    /// The jobs of a day, at the rate of the last day.
    pub(in crate::admin::pages) jobs_per_day: u64,
    /// `store.retention`
    pub(in crate::admin::pages) retention: Duration,
}

/// What happens to the disk at the present rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin::pages) enum Forecast {
    /// Too little is known.
    Unknown,
    /// The store has about this size when the first jobs are deleted, and no longer grows.
    Settles { bytes: u64 },
    /// The disk is full after this time.
    Full { after: Duration, bytes_per_day: u64 },
}

/// The jobs of a day, by the record of the last one; `None` if it is too short.
pub(in crate::admin::pages) fn jobs_per_day(day: &MergedPeriod) -> Option<u64> {
    let requests = day.value(Series::Requests)?;
    let seconds = day.recorded.as_secs();
    (day.recorded >= MIN_RECORDED).then(|| requests.saturating_mul(DAY.as_secs()) / seconds)
}

impl Growth {
    /// Forecasts from the mean size of a job.
    pub(in crate::admin::pages) fn forecast(self) -> Forecast {
        let Self { used, room, jobs, jobs_per_day, retention } = self;
        if jobs == 0 || jobs_per_day == 0 {
            return Forecast::Unknown;
        }
        let bytes_per_day = u128::from(used) * u128::from(jobs_per_day) / u128::from(jobs);
        let settled = bytes_per_day * u128::from(retention.as_secs()) / u128::from(DAY.as_secs());
        let narrow = |bytes: u128| u64::try_from(bytes).unwrap_or(u64::MAX);
        if bytes_per_day == 0 || settled <= u128::from(used) + u128::from(room) {
            return Forecast::Settles { bytes: narrow(settled) };
        }
        let seconds = u128::from(room) * u128::from(DAY.as_secs()) / bytes_per_day;
        Forecast::Full { after: Duration::from_secs(narrow(seconds)), bytes_per_day: narrow(bytes_per_day) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_full_or_the_store_settles() {
        let days = |days: u64| DAY * u32::try_from(days).unwrap();
        let growth =
            |room, jobs_per_day| Growth { used: 1_000, room, jobs: 10, jobs_per_day, retention: days(14) };
        for (growth, expected) in [
            (growth(0, 0), Forecast::Unknown),
            (Growth { jobs: 0, ..growth(9, 9) }, Forecast::Unknown),
            // 100 bytes a job: 100 a day are 1,400 after 14 days.
            (growth(400, 1), Forecast::Settles { bytes: 1_400 }),
            (growth(399, 1), Forecast::Full { after: DAY * 399 / 100, bytes_per_day: 100 }),
            (growth(500, 10), Forecast::Full { after: DAY / 2, bytes_per_day: 1_000 }),
            (growth(0, 10), Forecast::Full { after: Duration::ZERO, bytes_per_day: 1_000 }),
            (growth(u64::MAX, u64::MAX), Forecast::Full { after: DAY / 100, bytes_per_day: u64::MAX }),
        ] {
            let found = growth.forecast();
            match (found, expected) {
                (Forecast::Full { after, .. }, Forecast::Full { after: wanted, .. }) => {
                    assert_eq!(after.as_secs(), wanted.as_secs(), "{growth:?}");
                }
                _ => assert_eq!(found, expected, "{growth:?}"),
            }
        }
    }

    #[test]
    fn a_short_record_says_nothing() {
        // One minute is recorded.
        assert_eq!(jobs_per_day(&MergedPeriod::of(200, 197, 3)), None);
    }
}
