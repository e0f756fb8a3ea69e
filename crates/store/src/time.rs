//! The store's three clocks and their uses.
//!
//! - The **calendar** is for people and tokens: `received_at`, `finished_at`, `expires_at`. It jumps when someone sets
//!   the machine's clock.
//! - The **steady clock** is for scheduling: `due_at`, `answer_by`, `waiting_since`, `failing_since`, `refused_at`,
//!   `lease_until`. It starts at the calendar's time when the process starts, and then advances only with elapsed time.
//! - The **service time** is for deletions: the total time for which bridges have served this store. It never jumps, survives restarts,
//!   and does not advance while no bridge runs. Anything deleted by age must be too old by the calendar *and* by the
//!   service time.

use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use model::clock::{Clock, MIN_JUMP};
use model::{Job, JobRecord, JobSummary, QueueWait, State, Timestamp};

/// The total time for which bridges have served the store, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServiceTime(i64);

impl ServiceTime {
    pub(crate) const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    pub(crate) const fn as_millis(self) -> i64 {
        self.0
    }
}

impl Add<Duration> for ServiceTime {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

impl Sub<Duration> for ServiceTime {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

/// One moment on each of the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) calendar: Timestamp,
    pub(crate) steady: Timestamp,
    pub(crate) service: ServiceTime,
}

/// A limit of age by two clocks. Only what lies before both moments is old enough to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cutoff {
    pub(crate) calendar: Timestamp,
    pub(crate) service: ServiceTime,
}

impl Moment {
    /// Returns the cutoff before which everything is older than `age`.
    pub(crate) fn cutoff(self, age: Duration) -> Cutoff {
        Cutoff { calendar: self.calendar - age, service: self.service - age }
    }

    /// Returns the service time when the calendar will show `moment`, if the bridge runs until then and no one sets the
    /// clock.
    pub(crate) fn service_at(self, moment: Timestamp) -> ServiceTime {
        ServiceTime(self.service.0.saturating_add(between(self.calendar, moment)))
    }

    /// Returns the steady clock's time when the calendar shows `moment`.
    pub(crate) fn steady_at(self, moment: Timestamp) -> Timestamp {
        moved(self.steady, between(self.calendar, moment))
    }

    /// Returns the calendar's time when the steady clock shows `moment`.
    pub(crate) fn calendar_at(self, moment: Timestamp) -> Timestamp {
        moved(self.calendar, between(self.steady, moment))
    }

    /// Converts a moment of the steady clock for display: to the calendar, unless the two clocks agree.
    pub(crate) fn shown(self, moment: Timestamp) -> Timestamp {
        if is_jump(between(self.steady, self.calendar)) { self.calendar_at(moment) } else { moment }
    }

    /// Returns `summary` with its schedule by the calendar.
    pub(crate) fn show_summary(self, mut summary: JobSummary) -> JobSummary {
        summary.due_at = summary.due_at.map(|due_at| self.shown(due_at));
        summary
    }

    /// Returns `record` with its schedule by the calendar.
    pub(crate) fn show(self, record: JobRecord) -> JobRecord {
        match record {
            JobRecord::Whole(job) => JobRecord::Whole(self.show_job(job)),
            JobRecord::WithoutBodies(summary) => JobRecord::WithoutBodies(self.show_summary(summary)),
        }
    }

    fn show_job(self, mut job: Job) -> Job {
        job.answer_by = self.shown(job.answer_by);
        match &mut job.state {
            State::Queued(QueueWait::Until(due_at) | QueueWait::Messages(due_at)) => {
                *due_at = self.shown(*due_at)
            }
            State::Running { lease_until } => *lease_until = self.shown(*lease_until),
            State::Delivering { due_at, lease_until, .. } => {
                *due_at = self.shown(*due_at);
                *lease_until = lease_until.map(|until| self.shown(until));
            }
            State::Queued(QueueWait::Turn)
            | State::AwaitingCallback
            | State::Delivered { .. }
            | State::Gone { .. }
            | State::Dead { .. }
            | State::Cancelled { .. } => {}
        }
        job
    }
}

