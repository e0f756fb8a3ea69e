//! The handle for the OAuth data: pairs of account and address seen in tokens, codes that await confirmation, used
//! links, and calls that announce that an account was disconnected.

use model::{AccountKey, Timestamp};

use crate::engine::{Engine, on};
use crate::{CodeLimits, KeptCode, NewCode, Pair, PendingRevocation, SealedCode, StateUse, StoreError};

/// The OAuth data of a store, apart from the accounts themselves.
#[derive(Clone, Copy)]
pub struct OAuth<'s>(pub(super) &'s Engine);

impl OAuth<'_> {
    /// Returns all stored pairs of account and address.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pairs(self) -> Result<Vec<Pair>, StoreError> {
        on!(self.0, engine => engine.pairs().await)
    }

    /// Stores pairs. A pair that is already stored changes nothing.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn add_pairs(self, pairs: Vec<Pair>) -> Result<(), StoreError> {
        on!(self.0, engine => engine.add_pairs(pairs).await)
    }

    /// Stores a code until a caller takes it or it expires, within `limits`.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn keep_code(self, code: NewCode, limits: CodeLimits) -> Result<(), StoreError> {
        on!(self.0, engine => engine.keep_code(code, limits).await)
    }

    /// Returns the codes that are still valid by the calendar or by the service time, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn kept_codes(self) -> Result<Vec<KeptCode>, StoreError> {
        on!(self.0, engine => engine.kept_codes().await)
    }

    /// Removes a code and returns it, so that no other caller can exchange it; `None` if it is gone.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn take_code(self, id: i64) -> Result<Option<SealedCode>, StoreError> {
        on!(self.0, engine => engine.take_code(id).await)
    }

    /// Uses the `state` of a link for a code. `until` is when the link expires. The store remembers the use for an hour
    /// longer, so that a clock that is set back does not make the link valid again.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn use_state(
        self,
        nonce: [u8; 16],
        code_hash: [u8; 32],
        until: Timestamp,
    ) -> Result<StateUse, StoreError> {
        on!(self.0, engine => engine.use_state(nonce, code_hash, until).await)
    }

    /// Records a signed call that announces that an account was disconnected. If `pending`, the call waits to be
    /// settled. Returns whether it is the first such call for this account and integration.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn note_revocation(self, key: AccountKey, pending: bool) -> Result<bool, StoreError> {
        on!(self.0, engine => engine.note_revocation(key, pending).await)
    }

    /// Returns the calls that wait to be settled.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pending_revocations(self) -> Result<Vec<PendingRevocation>, StoreError> {
        on!(self.0, engine => engine.pending_revocations().await)
    }

    /// Settles the pending call of this account without revoking the account.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn settle_revocation(self, key: AccountKey) -> Result<(), StoreError> {
        on!(self.0, engine => engine.settle_revocation(key).await)
    }
}
