//! Whether an account may be connected at an address.
//!
//! New tokens come from the address that they are for, and what they say of their account is that address's word: it is not
//! signed for us. A host that answers for a name of `delivery.allowed_hosts` could name any account. So an account that is
//! known at another address moves only if that address, which is known to be the account's, says so; nothing that a new
//! address says can take an account away. The same holds for each way in: a link, an installation, a confirmation. A renewal
//! keeps its account, whatever its answer says ([`renew`](super::renew)).

use std::sync::Arc;

use secrecy::SecretString;
use url::Url;

use kommo::GrantError;
use model::{AccountId, AccountKey, AccountState};

use super::connection::ConnectError;
use super::directory::Entry;
use super::paced::Teaches;
use super::{Accounts, host};

/// Whether the account may be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Connect,
    /// Only if the address where it is known says that it is here now.
    AskKnownAddress,
    Refuse,
}

/// What follows for an account that is known at another address, and how it stands there. `was_seen_here`: a verified token
/// named this account and the new address together.
const fn decide(known: AccountState, was_seen_here: bool) -> Decision {
    match (known, was_seen_here) {
        (AccountState::Active, _) => Decision::AskKnownAddress,
        // It has no token by which its known address could be asked.
        (AccountState::NeedsAuthorization | AccountState::Revoked, true) => Decision::Connect,
        (AccountState::NeedsAuthorization | AccountState::Revoked, false) => Decision::Refuse,
    }
}

impl Accounts {
    /// Checks that the account of new tokens may be connected at `origin`. Gives the address that it moves away from.
    ///
    /// # Errors
    /// It may not.
    pub(super) async fn check_place(
        &self,
        url: &Url,
        origin: &Arc<str>,
        key: &AccountKey,
        access: &SecretString,
        teaches: Teaches,
    ) -> Result<Option<Arc<str>>, ConnectError> {
        self.check_neighbour(url, origin, key.account_id, access, teaches).await?;
        let Some(elsewhere) = self.elsewhere(origin, key) else { return Ok(None) };
        let known = elsewhere.record.origin.clone();
        let was_there = elsewhere.record.previous_origin.as_ref() == Some(origin);
        // An address that the account has left may be anyone's by now.
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

    /// Where the account of these tokens is known, if that is at another address. What is written is the record of `key`; an
    /// active connection through another integration says where the account is, too.
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

    /// Where another account is connected, the address has to say that the new one is there now: `referer` is the caller's
    /// word, and a wrong one would take that account's deliveries away from it.
    async fn check_neighbour(
        &self,
        url: &Url,
        origin: &str,
        account_id: AccountId,
        access: &SecretString,
        teaches: Teaches,
    ) -> Result<(), ConnectError> {
        let is_taken = self.entry(origin).is_some_and(|other| other.record.key.account_id != account_id);
        if !is_taken {
            return Ok(());
        }
        match self.paced_by(origin, teaches, self.0.parts.kommo.account_id(url, access)).await {
            Ok(there) if there == account_id => Ok(()),
            Ok(_) | Err(GrantError::Dead { .. } | GrantError::Refused { .. }) => Err(ConnectError::Taken),
            Err(error) => Err(error.into()),
        }
    }

    /// The numbers that an installation without a link may bring at this address: those that verified tokens named together
    /// with it, without accounts that are known elsewhere by now.
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
    fn an_active_account_moves_only_if_its_known_address_says_so() {
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
