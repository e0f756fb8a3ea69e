//! OAuth 2.0 with Kommo: a code or a refresh token for a new pair, and where an account is now.
//!
//! Kommo's errors here say what is wrong in `hint`; titles and details can be Russian. Only some hints mean that a
//! token is good no more. Anything else (a mistyped secret, an outage) must not cost an account its tokens.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::model::AccountId;

use super::transport::{Call, Failure, Kommo, Response};

/// Kommo says 86400; if it says nothing, a short life is the safe guess.
const UNTOLD_LIFE: Duration = Duration::from_secs(60 * 60);

/// The integration that asks.
#[derive(Clone)]
pub struct App<'a> {
    /// Its id.
    pub client_uuid: &'a str,
    /// Its secret key.
    pub client_secret: Arc<SecretString>,
    /// Just as it stands on its page in Kommo.
    pub redirect_uri: &'a Url,
}

/// What is given for new tokens.
#[derive(Clone, Copy)]
pub enum Grant<'a> {
    /// The code of a person's authorization; it works once, within 20 minutes.
    Code(&'a SecretString),
    /// The refresh token; the old one works until the new pair is first used.
    Refresh(&'a SecretString),
}

/// A new pair of tokens.
pub struct Granted {
    /// The bearer of calls.
    pub access: SecretString,
    /// Good for the next pair.
    pub refresh: SecretString,
    /// How long the access token lives.
    pub expires_in: Duration,
}

/// Why there are no new tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Nothing was sent: this host may not get a secret.
    #[error("{0}")]
    NotAllowed(String),
    /// The code or the refresh token is good no more.
    #[error("Kommo answered {status}: {text}")]
    Dead {
        /// 400 or 401.
        status: u16,
        /// What Kommo said.
        text: String,
    },
    /// Refused for another reason: the secret, the address, the redirect_uri, a block.
    #[error("Kommo answered {status}: {text}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What Kommo said.
        text: String,
        /// It is a 403 without JSON.
        is_block: bool,
    },
    /// Kommo wants to be asked later.
    #[error("Kommo answered 429")]
    TooMany {
        /// How long, if it said so.
        retry_after: Option<Duration>,
    },
    /// Kommo was not reached, or is in trouble.
    #[error("{0}")]
    Unavailable(String),
}

/// Where an account is, as Kommo tells after it has moved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Address {
    /// Kommo's number of the account.
    pub id: i64,
    /// Its whole host name.
    pub domain: String,
}

/// What an access token says of itself. It is read, not verified: Kommo gave it to us over TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenClaims {
    /// Kommo's number of the account.
    pub account_id: Option<AccountId>,
    /// The host that knows where the account is.
    pub api_domain: Option<String>,
}

impl Kommo {
    /// Asks `origin` for new tokens.
    ///
    /// # Errors
    /// There are none; the error says whether asking again may help.
    pub async fn grant(&self, origin: &Url, app: App<'_>, grant: Grant<'_>) -> Result<Granted, GrantError> {
        let mut body = json!({
            "client_id": app.client_uuid,
            "client_secret": app.client_secret.expose_secret(),
            "redirect_uri": app.redirect_uri.as_str(),
        });
        let (kind, key, secret) = match grant {
            Grant::Code(code) => ("authorization_code", "code", code),
            Grant::Refresh(token) => ("refresh_token", "refresh_token", token),
        };
        body["grant_type"] = kind.into();
        body[key] = secret.expose_secret().into();
        let url = joined(origin, "/oauth2/access_token")?;
        let response = self.send(Call::post(url, body.to_string())).await.map_err(GrantError::from)?;
        judged(&response)?;
        granted(&response.body).ok_or_else(|| {
            GrantError::Unavailable(format!(
                "Kommo answered {} without a pair of tokens in the body",
                response.status
            ))
        })
    }

