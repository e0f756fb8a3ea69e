//! Tests whether the store can be written.

use crate::StoreError;
use crate::postgres::engine::Engine;
use crate::postgres::write::command::Command;
use crate::postgres::write::transaction::Transaction;

/// 4,096 hashes of 16 bytes. The server makes them, so a probe costs little on the network.
pub(crate) const PROBE: &str =
    "UPDATE probe SET filler = decode(repeat(md5(random()::text), 4096), 'hex') WHERE id = 1";

/// Writes as many bytes as a large request, so that it needs the same room on the disk. It changes no job.
struct Probe;

impl Command for Probe {
    type Answer = ();

    async fn apply(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        transaction.execute(sqlx::query(PROBE)).await?;
        Ok(())
    }
}

impl Engine {
    /// Writes the probe.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        self.execute(Probe).await
    }
}
