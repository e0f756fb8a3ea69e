//! The lines of conversations: which job of an ordered conversation may run, and when.
//!
//! The jobs of one handler, account and entity that are not answered yet form a line, in order of receipt (`turn`). Only
//! the first one has a due time, so only that one can be claimed. A job leaves the line in the transaction that saves its
//! completion or cancels it, and the same transaction gives the turn to the next one. So no crash can come in between, and
//! no one polls.
//!
//! An overdue job is claimed for its fallback wherever it is in the line.

use sqlx::Postgres;
use sqlx::Row;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;

use model::{JobId, RunningJob, Timestamp, gathered_at};

use crate::StoreError;
use crate::jobs::accept::Lines;
use crate::jobs::turns::{self, Conversation, InLine, MAX_JOINED};
use crate::postgres::schedule::{Planned, Waits};
use crate::postgres::write::rows::column;
use crate::postgres::write::transaction::Transaction;

/// Reads the columns of a conversation: `handler, account_id, entity_type, entity_id`.
pub(crate) fn read(row: &PgRow) -> Result<Conversation, sqlx::Error> {
    Ok(Conversation {
        handler: row.try_get("handler")?,
        account_id: row.try_get("account_id")?,
        entity_type: row.try_get("entity_type")?,
        entity_id: row.try_get("entity_id")?,
    })
}

pub(crate) const LAST_TURNS: &str = "SELECT line.handler, line.account_id, line.entity_type, line.entity_id, \
     (SELECT jobs.turn FROM jobs WHERE jobs.handler = line.handler AND jobs.account_id = line.account_id \
     AND jobs.entity_type = line.entity_type AND jobs.entity_id = line.entity_id AND jobs.turn IS NOT NULL \
     ORDER BY jobs.turn DESC LIMIT 1) AS last \
     FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS line (handler, account_id, entity_type, entity_id)";

/// Returns the places of the last jobs in the lines that are not empty.
pub(crate) async fn last_turns(
    transaction: &mut Transaction,
    conversations: Vec<Conversation>,
) -> Result<Lines, StoreError> {
    let mut lines = Lines::new();
    if conversations.is_empty() {
        return Ok(lines);
    }
    let last = sqlx::query(LAST_TURNS)
        .bind(column(&conversations, |line| line.handler.as_str()))
        .bind(column(&conversations, |line| line.account_id))
        .bind(column(&conversations, |line| line.entity_type))
        .bind(column(&conversations, |line| line.entity_id));
    for row in transaction.read(last).await? {
        if let Some(last) = row.try_get("last")? {
            lines.insert(read(&row)?, last);
        }
    }
    Ok(lines)
}

/// Selects the first jobs of a line, without their bodies.
pub(crate) const LINE: &str = "SELECT id, state, due_at, coalesce_ms, waiting_since, answer_by FROM jobs \
     WHERE handler = $1 AND account_id = $2 AND entity_type = $3 AND entity_id = $4 AND turn IS NOT NULL \
     ORDER BY turn LIMIT $5";

/// Returns the first `limit` jobs of a line.
async fn line(
    transaction: &mut Transaction,
    conversation: &Conversation,
    limit: i64,
) -> Result<Vec<InLine>, StoreError> {
    let rows = transaction.read(in_line(LINE, conversation).bind(limit)).await?;
    let read = |row: &PgRow| -> Result<InLine, sqlx::Error> {
        let (due_at, coalesce_ms) = (row.try_get(2)?, row.try_get(3)?);
        Ok(InLine::new(
            row.try_get(0)?,
            row.try_get(1)?,
            due_at,
            coalesce_ms,
            row.try_get(4)?,
            row.try_get(5)?,
        ))
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

fn in_line(sql: &'static str, conversation: &Conversation) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(sql)
        .bind(conversation.handler.clone())
        .bind(conversation.account_id)
        .bind(conversation.entity_type)
        .bind(conversation.entity_id)
}

/// Returns the messages at the front of a line that wait for further ones.
pub(crate) async fn gathered(
    transaction: &mut Transaction,
    conversation: &Conversation,
) -> Result<Vec<InLine>, StoreError> {
    Ok(turns::gathered(line(transaction, conversation, MAX_JOINED).await?))
}

pub(crate) const GIVE_TURN: &str =
    "UPDATE jobs SET due_at = $2 WHERE id = $1 AND state = 'queued' RETURNING fence";

/// Gives the turn to the first job of the line, unless it has it. If that job waits for further messages, computes again
/// until when.
pub(crate) async fn give(
    transaction: &mut Transaction,
    conversation: &Conversation,
) -> Result<(), StoreError> {
    let first = line(transaction, conversation, 1).await?.pop();
    let Some(first) = first.filter(|first| first.is_queued) else { return Ok(()) };
    let due_at = match first.gathering {
        Some(gathering) => {
            let last = gathered(transaction, conversation).await?.pop().and_then(|last| last.gathering);
            gathered_at(gathering, last.unwrap_or(gathering))
        }
        None if first.due_at.is_none() => transaction.moment.steady,
        None => return Ok(()),
    };
    if first.due_at == Some(due_at.as_millis()) {
        return Ok(());
    }
    let give = sqlx::query(GIVE_TURN).bind(first.id).bind(due_at.as_millis());
    let Some(row) = transaction.change(give).await?.pop() else { return Ok(()) };
    let answer_by = Timestamp::from_millis(first.answer_by);
    let handler = conversation.handler.as_str();
    let waits = Waits::Queued { handler: handler.into(), due_at: Some(due_at), answer_by };
    let fence = row.try_get(0)?;
    transaction.plan(JobId::from_uuid(first.id), Some(Planned { fence, waits }));
    transaction.post_commit.queued(handler, due_at, answer_by);
    Ok(())
}

pub(crate) const HOLD_BACK: &str = "UPDATE jobs AS late SET due_at = NULL WHERE id = $1 AND state = 'queued' \
     AND EXISTS (SELECT 1 FROM jobs AS earlier WHERE earlier.handler = late.handler \
     AND earlier.account_id = late.account_id AND earlier.entity_type = late.entity_type \
     AND earlier.entity_id = late.entity_id AND earlier.turn < late.turn AND earlier.turn IS NOT NULL) RETURNING fence";

/// Makes a queued job wait for its turn if another one is before it: it was claimed for its fallback, but has not got it.
/// Returns whether it waits.
pub(crate) async fn hold_back(transaction: &mut Transaction, job: &RunningJob) -> Result<bool, StoreError> {
    let held = transaction.change(sqlx::query(HOLD_BACK).bind(job.id.as_uuid())).await?;
    let Some(row) = held.first() else { return Ok(false) };
    let (handler, answer_by) = (job.handler.as_str().into(), job.answer_by);
    let waits = Waits::Queued { handler, due_at: None, answer_by };
    let fence = row.try_get(0)?;
    transaction.plan(job.id, Some(Planned { fence, waits }));
    Ok(true)
}
