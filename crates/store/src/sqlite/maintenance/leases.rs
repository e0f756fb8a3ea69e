//! Frees claims with an expired lease.

use model::{StateName, Timestamp};

use crate::StoreError;
use crate::jobs::turns::Conversation;
use crate::sqlite::jobs::turns;
use crate::sqlite::jobs::work_claims::count;
use crate::sqlite::write::bind::query;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;

pub(crate) const FREE_RUNNING: &str = "UPDATE jobs \
     SET state = 'queued', due_at = CASE WHEN turn IS NULL THEN :now END, lease_until = NULL, fence = fence + 1, crashes = crashes + 1, \
     last_error = 'the process ended, or lost its lease, while the handler ran' \
     WHERE lease_until <= :until AND state = 'running' RETURNING handler, answer_by, turn IS NOT NULL, handler, account_id, entity_type, entity_id";
pub(crate) const FREE_DELIVERING: &str = "UPDATE jobs \
     SET due_at = :now, lease_until = NULL, fence = fence + 1, answer_lost = 1, tried = 1 \
     WHERE lease_until <= :until AND state = 'delivering' RETURNING origin";

/// Frees claims with an expired lease, or at start all claims, because their owner is dead. Answers with their number.
///
/// No attempt is charged, but a running job counts a crash. A delivery that was under way may have arrived.
pub(crate) struct FreeLeases {
    /// Frees the leases that end at this moment or earlier; `None` frees all.
    pub(crate) until: Option<Timestamp>,
    /// When the jobs are due again.
    pub(crate) now: Timestamp,
}

impl Command for FreeLeases {
    type Answer = u64;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let until = self.until.map_or(i64::MAX, Timestamp::as_millis);
        let now = self.now.as_millis();
        let ran: Vec<(String, i64, Option<Conversation>)> = query!(transaction, FREE_RUNNING, {
            "now" => now,
            "until" => until,
        }, |row| {
            let is_in_line: bool = row.get(2)?;
            let line = is_in_line.then(|| turns::read(row, 3)).transpose()?;
            Ok((row.get(0)?, row.get(1)?, line))
        });
        let sent: Vec<String> = query!(transaction, FREE_DELIVERING, {
            "now" => now,
            "until" => until,
        }, |row| row.get(0));
        let post_commit = &mut transaction.post_commit;
        for (handler, answer_by, line) in &ran {
            let answer_by = Timestamp::from_millis(*answer_by);
            match line {
                None => post_commit.queued(handler, self.now, answer_by),
                Some(_) => post_commit.answer_by(answer_by),
            }
        }
        post_commit.moved(StateName::Running, StateName::Queued, count(ran.len()));
        for origin in &sent {
            post_commit.undelivered(origin, self.now);
        }
        for conversation in ran.iter().filter_map(|(.., line)| line.as_ref()) {
            turns::give(transaction, conversation)?;
        }
        Ok((ran.len() + sent.len()) as u64)
    }
}
