//! Kommo's hook that reports that an account disconnected the integration.
//!
//! The signature covers only the account and the integration, so the same URL works again for anyone who has seen it
//! once. So the account is first checked with its own token ([`evidence`](super::evidence)): if Kommo accepts the
//! token, the account was not disconnected. If the account cannot be checked, the call waits in the store until it
//! can.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use model::{AccountId, AccountKey, AccountState};
use store::{PendingRevocation, Store, StoreError};

use super::evidence::{Belief, Evidence, LastAnswer, believe, believe_later};
use super::{Accounts, host};

/// The bridge responds to a request within seconds, so this long after a revocation, no earlier request is in progress.
const MAX_REQUEST_TIME: Duration = Duration::from_secs(60);

const DISCONNECTED: &str = "the integration was disconnected in Kommo";

/// The error of a job that was cancelled by a disconnection.
const CANCELLED_JOB_ERROR: &str = "cancelled, because the account disconnected the integration, so its bot cannot be continued; \
    to accept further requests, connect the account again with `salesbot-bridge accounts authorize`";

/// The parameters of the hook, as received.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// Kommo's number of the account.
    pub account_id: String,
    /// The integration's id.
    pub client_uuid: String,
    /// Hex of the HMAC-SHA-256 of `client_uuid|account_id` with the secret key.
    pub signature: String,
}

/// The outcome of a correctly signed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The account is disconnected; the value is the number of its jobs that were cancelled.
    Done(u64),
    /// The account cannot be checked now; the call is decided as soon as it can.
    Pending,
}

