//! The handle of the accounts. What is written here is encrypted already; the store does not know the key.

use std::sync::Arc;
use std::time::Duration;

use model::{AccountKey, AccountRecord, AccountWait};

use crate::sqlite::engine::Engine;
use crate::{Leased, NewConnection, Renewal, StoreError, Waits};

/// The connected accounts of a store, and what their deliveries wait for.
#[derive(Clone, Copy)]
pub struct Accounts<'s>(pub(super) &'s Engine);

impl Accounts<'_> {
    /// All connected accounts, including those that need an operator.
    ///
    /// # Errors
    /// The store cannot be read. A damaged row is logged and left out.
    pub async fn all(self) -> Result<Vec<AccountRecord>, StoreError> {
        self.0.all_accounts().await
    }

    /// Each connected account and the generation of its tokens: enough to notice that something changed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn generations(self) -> Result<Vec<(AccountKey, u64)>, StoreError> {
        self.0.account_generations().await
    }

    /// Connects an account after an authorization: it becomes active, whatever it was. Returns the generation of its tokens;
    /// `None` if it is known at an address that it may not be moved away from, and then nothing is changed.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn connect(self, new: NewConnection) -> Result<Option<u64>, StoreError> {
        self.0.connect_account(new).await
    }

    /// Asks to be the only one who renews the tokens of this generation, for as long as `lease`.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn lease_renewal(
        self,
        key: AccountKey,
        generation: u64,
        lease: Duration,
    ) -> Result<Leased, StoreError> {
        self.0.lease_renewal(key, generation, lease).await
    }

    /// Ends the renewal of this generation. Returns the generation from now on; `None` if it is another one by now, and then
    /// nothing is changed.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn end_renewal(
        self,
        key: AccountKey,
        generation: u64,
        renewal: Renewal,
    ) -> Result<Option<u64>, StoreError> {
        self.0.end_renewal(key, generation, renewal).await
    }

    /// Notes that an account was disconnected in Kommo, even if it was never connected here: its requests are refused.
    /// Returns whether it was noted: not if the account has another generation than `seen` by now, because someone connected
    /// it meanwhile.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn revoke(
        self,
        key: AccountKey,
        seen: Option<u64>,
        reason: String,
    ) -> Result<bool, StoreError> {
        self.0.revoke_account(key, seen, reason).await
    }

    /// Forgets an account and its tokens. Returns whether there was one.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn remove(self, key: AccountKey) -> Result<bool, StoreError> {
        self.0.remove_account(key).await
    }

    /// What deliveries wait for: by address, as their calls are paced, and [`ALL_ACCOUNTS`](model::ALL_ACCOUNTS).
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn waits(self) -> Result<Vec<(String, AccountWait)>, StoreError> {
        self.0.account_waits().await
    }

    /// What deliveries to `origin` wait for. An account that has moved from there waits where it is now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn waits_at(self, origin: &str) -> Result<Waits, StoreError> {
        self.0.waits_at(origin).await
    }

    /// Writes what deliveries wait for; `None` if those of this address no longer wait.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn write_waits(self, waits: Vec<(Arc<str>, Option<AccountWait>)>) -> Result<(), StoreError> {
        self.0.write_waits(waits).await
    }

    /// Asks the bridge that owns the store to try the account at `origin` now.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn ask_resume(self, origin: Arc<str>) -> Result<(), StoreError> {
        self.0.ask_resume(origin).await
    }

    /// Takes out the accounts that are to be tried now.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn take_resumes(self) -> Result<Vec<Arc<str>>, StoreError> {
        self.0.take_resumes().await
    }
}
