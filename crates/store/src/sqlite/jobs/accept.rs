//! Stores incoming requests. See [`decide`].
//!
//! A job of an ordered conversation gets the next place in its line ([`turns`]). Only the first one in the line is due.

use model::maps::{Entry, HashSet};
use model::{NewJob, RunningJob, StateName, Timestamp};

use super::keys;
use super::turns;
use crate::StoreError;
use crate::budget::{Budgets, signed};
use crate::commit::message::Accept;
use crate::jobs::accept::{Key, Lines, NewRow, Place, Stored, conversations, decide, key, millis};
use crate::jobs::search::progress::SearchProgress;
use crate::jobs::turns::Conversation;
use crate::lanes::Lanes;
use crate::sqlite::jobs::search::index;
use crate::sqlite::jobs::supersede;
use crate::sqlite::write::insert::insert_row;
use crate::sqlite::write::known_keys::Keys;
use crate::sqlite::write::transaction::Transaction;
use crate::time::Moment;

insert_row! {
    pub(crate) const INSERT, fn bind_job(row: &NewRow<'_>, moment: Moment);
    let NewRow { job, data, lease_until, place } = row;
    let request = &job.request;
    let waiting = || (StateName::Queued, row.due_at(moment).map(Timestamp::as_millis));
    let (state, due_at) = if lease_until.is_some() { (StateName::Running, None) } else { waiting() };
    "INSERT INTO jobs" {
        "id" => job.id.as_uuid(),
        "state" => state.as_str(),
        "handler" => job.handler.as_str(),
        "account_id" => request.account_id.0,
        "origin" => request.return_url.origin(),
        "return_url" => request.return_url.as_str(),
        "entity_type" => request.entity.map(|entity| entity.kind.code()),
        "entity_id" => request.entity.map(|entity| entity.id),
        "data" => data.as_str(),
        "received_at" => job.received_at.as_millis(),
        "waiting_since" => moment.steady_at(job.received_at).as_millis(),
        "answer_by" => job.answer_by.as_millis(),
        "due_at" => due_at,
        "turn" => place.as_ref().map(|place| place.turn),
        "coalesce_ms" => place.as_ref().and_then(|place| place.coalesce).map(millis),
        "lease_until" => lease_until.map(Timestamp::as_millis),
        "fence" => i64::from(lease_until.is_some()),
    }
}

/// Finds which of `accepts` are already known.
pub(crate) fn find(
    transaction: &Transaction<'_>,
    accepts: &mut [Box<Accept>],
    keys: &Keys,
) -> Result<(), StoreError> {
    let asked: Vec<Key> = accepts.iter().map(|accept| key(&accept.job)).collect();
    let found = keys::find(keys, transaction, &asked)?;
    for (accept, known) in accepts.iter_mut().zip(found) {
        accept.known = known;
    }
    Ok(())
}

/// Stores the new requests among `accepts` that `budgets` allow. The results are in the same order.
pub(crate) fn apply(
    transaction: &mut Transaction<'_>,
    accepts: &[Box<Accept>],
    keys: &Keys,
    budgets: &Budgets,
    lanes: &Lanes<RunningJob>,
) -> Result<Vec<Stored>, StoreError> {
    let moment = transaction.moment;
    let mut lines = lines(transaction, accepts)?;
    let (results, rows) = decide(accepts, budgets, lanes, moment.steady, &mut lines);
    let new = accepts.iter().zip(&results).filter(|(_, stored)| matches!(stored, Stored::New(_)));
    keys::append(keys, transaction, new.map(|(accept, _)| (key(&accept.job), &accept.job)))?;

    let new: Vec<&NewJob> = rows.iter().map(|row| row.job).collect();
    supersede::older(transaction, &new)?;
    insert(transaction, &rows)?;
    supersede::within(transaction, &new)?;
    let post_commit = &mut transaction.post_commit;
    for row in &rows {
        let NewRow { job, data, lease_until, .. } = row;
        post_commit.bytes.accepted(job.request.account_id.0, signed(data.len()));
        if lease_until.is_some() {
            post_commit.count(StateName::Running, 1);
            continue;
        }
        post_commit.count(StateName::Queued, 1);
        match row.due_at(moment) {
            Some(due_at) => post_commit.queued(job.handler.as_str(), due_at, job.answer_by),
            None => post_commit.answer_by(job.answer_by),
        }
    }
    // Each new message prolongs the wait for further ones.
    let gather = |place: Place| place.coalesce.map(|_| place.conversation);
    let gathering: HashSet<Conversation> =
        rows.into_iter().filter_map(|row| row.place.and_then(gather)).collect();
    for conversation in &gathering {
        turns::give(transaction, conversation)?;
    }
    Ok(results)
}

/// Counts the new jobs among `accepts` for the search index, and corrects the index if one of them belongs before its end.
pub(crate) fn note_for_search(
    transaction: &Transaction<'_>,
    progress: &SearchProgress,
    accepts: &[Box<Accept>],
    stored: &[Stored],
) -> Result<(), StoreError> {
    let new = accepts.iter().zip(stored).filter(|(_, stored)| matches!(stored, Stored::New(_)));
    let ids = new.map(|(accept, _)| accept.job.id);
    progress.accepted(ids.clone().count());
    index::make_void(transaction, progress, ids)
}

/// Finds the last places in the lines of the ordered jobs among `accepts`.
fn lines(transaction: &Transaction<'_>, accepts: &[Box<Accept>]) -> Result<Lines, StoreError> {
    let mut lines = Lines::new();
    for conversation in conversations(accepts) {
        if let Entry::Vacant(entry) = lines.entry(conversation) {
            let last = turns::last_turn(transaction, entry.key())?;
            entry.insert(last);
        }
    }
    Ok(lines)
}

fn insert(transaction: &Transaction<'_>, rows: &[NewRow<'_>]) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(INSERT)?;
    for row in rows {
        bind_job(row, transaction.moment, &mut statement)?;
        statement.raw_execute()?;
    }
    Ok(())
}
