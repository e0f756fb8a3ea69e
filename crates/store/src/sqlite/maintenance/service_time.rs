//! Carries the service time from one process to the next, and moves schedules across the time between them.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use sqlx::{Row, SqlitePool};

use model::Timestamp;

use crate::StoreError;
use crate::maintenance::shift::{Noted, Shift};
use crate::sqlite::engine::Engine;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::time::{Moment, StoreClock, is_jump};

const SELECT: &str = "SELECT service_at, steady_at, calendar_at FROM service";

pub(crate) const FINISHED_LAST: &str =
    "SELECT max(finished_service_at) FROM jobs WHERE finished_service_at IS NOT NULL";

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
        let finished: Option<i64> = transaction.query_one(FINISHED_LAST, (), |row| row.get(0))?;
        self.0.serve_from(noted.served(finished));
        let moment = self.0.moment();
        let shift = noted.shift(moment);
        let Shift { promises, budgets, .. } = shift;
        let promised = [SHIFT_QUEUED, SHIFT_AWAITING, SHIFT_WAITING, SHIFT_LEASED, SHIFT_DEAD]
            .map(|sql| (sql, promises));
        let budgeted = [SHIFT_FAILING, SHIFT_FAILING_LEASED].map(|sql| (sql, budgets));
        for (sql, by) in promised.into_iter().chain(budgeted).filter(|(_, by)| is_jump(*by)) {
            transaction.execute(sql, [by])?;
        }
        NoteTime { moment }.apply(transaction)?;
        Ok(shift.behind())
    }
}

/// Sets the clocks of a process beside the bridge.
pub(crate) async fn follow(pool: &SqlitePool, clock: &StoreClock) -> Result<(), StoreError> {
    let row = sqlx::query(SELECT).fetch_one(pool).await?;
    Noted::new(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?).follow(clock);
    Ok(())
}

impl Engine {
    /// Stores how long the store has been served, and by which clocks.
    pub(crate) async fn note_time(&self) -> Result<(), StoreError> {
        self.execute(NoteTime { moment: self.moment() }).await
    }
}
