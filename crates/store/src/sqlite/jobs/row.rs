//! A row of the table of jobs, as either library returns it: reads use sqlx, and the writer's claims use rusqlite.

use std::error::Error;

use rusqlite::types::FromSql;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use uuid::Uuid;

type Read<T> = Result<Option<T>, Box<dyn Error + Send + Sync>>;

/// A row whose columns have names. The methods return `None` for NULL.
pub(crate) trait Columns {
    /// Reads a whole number.
    fn integer(&self, column: &'static str) -> Read<i64>;
    /// Reads a text.
    fn text(&self, column: &'static str) -> Read<&str>;
    /// Reads an id.
    fn id(&self, column: &'static str) -> Read<Uuid>;
}

impl Columns for SqliteRow {
    fn integer(&self, column: &'static str) -> Read<i64> {
        optional(self, column)
    }

    fn text(&self, column: &'static str) -> Read<&str> {
        optional(self, column)
    }

    fn id(&self, column: &'static str) -> Read<Uuid> {
        optional(self, column)
    }
}

fn optional<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(row: &'r SqliteRow, column: &str) -> Read<T> {
    Ok(row.try_get(column)?)
}

/// Calls a macro with all columns that [`job`](super::rows::job), [`running`](super::rows::running) and
/// [`delivering`](super::rows::delivering) read.
macro_rules! with_columns {
    ($($then:tt)+) => {
        $($then)+!(
            "id", "state", "handler", "account_id", "return_url", "entity_type", "entity_id", "data",
            "received_at", "waiting_since", "answer_by", "due_at", "lease_until", "fence", "crashes",
            "handler_attempts", "delivery_attempts", "failures", "failing_since", "refused_at", "answer_lost",
            "tried", "superseded_by", "completion", "handler_completion", "outcome", "fallback_reason",
            "last_error", "handled_at", "handled_ms", "finished_at", "turn", "coalesce_ms", "joined_into",
            "earlier_data"
        )
    };
}
pub(crate) use with_columns;

macro_rules! array {
    ($($column:literal),+) => { &[$($column),+] };
}

macro_rules! joined {
    ($first:literal $(, $column:literal)+) => { concat!($first $(, ", ", $column)+) };
}
pub(crate) use joined;

/// Expands to the SQL that names these columns.
macro_rules! columns {
    () => {
        $crate::sqlite::jobs::row::with_columns!($crate::sqlite::jobs::row::joined)
    };
}
pub(crate) use columns;

const NAMES: &[&str] = with_columns!(array);

/// The jobs of a claim.
pub(crate) struct Claimed<T> {
    /// Those that can be read.
    pub(crate) jobs: Vec<T>,
    /// The number of claimed rows, including those that cannot be read.
    pub(crate) rows: usize,
}

impl<T> Default for Claimed<T> {
    fn default() -> Self {
        Self { jobs: Vec::new(), rows: 0 }
    }
}

/// A row of a claim, which returns [`columns!`] in their order.
pub(crate) struct ClaimedRow<'r>(pub(crate) &'r rusqlite::Row<'r>);

impl<'r> ClaimedRow<'r> {
    fn get<T: FromSql>(&self, column: &'static str) -> Read<T> {
        Ok(self.0.get(place(column)?)?)
    }
}

impl Columns for ClaimedRow<'_> {
    fn integer(&self, column: &'static str) -> Read<i64> {
        self.get(column)
    }

    fn text(&self, column: &'static str) -> Read<&str> {
        Ok(self.0.get_ref(place(column)?)?.as_str_or_null()?)
    }

    fn id(&self, column: &'static str) -> Read<Uuid> {
        self.get(column)
    }
}

/// Returns the place of a column in a claim. The library would search the names that SQLite keeps, which takes longer
/// than to read the value.
fn place(column: &str) -> Result<usize, &'static str> {
    NAMES.iter().position(|name| *name == column).ok_or("not a column of a claim")
}
