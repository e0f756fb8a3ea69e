//! Decides how many requests the next transaction takes, so that accepting does not outrun delivering. Pure: the time is
//! an argument.
//!
//! Under more load than the machine can carry, callers that get their answer send the next request at once. If the
//! writer took all of them, the jobs would gather between their acknowledgement and their continue, and each bot would
//! wait for seconds. So while many young jobs are open, a transaction takes about as many requests as jobs have just
//! finished. The callers then wait a few milliseconds longer for their acknowledgement, and the bots far less.
//!
//! Only young jobs count, because a job that waits for its account or for a slow handler does not get faster if requests
//! wait. For the same reason, requests do not wait while no young job finishes.

use std::collections::VecDeque;

use model::Timestamp;

/// The number of open young jobs up to which a transaction takes all requests. Above it, the number of requests falls
/// in proportion.
const MANY_OPEN: u32 = 128;
/// The length of a span of time in which jobs are counted together, in milliseconds.
const SPAN: i64 = 100;
/// The number of spans for which a job is young: one second.
const SPANS: usize = 10;

/// The young jobs that are open, by the time of their receipt.
#[derive(Debug, Default)]
pub(crate) struct Fairness {
    /// The open jobs of each span, oldest first, with the number of the span.
    open: VecDeque<(i64, u32)>,
    /// Young jobs that finished in the last transaction, and in those before it, weighted less and less.
    finished: usize,
}

impl Fairness {
    /// Records a transaction at `now`: it accepted this number of jobs, and finished the jobs that were received at
    /// these times.
    pub(crate) fn committed(
        &mut self,
        now: Timestamp,
        accepted: u32,
        finished: impl Iterator<Item = Timestamp>,
    ) {
        let current = now.as_millis().div_euclid(SPAN);
        while self.open.front().is_some_and(|(span, _)| current - span >= SPANS as i64) {
            self.open.pop_front();
        }
        match self.open.back_mut() {
            Some((span, open)) if *span >= current => *open += accepted,
            _ => self.open.push_back((current, accepted)),
        }
        let mut young = 0;
        for received_at in finished {
            let span = received_at.as_millis().div_euclid(SPAN);
            // A job is counted when it is committed, which may be in the span after its receipt.
            let counted = |(of, open): &&mut (i64, u32)| (span..=span + 1).contains(of) && *open > 0;
            if let Some((_, open)) = self.open.iter_mut().find(counted) {
                *open -= 1;
                young += 1;
            }
        }
        self.finished = young.max(self.finished / 2);
    }

    /// Returns the number of requests that the next transaction may take; `None` if it may take all.
    pub(crate) fn max_accepts(&self) -> Option<usize> {
        let open: u32 = self.open.iter().map(|(_, open)| open).sum();
        let share = self.finished as u64 * u64::from(MANY_OPEN) / u64::from(open.max(1));
        (open > MANY_OPEN && self.finished > 0).then_some(usize::try_from(share).unwrap_or(usize::MAX).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + ms)
    }

    fn finish(fairness: &mut Fairness, now: i64, received_at: i64, jobs: usize) {
        fairness.committed(at(now), 0, std::iter::repeat_n(at(received_at), jobs));
    }

    #[test]
    fn requests_wait_only_while_many_young_jobs_are_open_and_some_finish() {
        let mut fairness = Fairness::default();
        assert_eq!(fairness.max_accepts(), None);
        fairness.committed(at(0), 500, std::iter::empty());
        assert_eq!(fairness.max_accepts(), None, "nothing finishes, so waiting would not help");
        finish(&mut fairness, 5, 0, 40);
        assert_eq!(fairness.max_accepts(), Some(40 * 128 / 460), "3.6 times as many as may be open");
        finish(&mut fairness, 10, 0, 260);
        assert_eq!(fairness.max_accepts(), Some(260 * 128 / 200));
        finish(&mut fairness, 15, 0, 0);
        assert_eq!(
            fairness.max_accepts(),
            Some(130 * 128 / 200),
            "a transaction without reports stops no requests"
        );
        finish(&mut fairness, 20, 0, 72);
        assert_eq!(fairness.max_accepts(), None, "few are open");
    }

    #[test]
    fn jobs_that_wait_long_do_not_count() {
        let mut fairness = Fairness::default();
        fairness.committed(at(0), 50_000, std::iter::empty());
        fairness.committed(at(1_000), 100, std::iter::empty());
        finish(&mut fairness, 1_005, 1_000, 10);
        assert_eq!(fairness.max_accepts(), None);
        finish(&mut fairness, 1_010, 0, 1_000);
        let open: u32 = fairness.open.iter().map(|(_, open)| open).sum();
        assert_eq!(open, 90, "the end of an old job changes nothing");
    }

    #[test]
    fn once_nothing_finishes_requests_stop_waiting() {
        let mut fairness = Fairness::default();
        fairness.committed(at(0), 5_000, std::iter::empty());
        finish(&mut fairness, 1, 0, 300);
        let transactions = (0..20).take_while(|step| {
            let waits = fairness.max_accepts().is_some();
            fairness.committed(at(2 + step), 0, std::iter::empty());
            waits
        });
        assert_eq!(transactions.count(), 9, "after half as many a few times");
    }

    #[test]
    fn jobs_of_one_moment_share_a_span() {
        let mut fairness = Fairness::default();
        for _ in 0..1_000 {
            fairness.committed(at(0), 1, std::iter::once(at(0)));
        }
        assert_eq!(fairness.open.len(), 1);
    }
}
