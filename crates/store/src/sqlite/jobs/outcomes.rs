//! How recent jobs turned out: how many bots got their handler's answer, and why the others got the fallback.

use sqlx::Row;

use model::{FallbackReason, HandlerName, JobId, Timestamp, UnknownFallbackReason};

use crate::{Store, StoreError};

/// The most jobs that are looked at: the newest. So a look costs the same however many there are.
pub(crate) const SAMPLE: u32 = 10_000;

/// How jobs turned out that were received since some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecentOutcomes {
    /// Jobs that have a completion.
    pub jobs: u64,
    /// Those of them whose completion is the fallback, by handler and reason, the most first.
    pub fallbacks: Vec<FallbackCount>,
    /// Whether only the newest jobs of that time were looked at, because there are so many.
    pub is_sample: bool,
}

/// The fallbacks of one handler for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackCount {
    /// The handler.
    pub handler: HandlerName,
    /// Why.
    pub reason: FallbackReason,
    /// How many.
    pub jobs: u64,
}

impl RecentOutcomes {
    /// How many bots get the fallback.
    pub fn fallen_back(&self) -> u64 {
        self.fallbacks.iter().map(|count| count.jobs).sum()
    }

    /// Their share of the jobs, from 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "a sample has thousands of jobs, not 2^52")]
    pub fn share(&self) -> f64 {
        self.fallen_back() as f64 / self.jobs.max(1) as f64
    }
}

impl Store {
    /// Looks at the jobs that were received since `since`, at most the newest 10,000.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn recent_outcomes(&self, since: Timestamp) -> Result<RecentOutcomes, StoreError> {
        let rows = sqlx::query(RECENT)
            .bind(JobId::new(since, 0).as_uuid())
            .bind(SAMPLE)
            .fetch_all(&self.0.reading)
            .await?;
        let (mut seen, mut outcomes) = (0, RecentOutcomes::default());
        for row in rows {
            let (handler, outcome, reason, jobs): (&str, Option<&str>, Option<&str>, i64) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            let jobs = jobs.unsigned_abs();
            seen += jobs;
            outcomes.jobs += if outcome.is_some() { jobs } else { 0 };
            let Some(reason) = reason else { continue };
            let corrupt =
                |column, why: String| StoreError::Corrupt { table: "jobs", column, id: "?".into(), why };
            outcomes.fallbacks.push(FallbackCount {
                handler: handler
                    .parse()
                    .map_err(|_| corrupt("handler", format!("`{handler}` is not a name")))?,
                reason: reason
                    .parse()
                    .map_err(|error: UnknownFallbackReason| corrupt("fallback_reason", error.to_string()))?,
                jobs,
            });
        }
        outcomes.fallbacks.sort_by_key(|count| std::cmp::Reverse(count.jobs));
        outcomes.is_sample = seen >= u64::from(SAMPLE);
        Ok(outcomes)
    }
}

/// Ids begin with the time of receipt, so this walks the newest rows of the table and no others.
pub(crate) const RECENT: &str = "SELECT handler, outcome, fallback_reason, count(*) FROM ( \
     SELECT handler, outcome, fallback_reason FROM jobs WHERE id >= ?1 ORDER BY id DESC LIMIT 0 + ?2) \
     GROUP BY handler, outcome, fallback_reason";
