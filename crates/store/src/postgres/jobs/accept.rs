//! Stores incoming requests. See [`decide`].
//!
//! A job of an ordered conversation gets the next place in its line ([`turns`]). Only the first one in the line is due.

use model::maps::{HashMap, HashSet};
use model::{JobId, RunningJob, StateName, Timestamp};
use uuid::Uuid;

use super::bodies::{self, Body};
use super::{keys, supersede, turns};
use crate::StoreError;
use crate::budget::{Budgets, signed};
use crate::commit::message::Accept;
use crate::jobs::accept::{NewRow, Place, Stored, conversations, decide, millis};
use crate::jobs::supersede::pairs;
use crate::jobs::turns::Conversation;
use crate::lanes::Lanes;
use crate::postgres::schedule::{Planned, Waits};
use crate::postgres::write::rows::column;
use crate::postgres::write::transaction::Transaction;
use crate::time::Moment;

pub(crate) const INSERT: &str = "INSERT INTO jobs (id, state, handler, account_id, origin, return_url, entity_type, \
     entity_id, received_at, waiting_since, answer_by, due_at, turn, coalesce_ms, lease_until, fence, superseded_by, \
     body_bytes) \
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], \
     $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], \
     $16::bigint[], $17::uuid[], $18::bigint[])";

/// Stores the new requests among `accepts` that `budgets` allow. The results are in the same order.
pub(crate) async fn apply(
    transaction: &mut Transaction,
    accepts: &mut [Box<Accept>],
    budgets: &Budgets,
    lanes: &Lanes<RunningJob>,
) -> Result<Vec<Stored>, StoreError> {
    if accepts.is_empty() {
        return Ok(Vec::new());
    }
    keys::find(transaction, accepts).await?;
    let moment = transaction.moment;
    let asked: HashSet<Conversation> = conversations(accepts).collect();
    let mut lines = turns::last_turns(transaction, asked.into_iter().collect()).await?;
    let (results, rows) = decide(accepts, budgets, lanes, moment.steady, &mut lines);
    if rows.is_empty() {
        return Ok(results);
    }
    keys::insert(transaction, rows.iter().map(|row| row.job).collect()).await?;
    supersede::older(transaction, &rows).await?;
    insert(transaction, &rows).await?;
    let data = |row| Body { id: id(row), kind: bodies::DATA, body: &row.data };
    bodies::insert(transaction, rows.iter().map(data).collect()).await?;
    rows.iter().for_each(|row| record(transaction, row, moment));
    // Each new message prolongs the wait for further ones.
    let gather = |place: Place| place.coalesce.map(|_| place.conversation);
    let gathering: HashSet<Conversation> =
        rows.into_iter().filter_map(|row| row.place.and_then(gather)).collect();
    for conversation in &gathering {
        turns::give(transaction, conversation).await?;
    }
    Ok(results)
}

fn id(row: &NewRow<'_>) -> Uuid {
    row.job.id.as_uuid()
}

async fn insert(transaction: &mut Transaction, rows: &[NewRow<'_>]) -> Result<(), StoreError> {
    let moment = transaction.moment;
    let urls = rows.iter().map(|row| (row.job.id, row.job.request.return_url.as_str()));
    let newer: HashMap<JobId, JobId> = pairs(urls).into_iter().collect();
    let mut rows: Vec<&NewRow<'_>> = rows.iter().collect();
    rows.sort_unstable_by_key(|row| row.job.id);
    let state = |row: &NewRow<'_>| match row.lease_until {
        Some(_) => StateName::Running,
        None => StateName::Queued,
    };
    let due_at = |row: &NewRow<'_>| match row.lease_until {
        Some(_) => None,
        None => row.due_at(moment).map(Timestamp::as_millis),
    };
    let coalesce = |place: &Place| place.coalesce.map(millis);
    let insert = sqlx::query(INSERT)
        .bind(column(&rows, |row| id(row)))
        .bind(column(&rows, |row| state(row).as_str()))
        .bind(column(&rows, |row| row.job.handler.as_str()))
        .bind(column(&rows, |row| row.job.request.account_id.0))
        .bind(column(&rows, |row| row.job.request.return_url.origin()))
        .bind(column(&rows, |row| row.job.request.return_url.as_str()))
        .bind(column(&rows, |row| row.job.request.entity.map(|entity| entity.kind.code())))
        .bind(column(&rows, |row| row.job.request.entity.map(|entity| entity.id)))
        .bind(column(&rows, |row| row.job.received_at.as_millis()))
        .bind(column(&rows, |row| moment.steady_at(row.job.received_at).as_millis()))
        .bind(column(&rows, |row| row.job.answer_by.as_millis()))
        .bind(column(&rows, |row| due_at(row)))
        .bind(column(&rows, |row| row.place.as_ref().map(|place| place.turn)))
        .bind(column(&rows, |row| row.place.as_ref().and_then(coalesce)))
        .bind(column(&rows, |row| row.lease_until.map(Timestamp::as_millis)))
        .bind(column(&rows, |row| i64::from(row.lease_until.is_some())))
        .bind(column(&rows, |row| newer.get(&row.job.id).map(|newer| newer.as_uuid())))
        .bind(column(&rows, |row| signed(row.data.len())));
    transaction.execute(insert).await?;
    Ok(())
}

/// Records a new job for the schedule and the lanes.
fn record(transaction: &mut Transaction, row: &NewRow<'_>, moment: Moment) {
    let NewRow { job, data, lease_until, .. } = row;
    let (handler, answer_by) = (job.handler.as_str(), job.answer_by);
    let waits = match *lease_until {
        Some(lease_until) => Waits::Running { handler: handler.into(), lease_until, answer_by },
        None => Waits::Queued { handler: handler.into(), due_at: row.due_at(moment), answer_by },
    };
    transaction.plan(job.id, Some(Planned { fence: i64::from(lease_until.is_some()), waits }));
    let post_commit = &mut transaction.post_commit;
    post_commit.bytes.accepted(job.request.account_id.0, signed(data.len()));
    if lease_until.is_some() {
        post_commit.count(StateName::Running, 1);
        return;
    }
    post_commit.count(StateName::Queued, 1);
    match row.due_at(moment) {
        Some(due_at) => post_commit.queued(handler, due_at, answer_by),
        None => post_commit.answer_by(answer_by),
    }
}