/// Why nothing was revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// The signature is wrong, or there is no such integration. The caller does not learn which.
    #[error("the signature does not match any configured integration")]
    Signature,
    /// The account's number is invalid.
    #[error("`account_id` is not a positive number")]
    AccountId,
    /// Kommo accepts the account's token, so the call is not believed. The bridge checks the account again for a few
    /// minutes, in case the token is about to stop working.
    #[error("the account is still connected: Kommo accepts its token")]
    StillConnected,
    /// The same call came before, and there is no token for checking the account.
    #[error("the same call came before, and the account has no token to check whether it is still connected")]
    Repeated,
    /// The disconnection could not be stored.
    #[error("the disconnection could not be stored: {0}")]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Disconnects the account if the call is believed: deletes its tokens, refuses its requests, and cancels its
    /// unfinished jobs.
    ///
    /// # Errors
    /// Nothing changed, or not everything; it is safe to call again.
    pub async fn revoke(&self, revocation: Revocation) -> Result<Revoked, RevocationError> {
        let integration = self.integration(&revocation.client_uuid).filter(|integration| {
            let secrets = [Some(&integration.client_secret), integration.previous_client_secret.as_ref()];
            secrets.into_iter().flatten().any(|secret| is_signed(&secret.get(), &revocation))
        });
        let integration = integration.ok_or(RevocationError::Signature)?;
        let account_id = revocation.account_id.parse().ok().filter(|id| *id > 0);
        let account_id = AccountId(account_id.ok_or(RevocationError::AccountId)?);
        let key = AccountKey::new(account_id, &integration.client_uuid);
        let accounts = self.clone();
        // In a separate task, so that a caller that hangs up leaves no half-done revocation.
        let task = tokio::spawn(async move { accounts.revoke_once(key).await });
        task.await.unwrap_or(Err(RevocationError::Store(StoreError::Closed)))
    }

    async fn revoke_once(&self, key: AccountKey) -> Result<Revoked, RevocationError> {
        let Some(store) = &self.0.parts.store else { return Ok(Revoked::Done(0)) };
        let last_answer = self.last_answer(&key);
        // The check may take minutes. Only one call keeps its connection for that long; concurrent calls wait in the
        // store.
        let Ok(mut last) = last_answer.try_lock() else {
            store.oauth().note_revocation(key, true).await?;
            return Ok(Revoked::Pending);
        };
        let answer = self.check_unless_recent(&key, &mut last).await;
        let pending = match answer.evidence {
            // `Works`: the call may arrive while the token still works for a moment.
            Evidence::Works | Evidence::Refused | Evidence::Silent => true,
            Evidence::Gone | Evidence::NoToken => false,
        };
        let is_first = store.oauth().note_revocation(key.clone(), pending).await?;
        let state = self.state_of(&key);
        match believe(answer.evidence, state, is_first) {
            // The watch cancels jobs that arrive late, and a repeated call must cost only a lookup.
            Belief::Believe
                if state == Some(AccountState::Revoked) && self.is_recently_disconnected(&key) =>
            {
                Ok(Revoked::Done(0))
            }
            Belief::Believe => match self.disconnect(store, &key, answer.generation).await? {
                Some(cancelled) => Ok(Revoked::Done(cancelled)),
                None => Err(RevocationError::StillConnected),
            },
            Belief::Wait => Ok(Revoked::Pending),
            Belief::Doubt => Err(RevocationError::StillConnected),
            Belief::Ignore => Err(RevocationError::Repeated),
        }
    }

    /// Decides the waiting calls of all accounts that can be checked now.
    pub(super) async fn complete_revocations(&self, store: &Store) -> Result<(), StoreError> {
        let pending = store.oauth().pending_revocations().await?;
        let settled = pending.into_iter().map(|pending| self.complete_revocation(store, pending));
        for done in futures_util::future::join_all(settled).await {
            done?;
        }
        Ok(())
    }

    async fn complete_revocation(&self, store: &Store, pending: PendingRevocation) -> Result<(), StoreError> {
        let PendingRevocation { key, since, is_first } = pending;
        let last_answer = self.last_answer(&key);
        let Ok(mut last) = last_answer.try_lock() else { return Ok(()) };
        let (waited, now) = (self.0.parts.clock.now().since(since), self.0.parts.clock.elapsed());
        if last.as_ref().is_some_and(|answer| answer.is_recent_after(waited, now)) {
            return Ok(());
        }
        let answer = self.check_unless_recent(&key, &mut last).await;
        match believe_later(answer.evidence, self.state_of(&key), is_first, waited, answer.refused_for()) {
            Belief::Believe => {
                let done = self.disconnect(store, &key, answer.generation).await?;
                let outcome = if done.is_some() { "revoked" } else { "dropped" };
                metrics::counter!("bridge_oauth_revocations_total", "outcome" => outcome).increment(1);
            }
            Belief::Wait => {}
            belief @ (Belief::Doubt | Belief::Ignore) => {
                store.oauth().settle_revocation(key.clone()).await?;
                metrics::counter!("bridge_oauth_revocations_total", "outcome" => "dropped").increment(1);
                let why = if belief == Belief::Doubt {
                    "Kommo accepts the account's token, so it stays connected"
                } else {
                    "it may be a repeated call, and the account has no token for a check"
                };
                tracing::info!(account.id = key.account_id.0, why, "call to /oauth/revoked ignored");
            }
        }
        Ok(())
    }

    /// Returns the last check of an account, locked during a check.
    pub(super) fn last_answer(&self, key: &AccountKey) -> Arc<tokio::sync::Mutex<Option<LastAnswer>>> {
        let mut all = self.0.last_answers.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key.clone()).or_default().clone()
    }

    /// Checks the account, unless it was checked moments ago: repeated calls must not use up the account's pace.
    async fn check_unless_recent(&self, key: &AccountKey, last: &mut Option<LastAnswer>) -> LastAnswer {
        let now = self.0.parts.clock.elapsed();
        let generation = || self.entry_of(key).map(|entry| entry.record.generation);
        if let Some(answer) = last.filter(|answer| answer.is_recent(now))
            && answer.generation == generation()
        {
            return answer;
        }
        let evidence = self.evidence(key).await;
        let answer = LastAnswer::new(last.as_ref(), self.0.parts.clock.elapsed(), generation(), evidence);
        *last = Some(answer);
        answer
    }

    fn state_of(&self, key: &AccountKey) -> Option<AccountState> {
        self.entry_of(key).map(|entry| entry.record.authorization.state())
    }

    /// Disconnects the account. `seen` is the generation of the checked tokens. Returns the number of cancelled jobs;
    /// `None` if the account was connected again meanwhile, in which case nothing changes.
    async fn disconnect(
        &self,
        store: &Store,
        key: &AccountKey,
        seen: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        let done = store.accounts().revoke(key.clone(), seen, DISCONNECTED.to_owned()).await?;
        self.reload().await?;
        if !done {
            return Ok(None);
        }
        let account_id = key.account_id;
        let cancelled = self.cancel_jobs(store, &[account_id]).await;
        // Only now, so that the watch does not cancel the jobs counted here.
        let until = self.0.parts.clock.elapsed() + MAX_REQUEST_TIME;
        self.disconnected().push((account_id, until));
        let cancelled = cancelled?;
        let entry = self.entry_of(key);
        let shown = entry.as_ref().and_then(|entry| entry.record.origin.as_deref()).map_or("?", host);
        let addresses = entry.iter().flat_map(|entry| [&entry.record.origin, &entry.record.previous_origin]);
        for origin in addresses.flatten() {
            self.0.parts.health.account_resumes(origin);
        }
        tracing::warn!(
            account.id = account_id.0,
            account.host = shown,
            jobs = cancelled,
            "account disconnected by Kommo: its requests are refused, and its unfinished jobs were cancelled"
        );
        Ok(Some(cancelled))
    }

    /// Cancels the jobs of these accounts, whose results can no longer be delivered. Skips an account that is still
    /// connected through another integration.
    pub(super) async fn cancel_jobs(
        &self,
        store: &Store,
        account_ids: &[AccountId],
    ) -> Result<u64, StoreError> {
        let gone = account_ids.iter().copied().filter(|account_id| !self.still_connected(*account_id));
        store.jobs().cancel_accounts(&gone.collect::<Vec<_>>(), CANCELLED_JOB_ERROR).await
    }

    /// Cancels jobs of recently disconnected accounts whose requests were verified before the disconnection and
    /// stored after it. An account that was connected again or removed since then keeps its jobs, even if it has no
    /// token now.
    pub(super) async fn cancel_late_jobs(&self, store: &Store) -> Result<(), StoreError> {
        let now = self.0.parts.clock.elapsed();
        let recent = self.disconnected().clone();
        let account_ids = recent.iter().map(|(account_id, _)| *account_id);
        let account_ids: Vec<AccountId> =
            account_ids.filter(|account_id| self.is_revoked(*account_id)).collect();
        self.cancel_jobs(store, &account_ids).await?;
        self.disconnected().retain(|one| now < one.1 || !recent.contains(one));
        Ok(())
    }

    /// Whether late jobs of this account are being cancelled.
    fn is_recently_disconnected(&self, key: &AccountKey) -> bool {
        let now = self.0.parts.clock.elapsed();
        self.disconnected().iter().any(|(account_id, until)| *account_id == key.account_id && now < *until)
    }

    pub(super) fn disconnected(&self) -> MutexGuard<'_, Vec<(AccountId, Duration)>> {
        self.0.disconnected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_revoked(&self, account_id: AccountId) -> bool {
        let directory = self.directory();
        directory
            .numbered(account_id)
            .any(|entry| entry.record.authorization.state() == AccountState::Revoked)
    }

    fn still_connected(&self, account_id: AccountId) -> bool {
        let directory = self.directory();
        directory.numbered(account_id).any(|entry| entry.tokens.is_some())
    }
}

fn is_signed(secret: &SecretString, revocation: &Revocation) -> bool {
    let secret = secret.expose_secret().as_bytes();
    // Anyone can sign with an empty secret.
    let Some(mac) = Hmac::<Sha256>::new_from_slice(secret).ok().filter(|_| !secret.is_empty()) else {
        return false;
    };
    let Ok(signature) = hex::decode(revocation.signature.trim()) else { return false };
    let signed = format!("{}|{}", revocation.client_uuid, revocation.account_id);
    // Constant time, wherever the difference is.
    mac.chain_update(signed).verify_slice(&signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Created by another program: `printf 'id|7' | openssl dgst -sha256 -hmac secret`.
    const SIGNATURE: &str = "b63a6fea5d8c86f84770f252561de1d30595f8869c3baacfa735534d7f9e91e6";

    #[test]
    fn a_signature_is_valid_only_for_its_account_and_integration() {
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
