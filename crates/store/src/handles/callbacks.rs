//! The handle for answers that come later, and for notes.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{CheckedCompletion, JobId, Note};

use crate::engine::{Engine, on};
use crate::records::By;
use crate::{AwaitingClaim, Completed, StoreError, StoredKey};

/// The callbacks of a store.
#[derive(Clone, Copy)]
pub struct Callbacks<'s>(pub(super) &'s Engine);

impl Callbacks<'_> {
    /// Gives a job the completion of its handler: one that is queued, runs, or awaits a callback. Any claim of the job is
    /// void from then on. When this returns, the completion is on the disk.
    ///
    /// # Errors
    /// There is no such job, or the store cannot be written.
    pub async fn complete(self, id: JobId, completion: CheckedCompletion) -> Result<Completed, StoreError> {
        on!(self.0, engine => engine.complete(id, completion, By::Callback).await)
    }

    /// Claims a job that awaits a callback for `lease`, to report that its handler failed. With `attempt`, only if that is
    /// the job's last attempt.
    ///
    /// # Errors
    /// There is no such job, or the store cannot be written.
    pub async fn claim_awaiting(
        self,
        id: JobId,
        attempt: Option<u32>,
        lease: Duration,
    ) -> Result<AwaitingClaim, StoreError> {
        on!(self.0, engine => engine.claim_awaiting(id, attempt, lease).await)
    }

    /// Returns how many jobs of each handler await a callback; handlers without such jobs are missing. Reads the store, so
    /// it suits an observer too.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn awaiting_by_handler(self) -> Result<BTreeMap<String, u64>, StoreError> {
        on!(self.0, engine => engine.awaiting_by_handler().await)
    }

    /// Returns how many jobs of `handler` await a callback. The owner of the store knows it without reading.
    pub fn awaiting(self, handler: &str) -> u64 {
        on!(self.0, engine => engine.awaiting.jobs(handler))
    }

    /// Adds a note to a job. Returns whether there was room for it: see [`model::MAX_NOTES`]. An empty note changes nothing.
    ///
    /// # Errors
    /// There is no such job, or the store cannot be written.
    pub async fn note(self, id: JobId, text: &str) -> Result<bool, StoreError> {
        on!(self.0, engine => engine.note(id, text).await)
    }

    /// Like [`note`](Self::note), but does not wait. A note that cannot be written is logged without its text. May be
    /// called on any thread.
    pub fn note_soon(self, id: JobId, text: String) {
        on!(self.0, engine => engine.note_soon(id, text));
    }

    /// Returns the notes of a job, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn notes(self, id: JobId) -> Result<Vec<Note>, StoreError> {
        on!(self.0, engine => engine.notes(id).await)
    }

    /// Returns the key of callbacks: the one in the store, or `new`, which is then stored.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn key(self, new: StoredKey) -> Result<StoredKey, StoreError> {
        on!(self.0, engine => engine.callback_key(new).await)
    }

    /// Replaces the key's encryption.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn encrypt_key(self, key: StoredKey) -> Result<(), StoreError> {
        on!(self.0, engine => engine.encrypt_callback_key(key).await)
    }
}
