//! Kommo's OAuth callback: a person authorized an account through one of our links, or installed a widget.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::Url;

use model::{AccountId, AccountKey, AccountState};
use store::StateUse;

use super::connection::{ConnectError, Connected, Connection};
use super::exchange::{CodeSource, Ready};
use super::link::{State, StateError};
use super::{Accounts, OAuthIntegration};

/// The parameters of Kommo's redirect.
pub struct Callback {
    /// The code.
    pub code: SecretString,
    /// The account's host, according to the caller.
    pub referer: String,
    /// The integration's id.
    pub client_id: Option<String>,
    /// The `state` of our link.
    pub state: Option<String>,
    /// Whether the call comes from the installation of a widget, which has no link.
    pub from_widget: bool,
}

impl Accounts {
    /// Connects the account of a callback. It continues even if the caller disconnects, because a code works only
    /// once.
    ///
    /// # Errors
    /// The account was not connected, and nothing changed.
    pub async fn connect(&self, callback: Callback) -> Result<Connection, ConnectError> {
        let accounts = self.clone();
        let task = tokio::spawn(async move { accounts.connect_once(callback).await });
        task.await.unwrap_or_else(|_| Err(ConnectError::interrupted()))
    }

    async fn connect_once(&self, callback: Callback) -> Result<Connection, ConnectError> {
        let integration = self.integration_of(callback.client_id.as_deref())?;
        let ready = self.ready(integration)?;
        let state = match &callback.state {
            Some(state) => Some(self.check_state(integration, state)?),
            None if !callback.from_widget => return Err(StateError::Missing.into()),
            None if !integration.install_without_link => {
                return Err(ConnectError::LinkNeeded(integration.name.clone()));
            }
            None => None,
        };
        let url = self.origin_of(&callback.referer)?;
        match state {
            Some(state) => self.connect_by_link(&ready, state, url, &callback.code).await,
            None => self.install(&ready, url, &callback.code).await,
        }
    }

    /// Connects by a link, whose `state` allows one code. Until that code connects an account, the call may be
    /// repeated; afterwards, the same call gets the first answer again without a call to Kommo.
    async fn connect_by_link(
        &self,
        ready: &Ready<'_>,
        State { until, nonce }: State,
        url: Url,
        code: &SecretString,
    ) -> Result<Connection, ConnectError> {
        // A page reloaded during the exchange waits for its result.
        let turn = self.link_turn(nonce);
        let _turn = turn.lock().await;
        let code_hash = Sha256::digest(code.expose_secret()).into();
        match ready.store.oauth().use_state(nonce, code_hash, until).await.map_err(ConnectError::Store)? {
            StateUse::Granted => {}
            StateUse::OtherCode => return Err(StateError::Used.into()),
            StateUse::Connected(account_id) => return self.repeated(ready.integration, account_id),
        }
        let by = CodeSource::Link(nonce);
        let redeemed = self.redeem(ready, url, code, by).await?;
        Ok(Connection::Made(self.admit(ready, redeemed, by, None).await?))
    }

    /// Answers a call whose link has already connected this account.
    fn repeated(
        &self,
        integration: &OAuthIntegration,
        account_id: AccountId,
    ) -> Result<Connection, ConnectError> {
        let entry = self.entry_of(&AccountKey::new(account_id, &integration.client_uuid));
        let active = entry.filter(|entry| entry.record.authorization.state() == AccountState::Active);
        let origin = active.and_then(|entry| entry.record.origin.clone()).ok_or(StateError::Used)?;
        let integration = integration.name.clone();
        let was = Some(AccountState::Active);
        Ok(Connection::Repeated(Connected { account_id, origin, integration, was }))
    }

    /// Returns the lock that allows one call at a time per link.
    fn link_turn(&self, nonce: [u8; 16]) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.link_turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        turns.get(&nonce).and_then(Weak::upgrade).unwrap_or_else(|| {
            let turn = Arc::default();
            turns.insert(nonce, Arc::downgrade(&turn));
            turn
        })
    }

    /// Returns the integration that `client_id` names; without one, the only integration with a redirect_uri.
    fn integration_of(&self, client_id: Option<&str>) -> Result<&OAuthIntegration, ConnectError> {
        let found = match client_id {
            Some(client_id) => self.integration(client_id),
            None => {
                let mut able = self.0.parts.integrations.iter().filter(|known| known.redirect_uri.is_some());
                able.next().filter(|_| able.next().is_none())
            }
        };
        found.ok_or(ConnectError::UnknownIntegration)
    }
}

/// The locks of links with a call in progress.
pub(super) type LinkTurns = HashMap<[u8; 16], Weak<tokio::sync::Mutex<()>>>;
