//! The statistics of handlers, from their recent jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::HandlerStats;

/// The maximum number of jobs to count, newest first. It bounds the cost.
pub(crate) const MAX_SAMPLED_JOBS: u32 = 5_000;

/// The recent jobs, by handler.
#[derive(Default)]
pub(crate) struct Samples(BTreeMap<String, Sample>);

/// A recent job.
pub(crate) struct Sampled<'r> {
    pub(crate) handler: &'r str,
    pub(crate) state: &'r str,
    pub(crate) outcome: Option<&'r str>,
    /// The times in milliseconds.
    pub(crate) received_at: i64,
    pub(crate) finished_at: Option<i64>,
}

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

impl Samples {
    /// Counts a job.
    pub(crate) fn add(&mut self, job: &Sampled<'_>) {
        let sample = self.0.entry(job.handler.to_owned()).or_default();
        sample.jobs += 1;
        sample.answered += u64::from(job.outcome == Some("handler"));
        sample.fallbacks += u64::from(job.outcome == Some("fallback"));
        sample.dead += u64::from(job.state == "dead");
        let finished = job.finished_at.filter(|_| job.state == "delivered");
        let took = finished.map(|finished| finished - job.received_at);
        sample.took.extend(took.map(|took| u64::try_from(took).unwrap_or(0)));
    }

    /// Returns the statistics of each handler.
    pub(crate) fn stats(self) -> Vec<HandlerStats> {
        self.0.into_iter().filter_map(|(handler, sample)| Some(sample.stats(handler.parse().ok()?))).collect()
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
