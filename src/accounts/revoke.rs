//! Kommo's hook that says: this account disconnected the integration.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::model::{AccountId, AccountKey};
use crate::store::{Store, StoreError};

use super::{Accounts, host};

/// A request is answered in seconds; whatever was under way at a revocation has ended by then.
const UNDER_WAY: Duration = Duration::from_secs(60);

const REASON: &str = "the integration was disconnected in Kommo";

/// What the hook says, as it came.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// Kommo's number of the account.
    pub account_id: String,
    /// The integration's id.
    pub client_uuid: String,
    /// Hex of the HMAC with SHA-256 of `client_uuid|account_id` under the secret key.
    pub signature: String,
}

/// Why nothing was revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// The signature is nobody's, or there is no such integration: who asks is not told which.
    #[error("the signature is not that of a configured integration")]
    Signature,
    /// No number.
    #[error("`account_id` is no positive number")]
    AccountId,
    /// It could not be stored.
    #[error("it could not be stored: {0}")]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Disconnects the account: its tokens are forgotten, its requests refused, its unfinished jobs cancelled. Says how many
    /// those were.
    ///
    /// # Errors
    /// Nothing was changed, or not all of it; asking again is safe.
    pub async fn revoke(&self, revocation: Revocation) -> Result<u64, RevocationError> {
        let integration = self.integration(&revocation.client_uuid).filter(|integration| {
            let secrets = [Some(&integration.client_secret), integration.previous_client_secret.as_ref()];
            secrets.into_iter().flatten().any(|secret| is_signed(&secret.get(), &revocation))
        });
        let integration = integration.ok_or(RevocationError::Signature)?;
        let account_id = revocation.account_id.parse().ok().filter(|id| *id > 0);
        let account_id = AccountId(account_id.ok_or(RevocationError::AccountId)?);
        let key = AccountKey::new(account_id, &integration.client_uuid);
        let accounts = self.clone();
        // Whoever hangs up must not leave half of it.
        let task = tokio::spawn(async move { accounts.disconnect(key).await });
        task.await.unwrap_or(Err(StoreError::Closed)).map_err(RevocationError::Store)
    }

    async fn disconnect(&self, key: AccountKey) -> Result<u64, StoreError> {
        let Some(store) = &self.0.parts.store else { return Ok(0) };
        store.revoke_account(key.clone(), REASON.to_owned()).await?;
        self.reload().await?;
        let account_id = key.account_id;
        let until = self.0.parts.clock.elapsed() + UNDER_WAY;
        self.disconnected().push((account_id, until));
        let cancelled = self.cancel_jobs(store, &[account_id]).await?;
        let entry = self.entry_of(&key);
        let shown = entry.as_ref().and_then(|entry| entry.record.origin.as_deref()).map_or("?", host);
        let addresses = entry.iter().flat_map(|entry| [&entry.record.origin, &entry.record.previous_origin]);
        for origin in addresses.flatten() {
            self.0.parts.health.account_goes_on(host(origin));
        }
        tracing::warn!(
            account.id = account_id.0,
            account.host = shown,
            jobs = cancelled,
            "Kommo says that this account was disconnected: its requests are refused, and its unfinished jobs were cancelled"
        );
        Ok(cancelled)
    }

    /// Cancels the jobs that these accounts cannot be told the results of. Leaves out an account that another integration
    /// still speaks to.
    pub(super) async fn cancel_jobs(
        &self,
        store: &Store,
        account_ids: &[AccountId],
    ) -> Result<u64, StoreError> {
        let gone = account_ids.iter().copied().filter(|account_id| !self.still_connected(*account_id));
        store.cancel_accounts(&gone.collect::<Vec<_>>()).await
    }

    /// Cancels the jobs of requests that were found good before their account was disconnected, and stored after it.
    pub(super) async fn cancel_late_jobs(&self, store: &Store) -> Result<(), StoreError> {
        let now = self.0.parts.clock.elapsed();
        let lately = self.disconnected().clone();
        let account_ids: Vec<AccountId> = lately.iter().map(|(account_id, _)| *account_id).collect();
        self.cancel_jobs(store, &account_ids).await?;
        self.disconnected().retain(|one| now < one.1 || !lately.contains(one));
        Ok(())
    }

    fn disconnected(&self) -> MutexGuard<'_, Vec<(AccountId, Duration)>> {
        self.0.disconnected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn still_connected(&self, account_id: AccountId) -> bool {
        let book = self.0.book.read().unwrap_or_else(PoisonError::into_inner);
        book.numbered(account_id).any(|entry| entry.tokens.is_some())
    }
}

fn is_signed(secret: &SecretString, revocation: &Revocation) -> bool {
    let secret = secret.expose_secret().as_bytes();
    // Anybody can sign with an empty secret.
    let Some(mac) = Hmac::<Sha256>::new_from_slice(secret).ok().filter(|_| !secret.is_empty()) else {
        return false;
    };
    let Ok(signature) = hex::decode(revocation.signature.trim()) else { return false };
    let signed = format!("{}|{}", revocation.client_uuid, revocation.account_id);
    // In constant time, whatever differs.
    mac.chain_update(signed).verify_slice(&signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signed by another program: `printf 'id|7' | openssl dgst -sha256 -hmac secret`.
    const SIGNATURE: &str = "b63a6fea5d8c86f84770f252561de1d30595f8869c3baacfa735534d7f9e91e6";

    #[test]
    fn a_signature_is_good_for_its_account_and_integration_only() {
        let signed = |secret: &str, client_uuid: &str, account_id: &str, signature: &str| {
            let revocation = Revocation {
                account_id: account_id.into(),
                client_uuid: client_uuid.into(),
                signature: signature.into(),
            };
            is_signed(&secret.into(), &revocation)
        };
        assert!(signed("secret", "id", "7", SIGNATURE));
        assert!(signed("secret", "id", "7", &SIGNATURE.to_uppercase()));
        assert!(!signed("other", "id", "7", SIGNATURE) && !signed("secret", "id", "8", SIGNATURE));
        assert!(!signed("secret", "other", "7", SIGNATURE) && !signed("secret", "id|7", "", SIGNATURE));
        for shorter in ["", "00", &SIGNATURE[..62], "no hex"] {
            assert!(!signed("secret", "id", "7", shorter), "{shorter}");
        }
    }
}
