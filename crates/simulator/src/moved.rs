//! An account that has moved to another host, and the responses of its old host.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderName, Method};
use serde_json::json;

use super::account::{Account, lock};
use super::answer::{self, Answer};
use super::api::header;

const REFRESH_TOKEN: HeaderName = HeaderName::from_static("x-refresh-token");

/// The response of the token endpoint at an account's old host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovedAnswer {
    /// 401 with a hint.
    Unauthorized,
    /// 404.
    NotFound,
}

/// Where an account has moved to.
#[derive(Debug, Clone)]
pub(super) struct Moved {
    pub(super) to: Arc<Account>,
    pub(super) answer: MovedAnswer,
}

impl Moved {
    pub(super) fn refusal(&self) -> Answer {
        match self.answer {
            MovedAnswer::Unauthorized => {
                answer::oauth(401, "Account not found", "The account is not on this host.")
            }
            MovedAnswer::NotFound => {
                answer::oauth(404, "Account not found", "The account is not on this host.")
            }
        }
    }
}

/// `GET /oauth2/account/current/subdomain`: the host of the account that a refresh token belongs to.
pub(super) fn subdomain(account: &Account, head: &Parts) -> Answer {
    if head.method != Method::GET {
        return answer::method("GET");
    }
    let token = header(&head.headers, REFRESH_TOKEN.as_str());
    let moved = lock(&account.moved).as_ref().map(|moved| moved.to.clone());
    let home = moved.as_deref().unwrap_or(account);
    if !lock(&home.grants).has_refresh(token) {
        return answer::oauth(401, "Token has been revoked", "The refresh token belongs to no account.");
    }
    let host = home.host();
    let name = host.split(':').next().unwrap_or_default();
    answer::json_body(
        200,
        &json!({
            "id": home.options.account_id,
            "subdomain": home.options.subdomain,
            "domain": host,
            "top_level_domain": name.rsplit('.').next(),
        }),
    )
}