    /// Asks `api` where the account of this refresh token is now.
    ///
    /// # Errors
    /// It does not tell.
    pub async fn address(&self, api: &Url, refresh: &SecretString) -> Result<Address, GrantError> {
        let url = joined(api, "/oauth2/account/current/subdomain")?;
        let call = Call::get(url).secret_header("x-refresh-token", refresh);
        let response = self.send(call).await.map_err(GrantError::from)?;
        judged(&response)?;
        serde_json::from_slice(&response.body)
            .map_err(|_| GrantError::Unavailable("Kommo did not say where the account is".to_owned()))
    }

    /// Asks which account a bearer belongs to.
    ///
    /// # Errors
    /// It does not tell.
    pub async fn account_id(&self, origin: &Url, bearer: &SecretString) -> Result<AccountId, GrantError> {
        #[derive(Deserialize)]
        struct Account {
            id: i64,
        }
        let call = Call::get(joined(origin, "/api/v4/account")?).bearer(bearer);
        let response = self.send(call).await.map_err(GrantError::from)?;
        judged(&response)?;
        let account: Account = serde_json::from_slice(&response.body)
            .map_err(|_| GrantError::Unavailable("Kommo did not say which account it is".to_owned()))?;
        Ok(AccountId(account.id))
    }
}

/// What an access token says of itself; nothing if it is no JWT.
pub fn token_claims(access: &SecretString) -> TokenClaims {
    let payload = access.expose_secret().split('.').nth(1);
    let bytes = payload.and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok());
    let claims: Value = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let account_id = match claims.get("account_id") {
        Some(Value::String(text)) => text.trim().parse().ok(),
        other => other.and_then(Value::as_i64),
    };
    TokenClaims {
        account_id: account_id.filter(|id| *id > 0).map(AccountId),
        api_domain: claims.get("api_domain").and_then(Value::as_str).map(str::to_owned),
    }
}

fn joined(origin: &Url, path: &str) -> Result<Url, GrantError> {
    origin.join(path).map_err(|_| GrantError::NotAllowed("the account's address is no URL".to_owned()))
}

/// Kommo's answer, as far as it is none that brings something.
pub(super) fn judged(response: &Response) -> Result<(), GrantError> {
    let status = response.status;
    let problem = response.problem();
    let text = problem.as_ref().map(|problem| problem.text.clone()).filter(|text| !text.is_empty());
    let text = text.unwrap_or_else(|| "it did not say why".to_owned());
    match status {
        200..=299 => Ok(()),
        400 | 401 if is_dead(&response.body) => Err(GrantError::Dead { status, text }),
        429 => {
            let retry_after =
                response.retry_after.or_else(|| problem.and_then(|problem| problem.retry_after));
            Err(GrantError::TooMany { retry_after })
        }
        408 | 425 | 500..=599 => Err(GrantError::Unavailable(format!("Kommo answered {status}: {text}"))),
        _ => Err(GrantError::Refused { status, text, is_block: status == 403 && problem.is_none() }),
    }
}

/// Whether the hint says that the token itself is the trouble. Hints are the same in every language.
fn is_dead(body: &[u8]) -> bool {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let hint = problem.get("hint").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    ["has been revoked", "has expired", "cannot decrypt", "is not linked to client"]
        .iter()
        .any(|sign| hint.contains(sign))
}

