//! A row of the table of jobs, as PostgreSQL returns it.

use sqlx::postgres::PgRow;
use sqlx::{Column, Decode, Postgres, Row, Type, TypeInfo};
use uuid::Uuid;

use crate::StoreError;
use crate::jobs::row::{Claimed, Columns, Read};
use crate::jobs::rows::unless_damaged;

impl Columns for PgRow {
    /// Reads a flag as 0 or 1, as the other engine stores it.
    fn integer(&self, column: &'static str) -> Read<i64> {
        let found = self.try_column(column)?;
        if found.type_info().name() == "BOOL" {
            Ok(self.try_get::<Option<bool>, _>(found.ordinal())?.map(i64::from))
        } else {
            Ok(self.try_get(found.ordinal())?)
        }
    }

    fn text(&self, column: &'static str) -> Read<&str> {
        optional(self, column)
    }

    fn id(&self, column: &'static str) -> Read<Uuid> {
        optional(self, column)
    }
}

fn optional<'r, T: Decode<'r, Postgres> + Type<Postgres>>(row: &'r PgRow, column: &str) -> Read<T> {
    Ok(row.try_get(column)?)
}

/// Expands to the SQL for a body of a job: a subselect by the primary key.
macro_rules! body {
    ($kind:literal) => {
        concat!("(SELECT body FROM job_bodies WHERE job_bodies.id = jobs.id AND kind = ", $kind, ")")
    };
}
pub(crate) use body;

/// Expands to the SQL that names all columns of a job in the table `jobs`, except for its bodies.
macro_rules! columns_without_bodies {
    () => {
        "jobs.id, jobs.state, jobs.handler, jobs.account_id, jobs.origin, jobs.return_url, jobs.entity_type, \
         jobs.entity_id, jobs.received_at, jobs.waiting_since, jobs.answer_by, jobs.due_at, jobs.lease_until, jobs.fence, \
         jobs.crashes, jobs.handler_attempts, jobs.delivery_attempts, jobs.failures, jobs.failing_since, \
         jobs.refused_at, jobs.answer_lost, jobs.tried, jobs.superseded_by, jobs.outcome, jobs.fallback_reason, \
         jobs.last_error, jobs.error_group, jobs.handled_at, jobs.handled_ms, jobs.finished_at, jobs.turn, \
         jobs.coalesce_ms, jobs.joined_into, jobs.bodies_dropped"
    };
}
pub(crate) use columns_without_bodies;

/// Expands to the SQL that names all columns of a job in the table `jobs`, with its bodies.
macro_rules! columns {
    () => {
        concat!(
            $crate::postgres::jobs::row::columns_without_bodies!(),
            ", ",
            $crate::postgres::jobs::row::body!(0),
            " AS data, ",
            $crate::postgres::jobs::row::body!(1),
            " AS earlier_data, ",
            $crate::postgres::jobs::row::body!(2),
            " AS completion, ",
            $crate::postgres::jobs::row::body!(3),
            " AS handler_completion"
        )
    };
}
pub(crate) use columns;

/// Expands to the SQL that names what [`running`](crate::jobs::rows::running) reads.
macro_rules! running {
    () => {
        concat!(
            $crate::postgres::jobs::row::columns_without_bodies!(),
            ", ",
            $crate::postgres::jobs::row::body!(0),
            " AS data, ",
            $crate::postgres::jobs::row::body!(1),
            " AS earlier_data"
        )
    };
}
pub(crate) use running;

/// Expands to the SQL that names what [`delivering`](crate::jobs::rows::delivering) reads.
macro_rules! delivering {
    () => {
        concat!(
            $crate::postgres::jobs::row::columns_without_bodies!(),
            ", ",
            $crate::postgres::jobs::row::body!(2),
            " AS completion"
        )
    };
}
pub(crate) use delivering;

/// The columns that [`summary`](crate::jobs::rows::summary) reads. None of them is a body.
pub(crate) const SUMMARY: &str = "jobs.id, jobs.state, jobs.handler, jobs.account_id, jobs.return_url, jobs.entity_type, \
     jobs.entity_id, jobs.received_at, jobs.due_at, jobs.handler_attempts, jobs.delivery_attempts, jobs.outcome, \
     jobs.fallback_reason, jobs.last_error, jobs.error_group, jobs.finished_at, jobs.joined_into, jobs.bodies_dropped";

/// Reads the rows. Logs and skips those that cannot be read.
pub(crate) fn readable<T>(rows: &[PgRow], read: impl Fn(&dyn Columns) -> Result<T, StoreError>) -> Vec<T> {
    rows.iter().filter_map(|row| unless_damaged(read(row))).collect()
}

/// Reads the rows of a claim. Logs and skips those that cannot be read.
pub(crate) fn claimed<T>(rows: &[PgRow], read: impl Fn(&dyn Columns) -> Result<T, StoreError>) -> Claimed<T> {
    Claimed { jobs: readable(rows, read), rows: rows.len() }
}