/// Reads all three clocks.
#[derive(Debug)]
pub(crate) struct StoreClock {
    clock: Clock,
    /// The service time at the moment when `clock` started.
    service_base: AtomicI64,
    /// The lead of our steady clock over the owner's, in milliseconds; 0 for the owner.
    ahead_of_owner: AtomicI64,
}

impl StoreClock {
    /// Creates a clock whose service time starts at zero until [`serve_from`](Self::serve_from) sets it.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, service_base: AtomicI64::new(0), ahead_of_owner: AtomicI64::new(0) }
    }

    /// Continues the service time from `service`.
    pub(crate) fn serve_from(&self, service: ServiceTime) {
        let base = service.0.saturating_sub(millis(self.clock.elapsed()));
        self.service_base.store(base, Ordering::Relaxed);
    }

    /// Makes [`Moment::steady`] follow the owner's steady clock, which the owner's calendar leads by `ahead`
    /// milliseconds. Two processes share the calendar, but their steady clocks started at different moments.
    pub(crate) fn follow_owner(&self, ahead: i64) {
        let owners = moved(self.clock.now(), ahead.saturating_neg());
        self.ahead_of_owner.store(between(owners, self.clock.steady()), Ordering::Relaxed);
    }

    /// Returns the current moment.
    pub(crate) fn moment(&self) -> Moment {
        let base = self.service_base.load(Ordering::Relaxed);
        let ahead = self.ahead_of_owner.load(Ordering::Relaxed);
        Moment {
            calendar: self.clock.now(),
            steady: moved(self.clock.steady(), ahead.saturating_neg()),
            service: ServiceTime(base.saturating_add(millis(self.clock.elapsed()))),
        }
    }

    /// Returns the time since the clock started, for measuring.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }
}

/// Returns the milliseconds from one moment to another; negative if `to` is earlier.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millis().saturating_sub(from.as_millis())
}

/// Whether a difference is a jump of the calendar and not only the drift of a clock.
pub(crate) fn is_jump(ms: i64) -> bool {
    u128::from(ms.unsigned_abs()) >= MIN_JUMP.as_millis()
}

fn moved(moment: Timestamp, by: i64) -> Timestamp {
    Timestamp::from_millis(moment.as_millis().saturating_add(by))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::clock::ManualClock;

    #[test]
    fn a_moment_translates_between_the_clocks() {
        let at = Timestamp::from_millis;
        let moment =
            Moment { calendar: at(9_000), steady: at(2_000), service: ServiceTime::from_millis(500) };
        assert_eq!(moment.steady_at(at(9_100)), at(2_100));
        assert_eq!(moment.calendar_at(at(1_900)), at(8_900));
        assert_eq!(moment.service_at(at(9_007)), ServiceTime::from_millis(507));
        let cutoff = moment.cutoff(Duration::from_secs(1));
        assert_eq!((cutoff.calendar, cutoff.service), (at(8_000), ServiceTime::from_millis(-500)));
    }

    #[test]
    fn displayed_times_follow_the_calendar_but_not_its_drift() {
        let at = Timestamp::from_millis;
        for (calendar, shown) in [(2_999, 5_000), (3_000, 6_000), (1_000, 4_000), (1_001, 5_000)] {
            let moment =
                Moment { calendar: at(calendar), steady: at(2_000), service: ServiceTime::default() };
            assert_eq!(moment.shown(at(5_000)), at(shown), "{calendar}");
        }
    }

    #[test]
    fn the_service_time_continues_across_starts_and_calendar_jumps() {
        let manual = ManualClock::new(Timestamp::from_millis(1_000_000));
        manual.advance(Duration::from_secs(5));
        let clock = StoreClock::new(manual.clock());
        clock.serve_from(ServiceTime::from_millis(70_000));
        manual.set(Timestamp::from_millis(1));
        manual.advance(Duration::from_secs(2));
        assert_eq!(clock.moment().service, ServiceTime::from_millis(72_000));
    }
}
