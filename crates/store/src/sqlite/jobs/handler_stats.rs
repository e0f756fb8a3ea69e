//! Counts the recent jobs of each handler, and how long they took.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::Row;

use model::{JobId, Timestamp};

use crate::sqlite::engine::Engine;
use crate::{HandlerStats, StoreError};

/// The maximum number of jobs to count, newest first. It bounds the cost.
pub(crate) const MAX_SAMPLED_JOBS: u32 = 5_000;

/// Ids begin with the time of receipt, so this reads only the newest rows of the table.
pub(crate) const RECENT: &str = "SELECT handler, state, outcome, received_at, finished_at FROM jobs WHERE id >= ?1 \
     ORDER BY id DESC LIMIT 0 + ?2";

/// The jobs of one handler.
#[derive(Default)]
struct Sample {
    jobs: u64,
    answered: u64,
    fallbacks: u64,
    dead: u64,
    /// Of the delivered ones, in milliseconds.
    took: Vec<u64>,
}

impl Engine {
    /// Returns the statistics of the handlers that got jobs since `since`.
    pub(crate) async fn handler_stats(&self, since: Timestamp) -> Result<Vec<HandlerStats>, StoreError> {
        let rows = sqlx::query(RECENT)
            .bind(JobId::new(since, 0).as_uuid())
            .bind(MAX_SAMPLED_JOBS)
            .fetch_all(&self.reading)
            .await?;
        let mut samples: BTreeMap<String, Sample> = BTreeMap::new();
        for row in rows {
            let (handler, state, outcome): (&str, &str, Option<&str>) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let (received, finished): (i64, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
            let sample = samples.entry(handler.to_owned()).or_default();
            sample.jobs += 1;
            sample.answered += u64::from(outcome == Some("handler"));
            sample.fallbacks += u64::from(outcome == Some("fallback"));
            sample.dead += u64::from(state == "dead");
            let took = finished.filter(|_| state == "delivered").map(|finished| finished - received);
            sample.took.extend(took.map(|took| u64::try_from(took).unwrap_or(0)));
        }
        Ok(samples
            .into_iter()
            .filter_map(|(handler, sample)| Some(sample.stats(handler.parse().ok()?)))
            .collect())
    }
}

impl Sample {
    fn stats(mut self, handler: model::HandlerName) -> HandlerStats {
        self.took.sort_unstable();
        HandlerStats {
            handler,
            jobs: self.jobs,
            answered: self.answered,
            fallbacks: self.fallbacks,
            delivered: self.took.len() as u64,
            dead: self.dead,
            p50: percentile(&self.took, 50),
            p99: percentile(&self.took, 99),
        }
    }
}

/// The smallest of the sorted values that `percent` of 100 do not exceed.
fn percentile(sorted: &[u64], percent: usize) -> Option<Duration> {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).map(|ms| Duration::from_millis(*ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u64> = (1..=200).collect();
        for (count, percent, expected) in [
            (0, 50, None),
            (1, 50, Some(1)),
            (1, 99, Some(1)),
            (2, 50, Some(1)),
            (2, 99, Some(2)),
            (100, 50, Some(50)),
            (100, 99, Some(99)),
            (200, 99, Some(198)),
        ] {
            let found = percentile(&values[..count], percent);
            assert_eq!(found, expected.map(Duration::from_millis), "{count} {percent}");
        }
    }
}
