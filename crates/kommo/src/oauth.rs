//! OAuth 2.0 with Kommo: a code or a refresh token for a new pair, and where an account is now.
//!
//! Kommo's errors here say what is wrong in `hint`; titles and details can be Russian. Only some hints mean that a
//! token is good no more. Anything else (a mistyped secret, an outage) must not cost an account its tokens.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use crate::pace::Cause;
use model::{AccountId, RedirectUri};

use super::lenient;
use super::token_response::{self, Granted};
use super::transport::{Call, Failure, Kommo, Response};

/// The integration that asks.
#[derive(Clone)]
pub struct App<'a> {
    /// Its id.
    pub client_uuid: &'a str,
    /// Its secret key.
    pub client_secret: Arc<SecretString>,
    /// As written on its page in Kommo, which compares the text.
    pub redirect_uri: &'a RedirectUri,
}

/// What is given for new tokens.
#[derive(Clone, Copy)]
pub enum Grant<'a> {
    /// The code of a person's authorization; it works once, within 20 minutes.
    Code(&'a SecretString),
    /// The refresh token; the old one works until the new pair is first used.
    Refresh(&'a SecretString),
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
        let (kind, key, secret, old) = match grant {
            Grant::Code(code) => ("authorization_code", "code", code, None),
            Grant::Refresh(token) => ("refresh_token", "refresh_token", token, Some(token)),
        };
        body["grant_type"] = kind.into();
        body[key] = secret.expose_secret().into();
        let url = joined(origin, "/oauth2/access_token")?;
        let response = self.send(Call::post(url, body.to_string())).await.map_err(GrantError::from)?;
        judged(&response)?;
        token_response::read(&response.body, old).map_err(|why| {
            GrantError::Unavailable(format!("Kommo answered {} without tokens: {why}", response.status))
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
        address_of(&response.body)
            .ok_or_else(|| GrantError::Unavailable("Kommo did not say where the account is".to_owned()))
    }

    /// Asks which account a bearer belongs to.
    ///
    /// # Errors
    /// It does not tell.
    pub async fn account_id(&self, origin: &Url, bearer: &SecretString) -> Result<AccountId, GrantError> {
        let call = Call::get(joined(origin, "/api/v4/account")?).bearer(bearer);
        let response = self.send(call).await.map_err(GrantError::from)?;
        judged(&response)?;
        let map = lenient::object_of(&response.body).unwrap_or_default();
        let id = map.get("id").and_then(lenient::whole).map(AccountId);
        id.ok_or_else(|| GrantError::Unavailable("Kommo did not say which account it is".to_owned()))
    }
}

/// What an access token says of itself; nothing if it is not a JWT.
pub fn token_claims(access: &SecretString) -> TokenClaims {
    let claims = claims_of(access);
    let account_id = claims.get("account_id").and_then(lenient::whole);
    TokenClaims {
        account_id: account_id.filter(|id| *id > 0).map(AccountId),
        api_domain: claims.get("api_domain").and_then(Value::as_str).map(str::to_owned),
    }
}

/// The claims of a JWT, unverified; none if it is not one.
pub(super) fn claims_of(access: &SecretString) -> Map<String, Value> {
    let payload = access.expose_secret().split('.').nth(1);
    let bytes = payload.and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok());
    bytes.and_then(|bytes| lenient::object_of(&bytes)).unwrap_or_default()
}

fn address_of(body: &[u8]) -> Option<Address> {
    let map = lenient::object_of(body)?;
    let id = map.get("id").and_then(lenient::whole)?;
    let domain = map.get("domain")?.as_str()?.trim().to_owned();
    Some(Address { id, domain })
}

fn joined(origin: &Url, path: &str) -> Result<Url, GrantError> {
    origin.join(path).map_err(|_| GrantError::NotAllowed("the account's address is no URL".to_owned()))
}

/// Kommo's answer, as far as it is none that brings something.
pub(super) fn judged(response: &Response) -> Result<(), GrantError> {
    let status = response.status;
    let problem = response.problem();
    let text = problem.as_ref().map(|problem| problem.text.clone()).filter(|text| !text.is_empty());
    let is_block = status == 403 && problem.is_none();
    let unsaid = if is_block { Cause::Blocked.advice() } else { "it did not say why" };
    let text = text.unwrap_or_else(|| unsaid.to_owned());
    match status {
        200..=299 => Ok(()),
        400 | 401 if is_dead(&response.body) => Err(GrantError::Dead { status, text }),
        429 => {
            let retry_after =
                response.retry_after.or_else(|| problem.and_then(|problem| problem.retry_after));
            Err(GrantError::TooMany { retry_after })
        }
        408 | 425 | 500..=599 => Err(GrantError::Unavailable(format!("Kommo answered {status}: {text}"))),
        _ => Err(GrantError::Refused { status, text, is_block }),
    }
}

/// Whether the hint says that the token itself is the trouble. Hints are the same in every language.
fn is_dead(body: &[u8]) -> bool {
    let problem = lenient::object_of(body).unwrap_or_default();
    let hint = problem.get("hint").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    ["has been revoked", "has expired", "cannot decrypt", "is not linked to client"]
        .iter()
        .any(|sign| hint.contains(sign))
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
                Err(GrantError::Refused {
                    status: 403,
                    text: Cause::Blocked.advice().into(),
                    is_block: true,
                }),
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
    fn an_address_is_read_from_numbers_and_texts() {
        let expected = Some(Address { id: 7, domain: "a.kommo.com".into() });
        for body in [
            r#"{"id":7,"subdomain":"a","domain":"a.kommo.com","top_level_domain":"com"}"#,
            r#"{"id":"7","domain":"a.kommo.com"}"#,
            "\u{feff} {\"id\":7.0,\"domain\":\" a.kommo.com \",\"name\":\"\\ud83d\"}\n",
        ] {
            assert_eq!(address_of(body.as_bytes()), expected, "{body}");
        }
        for body in ["", "[]", r#"{"id":7}"#, r#"{"id":"x","domain":"a.kommo.com"}"#] {
            assert_eq!(address_of(body.as_bytes()), None, "{body}");
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
