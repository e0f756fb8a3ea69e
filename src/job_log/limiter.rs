//! Decides which lines of finished jobs are logged: at most [`MAX_LINES_PER_SECOND`] per second, failures first. Pure.
//!
//! While a second has room, each line is logged at once. Beyond that, lines of failures are kept and come first in the
//! next second; the others are only counted. So the log is bounded, and a burst of successes does not hide a failure.

use std::time::Duration;

use super::end::{EndCounts, Line};

/// The maximum number of lines logged in one second, and of failures kept for the next one.
pub(super) const MAX_LINES_PER_SECOND: usize = 100;
/// The length of a second, which begins with its first line and not on the clock's second.
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// Limits the lines of each second.
pub(super) struct Limiter<L> {
    /// When the second ends.
    until: Duration,
    logged: usize,
    kept: Vec<L>,
    suppressed: EndCounts,
}

/// The decision about a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offer<L> {
    /// Log it.
    Log(L),
    /// It is the first line of its second that finds no room: call [`Limiter::end`] at this time.
    Wait(Duration),
    /// It is kept or counted, and part of what `end` returns.
    Counted,
}

/// What remains to be logged of a second.
#[derive(Debug)]
pub(super) struct Remainder<L> {
    /// The numbers of suppressed lines; `None` if there are none.
    pub(super) suppressed: Option<EndCounts>,
    /// The first lines of the next second.
    pub(super) kept: Vec<L>,
}

impl<L> Default for Limiter<L> {
    fn default() -> Self {
        Self { until: Duration::ZERO, logged: 0, kept: Vec::new(), suppressed: EndCounts::default() }
    }
}

impl<L: Line> Limiter<L> {
    /// Takes a line at `now`, by the monotonic clock.
    pub(super) fn offer(&mut self, now: Duration, line: L) -> Offer<L> {
        let has_remainder = self.has_remainder();
        // A second that has something left to log lasts until that is logged.
        if now >= self.until && !has_remainder {
            (self.until, self.logged) = (now + WINDOW, 0);
        }
        if self.logged < MAX_LINES_PER_SECOND {
            self.logged += 1;
            return Offer::Log(line);
        }
        if line.end().is_failure() && self.kept.len() < MAX_LINES_PER_SECOND {
            self.kept.push(line);
        } else {
            self.suppressed.add(line.end());
        }
        if has_remainder { Offer::Counted } else { Offer::Wait(self.until) }
    }

    /// Ends the second, and begins the next one with the kept lines.
    pub(super) fn end(&mut self, now: Duration) -> Remainder<L> {
        let (kept, suppressed) = (std::mem::take(&mut self.kept), std::mem::take(&mut self.suppressed));
        (self.until, self.logged) = (now + WINDOW, kept.len());
        Remainder { suppressed: Some(suppressed).filter(|suppressed| !suppressed.is_empty()), kept }
    }

