//! OAuth 2.0 with Kommo: a code or a refresh token for a new pair, and where an account is now.
//!
//! Kommo's errors here say what is wrong in `hint`; titles and details can be Russian. Only some hints mean that a
//! token is no longer valid. Anything else (a mistyped secret, an outage) must not cost an account its tokens.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

use crate::pace::Cause;
use model::{AccountId, RedirectUri, error_chain};

use super::http_client::{Call, HttpClient};
use super::lenient;
use super::outcome::{CallFailure, CallOutcome, not_kommo};
use super::problem::ApiProblem;
use super::reason::Reason;
use super::response::Response;
use super::token_response::{self, GrantedTokens};

/// The integration that asks.
#[derive(Clone)]
pub struct OAuthApp<'a> {
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
    #[error("{}", error_chain(.0))]
    NotAllowed(Reason),
    /// The code or the refresh token no longer works.
    #[error("Kommo answered {status}: {text}")]
    Dead {
        /// 400 or 401.
        status: u16,
        /// What Kommo said.
        text: String,
    },
    /// Refused for another reason: the secret, the address, the redirect_uri.
    #[error("Kommo answered {status}: {text}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What Kommo said.
        text: String,
    },
    /// 403 without JSON: Kommo blocks the address that the call came from.
    #[error("Kommo answered 403: {}", Cause::Blocked.advice())]
    Blocked,
    /// Kommo asks to wait.
    #[error("Kommo answered 429")]
    TooMany {
        /// How long, if it said so.
        retry_after: Option<Duration>,
    },
    /// Something answered in place of Kommo's API.
    #[error("{}", not_kommo(*status))]
    NotKommo {
        /// The HTTP status.
        status: u16,
    },
    /// Kommo was not reached, or is in trouble.
    #[error("{}", error_chain(.0))]
    Unavailable(Reason),
}

/// Where an account is, as Kommo tells after it has moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountAddress {
    /// Kommo's number of the account.
    pub id: i64,
    /// Its whole host name.
    pub domain: String,
}

impl HttpClient {
    /// Asks `origin` for new tokens.
    ///
    /// # Errors
    /// There are none; the error says whether asking again may help.
    pub async fn grant(
        &self,
        origin: &Url,
        app: OAuthApp<'_>,
        grant: Grant<'_>,
    ) -> Result<GrantedTokens, GrantError> {
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
        let response = self.accepted(Call::post(url, body.to_string())).await?;
        token_response::read(&response.body, old).map_err(|why| {
            let status = response.status;
            GrantError::Unavailable(Reason::new(format!("Kommo answered {status} without tokens: {why}")))
        })
    }

    /// Asks `api` where the account of this refresh token is now.
    ///
    /// # Errors
    /// It does not tell.
    pub async fn address(&self, api: &Url, refresh: &SecretString) -> Result<AccountAddress, GrantError> {
        let url = joined(api, "/oauth2/account/current/subdomain")?;
        let call = Call::get(url).secret_header("x-refresh-token", refresh);
        let response = self.accepted(call).await?;
        address_of(&response.body)
            .ok_or_else(|| GrantError::Unavailable(Reason::new("Kommo did not say where the account is")))
    }

    /// Asks which account a bearer belongs to.
    ///
    /// # Errors
    /// It does not tell.
    pub async fn account_id(&self, origin: &Url, bearer: &SecretString) -> Result<AccountId, GrantError> {
        let call = Call::get(joined(origin, "/api/v4/account")?).bearer(bearer);
        let response = self.accepted(call).await?;
        let map = lenient::object_of(&response.body).unwrap_or_default();
        let id = map.get("id").and_then(lenient::whole).map(AccountId);
        id.ok_or_else(|| GrantError::Unavailable(Reason::new("Kommo did not say which account it is")))
    }

    /// Makes a call, and gives its response only if Kommo accepted it.
    async fn accepted(&self, call: Call<'_>) -> Result<Response, GrantError> {
        let result = self.send(call).await;
        check(CallOutcome::of(&result))?;
        // An outcome is accepted only if there is a response.
        Ok(result.unwrap_or_default())
    }
}

fn address_of(body: &[u8]) -> Option<AccountAddress> {
    let map = lenient::object_of(body)?;
    let id = map.get("id").and_then(lenient::whole)?;
    let domain = map.get("domain")?.as_str()?.trim().to_owned();
    Some(AccountAddress { id, domain })
}

