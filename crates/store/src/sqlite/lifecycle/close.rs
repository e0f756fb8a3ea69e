//! Finishes the writes under way and closes the file.

use sqlx::Connection;

use crate::Role;
use crate::lock::lock;
use crate::sqlite::engine::Engine;

impl Engine {
    pub(crate) async fn close(&self) {
        if self.role == Role::Owner
            && let Err(error) = self.note_time().await
        {
            tracing::debug!(%error, "the time of the shutdown could not be stored; the next start uses the last stored time");
        }
        self.operations.close();
        let writer = lock(&self.writer).take();
        let writing = match writer {
            // A writer that panicked has nothing left to finish.
            Some(writer) => writer.await.ok().flatten(),
            None => None,
        };
        let checkpoints = lock(&self.checkpoints).take();
        if let Some(checkpoints) = checkpoints {
            // This connection never writes, so a failed close loses nothing.
            let _unclosed = checkpoints.close().await;
        }
        self.reading.close().await;
        if let Some(writing) = writing {
            // Checkpoints the log, which may wait for the disk.
            let _panicked = tokio::task::spawn_blocking(|| writing.close()).await;
        }
    }
}
