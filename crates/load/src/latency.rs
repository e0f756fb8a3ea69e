//! Percentiles of measured times.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// Percentiles by nearest rank, so each is a measured time. In JSON in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// The median.
    #[serde(rename = "p50_ms", serialize_with = "millis")]
    pub p50: Duration,
    /// The 90th percentile.
    #[serde(rename = "p90_ms", serialize_with = "millis")]
    pub p90: Duration,
    /// The 99th percentile.
    #[serde(rename = "p99_ms", serialize_with = "millis")]
    pub p99: Duration,
    /// The maximum.
    #[serde(rename = "max_ms", serialize_with = "millis")]
    pub max: Duration,
}

impl Latency {
    /// The percentiles of these times, given in any order; `None` if there are none.
    #[must_use]
    pub fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
        let max = *times.last()?;
        Some(Self { p50: at(50), p90: at(90), p99: at(99), max })
    }
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Rounded to microseconds: more digits are noise.
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_times() {
        let of = |millis: &[u64]| {
            let latency = Latency::of(millis.iter().copied().map(Duration::from_millis).collect());
            latency.map(|l| [l.p50, l.p90, l.p99, l.max].map(|time| time.as_millis()))
        };
        let hundred: Vec<u64> = (1..=100).rev().collect();
        let hundred_and_one: Vec<u64> = (1..=101).collect();
        for (millis, expected) in [
            (&[][..], None),
            (&[7], Some([7, 7, 7, 7])),
            (&[2, 1], Some([1, 2, 2, 2])),
            (&[3, 1, 2], Some([2, 3, 3, 3])),
            (&hundred, Some([50, 90, 99, 100])),
            (&hundred_and_one, Some([51, 91, 100, 101])),
        ] {
            assert_eq!(of(millis), expected, "{millis:?}");
        }
    }
}
