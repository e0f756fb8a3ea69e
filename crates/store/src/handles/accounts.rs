//! The handle for accounts. Callers pass tokens in encrypted form; the store does not know the key.

use std::sync::Arc;
use std::time::Duration;

use model::{AccountKey, AccountRecord, AccountWait};

use crate::engine::{Engine, on};
use crate::{Leased, NewConnection, Renewal, StoreError, Waits};

/// The connected accounts of a store, and the reasons why their deliveries wait.
#[derive(Clone, Copy)]
pub struct Accounts<'s>(pub(super) &'s Engine);

impl Accounts<'_> {
    /// Returns all connected accounts, including those that need an operator.
    ///
    /// # Errors
    /// The store cannot be read. A damaged row is not an error: it is logged and left out.
    pub async fn all(self) -> Result<Vec<AccountRecord>, StoreError> {
        on!(self.0, engine => engine.all_accounts().await)
    }

    /// Returns each connected account with the generation of its tokens, which is enough to detect a change.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn generations(self) -> Result<Vec<(AccountKey, u64)>, StoreError> {
        on!(self.0, engine => engine.account_generations().await)
    }

    /// Connects an account after an authorization. The account becomes active, whatever its state was. Returns the
    /// generation of its tokens. Returns `None` and changes nothing if the account is known at another address and
    /// [`NewConnection::moves_from`] does not name that address.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn connect(self, new: NewConnection) -> Result<Option<u64>, StoreError> {
        on!(self.0, engine => engine.connect_account(new).await)
    }

    /// Claims the renewal of the tokens of this generation for the time of `lease`.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn lease_renewal(
        self,
        key: AccountKey,
        generation: u64,
        lease: Duration,
    ) -> Result<Leased, StoreError> {
        on!(self.0, engine => engine.lease_renewal(key, generation, lease).await)
    }

    /// Ends the renewal of this generation. Returns the generation that is current from now on. Returns `None` and
    /// changes nothing if the generation has changed in the meantime.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn end_renewal(
        self,
        key: AccountKey,
        generation: u64,
        renewal: Renewal,
    ) -> Result<Option<u64>, StoreError> {
        on!(self.0, engine => engine.end_renewal(key, generation, renewal).await)
    }

    /// Records that an account was disconnected in Kommo, so that its requests are refused. This works even for an
    /// account that was never connected here. Returns `false` and changes nothing if the account has changed since
    /// generation `seen`, because someone has connected it in the meantime.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn revoke(
        self,
        key: AccountKey,
        seen: Option<u64>,
        reason: String,
    ) -> Result<bool, StoreError> {
        on!(self.0, engine => engine.revoke_account(key, seen, reason).await)
    }

    /// Returns why deliveries wait. The keys are the addresses by which calls are paced, and
    /// [`ALL_ACCOUNTS`](model::ALL_ACCOUNTS).
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn waits(self) -> Result<Vec<(String, AccountWait)>, StoreError> {
        on!(self.0, engine => engine.account_waits().await)
    }

    /// Returns why deliveries to `origin` wait. If an account has moved away from `origin`, this is the wait at its new
    /// address.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn waits_at(self, origin: &str) -> Result<Waits, StoreError> {
        on!(self.0, engine => engine.waits_at(origin).await)
    }

    /// Stores why deliveries wait, by address; `None` clears the entry of an address.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn write_waits(self, waits: Vec<(Arc<str>, Option<AccountWait>)>) -> Result<(), StoreError> {
        on!(self.0, engine => engine.write_waits(waits).await)
    }

    /// Removes and returns the addresses of the accounts that should be tried now.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn take_resumes(self) -> Result<Vec<Arc<str>>, StoreError> {
        on!(self.0, engine => engine.take_resumes().await)
    }
}
