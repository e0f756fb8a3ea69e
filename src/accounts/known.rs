//! Whether an account is known. The store asks this about deliveries that have waited for a long time.

use super::Accounts;
use kommo::AccountRef;
use model::AccountId;

impl Accounts {
    /// Returns a function that says whether the account with an address and a number is known. Once `self` and its
    /// clones are dropped, every account counts as known.
    pub fn known(&self) -> impl Fn(&str, AccountId) -> bool + Send + Sync + 'static {
        // The accounts hold the store; a strong reference back would keep both alive forever.
        let accounts = std::sync::Arc::downgrade(&self.0);
        move |origin, account_id| {
            accounts.upgrade().is_none_or(|accounts| Self(accounts).is_known(origin, account_id))
        }
    }

    /// Whether the account is configured, connected, waiting for an authorization, or may have moved to this address.
    fn is_known(&self, origin: &str, account_id: AccountId) -> bool {
        let account_ref = AccountRef::from((origin, account_id));
        self.is_long_lived(origin)
            || self.entry(account_ref).is_some()
            || self.maybe_moved(account_ref).is_some()
    }
}
