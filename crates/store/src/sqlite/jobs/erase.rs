//! Erases the texts of one job, for an operator: what the widget sent, the completions, the errors, and the notes.
//!
//! The row stays, with its times, its numbers and its state, so the counts and the history of a day remain true. The
//! writer overwrites what it erases with zeros: in the pages that it frees, and within the pages that it keeps.

use rusqlite::OptionalExtension;

use model::{JobId, StateName};

use crate::jobs::failures;
use crate::sqlite::jobs::notes;
use crate::sqlite::jobs::operator::cancel::Cancel;
use crate::sqlite::write::account_bytes::body_bytes;
use crate::sqlite::write::bind::{execute, query};
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;
use crate::time::Moment;
use crate::{Cause, StoreError};

pub(crate) const FIND: &str = concat!("SELECT state, account_id, ", body_bytes!(), " FROM jobs WHERE id = ?");

/// Removes the texts of a finished job.
pub(crate) const ERASE: &str = "UPDATE jobs SET last_error = NULL, data = NULL, earlier_data = NULL, completion = NULL, \
     handler_completion = NULL WHERE id = :id AND finished_at IS NOT NULL AND (data IS NOT NULL OR last_error IS NOT NULL)";

pub(crate) const ERASE_ERRORS: &str =
    "UPDATE other_attempts SET error = NULL WHERE job_id = :id AND error IS NOT NULL";

/// Selects the errors of a job.
pub(crate) const ERRORS: &str = "SELECT last_error FROM jobs WHERE id = :id AND last_error IS NOT NULL \
     UNION ALL SELECT error FROM other_attempts WHERE job_id = :id AND error IS NOT NULL";

/// Deletes the groups with this text.
pub(crate) const DROP_GROUPS: &str = "DELETE FROM error_groups WHERE text = :text";

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Erased {
    /// Its texts are erased.
    Done,
    /// It had no texts, or no longer exists.
    Nothing,
    /// It is not finished, so it needs its texts.
    Unfinished,
}

/// Erases the texts of the job `id`. With `cancels`, an unfinished job is cancelled first.
pub(crate) fn erase(
    transaction: &mut Transaction<'_>,
    id: JobId,
    cancels: bool,
    now: Moment,
) -> Result<Erased, StoreError> {
    let mut statement = transaction.prepare_cached(FIND)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    };
    let Some((state, account, bytes)) = statement.query_one([id.as_uuid()], read).optional()? else {
        return Ok(Erased::Nothing);
    };
    drop(statement);
    let state: StateName = state.parse().map_err(|error: model::UnknownState| StoreError::Corrupt {
        table: "jobs",
        column: "state",
        id: id.to_string(),
        why: Cause::of(error),
    })?;
    if !state.is_finished() {
        if !cancels {
            return Ok(Erased::Unfinished);
        }
        if (Cancel { id, now, why: None, by: None }).apply(transaction)?.is_err() {
            return Ok(Erased::Unfinished);
        }
    }
    erase_groups(transaction, id)?;
    let rows = execute!(transaction, ERASE, { "id" => id.as_uuid() });
    transaction.post_commit.bytes.dropped(account, bytes);
    let errors = execute!(transaction, ERASE_ERRORS, { "id" => id.as_uuid() });
    let notes = transaction.prepare_cached(notes::DROP)?.execute([id.as_uuid()])?;
    Ok(if rows + errors + notes > 0 { Erased::Done } else { Erased::Nothing })
}

/// Deletes the groups of the job's errors. The text of a group has no numbers and no quoted values, but a handler may write
/// a customer's words into its error without quotes. A group that other jobs share starts again with their next error.
fn erase_groups(transaction: &Transaction<'_>, id: JobId) -> Result<(), StoreError> {
    let errors: Vec<String> = query!(transaction, ERRORS, { "id" => id.as_uuid() }, |row| row.get(0));
    for error in errors {
        execute!(transaction, DROP_GROUPS, { "text" => failures::group_text(&error) });
    }
    Ok(())
}

/// Runs `work` while the writer overwrites with zeros what it deletes. It does not do so otherwise: for the pages of
/// bodies, that would write each of them once more.
pub(crate) fn overwriting<T>(
    transaction: &mut Transaction<'_>,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let set = |transaction: &Transaction<'_>, mode: bool| {
        transaction.pragma_update_and_check(None, "secure_delete", mode, |_| Ok(()))
    };
    set(transaction, true)?;
    let done = work(transaction);
    set(transaction, false)?;
    done
}
