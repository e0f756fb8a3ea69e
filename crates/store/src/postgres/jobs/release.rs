//! Releases deliveries: when Kommo accepts calls for an account again, the jobs that waited only for that are due at
//! once.
//!
//! Only the owner of the store sends, so only the owner releases. It finds the deliveries in its schedule.

use std::sync::Arc;

use sqlx::Row;
use uuid::Uuid;

use model::{JobId, Timestamp};

use crate::StoreError;
use crate::jobs::release::next_part;
use crate::postgres::engine::Engine;
use crate::postgres::schedule::{Waits, rank};
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;

/// How many deliveries one transaction examines, so that no request waits for all of them.
const MAX_RELEASED_TOGETHER: usize = 256;

/// Which deliveries to release.
#[derive(Clone, Copy, Debug)]
enum Released {
    /// Those that Kommo refused because of their account.
    Refused,
    /// Those that failed, if only an outage since then delays them; all of them that were not refused since they fail if it
    /// is `None`.
    Failed(Option<Timestamp>),
}

impl Released {
    /// Their rank in the schedule.
    const fn rank(self) -> u8 {
        match self {
            Self::Refused => rank(false, true),
            Self::Failed(_) => rank(true, false),
        }
    }

    /// When such a delivery is due if it is released at `now`.
    fn due_at(self, waiting_since: Timestamp, now: Timestamp) -> Timestamp {
        match self {
            Self::Refused => now,
            Self::Failed(_) => waiting_since.min(now),
        }
    }
}

impl Engine {
    pub(crate) async fn release_refused(&self, origin: Arc<str>) -> Result<u64, StoreError> {
        self.release(origin, Released::Refused, MAX_RELEASED_TOGETHER).await
    }

    pub(crate) async fn release_failed(
        &self,
        origin: Arc<str>,
        since: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        self.release_failed_in_parts(origin, since, MAX_RELEASED_TOGETHER).await
    }

    /// Examines `limit` deliveries per transaction.
    pub(crate) async fn release_failed_in_parts(
        &self,
        origin: Arc<str>,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Result<u64, StoreError> {
        self.release(origin, Released::Failed(since), limit).await
    }

    async fn release(&self, origin: Arc<str>, which: Released, limit: usize) -> Result<u64, StoreError> {
        let now = self.moment().steady;
        let (mut released, mut after) = (0, Some(now));
        while let Some(from) = after {
            let origin = origin.clone();
            let part = self.execute(Release { origin, which, now, after: from, limit }).await?;
            (released, after) = (released + part.released, part.after);
        }
        Ok(released)
    }
}

/// Makes deliveries due. The WHERE holds the key and the fencing number, which stays the same.
pub(crate) const RELEASE: &str = "UPDATE jobs SET due_at = $3 FROM unnest($1::uuid[], $2::bigint[]) AS chosen (id, fence) \
     WHERE jobs.id = chosen.id AND jobs.fence = chosen.fence RETURNING jobs.id";

/// Makes those of the deliveries due that only an outage since `$4` delays.
///
/// A job is due since its request came, not since now: then jobs go out in the order of their age, and a claim that looks
/// for young ones among those due in the last minute does not read past a whole outage.
pub(crate) const RELEASE_FAILED: &str = "UPDATE jobs SET due_at = least(waiting_since, $3) \
     FROM unnest($1::uuid[], $2::bigint[]) AS chosen (id, fence) WHERE jobs.id = chosen.id AND jobs.fence = chosen.fence \
     AND coalesce(failing_since > $4 AND coalesce(refused_at < failing_since, true), false) RETURNING jobs.id";

/// Deliveries of the schedule.
struct Found {
    ids: Vec<Uuid>,
    fences: Vec<i64>,
    /// When the last one is due; `None` if it is the last one of all.
    last: Option<Timestamp>,
}

/// Finds deliveries to `origin` of this rank that are due after `after`, those due first.
fn find(transaction: &mut Transaction, origin: &str, rank: u8, after: Timestamp, limit: usize) -> Found {
    let none = Found { ids: Vec::new(), fences: Vec::new(), last: None };
    let Some(schedule) = transaction.schedule() else { return none };
    let due = schedule.deliveries_due_after(origin, rank, after, limit);
    let last = due.last().filter(|_| due.len() == limit).map(|(_, due_at)| *due_at);
    let fence = |(id, _): (JobId, Timestamp)| Some((id.as_uuid(), schedule.get(id)?.fence));
    let mut chosen: Vec<(Uuid, i64)> = due.into_iter().filter_map(fence).collect();
    // Two processes that change the same jobs lock them in the same order.
    chosen.sort_unstable();
    let (ids, fences) = chosen.into_iter().unzip();
    Found { ids, fences, last }
}

/// Makes deliveries to one origin due, among the next `limit` that are due after `after`.
struct Release {
    origin: Arc<str>,
    which: Released,
    /// The same for all parts of one release, so that no part examines what an earlier one has released.
    now: Timestamp,
    after: Timestamp,
    limit: usize,
}

/// The result of [`Release`].
struct ReleasedPart {
    released: u64,
    /// Where the next part begins; `None` if this was the last.
    after: Option<Timestamp>,
}

impl Command for Release {
    type Answer = ReleasedPart;

    async fn apply(&self, transaction: &mut Transaction) -> Result<ReleasedPart, StoreError> {
        let Self { origin, which, now, after, limit } = self;
        let Found { ids, fences, last } = find(transaction, origin, which.rank(), *after, *limit);
        if ids.is_empty() {
            return Ok(ReleasedPart { released: 0, after: None });
        }
        let update = match which {
            Released::Refused => sqlx::query(RELEASE).bind(ids).bind(fences).bind(now.as_millis()),
            Released::Failed(since) => sqlx::query(RELEASE_FAILED)
                .bind(ids)
                .bind(fences)
                .bind(now.as_millis())
                .bind(since.map_or(i64::MIN, Timestamp::as_millis)),
        };
        let rows = transaction.change(update).await?;
        for row in &rows {
            self.plan(transaction, JobId::from_uuid(row.try_get(0)?));
        }
        let released = rows.len() as u64;
        if released > 0 {
            transaction.post_commit.undelivered(origin, *now);
        }
        let after = last.map(|due_at| next_part(due_at, *after, released > 0));
        Ok(ReleasedPart { released, after })
    }
}

impl Release {
    fn plan(&self, transaction: &mut Transaction, id: JobId) {
        let Some(schedule) = transaction.schedule() else { return };
        let Some(mut planned) = schedule.get(id).cloned() else { return };
        if let Waits::Delivering { due_at, waiting_since, .. } = &mut planned.waits {
            *due_at = self.which.due_at(*waiting_since, self.now);
        }
        transaction.plan(id, Some(planned));
    }
}
