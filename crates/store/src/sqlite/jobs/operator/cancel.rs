//! What an operator does to a job besides a [`retry`](crate::sqlite::jobs::operator::retry): cancel it while it is unfinished.

use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use model::{JobId, StateName};

use crate::sqlite::write::account_bytes::body_bytes;
use crate::sqlite::write::command::Request;
use crate::sqlite::write::post_commit::Effects;
use crate::time::Moment;
use crate::{Store, StoreError};

impl Store {
    /// Cancels an unfinished job. A handler that runs is not stopped, but its result is dropped.
    ///
    /// # Errors
    /// There is no such job, it is finished, or the store cannot be written.
    pub async fn cancel(&self, id: JobId) -> Result<(), StoreError> {
        self.ask(Cancel { id, now: self.moment(), why: None }).await?
    }
}

pub(crate) const CANCEL: &str = concat!(
    "UPDATE jobs SET state = 'cancelled', finished_at = ?, finished_service_at = ?, due_at = NULL, lease_until = NULL, \
     last_error = coalesce(?, last_error), fence = fence + 1 WHERE id = ? AND state = ? RETURNING account_id, ",
    body_bytes!()
);

/// `any unfinished → cancelled`. The raised fencing number voids whatever claim there is.
pub(crate) struct Cancel {
    pub(crate) id: JobId,
    pub(crate) now: Moment,
    /// Why, as the job's last error; `None` keeps what went wrong before.
    pub(crate) why: Option<&'static str>,
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
            .bind(self.now.calendar.as_millis())
            .bind(self.now.service.as_millis())
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
    name.parse().map(Some).map_err(|error: model::UnknownState| corrupt(error.to_string()))
}
