//! The pages and endpoints of OAuth 2.0: the page on which a user grants access, the token endpoint, and
//! the endpoint that locates an account that has moved.

use bytes::Bytes;
use http::Method;
use http::request::Parts;
use serde_json::{Value, json};
use tokio::time::sleep;
use url::Url;

use super::account::{Account, lock};
use super::answer::{self, Answer, Cut};
use super::fault::Fault;
use super::grants::{NewPair, Refused};
use super::report::OauthCall;
use super::{access_token, api, moved};

const PAGE: &str = "/oauth";
const TOKENS: &str = "/oauth2/access_token";
const SUBDOMAIN: &str = "/oauth2/account/current/subdomain";

pub(super) fn owns(path: &str) -> bool {
    [PAGE, TOKENS, SUBDOMAIN].contains(&path)
}

pub(super) async fn handle(account: &Account, head: &Parts, body: Bytes) -> Result<Answer, Cut> {
    let path = head.uri.path();
    if path == PAGE {
        return Ok(page(account, head));
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let kept = account.records.keep_oauth(OauthCall {
        at: account.elapsed(),
        path: path.to_owned(),
        grant_type: body["grant_type"].as_str().map(str::to_owned),
        status: None,
    });
    let fault = account.trouble.next_oauth();
    let asked = (path == TOKENS).then(|| TokenRequest::check(account, head, &body));
    if !account.options.token_latency.is_zero() {
        sleep(account.options.token_latency).await;
    }
    let judged = || match &asked {
        Some(Ok(asked)) => asked.grant(),
        Some(Err(refusal)) => Answer::clone(refusal),
        None => moved::subdomain(account, head),
    };
    let result = match &fault {
        None => Ok(judged()),
        Some(fault) => api::play(fault, judged),
    };
    // Ends the refresh before its caller sees the response, so that the caller may begin the next one.
    drop(asked);
    account.records.answered_oauth(kept, result.as_ref().map(|answer| answer.status().as_u16()).ok());
    if fault == Some(Fault::Hang) {
        std::future::pending::<()>().await;
    }
    result
}

/// Plays the user: grants access at once, or refuses it with `deny=1`.
fn page(account: &Account, head: &Parts) -> Answer {
    if head.method != Method::GET {
        return answer::method("GET");
    }
    let query = head.uri.query().unwrap_or_default();
    let value = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    if value("client_id").as_ref() != Some(&account.options.client_uuid) {
        return answer::refuse(400, "Unknown client_id; it must be the integration's id.");
    }
    let state = value("state");
    let reason = if value("deny").is_some_and(|deny| deny == "1") { Reason::Denied } else { Reason::Granted };
    match callback(account, reason, state.as_deref()) {
        Ok(url) => answer::found(url.as_str()),
        Err(detail) => answer::refuse(400, &detail),
    }
}

/// The reason for a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The user granted access.
    Granted,
    /// The user refused.
    Denied,
    /// The widget was installed. Kommo makes the call, not a browser.
    Installed,
}

/// The URL that the browser or Kommo calls back; with a new code unless access was denied.
pub(super) fn callback(account: &Account, reason: Reason, state: Option<&str>) -> Result<Url, String> {
    let redirect_uri = lock(&account.redirect_uri).clone();
    let mut url = Url::parse(&redirect_uri)
        .map_err(|error| format!("The integration's redirect_uri is not a URL: {error}."))?;
    let mut query = url.query_pairs_mut();
    if reason == Reason::Denied {
        query.append_pair("error", "access_denied");
    } else {
        let code = account.opaque();
        query.append_pair("code", &code).append_pair("referer", account.host());
        lock(&account.grants).add_code(code, account.options.clock.now());
    }
    query.append_pair("client_id", &account.options.client_uuid);
    if reason == Reason::Installed {
        query.append_pair("from_widget", "1");
    }
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    drop(query);
    Ok(url)
}

/// A token request from an authenticated client. A refresh is in progress until this is dropped.
struct TokenRequest<'a> {
    account: &'a Account,
    with: With,
}

enum With {
    Code(String),
    Refresh(String),
}

impl<'a> TokenRequest<'a> {
    fn check(account: &'a Account, head: &Parts, body: &Value) -> Result<Self, Box<Answer>> {
        if head.method != Method::POST {
            return Err(answer::method("POST").into());
        }
        if let Some(moved) = &*lock(&account.moved) {
            return Err(moved.refusal().into());
        }
        let text = |key: &str| {
            body[key]
                .as_str()
                .filter(|text| !text.is_empty())
                .ok_or_else(|| Box::new(bad(&format!("Check the `{key}` parameter"))))
        };
        let (id, secret) = (text("client_id")?, text("client_secret")?);
        let with = match text("grant_type")? {
            "authorization_code" => With::Code(text("code")?.to_owned()),
            "refresh_token" => With::Refresh(text("refresh_token")?.to_owned()),
            _ => return Err(bad("Check the `grant_type` parameter").into()),
        };
        if id != account.options.client_uuid || secret != account.options.client_secret {
            return Err(answer::oauth(
                401,
                "Client authentication failed",
                "The client_id or client_secret is wrong.",
            )
            .into());
        }
        if text("redirect_uri")? != *lock(&account.redirect_uri) {
            return Err(bad("Check the `redirect_uri` parameter").into());
        }
        if let With::Refresh(token) = &with {
            lock(&account.grants)
                .begin(token, account.options.clock.now())
                .map_err(|why| Box::new(refused(why)))?;
        }
        Ok(Self { account, with })
    }

    fn grant(&self) -> Answer {
        let pair = access_token::pair(self.account);
        let mut grants = lock(&self.account.grants);
        let done = match &self.with {
            With::Code(code) => grants.redeem(code, pair.clone()),
            With::Refresh(token) => grants.rotate(token, pair.clone()),
        };
        match done {
            Ok(()) => answer::json_body(200, &granted(self.account, &pair)),
            Err(why) => refused(why),
        }
    }
}

impl Drop for TokenRequest<'_> {
    fn drop(&mut self) {
        if let With::Refresh(token) = &self.with {
            lock(&self.account.grants).end(token);
        }
    }
}

fn granted(account: &Account, pair: &NewPair) -> Value {
    let now = pair.issued.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    json!({
        "token_type": "Bearer",
        "expires_in": account.options.access_token_lifetime.as_secs(),
        "server_time": now.as_secs(),
        "access_token": pair.access,
        "refresh_token": pair.refresh,
    })
}

fn bad(hint: &str) -> Answer {
    answer::oauth(400, hint, "Parameters are missing from the request, or are invalid")
}

fn refused(why: Refused) -> Answer {
    match why {
        Refused::CodeUnknown => bad("Cannot decrypt the authorization code"),
        Refused::CodeUsed => bad("Authorization code has been revoked"),
        Refused::CodeExpired => bad("Authorization code has expired"),
        Refused::RefreshUnknown => unauthorized("Cannot decrypt the refresh token"),
        Refused::RefreshRevoked => unauthorized("Token has been revoked"),
        Refused::RefreshExpired => unauthorized("Token has expired"),
    }
}

fn unauthorized(hint: &str) -> Answer {
    answer::oauth(401, hint, "The refresh token is invalid.")
}
