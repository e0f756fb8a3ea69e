//! Finishes the writes under way and disconnects.

use crate::Role;
use crate::lock::lock;
use crate::postgres::engine::Engine;

impl Engine {
    pub(crate) async fn close(&self) {
        if self.role == Role::Owner
            && let Err(error) = self.note_time().await
        {
            tracing::debug!(%error, "the time of the shutdown could not be stored; the next start uses the last stored time");
        }
        self.operations.close();
        let writer = lock(&self.writer).take();
        let session = match writer {
            // A writer that panicked has nothing left to finish.
            Some(writer) => writer.await.ok().flatten().flatten(),
            None => None,
        };
        if let Some(session) = session {
            session.close().await;
        }
        self.walking.close().await;
        self.reading.close().await;
        if let Some(lock) = self.owner_lock.lock().await.take() {
            lock.release().await;
        }
    }
}
