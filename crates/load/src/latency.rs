//! How long something took, over many times that it was done.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// Percentiles by nearest rank: each is a time that was measured. In JSON they are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half took no longer.
    #[serde(rename = "p50_ms", serialize_with = "millis")]
    pub p50: Duration,
    /// Nine of ten took no longer.
    #[serde(rename = "p90_ms", serialize_with = "millis")]
    pub p90: Duration,
    /// 99 of 100 took no longer.
    #[serde(rename = "p99_ms", serialize_with = "millis")]
    pub p99: Duration,
    /// The longest.
    #[serde(rename = "max_ms", serialize_with = "millis")]
    pub max: Duration,
}

impl Latency {
    /// Of these times, in any order; `None` if there are none.
    #[must_use]
    pub fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
        let max = *times.last()?;
        Some(Self { p50: at(50), p90: at(90), p99: at(99), max })
    }
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Microseconds: what is finer is noise.
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
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
