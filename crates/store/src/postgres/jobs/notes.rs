//! Notes on the time line of a job.

use std::sync::Arc;

use sqlx::Row;
use sqlx::postgres::PgRow;

use model::{JobId, MAX_NOTES, Note, Timestamp};

use crate::StoreError;
use crate::postgres::engine::Engine;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;

pub(crate) const NOTES: &str = "SELECT noted_at, note FROM notes WHERE job_id = $1 ORDER BY number";

pub(crate) const LAST_NUMBER: &str =
    "SELECT (SELECT coalesce(max(number), 0) FROM notes WHERE job_id = $1) FROM jobs WHERE id = $1";

/// Another process may add a note to the same job at the same time.
pub(crate) const INSERT: &str = "INSERT INTO notes (job_id, number, noted_at, note) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (job_id, number) DO NOTHING";

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
        let note = |row: &PgRow| {
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

    async fn apply(&self, transaction: &mut Transaction) -> Result<Self::Answer, StoreError> {
        let added = add(transaction, self.id, &self.note).await?;
        Ok(added.ok_or(StoreError::NoJob(self.id)))
    }
}

/// Adds a note of the bridge itself, if there is room for it.
pub(crate) async fn add_if_room(
    transaction: &mut Transaction,
    id: JobId,
    note: &'static str,
) -> Result<(), StoreError> {
    if let Some(note) = Note::new(transaction.moment.calendar, note) {
        add(transaction, id, &note).await?;
    }
    Ok(())
}

/// Returns whether there was room for the note; `None` if the job does not exist.
async fn add(transaction: &mut Transaction, id: JobId, note: &Note) -> Result<Option<bool>, StoreError> {
    loop {
        let rows = transaction.read(sqlx::query(LAST_NUMBER).bind(id.as_uuid())).await?;
        let Some(last) = rows.first() else { return Ok(None) };
        let last: i64 = last.try_get(0)?;
        if last >= i64::from(MAX_NOTES) {
            return Ok(Some(false));
        }
        let insert = sqlx::query(INSERT)
            .bind(id.as_uuid())
            .bind(last + 1)
            .bind(note.noted_at.as_millis())
            .bind(&*note.text);
        if transaction.execute(insert).await? == 1 {
            return Ok(Some(true));
        }
    }
}
