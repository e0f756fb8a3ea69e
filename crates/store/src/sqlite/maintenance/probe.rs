//! Tests whether the store can be written, and whether the next start would find it.

use crate::StoreError;
use crate::sqlite::engine::Engine;
use crate::sqlite::write::command::Command;
use crate::sqlite::write::transaction::Transaction;

/// Writes as many bytes as a large request, so that it needs the same room on the disk. It changes no job.
pub(crate) struct Probe;

impl Command for Probe {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        transaction.execute("UPDATE probe SET filler = randomblob(65536) WHERE id = 1", ())?;
        Ok(())
    }
}

impl Engine {
    /// Writes the probe, and checks that the file is still at its path.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        self.execute(Probe).await?;
        self.check_file()
    }
}
