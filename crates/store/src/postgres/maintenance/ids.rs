//! Statements about several jobs. Each has the condition `id = ANY($1) AND id BETWEEN $2 AND $3`: with it PostgreSQL reads the
//! rows by their key, even if it believes that the table is empty, and only the partitions of these days.

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

/// Binds the first three values. `ids` are in ascending order.
pub(super) fn of<'q>(sql: &'static str, ids: &'q [Uuid]) -> Query<'q, Postgres, PgArguments> {
    let (first, last) = (ids.first().copied(), ids.last().copied());
    sqlx::query(sql).bind(ids).bind(first.unwrap_or_default()).bind(last.unwrap_or_default())
}
