//! OAuth 2.0 with Kommo: exchanges a code or a refresh token for a new pair of tokens, and finds an account that has moved.
//!
//! Kommo's errors describe the problem in `hint`; title and detail can be Russian. Only some hints mean that a token has
//! become invalid. After any other error (a mistyped secret, an outage), the account keeps its tokens.

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

/// The integration for which tokens are requested.
#[derive(Clone)]
pub struct OAuthApp<'a> {
    /// The integration's id.
    pub client_uuid: &'a str,
    /// The integration's secret key.
    pub client_secret: Arc<SecretString>,
    /// The redirect URI, exactly as on the integration's page, because Kommo compares the text.
    pub redirect_uri: &'a RedirectUri,
}

/// The credential to exchange for new tokens.
#[derive(Clone, Copy)]
pub enum Grant<'a> {
    /// The code of a person's authorization. It works once, within 20 minutes.
    Code(&'a SecretString),
    /// A refresh token. It keeps working until the new pair is first used.
    Refresh(&'a SecretString),
}

/// The reason why there are no new tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Nothing was sent, because the host may not get a secret.
    #[error("{}", error_chain(.0))]
    NotAllowed(Reason),
    /// The code or the refresh token no longer works.
    #[error("Kommo answered {status}: {text}")]
    Dead {
        /// 400 or 401.
        status: u16,
        /// Kommo's text.
        text: String,
    },
    /// Kommo refuses the request for another reason, such as the secret, the address or the `redirect_uri`.
    #[error("Kommo answered {status}: {text}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Kommo's text.
        text: String,
    },
    /// 403 without JSON: Kommo blocks the IP address that the call came from.
    #[error("Kommo answered 403: {}", Cause::Blocked.advice())]
    Blocked,
    /// 429: Kommo asks to wait.
    #[error("Kommo answered 429")]
    TooMany {
        /// The time to wait, if Kommo named one.
        retry_after: Option<Duration>,
    },
    /// Something other than Kommo's API answered.
    #[error("{}", not_kommo(*status))]
    NotKommo {
        /// The HTTP status.
        status: u16,
    },
    /// Kommo was not reached, or has a problem.
    #[error("{}", error_chain(.0))]
    Unavailable(Reason),
}

/// The current address of an account, according to Kommo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountAddress {
    /// The account's number.
    pub id: i64,
    /// The full host name.
    pub domain: String,
}

impl HttpClient {
    /// Requests new tokens from `origin`.
    ///
    /// # Errors
    /// Kommo granted no tokens. The variant shows whether a retry may help.
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

    /// Requests the current address of the refresh token's account from `api`.
    ///
    /// # Errors
    /// Kommo did not return the address.
    pub async fn address(&self, api: &Url, refresh: &SecretString) -> Result<AccountAddress, GrantError> {
        let url = joined(api, "/oauth2/account/current/subdomain")?;
        let call = Call::get(url).secret_header("x-refresh-token", refresh);
        let response = self.accepted(call).await?;
        address_of(&response.body)
            .ok_or_else(|| GrantError::Unavailable(Reason::new("Kommo did not return the account's address")))
    }

    /// Requests the number of the account to which `bearer` belongs.
    ///
    /// # Errors
    /// Kommo did not return the number.
    pub async fn account_id(&self, origin: &Url, bearer: &SecretString) -> Result<AccountId, GrantError> {
        let call = Call::get(joined(origin, "/api/v4/account")?).bearer(bearer);
        let response = self.accepted(call).await?;
        let map = lenient::object_of(&response.body).unwrap_or_default();
        let id = map.get("id").and_then(lenient::whole).map(AccountId);
        id.ok_or_else(|| GrantError::Unavailable(Reason::new("Kommo did not return the account's number")))
    }

    /// Makes a call, and returns its response only if Kommo accepted it.
    async fn accepted(&self, call: Call<'_>) -> Result<Response, GrantError> {
        let result = self.send(call).await;
        check(CallOutcome::of(&result))?;
        // An accepted outcome always has a response.
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
    origin.join(path).map_err(|_| GrantError::NotAllowed(Reason::new("the account's address is not a URL")))
}

/// Converts the outcome of a request for tokens.
///
/// # Errors
/// Kommo did not accept the call.
pub(super) fn check(outcome: CallOutcome) -> Result<(), GrantError> {
    let said = |problem: ApiProblem| {
        if problem.text.is_empty() { "no reason given".to_owned() } else { problem.text }
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
            GrantError::Unavailable(Reason::caused_by("the response was lost", reason))
        }
    })
}

/// Whether the hint says that the token is no longer valid. Hints are not translated.
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
    fn only_certain_hints_mean_that_a_token_is_dead() {
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
            (405, "<html>", refused(405, "no reason given")),
            (402, "", refused(402, "no reason given")),
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
    fn account_address_is_parsed_leniently() {
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
