//! What a test does to the OAuth side of an account: expire, revoke, move, disable.

use super::account::lock;
use super::bot::ask;
use super::fault::Fault;
use super::moved::{Moved, MovedAnswer};
use super::oauth::{self, Granted};
use super::options::hex;
use super::plan::Algorithm;
use super::report::{Ack, CallError, OauthCall};
use super::{Simulator, access_token, token};

/// A pair of OAuth tokens of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The bearer for API calls.
    pub access_token: String,
    /// What the next pair is got with.
    pub refresh_token: String,
}

impl Simulator {
    /// Where a person who grants access comes back to, from now on; what the token endpoint must be
    /// told.
    pub fn set_redirect_uri(&self, redirect_uri: impl Into<String>) {
        *lock(&self.account.redirect_uri) = redirect_uri.into();
    }

    /// A pair of tokens as if an authorization had just been completed.
    #[must_use]
    pub fn issue_tokens(&self) -> Tokens {
        let pair = access_token::pair(&self.account);
        let tokens = Tokens { access_token: pair.access.clone(), refresh_token: pair.refresh.clone() };
        lock(&self.account.grants).add(pair, None);
        tokens
    }

    /// The redirect that brings a person back who granted access: `code`, `referer`, `client_id`, and
    /// this `state`. Each call makes a new code.
    ///
    /// # Errors
    ///
    /// The redirect URI is no URL; the text says why.
    pub fn callback_url(&self, state: &str) -> Result<String, String> {
        oauth::callback(&self.account, Granted::Code, Some(state)).map(String::from)
    }

    /// What Kommo calls by itself when the integration's widget is installed: `from_widget=1`, a new
    /// code, and no `state`.
    ///
    /// # Errors
    ///
    /// The redirect URI is no URL; the text says why.
    pub fn install_callback_url(&self) -> Result<String, String> {
        oauth::callback(&self.account, Granted::FromWidget, None).map(String::from)
    }

    /// Calls [`install_callback_url`](Self::install_callback_url) as Kommo does.
    ///
    /// # Errors
    ///
    /// The redirect URI is no URL, or nobody answered there in time.
    pub async fn send_install_callback(&self) -> Result<Ack, CallError> {
        let url = self.install_callback_url().map_err(CallError::Unreachable)?;
        ask(&self.account, self.account.client.get(url)).await
    }

    /// The hook that tells a bridge at this base URL that the account has disabled the integration:
    /// `{bridge_base}/oauth/revoked` with `account_id`, `client_uuid` and the signature over them.
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
    /// Nobody answered in time. The tokens are revoked all the same.
    pub async fn disable(&self, bridge_base: &str) -> Result<Ack, CallError> {
        self.revoke_tokens();
        ask(&self.account, self.account.client.get(self.revoke_url(bridge_base))).await
    }

    /// Revokes every OAuth token and code: calls and refreshes get 401. The long-lived token stays.
    pub fn revoke_tokens(&self) {
        lock(&self.account.grants).revoke();
    }

    /// Ends every OAuth access token, as if its time were over; refresh tokens go on working.
    pub fn expire_access_tokens(&self) {
        lock(&self.account.grants).expire_access();
    }

    /// Moves the account to another simulator, which should have been started with the same
    /// `account_id`. The other accepts this account's tokens from now on. This one refuses all bearers
    /// with 401 and all token requests with `answer`, and tells where the account went to whoever asks
    /// with its refresh token.
    pub fn move_to(&self, other: &Self, answer: MovedAnswer) {
        let grants = std::mem::take(&mut *lock(&self.account.grants));
        lock(&other.account.grants).take_over(&grants);
        *lock(&self.account.moved) = Some(Moved { to: other.account.clone(), answer });
    }

    /// Every call below `/oauth2/` gets this fault, until the next call with `None`.
    pub fn set_oauth_outage(&self, outage: Option<Fault>) {
        self.account.trouble.set_oauth_outage(outage);
    }

    /// The next calls below `/oauth2/` get these faults, one a call. With [`Fault::AnswerLost`] a code
    /// is redeemed or a token rotated, and nobody hears of it.
    pub fn queue_oauth_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.account.trouble.queue_oauth(faults);
    }

    /// Every request below `/oauth2/`, in order of arrival. Empty when
    /// [`Options::record`](super::Options::record) is off.
    #[must_use]
    pub fn oauth_calls(&self) -> Vec<OauthCall> {
        self.account.records.oauth_calls()
    }

    /// Every code, access token and refresh token that this account has given out so far, for tests
    /// that search for them where they must not be. An account that has moved has taken its own along.
    #[must_use]
    pub fn issued_secrets(&self) -> Vec<String> {
        lock(&self.account.grants).secrets()
    }
}
