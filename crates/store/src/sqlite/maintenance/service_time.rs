//! Carries the service time from one process to the next, and moves schedules across the time between them.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use sqlx::{Row, SqlitePool};

use model::Timestamp;

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::time::{Moment, ServiceTime, StoreClock, between, is_jump};

/// The longest time by which the stored service time can lag, for a process beside the bridge.
const MAX_UNWRITTEN: Duration = Duration::from_secs(120);

const SELECT: &str = "SELECT service_at, steady_at, calendar_at FROM service";

pub(crate) const FINISHED_LAST: &str =
    "SELECT max(finished_service_at) FROM jobs WHERE finished_service_at IS NOT NULL";

/// The last stored moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted {
    service: ServiceTime,
    /// The steady clock and the calendar at that moment; `None` if no bridge has served the store yet.
    clocks: Option<(Timestamp, Timestamp)>,
}

impl Noted {
    /// Creates it from the columns of [`SELECT`].
    fn new(service_at: i64, steady_at: Option<i64>, calendar_at: Option<i64>) -> Self {
        let at = Timestamp::from_millis;
        let clocks = steady_at.map(at).zip(calendar_at.map(at));
        Self { service: ServiceTime::from_millis(service_at), clocks }
    }
}

/// Stores the current moment.
pub(crate) struct NoteTime {
    pub(crate) moment: Moment,
}

impl Command for NoteTime {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let Moment { calendar, steady, service } = self.moment;
        transaction.execute(
            "UPDATE service SET service_at = ?, steady_at = ?, calendar_at = ?",
            (service.as_millis(), steady.as_millis(), calendar.as_millis()),
        )?;
        Ok(())
    }
}

/// The milliseconds by which a start moves the times of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shift {
    /// The shift of promises to a waiting customer: `due_at`, `answer_by`, `waiting_since`. The time between the two
    /// processes, as far as the calendar shows it, counts as waiting.
    promises: i64,
    /// The shift of times that measure how long the bridge has tried: `failing_since`, `refused_at`. The time between
    /// the two processes does not count.
    budgets: i64,
    /// How far the calendar is behind its last stored time; 0 if it is not.
    behind: i64,
}

/// Computes the shift from the last stored moment, by the clocks of the last process, and from `now`, by the clocks of
/// this one.
fn shift((steady, calendar): (Timestamp, Timestamp), now: Moment) -> Shift {
    let down = between(calendar, now.calendar);
    let budgets = between(steady, now.steady);
    Shift { promises: budgets.saturating_sub(down.max(0)), budgets, behind: down.min(0).saturating_neg() }
}

/// Returns when a bridge last served a store that no writer has open, to within two minutes; `None` if no bridge has.
pub(crate) fn served_until(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = connection.query_row("SELECT calendar_at FROM service", [], |row| row.get(0))?;
    Ok(at.map(Timestamp::from_millis))
}

/// Jobs that wait for a worker.
pub(crate) const SHIFT_QUEUED: &str = "UPDATE jobs SET due_at = due_at + ?1, answer_by = answer_by + ?1, \
     waiting_since = waiting_since + ?1 WHERE state = 'queued'";
/// Jobs that await a callback.
pub(crate) const SHIFT_AWAITING: &str = "UPDATE jobs SET answer_by = answer_by + ?1, \
     waiting_since = waiting_since + ?1 WHERE state = 'awaiting_callback'";
/// Jobs that wait for the sender.
pub(crate) const SHIFT_WAITING: &str = "UPDATE jobs SET due_at = due_at + ?1, answer_by = answer_by + ?1, \
     waiting_since = waiting_since + ?1 WHERE state = 'delivering' AND lease_until IS NULL";
/// Jobs that were under way.
pub(crate) const SHIFT_LEASED: &str = "UPDATE jobs SET due_at = due_at + ?1, answer_by = answer_by + ?1, \
     waiting_since = waiting_since + ?1 WHERE lease_until IS NOT NULL";
/// Dead jobs, because a retry must not find their refusal in the future.
pub(crate) const SHIFT_DEAD: &str = "UPDATE jobs SET waiting_since = waiting_since + ?1, refused_at = refused_at + ?1 \
     WHERE state = 'dead'";
/// Waiting deliveries that have failed or were refused.
pub(crate) const SHIFT_FAILING: &str = "UPDATE jobs SET failing_since = failing_since + ?1, refused_at = refused_at + ?1 \
     WHERE state = 'delivering' AND lease_until IS NULL AND delivery_rank > 0";
/// Deliveries under way that have failed or were refused.
pub(crate) const SHIFT_FAILING_LEASED: &str = "UPDATE jobs SET failing_since = failing_since + ?1, \
     refused_at = refused_at + ?1 WHERE lease_until IS NOT NULL AND delivery_rank > 0";

/// Begins to serve: continues the service time, and moves the schedule to the steady clock of this process. Answers with
/// how far the calendar is behind its last stored time; `None` if it is not.
///
/// It changes all waiting jobs, so it is for the start only.
/// [`FreeLeases`](crate::sqlite::maintenance::leases::FreeLeases) and
/// [`ReloadLanes`](crate::sqlite::jobs::lane_reload::ReloadLanes) must run after it.
pub(crate) struct BeginService(pub(crate) Arc<StoreClock>);

impl Command for BeginService {
    type Answer = Option<Duration>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Self::Answer, StoreError> {
        let noted =
            transaction.query_one(SELECT, (), |row| Ok(Noted::new(row.get(0)?, row.get(1)?, row.get(2)?)))?;
        // A killed process may have finished jobs after it last stored its time.
        let finished: Option<i64> = transaction.query_one(FINISHED_LAST, (), |row| row.get(0))?;
        let served = noted.service.max(ServiceTime::from_millis(finished.unwrap_or(i64::MIN)));
        self.0.serve_from(served);
        let moment = self.0.moment();
        let Shift { promises, budgets, behind } =
            noted.clocks.map(|clocks| shift(clocks, moment)).unwrap_or_default();
        let promised = [SHIFT_QUEUED, SHIFT_AWAITING, SHIFT_WAITING, SHIFT_LEASED, SHIFT_DEAD]
            .map(|sql| (sql, promises));
        let budgeted = [SHIFT_FAILING, SHIFT_FAILING_LEASED].map(|sql| (sql, budgets));
        for (sql, by) in promised.into_iter().chain(budgeted).filter(|(_, by)| is_jump(*by)) {
            transaction.execute(sql, [by])?;
        }
        NoteTime { moment }.apply(transaction)?;
        Ok(Some(behind).filter(|behind| is_jump(*behind)).map(|ms| Duration::from_millis(ms.unsigned_abs())))
    }
}

/// Sets the clocks of a process beside the bridge. It follows the owner's steady clock, and its service time is not
/// behind the owner's.
pub(crate) async fn follow(pool: &SqlitePool, clock: &StoreClock) -> Result<(), StoreError> {
    let row = sqlx::query(SELECT).fetch_one(pool).await?;
    let noted = Noted::new(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    clock.serve_from(noted.service + MAX_UNWRITTEN);
    if let Some((steady, calendar)) = noted.clocks {
        clock.follow_owner(between(steady, calendar));
    }
    Ok(())
}

impl Engine {
    /// Stores how long the store has been served, and by which clocks.
    pub(crate) async fn note_time(&self) -> Result<(), StoreError> {
        self.execute(NoteTime { moment: self.moment() }).await
    }
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
