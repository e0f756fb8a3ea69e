//! Finds and stores idempotency keys, by which the store recognizes repeated requests.
//!
//! The guarantee: a key is known from the commit of its job until its token expires, but no longer. A token has expired
//! when both the calendar and the service time say so: setting the calendar forward and back must not create a second job.
//!
//! A key is in the partition of the day in which its token expires. That follows from the token alone, so each repetition
//! finds it there.

use std::time::Duration;

use sqlx::Row;

use model::{JobId, NewJob};

use crate::commit::message::Accept;
use crate::postgres::schema::partitions;
use crate::postgres::write::rows::column;
use crate::postgres::write::text::storable;
use crate::postgres::write::transaction::Transaction;
use crate::{Cause, StoreError};

pub(crate) const KNOWN: &str = "SELECT asked.place, known.job_id \
     FROM unnest($1::bigint[], $2::bigint[], $3::text[]) WITH ORDINALITY AS asked (bucket, account_id, key, place) \
     JOIN idempotency_keys AS known ON known.bucket = asked.bucket AND known.account_id = asked.account_id \
     AND known.key = asked.key WHERE known.expires_at >= $4 OR known.expires_service_at >= $5";

/// Takes the place of a key that has expired.
pub(crate) const INSERT: &str = "INSERT INTO idempotency_keys AS known \
     (bucket, account_id, key, job_id, expires_at, expires_service_at) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::uuid[], $5::bigint[], $6::bigint[]) \
     ON CONFLICT (bucket, account_id, key) DO UPDATE SET job_id = excluded.job_id, expires_at = excluded.expires_at, \
     expires_service_at = excluded.expires_service_at WHERE known.expires_at < $7 AND known.expires_service_at < $8";

/// The bucket of a job's key.
fn bucket(job: &NewJob) -> i64 {
    partitions::bucket(job.token_expires_at)
}

/// Finds which of `accepts` are already known.
pub(crate) async fn find(
    transaction: &mut Transaction,
    accepts: &mut [Box<Accept>],
) -> Result<(), StoreError> {
    let now = transaction.moment.cutoff(Duration::ZERO);
    let known = sqlx::query(KNOWN)
        .bind(column(accepts, |accept| bucket(&accept.job)))
        .bind(column(accepts, |accept| accept.job.request.account_id.0))
        .bind(column(accepts, |accept| storable(&accept.job.idempotency_key).into_owned()))
        .bind(now.calendar.as_millis())
        .bind(now.service.as_millis());
    let known = transaction.read(known).await?;
    accepts.iter_mut().for_each(|accept| accept.known = None);
    for row in known {
        let place: i64 = row.try_get(0)?;
        let accept = usize::try_from(place - 1).ok().and_then(|place| accepts.get_mut(place));
        if let Some(accept) = accept {
            accept.known = Some(JobId::from_uuid(row.try_get(1)?));
        }
    }
    Ok(())
}

/// Stores the keys of `jobs`, none of which was known.
///
/// # Errors
/// [`StoreError::Contended`] if another process has stored one of them in the meantime. The next transaction finds it.
pub(crate) async fn insert(transaction: &mut Transaction, mut jobs: Vec<&NewJob>) -> Result<(), StoreError> {
    if jobs.is_empty() {
        return Ok(());
    }
    jobs.sort_unstable_by_key(|job| (bucket(job), job.request.account_id, &job.idempotency_key));
    let moment = transaction.moment;
    let now = moment.cutoff(Duration::ZERO);
    let insert = sqlx::query(INSERT)
        .bind(column(&jobs, |job| bucket(job)))
        .bind(column(&jobs, |job| job.request.account_id.0))
        .bind(column(&jobs, |job| storable(&job.idempotency_key)))
        .bind(column(&jobs, |job| job.id.as_uuid()))
        .bind(column(&jobs, |job| job.token_expires_at.as_millis()))
        .bind(column(&jobs, |job| moment.service_at(job.token_expires_at).as_millis()))
        .bind(now.calendar.as_millis())
        .bind(now.service.as_millis());
    let inserted = transaction.execute(insert).await?;
    if inserted < jobs.len() as u64 {
        return Err(StoreError::Contended(Cause::of("another process stores the same request")));
    }
    Ok(())
}
