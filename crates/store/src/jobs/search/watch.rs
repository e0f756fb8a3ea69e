//! When maintenance adds runs to the search index.

use std::time::Duration;

use super::run::RunSize;

/// Jobs younger than this are not indexed: a job with a smaller id may still be on its way into the store.
pub(crate) const MIN_AGE: Duration = Duration::from_secs(2);
/// The maximum number of runs in one tick. Between ticks, maintenance does its other work and notices a stop.
pub(crate) const RUNS_PER_TICK: u32 = 64;
/// The number of ticks after which an accepted job is old enough.
const TICKS_OF_MIN_AGE: usize = 3;
/// After this many ticks in a row without enough jobs for a run, the count of waiting jobs is corrected. It is too high if
/// a transaction was rolled back, or if jobs were deleted.
const MAX_MISSES: u32 = 2;

/// What one transaction did for the search index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Indexed {
    /// It added a run.
    Run,
    /// It removed a void run.
    Removed,
    /// Only this many jobs are old enough to be indexed: too few for a run.
    TooFew(usize),
}

/// When to add a run. In most ticks, counting the accepted jobs shows that there are too few.
#[derive(Debug, Default)]
pub(crate) struct SearchWatch {
    /// Whether all jobs from before the start have been counted or indexed.
    has_started: bool,
    /// Whether runs may be left to add.
    is_behind: bool,
    /// The numbers of accepted jobs at the last ticks, oldest first.
    seen: [i64; TICKS_OF_MIN_AGE],
    /// The number of accepted jobs up to the last indexed one. Negative for jobs from before the start.
    counted: i64,
    misses: u32,
}

impl SearchWatch {
    /// Notes the number of accepted jobs at this tick. Returns how many of them are old enough to be indexed.
    pub(crate) fn tick(&mut self, accepted: i64) -> i64 {
        let [old_enough, ..] = self.seen;
        self.seen.rotate_left(1);
        let [.., newest] = &mut self.seen;
        *newest = accepted;
        old_enough
    }

    pub(crate) fn is_due(&self, accepted: i64, size: RunSize) -> bool {
        let enough = i64::try_from(size.run).unwrap_or(i64::MAX);
        !self.has_started || self.is_behind || accepted.saturating_sub(self.counted) >= enough
    }

    pub(crate) fn note(&mut self, indexed: Indexed, accepted: i64, size: RunSize) {
        let signed = |jobs| i64::try_from(jobs).unwrap_or(i64::MAX);
        match indexed {
            Indexed::Run => {
                self.misses = 0;
                self.counted = self.counted.saturating_add(signed(size.run)).min(accepted);
            }
            Indexed::Removed => {}
            Indexed::TooFew(jobs) => {
                self.misses += 1;
                if !self.has_started || self.misses >= MAX_MISSES {
                    self.has_started = true;
                    self.misses = 0;
                    self.counted = accepted.saturating_sub(signed(jobs));
                }
            }
        }
        self.is_behind = !matches!(indexed, Indexed::TooFew(_));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: RunSize = RunSize { run: 10, block: 2 };

    #[test]
    fn the_index_is_read_only_when_enough_jobs_have_gathered() {
        let mut watch = SearchWatch::default();
        assert!(watch.is_due(0, SIZE), "the start looks for jobs that are left from before");
        watch.note(Indexed::Run, 0, SIZE);
        assert!(watch.is_due(0, SIZE), "there may be more");
        watch.note(Indexed::TooFew(4), 0, SIZE);
        assert!(!watch.is_due(5, SIZE) && watch.is_due(6, SIZE), "four are left from before");
        watch.note(Indexed::Run, 6, SIZE);
        watch.note(Indexed::TooFew(0), 6, SIZE);
        assert!(!watch.is_due(15, SIZE) && watch.is_due(16, SIZE));
    }

    #[test]
    fn jobs_count_when_they_are_old_enough() {
        let mut watch = SearchWatch::default();
        let old_enough: Vec<i64> = [5, 8, 8, 20, 20, 20, 20].map(|accepted| watch.tick(accepted)).into();
        assert_eq!(old_enough, [0, 0, 0, 5, 8, 8, 20]);
    }

    #[test]
    fn a_wrong_count_is_corrected_after_some_ticks() {
        let mut watch = SearchWatch::default();
        watch.note(Indexed::TooFew(0), 0, SIZE);
        for _ in 0..MAX_MISSES {
            assert!(watch.is_due(10, SIZE), "some jobs may have been refused");
            watch.note(Indexed::TooFew(3), 10, SIZE);
        }
        assert!(!watch.is_due(16, SIZE) && watch.is_due(17, SIZE), "three of them exist");
    }
}
