//! Exchanges a code for tokens and activates the account. Links, installations and confirmations share it.

use std::sync::Arc;

use secrecy::SecretString;
use url::Url;

use kommo::{Grant, GrantError, GrantedTokens, token_claims};
use model::{AccountId, AccountKey, AccountRecord, Authorization, RedirectUri};
use store::{Actor, NewConnection, Store};

use super::connection::{ConnectError, Connected};
use super::paced::PaceEffect;
use super::renew::{oauth_app, tokens_of};
use super::seal::Sealer;
use super::{Accounts, OAuthIntegration, host};

/// Where a code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeSource {
    /// A link of ours, with the nonce of its `state`.
    Link([u8; 16]),
    /// An installation, which anyone can send, at a known address.
    Installation,
    /// An installation whose address an operator confirmed.
    #[cfg_attr(not(any(test, feature = "cli")), expect(dead_code, reason = "only a command confirms"))]
    Operator,
}

impl CodeSource {
    const fn pace_effect(self) -> PaceEffect {
        match self {
            Self::Link(_) | Self::Operator => PaceEffect::AllCalls,
            Self::Installation => PaceEffect::NoCall,
        }
    }

    const fn state(self) -> Option<[u8; 16]> {
        match self {
            Self::Link(nonce) => Some(nonce),
            Self::Installation | Self::Operator => None,
        }
    }
}

/// Everything needed to connect accounts through an integration.
pub(super) struct Ready<'a> {
    pub(super) integration: &'a OAuthIntegration,
    pub(super) redirect_uri: &'a RedirectUri,
    pub(super) store: &'a Store,
    pub(super) sealer: &'a Sealer,
}

/// Tokens from an exchanged code that are not stored yet.
pub(super) struct Redeemed {
    granted: GrantedTokens,
    url: Url,
    pub(super) origin: Arc<str>,
    /// The account, according to the address.
    pub(super) account_id: AccountId,
}

impl Accounts {
    /// Checks that accounts can be connected through this integration.
    ///
    /// # Errors
    /// The configuration lacks something for it.
    pub(super) fn ready<'a>(&'a self, integration: &'a OAuthIntegration) -> Result<Ready<'a>, ConnectError> {
        let redirect_uri = integration.redirect_uri.as_ref();
        let redirect_uri =
            redirect_uri.ok_or_else(|| ConnectError::NoRedirectUri(integration.name.clone()))?;
        let (Some(store), Some(sealer)) = (&self.0.parts.store, &self.0.sealer) else {
            return Err(ConnectError::NoKey);
        };
        Ok(Ready { integration, redirect_uri, store, sealer })
    }

    /// Exchanges a code. This sends the integration's secret to `url`.
    ///
    /// # Errors
    /// The address returned no tokens, or does not say which account they belong to.
    pub(super) async fn redeem(
        &self,
        ready: &Ready<'_>,
        url: Url,
        code: &SecretString,
        by: CodeSource,
    ) -> Result<Redeemed, GrantError> {
        let kommo = &self.0.parts.kommo;
        let origin: Arc<str> = url.origin().ascii_serialization().into();
        let app = oauth_app(ready.integration, ready.redirect_uri);
        let grant = kommo.grant(&url, app, Grant::Code(code));
        let granted = self.paced_by(&origin, by.pace_effect(), grant).await?;
        let account_id = match token_claims(&granted.access).account_id {
            Some(account_id) => account_id,
            None => self.paced_by(&origin, by.pace_effect(), kommo.account_id(&url, &granted.access)).await?,
        };
        Ok(Redeemed { granted, url, origin, account_id })
    }

    /// Connects the account of these tokens, if it may be connected at their address. `operator` confirmed it.
    ///
    /// # Errors
    /// The account may not be connected there, or the tokens could not be stored; nothing changed.
    pub(super) async fn admit(
        &self,
        ready: &Ready<'_>,
        redeemed: Redeemed,
        by: CodeSource,
        operator: Option<Actor>,
    ) -> Result<Connected, ConnectError> {
        let parts = &self.0.parts;
        let Ready { integration, store, sealer, .. } = ready;
        let Redeemed { granted, url, origin, account_id } = redeemed;
        let key = AccountKey::new(account_id, &integration.client_uuid);
        let moves_from = self.check_place(&url, &origin, &key, &granted.access, by.pace_effect()).await?;
        let tokens = sealer.seal(&key, &tokens_of(granted, parts.clock.now())).ok_or(ConnectError::NoKey)?;
        let known = self.entry_of(&key);
        let new = NewConnection {
            key: key.clone(),
            origin: origin.clone(),
            tokens: tokens.clone(),
            moves_from,
            state: by.state(),
            by: operator,
        };
        let generation = store.accounts().connect(new).await.map_err(ConnectError::Store)?;
        let Some(generation) = generation else {
            // Meanwhile, another process has connected the account at another address.
            self.reload().await.map_err(ConnectError::Store)?;
            let at = self.entry_of(&key).and_then(|entry| entry.record.origin.clone());
            let host = at.as_deref().map_or("?", host).to_owned();
            return Err(ConnectError::Elsewhere { account_id, host });
        };
        let old = known.as_ref().and_then(|known| known.record.origin.clone()).filter(|old| *old != origin);
        let before = known.as_ref().and_then(|known| known.record.previous_origin.clone());
        let previous_origin = old.or(before);
        self.put(AccountRecord {
            key,
            origin: Some(origin.clone()),
            previous_origin: previous_origin.clone(),
            authorization: Authorization::Active(tokens),
            generation,
            connected_at: Some(parts.clock.now()),
        });
        // Also for the old address, where earlier deliveries wait.
        for origin in previous_origin.iter().chain([&origin]) {
            self.resume_with_new_token(origin);
        }
        let was = known.map(|known| known.record.authorization.state());
        let integration = integration.name.clone();
        tracing::info!(
            account.id = account_id.0,
            account.host = host(&origin),
            integration,
            "account connected"
        );
        Ok(Connected { account_id, origin, integration, was })
    }
}
