//! What a person does to a job: retry a dead letter, cancel what is unfinished.

use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use uuid::Uuid;

use crate::model::{HandlerName, JobId, StateName, Timestamp};

use super::account_bytes::body_bytes;
use super::effects::Effects;
use super::request::Request;
use super::{Store, StoreError, upkeep};

impl Store {
    /// Delivers a dead letter again.
    ///
    /// # Errors
    /// There is no such job, it is not dead, or the store cannot be written.
    pub async fn retry(&self, id: JobId) -> Result<(), StoreError> {
        self.ask(Retry { id, now: self.clock().now() }).await?
    }

    /// Delivers all dead letters again, or those of one handler; says how many. A job that dies again
    /// in the meantime is not taken a second time.
    ///
    /// # Errors
    /// The store cannot be written; some may be under way.
    pub async fn retry_dead(&self, handler: Option<HandlerName>) -> Result<u64, StoreError> {
        let (mut retried, mut after) = (0, None);
        loop {
            let now = self.clock().now();
            let request = RetryDead { handler: handler.clone(), after, limit: upkeep::CHUNK, now };
            let some = self.ask(request).await?;
            retried += some.jobs;
            after = some.last;
            if after.is_none() {
                return Ok(retried);
            }
        }
    }

    /// Cancels an unfinished job. A handler that runs is not stopped, but its result is dropped.
    ///
    /// # Errors
    /// There is no such job, it is finished, or the store cannot be written.
    pub async fn cancel(&self, id: JobId) -> Result<(), StoreError> {
        self.ask(Cancel { id, now: self.clock().now(), why: None }).await?
    }
}

/// `dead → delivering`: the same completion again, with a new time budget. When Kommo refused it stays known: many that were
/// refused for their own sake would each pause their account again.
pub(super) fn retry(which: &str) -> String {
    format!(
        "UPDATE jobs SET state = 'delivering', due_at = ?1, finished_at = NULL, failures = 0, \
         failing_since = NULL, fence = fence + 1 WHERE state = 'dead' AND {which} \
         RETURNING origin, id, account_id, {}",
        body_bytes!()
    )
}

pub(super) const DEAD: &str = "id IN (SELECT id FROM jobs WHERE state = 'dead' AND id > ?4 \
     AND (?2 IS NULL OR handler = ?2) ORDER BY id LIMIT ?3)";

/// Delivers one dead letter again.
pub(super) struct Retry {
    pub(super) id: JobId,
    pub(super) now: Timestamp,
}

impl Request for Retry {
    type Answer = Result<(), StoreError>;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        effects: &mut Effects,
    ) -> Result<Self::Answer, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(retry("id = ?2")))
            .bind(self.now.as_millis())
            .bind(self.id.as_uuid())
            .fetch_all(&mut *connection)
            .await?;
        let Some(row) = rows.first() else {
            return Ok(Err(refused(connection, self.id, "only a dead job can be retried").await?));
        };
        effects.moved(StateName::Dead, StateName::Delivering, 1);
        effects.undelivered(row.try_get(0)?, self.now);
        effects.bytes.revived(row.try_get(2)?, row.try_get(3)?);
        Ok(Ok(()))
    }
}

/// Delivers dead letters again, oldest first, up to a number per transaction.
///
/// Each goes on behind the last one: a job that dies again meanwhile is not retried for ever.
pub(super) struct RetryDead {
    pub(super) handler: Option<HandlerName>,
    pub(super) after: Option<JobId>,
    pub(super) limit: i64,
    pub(super) now: Timestamp,
}

/// What one transaction of [`RetryDead`] did.
pub(super) struct Retried {
    pub(super) jobs: u64,
    /// The last of them; `None` if there was none.
    pub(super) last: Option<JobId>,
}

impl Request for RetryDead {
    type Answer = Retried;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        effects: &mut Effects,
    ) -> Result<Retried, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(retry(DEAD)))
            .bind(self.now.as_millis())
            .bind(self.handler.as_ref().map(HandlerName::as_str))
            .bind(self.limit)
            .bind(self.after.map_or(Uuid::nil(), JobId::as_uuid))
            .fetch_all(connection)
            .await?;
        let mut last = None;
        for row in &rows {
            effects.undelivered(row.try_get(0)?, self.now);
            effects.bytes.revived(row.try_get(2)?, row.try_get(3)?);
            last = last.max(Some(JobId::from_uuid(row.try_get(1)?)));
        }
        effects.moved(StateName::Dead, StateName::Delivering, i64::try_from(rows.len()).unwrap_or(i64::MAX));
        Ok(Retried { jobs: rows.len() as u64, last })
    }
}

pub(super) const CANCEL: &str = concat!(
    "UPDATE jobs SET state = 'cancelled', finished_at = ?, due_at = NULL, lease_until = NULL, \
     last_error = coalesce(?, last_error), fence = fence + 1 WHERE id = ? AND state = ? RETURNING account_id, ",
    body_bytes!()
);

/// `any unfinished → cancelled`. The raised fencing number voids whatever claim there is.
pub(super) struct Cancel {
    pub(super) id: JobId,
    pub(super) now: Timestamp,
    /// Why, as the job's last error; `None` keeps what went wrong before.
    pub(super) why: Option<&'static str>,
}

impl Request for Cancel {
    type Answer = Result<(), StoreError>;

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        effects: &mut Effects,
    ) -> Result<Self::Answer, StoreError> {
        let Some(state) = state_of(connection, self.id).await? else {
            return Ok(Err(StoreError::NoJob(self.id)));
        };
        if state.is_finished() {
            let allowed = "only an unfinished job can be cancelled";
            return Ok(Err(StoreError::WrongState { id: self.id, state, allowed }));
        }
        let rows = sqlx::query(CANCEL)
            .bind(self.now.as_millis())
            .bind(self.why)
            .bind(self.id.as_uuid())
            .bind(state.as_str())
            .fetch_all(connection)
            .await?;
        for row in &rows {
            effects.bytes.finished(row.try_get(0)?, row.try_get(1)?);
        }
        effects.moved(state, StateName::Cancelled, 1);
        Ok(Ok(()))
    }
}

async fn refused(
    connection: &mut SqliteConnection,
    id: JobId,
    allowed: &'static str,
) -> Result<StoreError, StoreError> {
    let state = state_of(connection, id).await?;
    Ok(state.map_or(StoreError::NoJob(id), |state| StoreError::WrongState { id, state, allowed }))
}

async fn state_of(connection: &mut SqliteConnection, id: JobId) -> Result<Option<StateName>, StoreError> {
    let row = sqlx::query("SELECT state, id FROM jobs WHERE id = ?")
        .bind(id.as_uuid())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let corrupt = |why: String| StoreError::Corrupt {
        table: "jobs",
        column: "state",
        id: row.try_get::<Uuid, _>(1).unwrap_or_default().to_string(),
        why,
    };
    let name: &str = row.try_get(0)?;
    name.parse().map(Some).map_err(|error: crate::model::UnknownState| corrupt(error.to_string()))
}
