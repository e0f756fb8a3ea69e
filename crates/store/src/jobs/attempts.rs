//! Converts rows of attempts to the model.

use std::time::Duration;

use model::{Attempt, AttemptResult, JobId, Stage, Timestamp};

use crate::StoreError;

/// A row of the view `attempts`. Times are in milliseconds.
pub(crate) struct AttemptRow<'r> {
    pub(crate) stage: &'r str,
    pub(crate) number: i64,
    pub(crate) started_at: i64,
    pub(crate) duration_ms: i64,
    pub(crate) result: &'r str,
    pub(crate) status: Option<i64>,
    pub(crate) error: Option<String>,
}

/// Reads an attempt of the job `id`.
///
/// # Errors
/// `Corrupt` if this program cannot have written the row.
pub(crate) fn attempt(id: JobId, row: AttemptRow<'_>) -> Result<Attempt, StoreError> {
    let corrupt = |column: &'static str, why: &str| StoreError::Corrupt {
        table: "attempts",
        column,
        id: id.to_string(),
        why: why.into(),
    };
    Ok(Attempt {
        stage: Stage::ALL
            .into_iter()
            .find(|known| known.as_str() == row.stage)
            .ok_or_else(|| corrupt("stage", "unknown"))?,
        number: u32::try_from(row.number).map_err(|_| corrupt("number", "out of range"))?,
        started_at: Timestamp::from_millis(row.started_at),
        duration: Duration::from_millis(
            u64::try_from(row.duration_ms).map_err(|_| corrupt("duration_ms", "negative"))?,
        ),
        result: AttemptResult::ALL
            .into_iter()
            .find(|known| known.as_str() == row.result)
            .ok_or_else(|| corrupt("result", "unknown"))?,
        status: row.status.and_then(|status| u16::try_from(status).ok()),
        error: row.error,
    })
}
