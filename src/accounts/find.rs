//! Searches for an account at an address that is new to the bridge.
//!
//! After a person renames an account, its bots use the new address at once, while the bridge's tokens stay valid for
//! hours and nothing reports the rename. Kommo has signed the request, so its account number is right. But only Kommo's
//! response to a renewal, which follows a move, shows where the account's token may be sent.

use std::sync::Arc;
use std::time::Duration;

use kommo::{AccountRef, Bearer, NoBearer};

use super::Accounts;
use super::directory::Entry;

/// Tokens younger than this are not renewed for a search. Otherwise each request of a bot with a wrong address would cause
/// a renewal.
const MIN_TOKEN_AGE_FOR_SEARCH: Duration = Duration::from_secs(10 * 60);

impl Accounts {
    /// Returns the account with this number, if it may have moved to this address and a search is worthwhile.
    pub(super) fn maybe_moved(&self, account_ref: AccountRef<'_>) -> Option<Arc<Entry>> {
        let account_id = account_ref.account_id?;
        let directory = self.directory();
        if directory.of(account_ref).is_some() {
            return None;
        }
        let now = self.0.parts.clock.now();
        let is_worthwhile = |entry: &&Arc<Entry>| {
            let obtained_at = entry.open().ok().map(|(open, _)| open.tokens.obtained_at);
            obtained_at.is_some_and(|obtained_at| now.since(obtained_at) > MIN_TOKEN_AGE_FOR_SEARCH)
        };
        directory.numbered(account_id).find(is_worthwhile).cloned()
    }

    /// Returns a bearer token for an account at an unknown address.
    ///
    /// # Errors
    /// The address belongs to no known account, or to a different one.
    pub(super) async fn find(&self, account_ref: AccountRef<'_>) -> Result<Bearer, NoBearer> {
        let entry = self.maybe_moved(account_ref).ok_or(NoBearer::Unknown)?;
        self.renew(&entry.record.key, entry.record.generation).await?;
        self.entry(account_ref).ok_or(NoBearer::Unknown)?.bearer()
    }
}
