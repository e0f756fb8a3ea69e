//! Whether an account may be connected at an address.
//!
//! New tokens come from the address that they are for, and no signature proves which account they name. Any host that
//! matches `delivery.allowed_hosts` could name any account. So an account that is known at another address moves only
//! if that known address reports the move; the new address alone cannot take the account over. This applies to links,
//! installations and confirmations. A renewal never changes which account its tokens belong to
//! ([`renew`](super::renew)).

use std::sync::Arc;

use secrecy::SecretString;
use url::Url;

use kommo::GrantError;
use model::{AccountId, AccountKey, AccountState};

use super::connection::ConnectError;
use super::directory::Entry;
use super::paced::PaceEffect;
use super::{Accounts, host};

/// Whether the account may be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Connect,
    /// Connect only if the known address reports that the account is here now.
    AskKnownAddress,
    Refuse,
}

/// Decides about an account that is known at another address, by its state there. `was_seen_here`: a verified token
/// named this account and the new address together.
const fn decide(known: AccountState, was_seen_here: bool) -> Decision {
    match (known, was_seen_here) {
        (AccountState::Active, _) => Decision::AskKnownAddress,
        // It has no token for asking its known address.
        (AccountState::NeedsAuthorization | AccountState::Revoked, true) => Decision::Connect,
        (AccountState::NeedsAuthorization | AccountState::Revoked, false) => Decision::Refuse,
    }
}

impl Accounts {
    /// Checks that the account of new tokens may be connected at `origin`. Returns the address that it moves away
    /// from, if any.
    ///
    /// # Errors
    /// It may not be connected there, or that could not be checked.
    pub(super) async fn check_place(
        &self,
        url: &Url,
        origin: &Arc<str>,
        key: &AccountKey,
        access: &SecretString,
        pace_effect: PaceEffect,
    ) -> Result<Option<Arc<str>>, ConnectError> {
        self.check_neighbour(url, origin, key.account_id, access, pace_effect).await?;
        let Some(elsewhere) = self.elsewhere(origin, key) else { return Ok(None) };
        let known = elsewhere.record.origin.clone();
        let was_there = elsewhere.record.previous_origin.as_ref() == Some(origin);
        // An address that the account has left may belong to someone else by now.
        let was_seen_here = !was_there && self.0.pairs.knows(&key.client_uuid, origin, key.account_id);
        let refused = || ConnectError::Elsewhere {
            account_id: key.account_id,
            host: known.as_deref().map_or("?", host).to_owned(),
        };
        match decide(elsewhere.record.authorization.state(), was_seen_here) {
            Decision::Connect => Ok(known),
            Decision::Refuse => Err(refused()),
            Decision::AskKnownAddress => {
                let Ok((open, at)) = elsewhere.open() else { return Err(refused()) };
                match self.moved(&elsewhere, at, &open.tokens).await {
                    Some(now) if now == *origin => Ok(known),
                    _ => Err(refused()),
                }
            }
        }
    }

    /// Returns the known entry of the account of these tokens, if it is at another address. The record of `key` is
    /// the one to be written; an active connection through another integration also shows where the account is.
    fn elsewhere(&self, origin: &str, key: &AccountKey) -> Option<Arc<Entry>> {
        let directory = self.directory();
        if let Some(own) = directory.get(key)
            && let Some(known) = &own.record.origin
        {
            return (**known != *origin).then(|| own.clone());
        }
        let is_active_elsewhere = |entry: &&Arc<Entry>| {
            entry.record.key.account_id == key.account_id
                && entry.record.authorization.state() == AccountState::Active
                && entry.record.origin.as_deref() != Some(origin)
        };
        directory.entries().find(is_active_elsewhere).cloned()
    }

    /// If another account is connected at this address, the address must report that the new account is there now.
    /// Otherwise a wrong `referer`, which the caller chooses, would divert that account's deliveries.
    async fn check_neighbour(
        &self,
        url: &Url,
        origin: &str,
        account_id: AccountId,
        access: &SecretString,
        pace_effect: PaceEffect,
    ) -> Result<(), ConnectError> {
        let is_taken = self.entry(origin).is_some_and(|other| other.record.key.account_id != account_id);
        if !is_taken {
            return Ok(());
        }
        match self.paced_by(origin, pace_effect, self.0.parts.kommo.account_id(url, access)).await {
            Ok(there) if there == account_id => Ok(()),
            Ok(_) | Err(GrantError::Dead { .. } | GrantError::Refused { .. }) => Err(ConnectError::Taken),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the accounts that an installation without a link may connect at this address: those that verified
    /// tokens named together with it, except accounts that are known elsewhere by now.
    pub(super) fn expected_at(&self, client_uuid: &str, origin: &str) -> Vec<AccountId> {
        let mut numbers = self.0.pairs.numbers_at(client_uuid, origin);
        let directory = self.directory();
        let is_elsewhere = |account_id: AccountId| {
            directory.entries().any(|entry| {
                entry.record.key.account_id == account_id
                    && entry.record.origin.as_deref().is_some_and(|known| known != origin)
            })
        };
        numbers.retain(|account_id| !is_elsewhere(*account_id));
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_active_account_moves_only_if_its_known_address_reports_the_move() {
        use AccountState::{Active, NeedsAuthorization, Revoked};
        for (known, was_seen_here, expected) in [
            (Active, false, Decision::AskKnownAddress),
            (Active, true, Decision::AskKnownAddress),
            (NeedsAuthorization, true, Decision::Connect),
            (NeedsAuthorization, false, Decision::Refuse),
            (Revoked, true, Decision::Connect),
            (Revoked, false, Decision::Refuse),
        ] {
            assert_eq!(decide(known, was_seen_here), expected, "{known:?} {was_seen_here}");
        }
    }
}
