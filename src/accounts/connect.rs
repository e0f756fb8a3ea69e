//! A person has authorized an account: the code becomes tokens, and the account active.

use std::sync::{Arc, PoisonError};

use secrecy::SecretString;
use url::Url;

use crate::kommo::{Grant, GrantError, token_claims};
use crate::model::{AccountId, AccountKey, AccountRecord, AccountState, HostRefusal, Standing};
use crate::store::StoreError;

use super::link::StateError;
use super::renew::{app, made};
use super::{Accounts, Integration, host};

/// What Kommo's redirect says.
pub struct Callback {
    /// The code.
    pub code: SecretString,
    /// The account's host, as the caller has it.
    pub referer: String,
    /// The integration's id.
    pub client_id: Option<String>,
    /// What our link said.
    pub state: Option<String>,
    /// Whether the call comes from the installation of a widget, and so without a link.
    pub from_widget: bool,
}

/// An account that was connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Kommo's number of the account.
    pub account_id: AccountId,
    /// Its scheme, host and port.
    pub origin: Arc<str>,
    /// The integration's name in the configuration.
    pub integration: String,
    /// How it stood before, if it was known.
    pub was: Option<AccountState>,
}

/// Why an account was not connected. None of the texts has a code or a secret in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nobody of the configuration.
    #[error(
        "no integration with this client_id is configured: add integrations.NAME with its client_uuid and client_secret"
    )]
    UnknownIntegration,
    /// The integration is not set up for it.
    #[error(
        "integrations.{0} has no redirect_uri: set it just as it stands on the integration's page in Kommo"
    )]
    NoRedirectUri(String),
    /// There is nowhere to keep tokens.
    #[error("store.encryption_key is missing: without it no account can be connected")]
    NoKey,
    /// Not ours.
    #[error("the call is not for us: {0}")]
    State(#[from] StateError),
    /// The secret must not go there.
    #[error("`referer` is no account's host: {0}")]
    Referer(String),
    /// The tokens are of another account than the one that is connected at this address, and that one is still there.
    #[error("another account is at this address: authorize that one, or remove it with `accounts remove`")]
    Taken,
    /// Too many installations in a minute: anybody can claim one.
    #[error(
        "too many installations of the widget within a minute: use a link of `salesbot-bridge accounts authorize`"
    )]
    TooMany,
    /// Kommo does not take the code.
    #[error(
        "Kommo does not take the code ({0}): it works once and for 20 minutes; authorize the account again"
    )]
    Code(String),
    /// Kommo does not take the integration.
    #[error("Kommo refuses the integration ({0}): check its client_uuid, client_secret and redirect_uri")]
    Refused(String),
    /// Kommo was not reached, or is in trouble.
    #[error("Kommo could not be asked ({0}): try again")]
    Unavailable(String),
    /// The tokens could not be stored.
    #[error("the tokens could not be stored ({0}): mend that, and authorize the account again")]
    Store(StoreError),
}

impl Accounts {
    /// Connects the account of a callback. It goes on even if the caller goes away: a code works only once.
    ///
    /// # Errors
    /// It was not connected; nothing is changed.
    pub async fn connect(&self, callback: Callback) -> Result<Connected, ConnectError> {
        let accounts = self.clone();
        let task = tokio::spawn(async move { accounts.connect_once(callback).await });
        task.await
            .unwrap_or_else(|_| Err(ConnectError::Unavailable("the exchange ended in mid-work".to_owned())))
    }

