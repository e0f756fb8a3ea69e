//! Counts the jobs that a filter matches, for the dry run of a bulk change.

use std::time::Duration;

use model::{Filter, Timestamp};

use super::walk::{ListReads, Selected, Walk};
use crate::{BulkAction, BulkPlan, StoreError};

/// About how many jobs one statement of a dry run reads, unless it has to read all unfinished ones.
const COUNTED_JOBS: i64 = 4_096;

/// Counts the jobs that `wanted` matches and that `action` may change. `now` is a moment of the steady clock, and `passed`
/// returns the time since the count began.
///
/// # Errors
/// `SlowFilter` if it takes longer than `within`.
pub(crate) async fn count(
    reads: &mut impl ListReads,
    wanted: &Filter,
    action: BulkAction,
    now: Timestamp,
    within: Duration,
    passed: &(dyn Fn() -> Duration + Send + Sync),
) -> Result<BulkPlan, StoreError> {
    // A dead job without its bodies has nothing to send.
    let have_bodies = action == BulkAction::Retry;
    let mut plan = BulkPlan::default();
    let mut walk = Walk::begin_to_count(reads, wanted, None).await?;
    while let Some(stretch) = walk.next(reads, COUNTED_JOBS).await? {
        let selected =
            Selected { source: walk.source(), filter: wanted, now, limit: u32::MAX, stretch: &stretch };
        for counted in reads.count(selected, have_bodies).await? {
            plan.jobs += counted.jobs;
            *plan.accounts.entry(counted.account_id).or_default() += counted.jobs;
            plan.oldest = plan.oldest.map_or(Some(counted.oldest), |known| Some(known.min(counted.oldest)));
            plan.newest = plan.newest.max(Some(counted.newest));
        }
        if stretch.is_last {
            break;
        }
        if passed() >= within {
            return Err(StoreError::SlowFilter);
        }
        if walk.is_void() {
            walk = Walk::begin_to_count(reads, wanted, stretch.oldest).await?;
        }
    }
    Ok(plan)
}
