//! The circuit breaker of one URL: while no connection can be made, jobs wait in the store instead of spending attempts.
//!
//! The time is an argument, so that a test needs no clock.

use std::time::Duration;

use crate::handler::Admission;

/// The number of failed connections in a row that opens the breaker.
const FAILURES_TO_OPEN: u32 = 5;
/// While the breaker is open, one call may begin in each interval of this length.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// What a call says about the connection to its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallResult {
    /// The connection was made, whatever followed: one request that crashes the handler must not hold up the others.
    Responded,
    /// The connection could not be made.
    NoConnection,
    /// Something else: the response took too long, or the call was not made.
    Unknown,
}

/// A change that the operator should know about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    Closed,
}

/// The state of the breaker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    /// Calls may begin.
    Closed {
        /// Failed connections since the last response.
        failures: u32,
    },
    /// Only probes may begin.
    Open {
        /// When the next probe may begin, by the monotonic clock.
        next_probe: Duration,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Which calls may begin at `now`. Takes the probe that it offers.
    pub(super) fn admission(&mut self, now: Duration) -> Admission {
        match self {
            Self::Closed { .. } => Admission::All,
            Self::Open { next_probe } if now < *next_probe => {
                Admission::After(next_probe.saturating_sub(now))
            }
            Self::Open { next_probe } => {
                *next_probe = now.saturating_add(PROBE_INTERVAL);
                Admission::Probe
            }
        }
    }

    /// The time until the next probe may begin; `None` if the breaker is closed. Takes no probe.
    pub(super) fn open_for(&self, now: Duration) -> Option<Duration> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { next_probe } => Some(next_probe.saturating_sub(now)),
        }
    }

    /// Records the result of a call that ended at `now`. Returns whether the breaker has opened or closed.
    pub(super) fn record(&mut self, result: CallResult, now: Duration) -> Option<Change> {
        match (result, &mut *self) {
            (CallResult::Responded, Self::Closed { failures }) => {
                *failures = 0;
                None
            }
            (CallResult::Responded, Self::Open { .. }) => {
                *self = Self::default();
                Some(Change::Closed)
            }
            (CallResult::NoConnection, Self::Closed { failures }) => {
                *failures += 1;
                if *failures < FAILURES_TO_OPEN {
                    return None;
                }
                *self = Self::Open { next_probe: now.saturating_add(PROBE_INTERVAL) };
                Some(Change::Opened)
            }
            (CallResult::NoConnection, Self::Open { .. }) | (CallResult::Unknown, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CallResult::{NoConnection, Responded, Unknown};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn open_at(now: Duration) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 1..FAILURES_TO_OPEN {
            assert_eq!(breaker.record(NoConnection, now), None);
        }
        assert_eq!(breaker.record(NoConnection, now), Some(Change::Opened));
        breaker
    }

    #[test]
    fn only_five_failed_connections_in_a_row_open_it() {
        for (results, opens) in [
            (&[NoConnection; 4][..], false),
            (&[NoConnection; 5], true),
            (&[NoConnection, NoConnection, NoConnection, NoConnection, Responded, NoConnection], false),
            (&[NoConnection, NoConnection, Unknown, NoConnection, NoConnection, NoConnection], true),
            (&[Unknown; 20], false),
            (&[Responded; 20], false),
            (&[Responded, NoConnection, NoConnection, NoConnection, NoConnection, NoConnection], true),
        ] {
            let mut breaker = Breaker::default();
            let changes: Vec<Change> =
                results.iter().filter_map(|result| breaker.record(*result, ms(0))).collect();
            assert_eq!(changes, if opens { vec![Change::Opened] } else { vec![] }, "{results:?}");
            assert_eq!(breaker.admission(ms(0)) != Admission::All, opens, "{results:?}");
        }
    }

    #[test]
    fn open_breaker_admits_one_probe_a_second() {
        let mut breaker = open_at(ms(10_000));
        for (now, expected) in [
            (10_000, Admission::After(ms(1_000))),
            (10_999, Admission::After(ms(1))),
            (11_000, Admission::Probe),
            (11_000, Admission::After(ms(1_000))),
            (11_400, Admission::After(ms(600))),
            (15_000, Admission::Probe),
            (15_001, Admission::After(ms(999))),
        ] {
            let wait = if let Admission::After(wait) = expected { wait } else { Duration::ZERO };
            assert_eq!(breaker.open_for(ms(now)), Some(wait), "at {now}");
            assert_eq!(breaker.admission(ms(now)), expected, "at {now}");
        }
    }

    #[test]
    fn only_a_response_closes_it() {
        for (result, change) in [(NoConnection, None), (Unknown, None), (Responded, Some(Change::Closed))] {
            let mut breaker = open_at(ms(0));
            assert_eq!(breaker.admission(ms(1_000)), Admission::Probe);
            assert_eq!(breaker.record(result, ms(1_100)), change, "{result:?}");
            let expected = if change.is_some() { Admission::All } else { Admission::After(ms(900)) };
            assert_eq!(breaker.admission(ms(1_100)), expected, "{result:?}");
        }
    }

    #[test]
    fn after_it_closed_it_counts_from_zero() {
        let mut breaker = open_at(ms(0));
        assert_eq!(breaker.record(Responded, ms(1)), Some(Change::Closed));
        assert_eq!(breaker.record(NoConnection, ms(2)), None);
        assert_eq!(breaker, Breaker::Closed { failures: 1 });
    }
}
