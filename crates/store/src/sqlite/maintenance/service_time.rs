//! The service time from one process to the next, and what a start does with the time in between.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Row, SqliteConnection, SqlitePool};

use model::Timestamp;

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::post_commit::PostCommit;
use crate::time::{Moment, ServiceTime, StoreClock, between, is_jump};

/// How much the service time may have grown since it was last written, for one who reads it beside the bridge.
const MAX_UNWRITTEN: Duration = Duration::from_secs(120);

const SELECT: &str = "SELECT service_at, steady_at, calendar_at FROM service";

pub(crate) const FINISHED_LAST: &str =
    "SELECT max(finished_service_at) FROM jobs WHERE finished_service_at IS NOT NULL";

/// What the last moment was that is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted {
    service: ServiceTime,
    /// The steady clock and the calendar then; `None` if no bridge has served the store yet.
    clocks: Option<(Timestamp, Timestamp)>,
}

impl Noted {
    fn read(row: &sqlx::sqlite::SqliteRow) -> Result<Self, sqlx::Error> {
        let time = |column: &str| row.try_get::<Option<i64>, _>(column);
        let clocks = time("steady_at")?.zip(time("calendar_at")?);
        Ok(Self {
            service: ServiceTime::from_millis(row.try_get("service_at")?),
            clocks: clocks
                .map(|(steady, calendar)| (Timestamp::from_millis(steady), Timestamp::from_millis(calendar))),
        })
    }
}

/// Writes down which moment it is.
pub(crate) struct NoteTime {
    pub(crate) moment: Moment,
}

impl Command for NoteTime {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut PostCommit) -> Result<(), StoreError> {
        let Moment { calendar, steady, service } = self.moment;
        sqlx::query("UPDATE service SET service_at = ?, steady_at = ?, calendar_at = ?")
            .bind(service.as_millis())
            .bind(steady.as_millis())
            .bind(calendar.as_millis())
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// By how much the moments of unfinished jobs move at a start, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shift {
    /// What is promised to a customer who waits: `due_at`, `answer_by`, `waiting_since`. The time between the two processes
    /// counts, as far as the calendar shows any.
    promises: i64,
    /// What counts the time in which the bridge tried: `failing_since`, `refused_at`. The time between does not count.
    budgets: i64,
    /// By how much the calendar is behind what it was when the last process ended.
    behind: i64,
}

/// Decides from the last moment that was written, by the clocks of that process, and from now, by those of this one.
fn shift((steady, calendar): (Timestamp, Timestamp), now: Moment) -> Shift {
    let down = between(calendar, now.calendar);
    let budgets = between(steady, now.steady);
    Shift { promises: budgets.saturating_sub(down.max(0)), budgets, behind: down.min(0).saturating_neg() }
}

/// What waits for a worker.
pub(crate) const SHIFT_QUEUED: &str = "UPDATE jobs SET due_at = due_at + ?1, answer_by = answer_by + ?1, \
     waiting_since = waiting_since + ?1 WHERE state = 'queued'";
/// What waits for the sender.
pub(crate) const SHIFT_WAITING: &str = "UPDATE jobs SET due_at = due_at + ?1, answer_by = answer_by + ?1, \
     waiting_since = waiting_since + ?1 WHERE state = 'delivering' AND lease_until IS NULL";
/// What was under way.
pub(crate) const SHIFT_LEASED: &str = "UPDATE jobs SET due_at = due_at + ?1, answer_by = answer_by + ?1, \
     waiting_since = waiting_since + ?1 WHERE lease_until IS NOT NULL";
/// What may be retried: a refusal must not lie in the future then.
pub(crate) const SHIFT_DEAD: &str = "UPDATE jobs SET waiting_since = waiting_since + ?1, refused_at = refused_at + ?1 \
     WHERE state = 'dead'";
/// Deliveries that have failed or were refused.
pub(crate) const SHIFT_FAILING: &str = "UPDATE jobs SET failing_since = failing_since + ?1, refused_at = refused_at + ?1 \
     WHERE state = 'delivering' AND lease_until IS NULL AND delivery_rank > 0";
