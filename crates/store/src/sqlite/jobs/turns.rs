//! The lines of conversations: which job of an ordered conversation may run, and when.
//!
//! The jobs of one handler, account and entity that are not answered yet form a line, in order of receipt (`turn`). Only
//! the first one has a due time, so only that one can be claimed, and the others cost no claim anything. A job leaves the
//! line in the transaction that saves its completion or cancels it, and the same transaction gives the turn to the next
//! one. So no crash can come in between, and no one polls.
//!
//! An overdue job is claimed for its fallback wherever it is in the line.

use rusqlite::Row;

use model::{JobId, RunningJob, Timestamp, gathered_at};

use crate::StoreError;
use crate::jobs::turns::{self, Conversation, InLine, MAX_JOINED};
use crate::sqlite::write::bind::{bind, execute, query};
use crate::sqlite::write::transaction::Transaction;

/// Reads the four columns of a conversation, from `first` on: `handler, account_id, entity_type, entity_id`.
pub(crate) fn read(row: &Row<'_>, first: usize) -> Result<Conversation, rusqlite::Error> {
    Ok(Conversation {
        handler: row.get(first)?,
        account_id: row.get(first + 1)?,
        entity_type: row.get(first + 2)?,
        entity_id: row.get(first + 3)?,
    })
}

pub(crate) const OF: &str =
    "SELECT handler, account_id, entity_type, entity_id FROM jobs WHERE id = :id AND turn IS NOT NULL";

/// Returns the conversation in whose line the job `id` is; `None` if it is in none.
pub(crate) fn of(transaction: &Transaction<'_>, id: JobId) -> Result<Option<Conversation>, StoreError> {
    Ok(query!(transaction, OF, { "id" => id.as_uuid() }, |row| read(row, 0)).pop())
}

pub(crate) const LAST_TURN: &str = "SELECT max(turn) FROM jobs WHERE handler = :handler AND account_id = :account_id \
     AND entity_type = :entity_type AND entity_id = :entity_id AND turn IS NOT NULL";

/// Returns the place of the last job in the line; 0 if the line is empty.
pub(crate) fn last_turn(
    transaction: &Transaction<'_>,
    conversation: &Conversation,
) -> Result<i64, StoreError> {
    let mut statement = transaction.prepare_cached(LAST_TURN)?;
    bind!(statement, LAST_TURN, {
        "handler" => &conversation.handler,
        "account_id" => conversation.account_id,
        "entity_type" => conversation.entity_type,
        "entity_id" => conversation.entity_id,
    });
    let last = statement.raw_query().next()?.map(|row| row.get::<_, Option<i64>>(0)).transpose()?;
    Ok(last.flatten().unwrap_or(0))
}

/// Selects the first jobs of a line, without their bodies.
pub(crate) const LINE: &str = "SELECT id, state, due_at, coalesce_ms, waiting_since, answer_by FROM jobs \
     WHERE handler = :handler AND account_id = :account_id AND entity_type = :entity_type AND entity_id = :entity_id \
     AND turn IS NOT NULL ORDER BY turn LIMIT 0 + :limit";

fn read_in_line(row: &Row<'_>) -> Result<InLine, rusqlite::Error> {
    let state = row.get_ref(1)?;
    Ok(InLine::new(row.get(0)?, state.as_str()?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

/// Returns the first `limit` jobs of a line.
fn line(
    transaction: &Transaction<'_>,
    conversation: &Conversation,
    limit: i64,
) -> Result<Vec<InLine>, StoreError> {
    Ok(query!(transaction, LINE, {
        "handler" => &conversation.handler,
        "account_id" => conversation.account_id,
        "entity_type" => conversation.entity_type,
        "entity_id" => conversation.entity_id,
        "limit" => limit,
    }, read_in_line))
}

/// Returns the messages at the front of a line that wait for further ones.
pub(crate) fn gathered(
    transaction: &Transaction<'_>,
    conversation: &Conversation,
) -> Result<Vec<InLine>, StoreError> {
    Ok(turns::gathered(line(transaction, conversation, MAX_JOINED)?))
}

pub(crate) const GIVE_TURN: &str = "UPDATE jobs SET due_at = :due_at WHERE id = :id AND state = 'queued'";

/// Gives the turn to the first job of the line, unless it has it. If that job waits for further messages, computes again
/// until when.
pub(crate) fn give(transaction: &mut Transaction<'_>, conversation: &Conversation) -> Result<(), StoreError> {
    let Some(first) = line(transaction, conversation, 1)?.pop().filter(|first| first.is_queued) else {
        return Ok(());
    };
    let due_at = match first.gathering {
        Some(gathering) => {
            let last = gathered(transaction, conversation)?.pop().and_then(|last| last.gathering);
            gathered_at(gathering, last.unwrap_or(gathering))
        }
        None if first.due_at.is_none() => transaction.moment.steady,
        None => return Ok(()),
    };
    if first.due_at != Some(due_at.as_millis()) {
        execute!(transaction, GIVE_TURN, { "id" => first.id, "due_at" => due_at.as_millis() });
        let answer_by = Timestamp::from_millis(first.answer_by);
        transaction.post_commit.queued(&conversation.handler, due_at, answer_by);
    }
    Ok(())
}

pub(crate) const HOLD_BACK: &str = "UPDATE jobs AS late SET due_at = NULL WHERE id = :id AND state = 'queued' \
     AND EXISTS (SELECT 1 FROM jobs AS earlier WHERE earlier.handler = late.handler \
     AND earlier.account_id = late.account_id AND earlier.entity_type = late.entity_type \
     AND earlier.entity_id = late.entity_id AND earlier.turn < late.turn)";

/// Makes a queued job wait for its turn if another one is before it: it was claimed for its fallback, but has not got it.
/// Returns whether it waits.
pub(crate) fn hold_back(transaction: &Transaction<'_>, job: &RunningJob) -> Result<bool, StoreError> {
    Ok(execute!(transaction, HOLD_BACK, { "id" => job.id.as_uuid() }) > 0)
}

/// Removes a claimed job from its line. It is a statement of its own, before the one that writes the report, so that
/// the report of a job that is not ordered does not have to look at the index of the lines.
pub(crate) const LEAVE: &str = "UPDATE jobs SET turn = NULL, coalesce_ms = NULL \
     WHERE id = :id AND fence = :fence AND state = 'running'";

/// Removes `job` from its line, unless its claim is old.
pub(crate) fn leave(transaction: &Transaction<'_>, job: &RunningJob) -> Result<(), StoreError> {
    execute!(transaction, LEAVE, { "id" => job.id.as_uuid(), "fence" => job.fence.0 });
    Ok(())
}