pub(super) fn granted(body: &[u8]) -> Option<Granted> {
    #[derive(Deserialize)]
    struct Body {
        access_token: SecretString,
        refresh_token: SecretString,
        expires_in: Option<f64>,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    // What cannot go into a header is no token.
    let fits = |token: &SecretString| {
        let text = token.expose_secret();
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let told = body.expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    (fits(&body.access_token) && fits(&body.refresh_token)).then(|| Granted {
        access: body.access_token,
        refresh: body.refresh_token,
        expires_in: told.filter(|life| !life.is_zero()).unwrap_or(UNTOLD_LIFE),
    })
}

impl From<Failure> for GrantError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotAllowed(why) => Self::NotAllowed(why),
            Failure::NotSent(why) => Self::Unavailable(why),
            Failure::Lost { why, .. } => Self::Unavailable(format!("the answer was lost: {why}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<(), GrantError> {
        judged(&Response { status, body: body.as_bytes().to_vec(), ..Response::default() })
    }

    #[test]
    fn only_a_dead_token_costs_an_account_its_tokens() {
        let dead = |status, text: &str| Err(GrantError::Dead { status, text: text.to_owned() });
        let refused =
            |status, text: &str| Err(GrantError::Refused { status, text: text.to_owned(), is_block: false });
        let unavailable = |text: &str| Err(GrantError::Unavailable(text.to_owned()));
        for (status, body, expected) in [
            (200, "", Ok(())),
            (
                401,
                r#"{"hint":"Token has been revoked","title":"Некорректный запрос","detail":"Refresh token"}"#,
                dead(401, "Некорректный запрос: Token has been revoked: Refresh token"),
            ),
            (
                400,
                r#"{"hint":"Authorization code has expired"}"#,
                dead(400, "Authorization code has expired"),
            ),
            (
                401,
                r#"{"hint":"Cannot decrypt the refresh token"}"#,
                dead(401, "Cannot decrypt the refresh token"),
            ),
            (401, r#"{"title":"Token has been revoked"}"#, refused(401, "Token has been revoked")),
            (401, r#"{"hint":"Client authentication failed"}"#, refused(401, "Client authentication failed")),
            (404, "<html>", refused(404, "it did not say why")),
            (403, r#"{"title":"Forbidden"}"#, refused(403, "Forbidden")),
            (
                403,
                "<html>Token has been revoked",
                Err(GrantError::Refused { status: 403, text: "it did not say why".into(), is_block: true }),
            ),
            (301, "", refused(301, "it did not say why")),
            (
                503,
                r#"{"hint":"Token has been revoked"}"#,
                unavailable("Kommo answered 503: Token has been revoked"),
            ),
            (
                429,
                r#"{"retry_after":5}"#,
                Err(GrantError::TooMany { retry_after: Some(Duration::from_secs(5)) }),
            ),
        ] {
            assert_eq!(answer(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_pair_is_read_with_its_life() {
        let life = |body: &str| granted(body.as_bytes()).map(|granted| granted.expires_in.as_secs());
        assert_eq!(
            life(
                r#"{"token_type":"Bearer","expires_in":86400,"access_token":"a","refresh_token":"r","x":1}"#
            ),
            Some(86_400)
        );
        assert_eq!(life(r#"{"access_token":"a","refresh_token":"r"}"#), Some(3_600));
        assert_eq!(life(r#"{"access_token":"a","refresh_token":"r","expires_in":-1}"#), Some(3_600));
        for body in [
            "",
            "{}",
            r#"{"access_token":"a"}"#,
            r#"{"access_token":"a\n","refresh_token":"r"}"#,
            r#"{"access_token":"","refresh_token":"r"}"#,
        ] {
            assert_eq!(life(body), None, "{body}");
        }
    }

    #[test]
    fn a_token_tells_account_and_api_host() {
        let claims =
            |payload: &str| token_claims(&format!("x.{}.y", BASE64_URL_SAFE_NO_PAD.encode(payload)).into());
        let expected =
            TokenClaims { account_id: Some(AccountId(7)), api_domain: Some("api-b.kommo.com".into()) };
        assert_eq!(claims(r#"{"account_id":7,"api_domain":"api-b.kommo.com"}"#), expected);
        assert_eq!(claims(r#"{"account_id":"7","api_domain":"api-b.kommo.com"}"#), expected);
        for payload in [r#"{"account_id":-7}"#, "[]", "x", ""] {
            assert_eq!(claims(payload), TokenClaims::default(), "{payload}");
        }
        assert_eq!(token_claims(&"no-jwt".into()), TokenClaims::default());
    }
}
