//! Installations without a link: the integration allows them, and Kommo makes the call (`from_widget=1`).
//!
//! Anyone can make such a call, with any address in `delivery.allowed_hosts`. So the integration's secret is sent to
//! the address only if verified tokens have shown which accounts are there ([`pairs`](super::pairs)), and tokens of
//! another account are dropped. For any other address the code is stored encrypted, for as long as Kommo accepts it,
//! until an operator confirms the address. The result of an exchange without a link never affects the account's pace,
//! and the number of exchanges is limited ([`throttle`](super::throttle)); codes beyond the limit are also stored, and
//! exchanged when their turn comes.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use kommo::GrantError;
use model::AccountId;
use store::{CodeLimits, KeptCode, NewCode, Store, StoreError};

use super::connection::{ConnectError, Connected, Connection, Kept};
use super::exchange::{CodeSource, Ready};
use super::renew::url_of;
use super::throttle::Throttle;
use super::{Accounts, host};

/// How long Kommo accepts a code.
const CODE_LIFE: Duration = Duration::from_secs(20 * 60);
/// How many codes are stored at once. Junk for one address leaves room for other addresses.
const CODE_LIMITS: CodeLimits = CodeLimits { per_origin: 32, total: 256 };

impl Accounts {
    /// Connects the account of an installation, or stores its code.
    pub(super) async fn install(
        &self,
        ready: &Ready<'_>,
        url: Url,
        code: &SecretString,
    ) -> Result<Connection, ConnectError> {
        let origin: Arc<str> = url.origin().ascii_serialization().into();
        let expected = self.expected_at(&ready.integration.client_uuid, &origin);
        if expected.is_empty() {
            return self.keep(ready, &origin, code, true).await.map(Connection::Kept);
        }
        if !self.throttle().admits_exchange(&origin, self.0.parts.clock.elapsed()) {
            return self.keep(ready, &origin, code, false).await.map(Connection::Kept);
        }
        match self.exchange(ready, url, code, &expected).await {
            // The code is still valid.
            Err(ConnectError::Unavailable(_) | ConnectError::Blocked(_)) => {
                self.keep(ready, &origin, code, false).await.map(Connection::Kept)
            }
            done => done.map(Connection::Made),
        }
    }

    /// Exchanges a code at an address where these accounts are expected.
    async fn exchange(
        &self,
        ready: &Ready<'_>,
        url: Url,
        code: &SecretString,
        expected: &[AccountId],
    ) -> Result<Connected, ConnectError> {
        let origin = url.origin().ascii_serialization();
        let redeemed = match self.redeem(ready, url, code, CodeSource::Installation).await {
            Ok(redeemed) => redeemed,
            Err(error) => {
                let pause = match &error {
                    GrantError::TooMany { retry_after } => Some(*retry_after),
                    GrantError::Unavailable(_)
                    | GrantError::NotKommo { .. }
                    | GrantError::Blocked
                    | GrantError::Refused { status: 403, .. } => Some(None),
                    GrantError::NotAllowed(_) | GrantError::Dead { .. } | GrantError::Refused { .. } => None,
                };
                if let Some(span) = pause {
                    self.throttle().pause(&origin, span, self.0.parts.clock.elapsed());
                }
                return Err(error.into());
            }
        };
        if !expected.contains(&redeemed.account_id) {
            return Err(ConnectError::OtherAccount(redeemed.account_id));
        }
        self.admit(ready, redeemed, CodeSource::Installation, None).await
    }

    async fn keep(
        &self,
        ready: &Ready<'_>,
        origin: &Arc<str>,
        code: &SecretString,
        needs_confirmation: bool,
    ) -> Result<Kept, ConnectError> {
        let clock = &self.0.parts.clock;
        if !self.throttle().admits_code(origin, clock.elapsed()) {
            return Err(ConnectError::TooMany);
        }
        let client_uuid = ready.integration.client_uuid.trim().to_ascii_lowercase();
        let sealed = ready.sealer.seal_code(&client_uuid, origin, code).ok_or(ConnectError::NoKey)?;
        let (received_at, until) = (clock.now(), clock.now() + CODE_LIFE);
        let code = NewCode {
            client_uuid: client_uuid.into(),
            origin: origin.clone(),
            sealed,
            received_at,
            expires_at: until,
        };
        ready.store.oauth().keep_code(code, CODE_LIMITS).await.map_err(ConnectError::Store)?;
        let integration = ready.integration.name.clone();
        Ok(Kept { origin: origin.clone(), integration, until, needs_confirmation })
    }

    /// Exchanges stored codes at addresses that have become known: the newest code of each, within the limit.
    pub(super) async fn exchange_kept(&self, store: &Store) -> Result<(), StoreError> {
        let mut newest: BTreeMap<(Arc<str>, Arc<str>), KeptCode> = BTreeMap::new();
        for kept in store.oauth().kept_codes().await? {
            newest.entry((kept.client_uuid.clone(), kept.origin.clone())).or_insert(kept);
        }
        let exchanges = newest.into_values().map(|kept| self.exchange_one(store, kept));
        for done in futures_util::future::join_all(exchanges).await {
            done?;
        }
        Ok(())
    }

    async fn exchange_one(&self, store: &Store, kept: KeptCode) -> Result<(), StoreError> {
        let integration = self.integration(&kept.client_uuid).filter(|known| known.install_without_link);
        let Some(ready) = integration.and_then(|known| self.ready(known).ok()) else { return Ok(()) };
        let expected = self.expected_at(&kept.client_uuid, &kept.origin);
        let Ok(url) = url_of(&kept.origin) else { return Ok(()) };
        if expected.is_empty() || !self.throttle().admits_exchange(&kept.origin, self.0.parts.clock.elapsed())
        {
            return Ok(());
        }
        let Some(code) = self.take(store, ready.sealer, &kept).await? else { return Ok(()) };
        match self.exchange(&ready, url, &code, &expected).await {
            Ok(_) => {}
            Err(ConnectError::Unavailable(_) | ConnectError::Blocked(_)) => {
                self.put_back(&ready, &kept, &code).await?
            }
            Err(error) => {
                tracing::info!(account.host = host(&kept.origin), %error, "stored installation code connected no account");
            }
        }
        Ok(())
    }

    /// Removes a stored code and returns it, so that it is exchanged only once; `None` if it is gone or unreadable.
    pub(super) async fn take(
        &self,
        store: &Store,
        sealer: &super::seal::Sealer,
        kept: &KeptCode,
    ) -> Result<Option<SecretString>, StoreError> {
        let sealed = store.oauth().take_code(kept.id).await?;
        Ok(sealed.and_then(|sealed| sealer.open_code(&kept.client_uuid, &kept.origin, &sealed)))
    }

    /// Stores a code again that [`take`](Self::take) returned and that was not used.
    pub(super) async fn put_back(
        &self,
        ready: &Ready<'_>,
        kept: &KeptCode,
        code: &SecretString,
    ) -> Result<(), StoreError> {
        let KeptCode { client_uuid, origin, received_at, expires_at, .. } = kept.clone();
        let Some(sealed) = ready.sealer.seal_code(&client_uuid, &origin, code) else { return Ok(()) };
        let code = NewCode { client_uuid, origin, sealed, received_at, expires_at };
        ready.store.oauth().keep_code(code, CODE_LIMITS).await
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.0.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
