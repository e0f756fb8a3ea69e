//! Checkpoints: copies the write-ahead log into the database, beside the commits.

use sqlx::{Row, SqliteConnection};

use crate::sqlite::engine::{Engine, lock};
use crate::sqlite::file::log;
use crate::sqlite::write::message::Message;

/// The connection for checkpoints, borrowed from the store. It is returned even if maintenance panics or is aborted, so
/// that maintenance can run again.
pub(super) struct Checkpoints<'a> {
    store: &'a Engine,
    pub(super) borrowed: Option<SqliteConnection>,
}

impl<'a> Checkpoints<'a> {
    /// Borrows the connection; `None` if the store is closed or maintenance is already running.
    pub(super) fn take(store: &'a Engine) -> Option<Self> {
        lock(&store.checkpoints).take().map(|connection| Self { store, borrowed: Some(connection) })
    }
}

impl Drop for Checkpoints<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.borrowed.take() {
            lock(&self.store.checkpoints).replace(connection);
        }
    }
}

impl Engine {
    /// Runs a passive checkpoint, which blocks no one. Under continuous load it cannot restart the log, so the writer
    /// does that.
    pub(super) async fn checkpoint(&self, connection: &mut SqliteConnection) {
        match sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(connection).await {
            Ok(row) => {
                let pages = |column: usize| row.try_get(column).unwrap_or_default();
                if let Some(step) = log::decide(pages(1), pages(2), self.log_bytes()) {
                    // If the writer is gone, closing the store checkpoints the log.
                    let _gone = self.send(Message::Log(step)).await;
                }
            }
            Err(error) => tracing::debug!(%error, "the checkpoint failed; the next one follows shortly"),
        }
    }
}
