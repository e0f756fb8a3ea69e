//! Looking for an account at an address that is new to us.
//!
//! When a person renames an account, its bots name the new address at once, while our tokens are good for hours and
//! nothing has told us yet. The request was signed by Kommo, so the account is the one we know by its number; but where
//! its token may go, only Kommo's own answer says. It is the one that a renewal gets, which follows a move.

use std::sync::Arc;
use std::time::Duration;

use kommo::{AccountRef, Bearer, NoBearer};

use super::Accounts;
use super::directory::Entry;

/// Tokens that are no older are not renewed to look for their account: a bot that goes on naming an address where it is
/// not must not cost a renewal each time.
const MIN_TOKEN_AGE_TO_LOOK: Duration = Duration::from_secs(10 * 60);

impl Accounts {
    /// The account with this number, if it is worth looking whether it has moved to this address.
    pub(super) fn perhaps_moved(&self, account_ref: AccountRef<'_>) -> Option<Arc<Entry>> {
        let account_id = account_ref.account_id?;
        let directory = self.directory();
        if directory.of(account_ref).is_some() {
            return None;
        }
        let now = self.0.parts.clock.now();
        let worth = |entry: &&Arc<Entry>| {
            let obtained_at = entry.open().ok().map(|(open, _)| open.tokens.obtained_at);
            obtained_at.is_some_and(|obtained_at| now.since(obtained_at) > MIN_TOKEN_AGE_TO_LOOK)
        };
        directory.numbered(account_id).find(worth).cloned()
    }

    /// A bearer of an account whose address is not known.
    ///
    /// # Errors
    /// It is no one's, or not that account's.
    pub(super) async fn find(&self, account_ref: AccountRef<'_>) -> Result<Bearer, NoBearer> {
        let entry = self.perhaps_moved(account_ref).ok_or(NoBearer::Unknown)?;
        self.renew(&entry.record.key, entry.record.generation).await?;
        self.entry(account_ref).ok_or(NoBearer::Unknown)?.bearer()
    }
}