    fn has_remainder(&self) -> bool {
        !self.kept.is_empty() || !self.suppressed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::end::End;
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Job(End);

    impl Line for Job {
        fn end(&self) -> End {
            self.0
        }
    }

    const FINE: Job = Job(End::Delivered);
    const DEAD: Job = Job(End::Dead);

    fn millis(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Offers `job` a number of `times`, and returns how many are logged.
    fn logged(limiter: &mut Limiter<Job>, now: Duration, job: Job, times: usize) -> usize {
        (0..times).filter(|_| limiter.offer(now, job) == Offer::Log(job)).count()
    }

    #[test]
    fn a_hundred_lines_per_second_are_logged_and_the_rest_is_counted() {
        let mut limiter = Limiter::default();
        assert_eq!(logged(&mut limiter, millis(500), FINE, 100), 100);
        assert_eq!(
            limiter.offer(millis(600), FINE),
            Offer::Wait(millis(1_500)),
            "the second begins with its first line"
        );
        assert_eq!(limiter.offer(millis(700), FINE), Offer::Counted);
        let remainder = limiter.end(millis(1_500));
        assert_eq!((remainder.suppressed.unwrap().of(End::Delivered), remainder.kept.len()), (2, 0));
        assert_eq!(logged(&mut limiter, millis(1_500), FINE, 200), 100);
    }

    #[test]
    fn failures_are_not_suppressed_by_successes() {
        let mut limiter = Limiter::default();
        logged(&mut limiter, Duration::ZERO, FINE, 1_000);
        assert_eq!(logged(&mut limiter, millis(10), DEAD, 60), 0);
        let remainder = limiter.end(millis(1_000));
        assert_eq!((remainder.suppressed.unwrap().of(End::Delivered), remainder.kept), (900, vec![DEAD; 60]));
        // The kept lines count in the second in which they are logged.
        assert_eq!(logged(&mut limiter, millis(1_100), FINE, 100), 40);
    }

    #[test]
    fn lines_of_failures_are_bounded_too() {
        let mut limiter = Limiter::default();
        assert_eq!(logged(&mut limiter, Duration::ZERO, DEAD, 1_000), 100);
        let remainder = limiter.end(millis(1_000));
        assert_eq!((remainder.suppressed.unwrap().of(End::Dead), remainder.kept.len()), (800, 100));
    }

    #[test]
    fn lines_within_the_limit_are_all_logged() {
        let mut limiter = Limiter::default();
        for second in 0..100 {
            assert_eq!(logged(&mut limiter, millis(1_000 * second), FINE, 100), 100);
        }
    }

    #[test]
    fn a_second_lasts_until_its_sum_is_logged() {
        let mut limiter = Limiter::default();
        logged(&mut limiter, Duration::ZERO, FINE, 101);
        assert_eq!(limiter.offer(millis(1_200), FINE), Offer::Counted, "its end is late");
        assert_eq!(limiter.end(millis(1_300)).suppressed.unwrap().of(End::Delivered), 2);
        assert_eq!(limiter.offer(millis(1_300), FINE), Offer::Log(FINE));
    }

    /// How many jobs a remainder logs or counts.
    fn jobs_in(remainder: &Remainder<Job>) -> usize {
        let suppressed = remainder.suppressed.map_or(0, EndCounts::total);
        remainder.kept.len() + usize::try_from(suppressed).unwrap()
    }

    proptest! {
        #[test]
        fn no_second_exceeds_the_limit_and_every_job_is_logged_or_counted(
            steps in prop::collection::vec((0_u64..300, 0_usize..120, any::<bool>()), 1..40),
        ) {
            let mut limiter = Limiter::default();
            let (mut now, mut ends, mut offered, mut reported) = (Duration::ZERO, None, 0, 0);
            // The number of lines in each second of the limiter.
            let mut lines = Vec::new();
            let mut since = None;
            for (pause, jobs, fine) in steps {
                now += millis(pause);
                if ends.is_some_and(|ends| ends <= now) {
                    let remainder = limiter.end(now);
                    reported += jobs_in(&remainder);
                    lines.push(remainder.kept.len());
                    (ends, since) = (None, Some(now));
                }
                for _ in 0..jobs {
                    offered += 1;
                    match limiter.offer(now, if fine { FINE } else { DEAD }) {
                        Offer::Log(_) => {
                            reported += 1;
                            if since.is_none_or(|since| now >= since + WINDOW) {
                                lines.push(0);
                                since = Some(now);
                            }
                            *lines.last_mut().unwrap() += 1;
                        }
                        Offer::Wait(until) => ends = Some(until),
                        Offer::Counted => {}
                    }
                }
            }
            let remainder = limiter.end(now);
            reported += jobs_in(&remainder);
            prop_assert_eq!(reported, offered);
            prop_assert!(lines.iter().all(|lines| *lines <= MAX_LINES_PER_SECOND), "{:?}", lines);
        }
    }
}
