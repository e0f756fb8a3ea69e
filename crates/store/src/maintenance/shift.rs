//! How a start moves the schedule across the time between two processes.

use std::time::Duration;

use model::Timestamp;

use crate::time::{Moment, ServiceTime, StoreClock, between, is_jump};

/// The longest time by which the stored service time can lag, for a process beside the bridge.
const MAX_UNWRITTEN: Duration = Duration::from_secs(120);

/// The last stored moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    service: ServiceTime,
    /// The steady clock and the calendar at that moment; `None` if no bridge has served the store yet.
    clocks: Option<(Timestamp, Timestamp)>,
}

impl Noted {
    /// Creates it from the columns of the table.
    pub(crate) fn new(service_at: i64, steady_at: Option<i64>, calendar_at: Option<i64>) -> Self {
        let at = Timestamp::from_millis;
        let clocks = steady_at.map(at).zip(calendar_at.map(at));
        Self { service: ServiceTime::from_millis(service_at), clocks }
    }

    /// The service time from which the next process continues. A killed process may have finished jobs after it last stored
    /// its time; `finished` is the last such moment.
    pub(crate) fn served(&self, finished: Option<i64>) -> ServiceTime {
        self.service.max(ServiceTime::from_millis(finished.unwrap_or(i64::MIN)))
    }

    /// How a process whose clocks show `now` has to move the times of jobs.
    pub(crate) fn shift(&self, now: Moment) -> Shift {
        self.clocks.map(|clocks| shift(clocks, now)).unwrap_or_default()
    }

    /// Sets the clocks of a process beside the bridge. It follows the owner's steady clock, and its service time is not
    /// behind the owner's.
    pub(crate) fn follow(&self, clock: &StoreClock) {
        clock.serve_from(self.service + MAX_UNWRITTEN);
        if let Some((steady, calendar)) = self.clocks {
            clock.follow_owner(between(steady, calendar));
        }
    }
}

/// The milliseconds by which a start moves the times of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shift {
    /// The shift of promises to a waiting customer: `due_at`, `answer_by`, `waiting_since`. The time between the two
    /// processes, as far as the calendar shows it, counts as waiting.
    pub(crate) promises: i64,
    /// The shift of times that measure how long the bridge has tried: `failing_since`, `refused_at`. The time between
    /// the two processes does not count.
    pub(crate) budgets: i64,
    /// How far the calendar is behind its last stored time; 0 if it is not.
    behind: i64,
}

impl Shift {
    /// How far the calendar is behind its last stored time; `None` if it is not.
    pub(crate) fn behind(&self) -> Option<Duration> {
        Some(self.behind).filter(|behind| is_jump(*behind)).map(|ms| Duration::from_millis(ms.unsigned_abs()))
    }
}

/// Computes the shift from the last stored moment, by the clocks of the last process, and from `now`, by the clocks of
/// this one.
fn shift((steady, calendar): (Timestamp, Timestamp), now: Moment) -> Shift {
    let down = between(calendar, now.calendar);
    let budgets = between(steady, now.steady);
    Shift { promises: budgets.saturating_sub(down.max(0)), budgets, behind: down.min(0).saturating_neg() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_start_moves_promises_by_the_jump_and_budgets_also_by_the_downtime() {
        let at = Timestamp::from_millis;
        // For the last process: its steady clock and its calendar at its end. For this process: its calendar, where its
        // steady clock starts.
        for (what, steady, calendar, now, promises, budgets, behind) in [
            ("restarted at once", 9 * HOUR, 9 * HOUR, 9 * HOUR, 0, 0, 0),
            ("down for two hours", 9 * HOUR, 9 * HOUR, 11 * HOUR, 0, 2 * HOUR, 0),
            (
                "set back by three hours in between",
                9 * HOUR,
                9 * HOUR,
                6 * HOUR,
                -3 * HOUR,
                -3 * HOUR,
                3 * HOUR,
            ),
            ("set forward by five hours before", 9 * HOUR, 14 * HOUR, 14 * HOUR, 5 * HOUR, 5 * HOUR, 0),
            ("and down for an hour", 9 * HOUR, 14 * HOUR, 15 * HOUR, 5 * HOUR, 6 * HOUR, 0),
            ("set back by five hours before", 9 * HOUR, 4 * HOUR, 4 * HOUR, -5 * HOUR, -5 * HOUR, 0),
            ("and by one more hour in between", 9 * HOUR, 4 * HOUR, 3 * HOUR, -6 * HOUR, -6 * HOUR, HOUR),
        ] {
            let now = Moment { calendar: at(now), steady: at(now), service: ServiceTime::default() };
            let expected = Shift { promises, budgets, behind };
            assert_eq!(shift((at(steady), at(calendar)), now), expected, "{what}");
        }
    }
}
