//! Controls for tests of OAuth: expire, revoke, move, disable.

use super::account::lock;
use super::bot::ask;
use super::fault::Fault;
use super::moved::{Moved, MovedAnswer};
use super::oauth::{self, Reason};
use super::options::hex;
use super::plan::Algorithm;
use super::report::{Ack, CallError, OauthCall};
use super::{Simulator, access_token, token};

/// An OAuth token pair of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The bearer for API calls.
    pub access_token: String,
    /// The token that a refresh exchanges for the next pair.
    pub refresh_token: String,
}

impl Simulator {
    /// Sets the integration's redirect URI: where a user returns after granting access, and the
    /// `redirect_uri` that the token endpoint requires.
    pub fn set_redirect_uri(&self, redirect_uri: impl Into<String>) {
        *lock(&self.account.redirect_uri) = redirect_uri.into();
    }

    /// Issues a token pair, as if an authorization had just been completed.
    #[must_use]
    pub fn issue_tokens(&self) -> Tokens {
        let pair = access_token::pair(&self.account);
        let tokens = Tokens { access_token: pair.access.clone(), refresh_token: pair.refresh.clone() };
        lock(&self.account.grants).add(pair, None);
        tokens
    }

    /// The URL to which a user returns after granting access, with `code`, `referer`, `client_id` and this
    /// `state`. Each call creates a new code.
    ///
    /// # Errors
    ///
    /// The redirect URI is not a URL; the text says why.
    pub fn callback_url(&self, state: &str) -> Result<String, String> {
        oauth::callback(&self.account, Reason::Granted, Some(state)).map(String::from)
    }

    /// The URL that Kommo calls when the integration's widget is installed, with `from_widget=1`, a new
    /// code and no `state`.
    ///
    /// # Errors
    ///
    /// The redirect URI is not a URL; the text says why.
    pub fn install_callback_url(&self) -> Result<String, String> {
        oauth::callback(&self.account, Reason::Installed, None).map(String::from)
    }

    /// Calls [`install_callback_url`](Self::install_callback_url) as Kommo does.
    ///
    /// # Errors
    ///
    /// The redirect URI is not a URL, or there was no response in time.
    pub async fn send_install_callback(&self) -> Result<Ack, CallError> {
        let url = self.install_callback_url().map_err(CallError::Unreachable)?;
        ask(&self.account, self.account.client.get(url)).await
    }

    /// The URL of the hook that Kommo calls when the account disables the integration: `{bridge_base}/oauth/revoked`
    /// with `account_id`, `client_uuid` and the signature over both.
    #[must_use]
    pub fn revoke_url(&self, bridge_base: &str) -> String {
        let options = &self.account.options;
        let signed = format!("{}|{}", options.client_uuid, options.account_id);
        let signature =
            hex(&token::sign(Algorithm::Hs256, options.client_secret.as_bytes(), signed.as_bytes()));
        format!(
            "{}/oauth/revoked?account_id={}&client_uuid={}&signature={signature}",
            bridge_base.trim_end_matches('/'),
            options.account_id,
            options.client_uuid,
        )
    }

    /// Disables the integration in the account: revokes its tokens, then calls
    /// [`revoke_url`](Self::revoke_url).
    ///
    /// # Errors
    ///
    /// There was no response in time. The tokens are revoked nevertheless.
    pub async fn disable(&self, bridge_base: &str) -> Result<Ack, CallError> {
        self.revoke_tokens();
        ask(&self.account, self.account.client.get(self.revoke_url(bridge_base))).await
    }

    /// Revokes every OAuth token and code: calls and refreshes get 401. The long-lived token stays valid.
    pub fn revoke_tokens(&self) {
        lock(&self.account.grants).revoke();
    }

    /// Expires every OAuth access token. Refresh tokens keep working.
    pub fn expire_access_tokens(&self) {
        lock(&self.account.grants).expire_access();
    }

    /// Moves the account to another simulator, which must have the same `account_id`. The other simulator
    /// then accepts this account's OAuth tokens. This one refuses all bearers with 401 and all token
    /// requests with `answer`. It still returns the new host to a caller with a refresh token of the
    /// account.
    pub fn move_to(&self, other: &Self, answer: MovedAnswer) {
        let grants = std::mem::take(&mut *lock(&self.account.grants));
        lock(&other.account.grants).take_over(&grants);
        *lock(&self.account.moved) = Some(Moved { to: other.account.clone(), answer });
    }

    /// Plays this fault for every call below `/oauth2/`, until `None` is set.
    pub fn set_oauth_outage(&self, outage: Option<Fault>) {
        self.account.trouble.set_oauth_outage(outage);
    }

    /// Appends faults to the queue of the OAuth endpoints. Each call below `/oauth2/` takes one from the
    /// front. With [`Fault::AnswerLost`] the code is redeemed or the token rotated, but the caller gets
    /// no response.
    pub fn queue_oauth_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.account.trouble.queue_oauth(faults);
    }

    /// Every request below `/oauth2/`, in order of arrival. Empty if
    /// [`Options::record`](super::Options::record) is off.
    #[must_use]
    pub fn oauth_calls(&self) -> Vec<OauthCall> {
        self.account.records.oauth_calls()
    }

    /// Every code, access token and refresh token that this account has issued, for tests that check for
    /// leaks. After [`move_to`](Self::move_to), the other simulator returns them instead.
    #[must_use]
    pub fn issued_secrets(&self) -> Vec<String> {
        lock(&self.account.grants).secrets()
    }
}