fn joined(origin: &Url, path: &str) -> Result<Url, GrantError> {
    origin.join(path).map_err(|_| GrantError::NotAllowed(Reason::new("the account's address is no URL")))
}

/// What an outcome means to a request for tokens.
///
/// # Errors
/// The call was not accepted.
pub(super) fn check(outcome: CallOutcome) -> Result<(), GrantError> {
    let said = |problem: ApiProblem| {
        if problem.text.is_empty() { "it did not say why".to_owned() } else { problem.text }
    };
    Err(match outcome {
        CallOutcome::Accepted { .. } => return Ok(()),
        CallOutcome::Rejected { status: status @ 400, problem } if is_dead(&problem) => {
            GrantError::Dead { status, text: said(problem) }
        }
        CallOutcome::Unauthorized { problem } if is_dead(&problem) => {
            GrantError::Dead { status: 401, text: said(problem) }
        }
        CallOutcome::Blocked => GrantError::Blocked,
        CallOutcome::TooManyRequests { retry_after, .. } => GrantError::TooMany { retry_after },
        CallOutcome::NotKommo { status } => GrantError::NotKommo { status },
        CallOutcome::Redirected { .. } => GrantError::Unavailable(Reason::new(outcome.to_string())),
        CallOutcome::Unavailable { status, problem } => {
            let text = format!("Kommo answered {status}: {}", said(problem));
            GrantError::Unavailable(Reason::new(text))
        }
        CallOutcome::Rejected { status, problem } | CallOutcome::Unexpected { status, problem } => {
            GrantError::Refused { status, text: said(problem) }
        }
        CallOutcome::Unauthorized { problem } => GrantError::Refused { status: 401, text: said(problem) },
        CallOutcome::PaymentRequired { problem } => GrantError::Refused { status: 402, text: said(problem) },
        CallOutcome::Forbidden { problem } => GrantError::Refused { status: 403, text: said(problem) },
        CallOutcome::NotFound { problem } => GrantError::Refused { status: 404, text: said(problem) },
        CallOutcome::NoResponse(CallFailure::NotAllowed(refusal)) => {
            GrantError::NotAllowed(Reason::new(refusal.to_string()))
        }
        CallOutcome::NoResponse(CallFailure::NotSent(reason)) => GrantError::Unavailable(reason),
        CallOutcome::NoResponse(CallFailure::Lost { reason, .. }) => {
            GrantError::Unavailable(Reason::caused_by("the answer was lost", reason))
        }
    })
}

/// Whether the hint says that the token itself is the trouble. Hints are the same in every language.
fn is_dead(problem: &ApiProblem) -> bool {
    let hint = problem.hint.to_ascii_lowercase();
    ["has been revoked", "has expired", "cannot decrypt", "is not linked to client"]
        .iter()
        .any(|sign| hint.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::super::outcome::classify;
    use super::*;

    fn answer(status: u16, body: &str) -> Result<(), GrantError> {
        check(classify(&Response { status, body: body.as_bytes().to_vec(), ..Response::default() }))
    }

    #[test]
    fn only_a_dead_token_costs_an_account_its_tokens() {
        let dead = |status, text: &str| Err(GrantError::Dead { status, text: text.to_owned() });
        let refused = |status, text: &str| Err(GrantError::Refused { status, text: text.to_owned() });
        let unavailable = |text: &'static str| Err(GrantError::Unavailable(Reason::new(text)));
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
            (422, r#"{"hint":"Token has been revoked"}"#, refused(422, "Token has been revoked")),
            (404, r#"{"title":"Not Found"}"#, refused(404, "Not Found")),
            (404, "<html>", Err(GrantError::NotKommo { status: 404 })),
            (200, "<html>", Err(GrantError::NotKommo { status: 200 })),
            (405, "<html>", refused(405, "it did not say why")),
            (402, "", refused(402, "it did not say why")),
            (403, r#"{"title":"Forbidden"}"#, refused(403, "Forbidden")),
            (403, "<html>Token has been revoked", Err(GrantError::Blocked)),
            (301, "", unavailable("Kommo answered 301: redirects are not followed")),
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
        let expected = Some(AccountAddress { id: 7, domain: "a.kommo.com".into() });
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
}
