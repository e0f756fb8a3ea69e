//! A row of the table of jobs, as any library returns it.

use std::error::Error;

use uuid::Uuid;

pub(crate) type Read<T> = Result<Option<T>, Box<dyn Error + Send + Sync>>;

/// A row whose columns have names. The methods return `None` for NULL.
pub(crate) trait Columns {
    /// Reads a whole number.
    fn integer(&self, column: &'static str) -> Read<i64>;
    /// Reads a text.
    fn text(&self, column: &'static str) -> Read<&str>;
    /// Reads an id.
    fn id(&self, column: &'static str) -> Read<Uuid>;
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

macro_rules! joined {
    ($first:literal $(, $column:literal)+) => { concat!($first $(, ", ", $column)+) };
}
pub(crate) use joined;

/// Expands to the SQL that names these columns.
macro_rules! columns {
    () => {
        $crate::jobs::row::with_columns!($crate::jobs::row::joined)
    };
}
pub(crate) use columns;

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
