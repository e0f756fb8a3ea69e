//! Joins the messages that a customer sent within seconds: the newest of them runs with the data of all, and the others
//! end with the status `superseded`.
//!
//! A worker's claim does this, in its transaction, so the joined input is fixed from the first attempt on: retries and
//! restarts see the same one. Messages that come later form the next job of the conversation.

use uuid::Uuid;

use model::{CheckedCompletion, RunningJob, StateName, Timestamp};

use super::row::claimed;
use super::turns;
use crate::StoreError;
use crate::budget::signed;
use crate::jobs::coalesce::{MAX_EARLIER_BYTES, array};
use crate::jobs::row::columns;
use crate::jobs::rows;
use crate::jobs::turns::Conversation;
use crate::sqlite::write::bind::{bind, execute};
use crate::sqlite::write::transaction::Transaction;

pub(crate) const DATA: &str = "SELECT data, origin FROM jobs WHERE id = ?";

/// Ends the waiting of a claimed job that has no other message.
pub(crate) const ALONE: &str = "UPDATE jobs SET coalesce_ms = NULL WHERE id = :id";

/// Answers a message that joins a later one.
pub(crate) const JOIN: &str = "UPDATE jobs SET state = 'delivering', due_at = :now, lease_until = NULL, fence = fence + 1, \
     turn = NULL, coalesce_ms = NULL, completion = :completion, outcome = 'handler', joined_into = :newest WHERE id = :id";

/// Claims the newest message, which runs with the data of all.
pub(crate) const NEWEST: &str = concat!(
    "UPDATE jobs SET state = 'running', due_at = NULL, lease_until = :lease_until, fence = fence + 1, \
     coalesce_ms = NULL, earlier_data = :earlier WHERE id = :id RETURNING ",
    columns!()
);

/// A message that joins another one.
struct Message {
    id: Uuid,
    data: String,
    origin: String,
}

/// Joins the messages of the conversation whose first one, `first`, was claimed just now. Returns the job that runs;
/// `None` if its row cannot be read.
pub(crate) fn join(
    transaction: &mut Transaction<'_>,
    first: RunningJob,
    lease_until: Timestamp,
) -> Result<Option<RunningJob>, StoreError> {
    let Some(conversation) = Conversation::of_running(&first) else { return Ok(Some(first)) };
    let mut gathered = messages(transaction, &conversation)?;
    let newest = gathered.pop().filter(|_| !gathered.is_empty());
    let Some(newest) = newest else {
        execute!(transaction, ALONE, { "id" => first.id.as_uuid() });
        return Ok(Some(first));
    };
    let superseded = CheckedCompletion::superseded();
    let now = transaction.moment.steady;
    for message in &gathered {
        execute!(transaction, JOIN, {
            "id" => message.id,
            "now" => now.as_millis(),
            "completion" => superseded.as_json(),
            "newest" => newest.id,
        });
        let is_first = message.id == first.id.as_uuid();
        let from = if is_first { StateName::Running } else { StateName::Queued };
        let post_commit = &mut transaction.post_commit;
        post_commit.moved(from, StateName::Delivering, 1);
        post_commit.undelivered(&message.origin, now);
    }
    let earlier = array(gathered.iter().map(|message| message.data.as_str()));
    let post_commit = &mut transaction.post_commit;
    post_commit.moved(StateName::Queued, StateName::Running, 1);
    post_commit.joined(&first.handler, gathered.len() as u64);
    let bytes = signed(earlier.len()) + signed(superseded.as_json().len() * gathered.len());
    post_commit.bytes.grew(first.request.account_id.0, bytes);
    let mut statement = transaction.prepare_cached(NEWEST)?;
    bind!(statement, NEWEST, {
        "id" => newest.id,
        "lease_until" => lease_until.as_millis(),
        "earlier" => &earlier,
    });
    Ok(claimed(statement.raw_query(), rows::running)?.jobs.pop())
}

/// Returns the messages to join, oldest first: those that have gathered, as far as the limit of bytes allows.
fn messages(transaction: &Transaction<'_>, conversation: &Conversation) -> Result<Vec<Message>, StoreError> {
    let (mut messages, mut bytes) = (Vec::new(), 0);
    for job in turns::gathered(transaction, conversation)? {
        let mut statement = transaction.prepare_cached(DATA)?;
        let message = statement
            .query_one([job.id], |row| Ok(Message { id: job.id, data: row.get(0)?, origin: row.get(1)? }))?;
        // The data of the newest message does not count: it stays where it is.
        if bytes > MAX_EARLIER_BYTES {
            break;
        }
        bytes += message.data.len() + 1;
        messages.push(message);
    }
    Ok(messages)
}
