//! Joins the messages that a customer sent within seconds: the newest of them runs with the data of all, and the others
//! end with the status `superseded`.
//!
//! A worker's claim does this, in its transaction, so the joined input is fixed from the first attempt on: retries and
//! restarts see the same one. Messages that come later form the next job of the conversation.

use sqlx::Row;
use uuid::Uuid;

use model::{CheckedCompletion, RunningJob, StateName, Timestamp};

use super::bodies::{self, Body};
use super::plan::{self, planned};
use super::row::{readable, running};
use super::turns;
use crate::StoreError;
use crate::budget::signed;
use crate::jobs::coalesce::{MAX_EARLIER_BYTES, array};
use crate::jobs::rows;
use crate::jobs::turns::Conversation;
use crate::postgres::write::transaction::Transaction;

pub(crate) const DATA: &str = "SELECT jobs.id, jobs.origin, data.body FROM unnest($1::uuid[]) AS asked (id) \
     JOIN jobs ON jobs.id = asked.id JOIN job_bodies AS data ON data.id = asked.id AND data.kind = 0";

/// Ends the waiting of a claimed job that has no other message.
pub(crate) const ALONE: &str = "UPDATE jobs SET coalesce_ms = NULL WHERE id = $1";

/// Answers messages that join a later one.
pub(crate) const JOIN: &str = concat!(
    "UPDATE jobs SET state = 'delivering', due_at = $2, lease_until = NULL, fence = jobs.fence + 1, turn = NULL, \
     coalesce_ms = NULL, outcome = 'handler', joined_into = $3, body_bytes = jobs.body_bytes + $4 \
     FROM unnest($1::uuid[]) AS joined (id) WHERE jobs.id = joined.id RETURNING ",
    planned!()
);

/// Claims the newest message, which runs with the data of all.
pub(crate) const NEWEST: &str = concat!(
    "UPDATE jobs SET state = 'running', due_at = NULL, lease_until = $2, fence = jobs.fence + 1, coalesce_ms = NULL, \
     body_bytes = jobs.body_bytes + $3 WHERE jobs.id = $1 RETURNING ",
    running!()
);

/// A message that joins another one.
struct Message {
    id: Uuid,
    data: String,
    origin: String,
}

/// Joins the messages of the conversation whose first one, `first`, was claimed just now. Returns the job that runs;
/// `None` if its row cannot be read.
pub(crate) async fn join(
    transaction: &mut Transaction,
    first: RunningJob,
    lease_until: Timestamp,
) -> Result<Option<RunningJob>, StoreError> {
    let Some(conversation) = Conversation::of_running(&first) else { return Ok(Some(first)) };
    let mut gathered = messages(transaction, &conversation).await?;
    let newest = gathered.pop().filter(|_| !gathered.is_empty());
    let Some(newest) = newest else {
        transaction.execute(sqlx::query(ALONE).bind(first.id.as_uuid())).await?;
        return Ok(Some(first));
    };
    let superseded = CheckedCompletion::superseded();
    answer(transaction, &first, &gathered, &newest, superseded.as_json()).await?;
    let earlier = array(gathered.iter().map(|message| message.data.as_str()));
    let bytes = signed(earlier.len()) + signed(superseded.as_json().len() * gathered.len());
    let post_commit = &mut transaction.post_commit;
    post_commit.moved(StateName::Queued, StateName::Running, 1);
    post_commit.joined(&first.handler, gathered.len() as u64);
    post_commit.bytes.grew(first.request.account_id.0, bytes);
    let body = Body { id: newest.id, kind: bodies::EARLIER_DATA, body: &earlier };
    bodies::insert(transaction, vec![body]).await?;
    let claim = sqlx::query(NEWEST).bind(newest.id).bind(lease_until.as_millis()).bind(signed(earlier.len()));
    let rows = transaction.change(claim).await?;
    rows.iter().try_for_each(|row| plan::record(transaction, row))?;
    Ok(readable(&rows, rows::running).pop())
}

/// Ends the messages that join `newest` with the completion `superseded`.
async fn answer(
    transaction: &mut Transaction,
    first: &RunningJob,
    messages: &[Message],
    newest: &Message,
    superseded: &str,
) -> Result<(), StoreError> {
    let now = transaction.moment.steady;
    let mut ids: Vec<Uuid> = messages.iter().map(|message| message.id).collect();
    ids.sort_unstable();
    let completion = |id: &Uuid| Body { id: *id, kind: bodies::COMPLETION, body: superseded };
    bodies::insert(transaction, ids.iter().map(completion).collect()).await?;
    let join =
        sqlx::query(JOIN).bind(ids).bind(now.as_millis()).bind(newest.id).bind(signed(superseded.len()));
    let rows = transaction.change(join).await?;
    rows.iter().try_for_each(|row| plan::record(transaction, row))?;
    for message in messages {
        let is_first = message.id == first.id.as_uuid();
        let from = if is_first { StateName::Running } else { StateName::Queued };
        transaction.post_commit.moved(from, StateName::Delivering, 1);
        transaction.post_commit.undelivered(&message.origin, now);
    }
    Ok(())
}

/// Returns the messages to join, oldest first: those that have gathered, as far as the limit of bytes allows.
async fn messages(
    transaction: &mut Transaction,
    conversation: &Conversation,
) -> Result<Vec<Message>, StoreError> {
    let gathered = turns::gathered(transaction, conversation).await?;
    let ids: Vec<Uuid> = gathered.iter().map(|job| job.id).collect();
    let rows = transaction.read(sqlx::query(DATA).bind(&ids)).await?;
    let (mut messages, mut bytes) = (Vec::new(), 0);
    for id in ids {
        let Some(row) = rows.iter().find(|row| row.try_get(0).is_ok_and(|found: Uuid| found == id)) else {
            break;
        };
        // The data of the newest message does not count: it stays where it is.
        if bytes > MAX_EARLIER_BYTES {
            break;
        }
        let message = Message { id, origin: row.try_get(1)?, data: row.try_get(2)? };
        bytes += message.data.len() + 1;
        messages.push(message);
    }
    Ok(messages)
}
