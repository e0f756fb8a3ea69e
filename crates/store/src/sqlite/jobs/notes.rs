//! Notes on the time line of a job.

use std::sync::Arc;

use rusqlite::OptionalExtension;
use sqlx::Row;

use model::{JobId, MAX_NOTES, Note, Timestamp};

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::bind::execute;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;

pub(crate) const NOTES: &str = "SELECT noted_at, note FROM notes WHERE job_id = ? ORDER BY number";

/// Notes may quote what the bodies contain.
pub(crate) const DROP: &str = "DELETE FROM notes WHERE job_id = ?";

const LAST_NUMBER: &str =
    "SELECT (SELECT coalesce(max(number), 0) FROM notes WHERE job_id = jobs.id) FROM jobs WHERE id = ?";

const INSERT: &str =
    "INSERT INTO notes (job_id, number, noted_at, note) VALUES (:id, :number, :noted_at, :note)";

impl Engine {
    pub(crate) async fn note(&self, id: JobId, text: &str) -> Result<bool, StoreError> {
        let Some(note) = Note::new(self.moment().calendar, text) else { return Ok(true) };
        self.execute(AddNote { id, note }).await?
    }

    pub(crate) fn note_soon(self: &Arc<Self>, id: JobId, text: String) {
        let engine = self.clone();
        self.runtime.spawn(async move {
            if let Err(error) = engine.note(id, &text).await {
                tracing::warn!(job.id = %id, %error, "a note on a job could not be stored");
            }
        });
    }

    pub(crate) async fn notes(&self, id: JobId) -> Result<Vec<Note>, StoreError> {
        let rows = sqlx::query(NOTES).bind(id.as_uuid()).fetch_all(&self.reading).await?;
        let note = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Note { noted_at: Timestamp::from_millis(row.try_get(0)?), text: row.try_get(1)? })
        };
        rows.iter().map(note).collect()
    }
}

/// Adds a note. Answers with whether there was room for it.
struct AddNote {
    id: JobId,
    note: Note,
}

impl Command for AddNote {
    type Answer = Result<bool, StoreError>;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Self::Answer, StoreError> {
        let mut statement = transaction.prepare_cached(LAST_NUMBER)?;
        let last: Option<u32> = statement.query_one([self.id.as_uuid()], |row| row.get(0)).optional()?;
        let Some(last) = last else { return Ok(Err(StoreError::NoJob(self.id))) };
        if last >= MAX_NOTES {
            return Ok(Ok(false));
        }
        add(transaction, self.id, last + 1, &self.note)?;
        Ok(Ok(true))
    }
}

/// Adds a note of the bridge itself, if there is room for it.
pub(crate) fn add_if_room(
    transaction: &Transaction<'_>,
    id: JobId,
    note: &'static str,
) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(LAST_NUMBER)?;
    let last: Option<u32> = statement.query_one([id.as_uuid()], |row| row.get(0)).optional()?;
    let note = Note::new(transaction.moment.calendar, note);
    if let (Some(last), Some(note)) = (last.filter(|last| *last < MAX_NOTES), note) {
        add(transaction, id, last + 1, &note)?;
    }
    Ok(())
}

fn add(transaction: &Transaction<'_>, id: JobId, number: u32, note: &Note) -> Result<(), StoreError> {
    execute!(transaction, INSERT, {
        "id" => id.as_uuid(),
        "number" => i64::from(number),
        "noted_at" => note.noted_at.as_millis(),
        "note" => &*note.text,
    });
    Ok(())
}
