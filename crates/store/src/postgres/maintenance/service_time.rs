//! Carries the service time from one process to the next, and moves schedules across the time between them.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Executor, PgPool, Row};

use crate::StoreError;
use crate::maintenance::shift::{Noted, Shift};
use crate::postgres::connect::call::within;
use crate::postgres::engine::Engine;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;
use crate::time::{Moment, StoreClock, is_jump};

/// The longest time for which a start may move the schedule of many jobs. No one else writes during a start.
const SHIFT_TIMEOUT: Duration = Duration::from_secs(600);
const SET_SHIFT_TIMEOUT: &str = "SET LOCAL statement_timeout = '600s'";

pub(crate) const SERVICE: &str = "SELECT service_at, steady_at, calendar_at FROM service WHERE id = 1";
/// Looks only at jobs that finished after the last stored time.
pub(crate) const FINISHED_LAST: &str =
    "SELECT max(finished_service_at) FROM jobs WHERE finished_service_at > $1";
pub(crate) const NOTE_TIME: &str =
    "UPDATE service SET service_at = $1, steady_at = $2, calendar_at = $3 WHERE id = 1";

/// Stores the current moment.
pub(crate) struct NoteTime {
    pub(crate) moment: Moment,
}

impl Command for NoteTime {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let Moment { calendar, steady, service } = self.moment;
        let note = sqlx::query(NOTE_TIME)
            .bind(service.as_millis())
            .bind(steady.as_millis())
            .bind(calendar.as_millis());
        transaction.execute(note).await?;
        Ok(())
    }
}

/// Unfinished jobs, waiting or under way. A time that is not set stays so.
pub(crate) const SHIFT_UNFINISHED: &str = "UPDATE jobs SET due_at = due_at + $1, answer_by = answer_by + $1, \
     waiting_since = waiting_since + $1 WHERE ended IS NULL";
/// Dead jobs, because a retry must not find their refusal in the future.
pub(crate) const SHIFT_DEAD: &str = "UPDATE jobs SET waiting_since = waiting_since + $1, refused_at = refused_at + $1 \
     WHERE ended = 'dead'";
/// Deliveries that have failed or were refused, waiting or under way.
pub(crate) const SHIFT_FAILING: &str = "UPDATE jobs SET failing_since = failing_since + $1, refused_at = refused_at + $1 \
     WHERE ended IS NULL AND state = 'delivering' AND (failures > 0 OR refused_at IS NOT NULL)";

/// Begins to serve: continues the service time, and moves the schedule to the steady clock of this process. Answers with
/// how far the calendar is behind its last stored time; `None` if it is not.
///
/// It changes all waiting jobs, so it is for the start only.
/// [`LoadSchedule`](crate::postgres::jobs::lane_reload::LoadSchedule) must run after it, and then
/// [`FreeLeases`](crate::postgres::maintenance::leases::FreeLeases).
pub(crate) struct BeginService(pub(crate) Arc<StoreClock>);

impl Command for BeginService {
    type Answer = Option<Duration>;

    async fn apply(&self, transaction: &mut Transaction) -> Result<Self::Answer, StoreError> {
        transaction.connection()?.execute(SET_SHIFT_TIMEOUT).await?;
        let noted = noted(transaction.read(sqlx::query(SERVICE)).await?.first())?;
        let stored = noted.served(None);
        let finished = sqlx::query(FINISHED_LAST).bind(stored.as_millis());
        let finished = transaction.read(finished).await?;
        let finished: Option<i64> = finished.first().map(|row| row.try_get(0)).transpose()?.flatten();
        self.0.serve_from(noted.served(finished));
        let moment = self.0.moment();
        let shift = noted.shift(moment);
        let Shift { promises, budgets, .. } = shift;
        let all = [(SHIFT_UNFINISHED, promises), (SHIFT_DEAD, promises), (SHIFT_FAILING, budgets)];
        for (sql, by) in all.into_iter().filter(|(_, by)| is_jump(*by)) {
            let done = sqlx::query(sql).bind(by).execute(transaction.connection()?);
            let done = within(SHIFT_TIMEOUT, done).await?;
            transaction.is_changed |= done.rows_affected() > 0;
        }
        NoteTime { moment }.apply(transaction).await?;
        Ok(shift.behind())
    }
}

/// Reads the columns of [`SERVICE`].
fn noted(row: Option<&PgRow>) -> Result<Noted, StoreError> {
    let row = row.ok_or(sqlx::Error::RowNotFound)?;
    Ok(Noted::new(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

/// Sets the clocks of a process beside the bridge.
pub(crate) async fn follow(pool: &PgPool, clock: &StoreClock) -> Result<(), StoreError> {
    let row = sqlx::query(SERVICE).fetch_one(pool).await?;
    noted(Some(&row))?.follow(clock);
    Ok(())
}

impl Engine {
    /// Stores how long the store has been served, and by which clocks.
    pub(crate) async fn note_time(&self) -> Result<(), StoreError> {
        self.execute(NoteTime { moment: self.moment() }).await
    }
}