/// The same of those that were under way.
pub(crate) const SHIFT_FAILING_LEASED: &str = "UPDATE jobs SET failing_since = failing_since + ?1, \
     refused_at = refused_at + ?1 WHERE lease_until IS NOT NULL AND delivery_rank > 0";

/// Begins to serve: the service time goes on from where it was, and the schedule moves to the steady clock of this process.
/// Gives by how much the calendar is behind what the last process saw, if it is.
///
/// It looks at all that waits, so it is only for the start; [`FreeLeases`](crate::sqlite::maintenance::delete::FreeLeases) and
/// [`ReloadLanes`](crate::sqlite::jobs::lane_reload::ReloadLanes) have to follow.
pub(crate) struct BeginService(pub(crate) Arc<StoreClock>);

impl Command for BeginService {
    type Answer = Option<Duration>;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        post_commit: &mut PostCommit,
    ) -> Result<Self::Answer, StoreError> {
        let noted = Noted::read(&sqlx::query(SELECT).fetch_one(&mut *connection).await?)?;
        // A process that was killed has finished jobs since it wrote its time for the last time.
        let finished: Option<i64> = sqlx::query_scalar(FINISHED_LAST).fetch_one(&mut *connection).await?;
        let served = noted.service.max(ServiceTime::from_millis(finished.unwrap_or(i64::MIN)));
        self.0.serve_from(served);
        let moment = self.0.moment();
        let Shift { promises, budgets, behind } =
            noted.clocks.map(|clocks| shift(clocks, moment)).unwrap_or_default();
        let promised = [SHIFT_QUEUED, SHIFT_WAITING, SHIFT_LEASED, SHIFT_DEAD].map(|sql| (sql, promises));
        let budgeted = [SHIFT_FAILING, SHIFT_FAILING_LEASED].map(|sql| (sql, budgets));
        for (sql, by) in promised.into_iter().chain(budgeted).filter(|(_, by)| is_jump(*by)) {
            sqlx::query(sql).bind(by).execute(&mut *connection).await?;
        }
        NoteTime { moment }.apply(connection, post_commit).await?;
        Ok(Some(behind).filter(|behind| is_jump(*behind)).map(|ms| Duration::from_millis(ms.unsigned_abs())))
    }
}

/// Sets the clocks of a process beside the bridge: its schedule is the owner's, and what it finishes counts as finished no
/// earlier than by the owner's service time.
pub(crate) async fn follow(pool: &SqlitePool, clock: &StoreClock) -> Result<(), StoreError> {
    let noted = Noted::read(&sqlx::query(SELECT).fetch_one(pool).await?)?;
    clock.serve_from(noted.service + MAX_UNWRITTEN);
    if let Some((steady, calendar)) = noted.clocks {
        clock.follow_owner(between(steady, calendar));
    }
    Ok(())
}

impl Engine {
    /// Writes down how long the store has been served, and by which clocks.
    pub(crate) async fn note_time(&self) -> Result<(), StoreError> {
        self.execute(NoteTime { moment: self.moment() }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_start_moves_promises_by_what_the_calendar_jumped_and_budgets_over_the_time_between() {
        let at = Timestamp::from_millis;
        // The last process: its steady clock and its calendar at its end. This one: its calendar, where its steady clock
        // starts.
        for (what, steady, calendar, now, promises, budgets, behind) in [
            ("at once", 9 * HOUR, 9 * HOUR, 9 * HOUR, 0, 0, 0),
            ("down for two hours", 9 * HOUR, 9 * HOUR, 11 * HOUR, 0, 2 * HOUR, 0),
            (
                "set back by three hours meanwhile",
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
            ("and by one more meanwhile", 9 * HOUR, 4 * HOUR, 3 * HOUR, -6 * HOUR, -6 * HOUR, HOUR),
        ] {
            let now = Moment { calendar: at(now), steady: at(now), service: ServiceTime::default() };
            let expected = Shift { promises, budgets, behind };
            assert_eq!(shift((at(steady), at(calendar)), now), expected, "{what}");
        }
    }
}
