//! The handle of what is kept for OAuth: pairs of account and address that tokens showed, codes that wait for a
//! confirmation, links that were used, and calls that say that an account was disconnected.

use model::{AccountKey, Timestamp};

use crate::sqlite::engine::Engine;
use crate::{CodeLimits, KeptCode, NewCode, Pair, PendingRevocation, SealedCode, StateUse, StoreError};

/// What a store keeps for OAuth beside the accounts.
#[derive(Clone, Copy)]
pub struct OAuth<'s>(pub(super) &'s Engine);

impl OAuth<'_> {
    /// All pairs of account and address that were stored.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pairs(self) -> Result<Vec<Pair>, StoreError> {
        self.0.pairs().await
    }

    /// Stores pairs; those that are there already change nothing.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn add_pairs(self, pairs: Vec<Pair>) -> Result<(), StoreError> {
        self.0.add_pairs(pairs).await
    }

    /// Keeps a code until it is taken or its time is over.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn keep_code(self, code: NewCode, limits: CodeLimits) -> Result<(), StoreError> {
        self.0.keep_code(code, limits).await
    }

    /// The codes whose time is not over by both clocks, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn kept_codes(self) -> Result<Vec<KeptCode>, StoreError> {
        self.0.kept_codes().await
    }

    /// Takes a code out of the store, so that no one else exchanges it too; `None` if it is gone.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn take_code(self, id: i64) -> Result<Option<SealedCode>, StoreError> {
        self.0.take_code(id).await
    }

    /// Uses the `state` of a link for a code. `until` is the link's end; a row is kept for as long again.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn use_state(
        self,
        nonce: [u8; 16],
        code_hash: [u8; 32],
        until: Timestamp,
    ) -> Result<StateUse, StoreError> {
        self.0.use_state(nonce, code_hash, until).await
    }

    /// Notes a signed call that says that an account was disconnected; if `pending`, it waits to be settled. Returns whether
    /// it is the first one for this account and integration.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn note_revocation(self, key: AccountKey, pending: bool) -> Result<bool, StoreError> {
        self.0.note_revocation(key, pending).await
    }

    /// The calls that wait to be settled.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pending_revocations(self) -> Result<Vec<PendingRevocation>, StoreError> {
        self.0.pending_revocations().await
    }

    /// Settles a call without believing it: nothing waits for this account any longer.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn settle_revocation(self, key: AccountKey) -> Result<(), StoreError> {
        self.0.settle_revocation(key).await
    }
}
