//! Gives the turns that changes by several processes at once have left out.
//!
//! A command beside the owner cancels or completes the first job of a line, and gives the turn to the next one that it sees.
//! If the owner accepts a job of the same conversation at the same time, or gives the turn to a job that the command
//! cancels, neither transaction has seen the other's change. So the owner looks again at the lines of the jobs that others
//! have changed. By then it sees both changes.

use uuid::Uuid;

use model::JobId;

use super::turns;
use crate::StoreError;
use crate::jobs::turns::Conversation;
use crate::postgres::write::transaction::Transaction;

/// Selects the conversations of some jobs in which a job waits for its turn.
pub(crate) const LINES: &str = "SELECT DISTINCT changed.handler, changed.account_id, changed.entity_type, changed.entity_id \
     FROM unnest($1::uuid[]) AS asked (id) JOIN jobs AS changed ON changed.id = asked.id \
     WHERE changed.entity_id IS NOT NULL AND (SELECT waits.id FROM jobs AS waits WHERE waits.handler = changed.handler \
     AND waits.account_id = changed.account_id AND waits.entity_type = changed.entity_type \
     AND waits.entity_id = changed.entity_id AND waits.turn IS NOT NULL AND waits.due_at IS NULL LIMIT 1) IS NOT NULL";

/// The number of jobs whose lines one statement looks at. The time limit of a statement must suffice for it.
const CHUNK: usize = 1_000;

/// Gives the turn in the lines of these jobs, where the first job does not have it.
pub(crate) async fn give(transaction: &mut Transaction, changed: &[JobId]) -> Result<(), StoreError> {
    for some in changed.chunks(CHUNK) {
        let ids: Vec<Uuid> = some.iter().map(|id| id.as_uuid()).collect();
        let rows = transaction.read(sqlx::query(LINES).bind(ids)).await?;
        let lines: Vec<Conversation> = rows.iter().map(turns::read).collect::<Result<_, _>>()?;
        for conversation in &lines {
            turns::give(transaction, conversation).await?;
        }
    }
    Ok(())
}
