//! Finds out whether the store can be written, and would be found again.

use sqlx::SqliteConnection;

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::command::Request;
use crate::sqlite::write::post_commit::Effects;

/// Writes as much as a large request does: it needs the same room on the disk, and changes no job.
pub(crate) struct Probe;

impl Request for Probe {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection, _: &mut Effects) -> Result<(), StoreError> {
        sqlx::query("UPDATE probe SET filler = randomblob(65536) WHERE id = 1").execute(connection).await?;
        Ok(())
    }
}

impl Engine {
    /// Writes something that changes nothing.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        self.ask(Probe).await?;
        self.in_its_place()
    }
}