    async fn connect_once(&self, callback: Callback) -> Result<Connected, ConnectError> {
        let parts = &self.0.parts;
        let integration = self.integration_of(callback.client_id.as_deref())?;
        let redirect_uri = integration.redirect_uri.as_ref();
        let redirect_uri =
            redirect_uri.ok_or_else(|| ConnectError::NoRedirectUri(integration.name.clone()))?;
        let (Some(store), Some(sealer)) = (&parts.store, &self.0.sealer) else {
            return Err(ConnectError::NoKey);
        };
        match &callback.state {
            Some(state) => self.check_state(integration, state)?,
            None if callback.from_widget => {}
            None => return Err(StateError::Missing.into()),
        }
        let url = self.origin_of(&callback.referer).map_err(ConnectError::Referer)?;
        let origin: Arc<str> = url.origin().ascii_serialization().into();
        if callback.state.is_none() && !self.admits_stranger(&origin) {
            return Err(ConnectError::TooMany);
        }
        let grant = parts.kommo.grant(&url, app(integration, redirect_uri), Grant::Code(&callback.code));
        let granted = self.paced(&origin, grant).await?;
        let account_id = match token_claims(&granted.access).account_id {
            Some(account_id) => account_id,
            None => self.paced(&origin, parts.kommo.account_id(&url, &granted.access)).await?,
        };
        self.check_place(&url, &origin, account_id, &granted.access).await?;
        let key = AccountKey::new(account_id, &integration.client_uuid);
        let tokens = sealer.seal(&key, &made(granted, parts.clock.now())).ok_or(ConnectError::NoKey)?;
        let known = self.entry_of(&key);
        let generation = store
            .connect_account(key.clone(), origin.clone(), tokens.clone())
            .await
            .map_err(ConnectError::Store)?;
        let old = known.as_ref().and_then(|known| known.record.origin.clone()).filter(|old| *old != origin);
        let before = known.as_ref().and_then(|known| known.record.previous_origin.clone());
        let previous_origin = old.or(before);
        self.put(AccountRecord {
            key,
            origin: Some(origin.clone()),
            previous_origin: previous_origin.clone(),
            standing: Standing::Active(tokens),
            generation,
            connected_at: Some(parts.clock.now()),
        });
        // Also where it was: deliveries of that time waited under that name.
        for origin in previous_origin.iter().chain([&origin]) {
            self.goes_on(origin);
        }
        let was = known.map(|known| known.record.standing.state());
        let integration = integration.name.clone();
        tracing::info!(
            account.id = account_id.0,
            account.host = host(&origin),
            integration,
            "an account was connected"
        );
        Ok(Connected { account_id, origin, integration, was })
    }

    fn admits_stranger(&self, origin: &str) -> bool {
        let now = self.0.parts.clock.elapsed();
        self.0.strangers.lock().unwrap_or_else(PoisonError::into_inner).admits(origin, now)
    }

    /// Where another account is connected, whoever comes has to show that it is there now: `referer` is the caller's word,
    /// and a wrong one would take that account's deliveries away from it.
    async fn check_place(
        &self,
        url: &Url,
        origin: &str,
        account_id: AccountId,
        access: &SecretString,
    ) -> Result<(), ConnectError> {
        let is_taken = self.entry(origin).is_some_and(|other| other.record.key.account_id != account_id);
        if !is_taken {
            return Ok(());
        }
        match self.paced(origin, self.0.parts.kommo.account_id(url, access)).await {
            Ok(there) if there == account_id => Ok(()),
            Ok(_) | Err(GrantError::Dead { .. } | GrantError::Refused { .. }) => Err(ConnectError::Taken),
            Err(error) => Err(error.into()),
        }
    }

    /// The integration that `client_id` names; if it names none, the only one that can be meant.
    fn integration_of(&self, client_id: Option<&str>) -> Result<&Integration, ConnectError> {
        let found = match client_id {
            Some(client_id) => self.integration(client_id),
            None => {
                let mut able = self.0.parts.integrations.iter().filter(|known| known.redirect_uri.is_some());
                able.next().filter(|_| able.next().is_none())
            }
        };
        found.ok_or(ConnectError::UnknownIntegration)
    }

    /// The address of a `referer`, which is a host or, as some have seen it, a URL.
    fn origin_of(&self, referer: &str) -> Result<Url, String> {
        let rules = &self.0.parts.hosts;
        let schemes = if rules.insecure { &["https", "http"][..] } else { &["https"] };
        let mut refusal = "it is no host".to_owned();
        for scheme in schemes {
            let bare = referer.trim().trim_end_matches('/');
            let text = if bare.contains("://") { bare.to_owned() } else { format!("{scheme}://{bare}") };
            let Ok(url) = Url::parse(&text) else { continue };
            if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
                return Err("it is more than a host".to_owned());
            }
            match rules.check(&url) {
                Ok(()) if is_plain(&url) || *scheme == "http" => return Ok(url),
                Ok(()) => {}
                Err(error) => refusal = refused(error),
            }
        }
        Err(refusal)
    }
}

/// Under `insecure` an address with a port of its own is a test's, and speaks plain HTTP.
fn is_plain(url: &Url) -> bool {
    url.scheme() == "http" || url.port().is_none()
}

fn refused(refusal: HostRefusal) -> String {
    refusal.to_string()
}

impl From<GrantError> for ConnectError {
    fn from(error: GrantError) -> Self {
        let text = error.to_string();
        match error {
            GrantError::NotAllowed(_) => Self::Referer(text),
            GrantError::Dead { .. } => Self::Code(text),
            GrantError::Refused { .. } => Self::Refused(text),
            GrantError::TooMany { .. } | GrantError::Unavailable(_) => Self::Unavailable(text),
        }
    }
}
