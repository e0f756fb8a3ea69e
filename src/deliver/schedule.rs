//! Shares the continues of a lane between its young jobs and those that have been due longest. Pure: it only counts.
//!
//! Young jobs go first, because their customers are still waiting. Every fourth continue goes to the job that has been
//! due longest, alternately a retry and a first try. So neither an old backlog nor a retry waits for a lull that never
//! comes. A job that was refused with its account counts as a retry here. The schedule counts continues and not claims,
//! because a claim takes between one job and sixty-four.

use store::LongestDue;

/// One continue in this number goes to the job that has been due longest.
const LONGEST_DUE_INTERVAL: usize = 4;

/// The schedule of one lane.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LaneSchedule {
    /// Continues in the current round. Two continues of a round go to the jobs that have been due longest: a retry and a
    /// first try.
    sent: usize,
}

impl LaneSchedule {
    /// How many of the next `limit` continues should go to the jobs that have been due longest.
    pub(super) const fn longest_due(self, limit: usize) -> LongestDue {
        let jobs = (self.sent + limit) / LONGEST_DUE_INTERVAL - self.sent / LONGEST_DUE_INTERVAL;
        LongestDue { jobs, retries_first: self.sent < LONGEST_DUE_INTERVAL }
    }

    /// Counts `jobs` as claimed.
    pub(super) const fn claimed(&mut self, jobs: usize) {
        self.sent = (self.sent + jobs) % (2 * LONGEST_DUE_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many jobs of each claim are those that have been due longest, for claims of these sizes.
    fn shares(sizes: &[usize]) -> Vec<usize> {
        let mut schedule = LaneSchedule::default();
        let share = |size: &usize| {
            let share = schedule.longest_due(*size).jobs;
            schedule.claimed(*size);
            share
        };
        sizes.iter().map(share).collect()
    }

    #[test]
    fn every_fourth_continue_goes_to_the_longest_due_job_for_any_size_of_claims() {
        for (sizes, expected) in [
            (vec![1; 8], vec![0, 0, 0, 1, 0, 0, 0, 1]),
            (vec![7; 4], vec![1, 2, 2, 2]),
            (vec![6, 1, 6, 1, 6, 1], vec![1, 0, 2, 0, 2, 0]),
            (vec![64, 3, 1], vec![16, 0, 1]),
            (vec![4, 0, 4], vec![1, 0, 1]),
        ] {
            assert_eq!(shares(&sizes), expected, "{sizes:?}");
        }
    }

    #[test]
    fn retries_and_first_tries_take_turns_at_being_the_longest_due() {
        let mut schedule = LaneSchedule::default();
        let mut retries = Vec::new();
        for _ in 0..16 {
            let longest_due = schedule.longest_due(1);
            retries.extend((longest_due.jobs > 0).then_some(longest_due.retries_first));
            schedule.claimed(1);
        }
        assert_eq!(retries, [true, false, true, false]);
    }

    #[test]
    fn only_claimed_jobs_count() {
        let mut schedule = LaneSchedule::default();
        assert_eq!(schedule.longest_due(3).jobs, 0);
        schedule.claimed(1);
        assert_eq!((schedule.longest_due(2).jobs, schedule.longest_due(3).jobs), (0, 1));
    }
}
