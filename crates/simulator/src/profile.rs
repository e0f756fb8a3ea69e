//! `GET /api/v4/account`: the account's id and name. Any user may call it.

use http::Method;
use serde_json::json;

use super::account::Account;
use super::answer::{self, Answer};

pub(super) fn handle(account: &Account, method: &Method) -> Answer {
    if method != Method::GET {
        return answer::method("GET");
    }
    let options = &account.options;
    let subdomain = &options.subdomain;
    answer::hal(&json!({
        "id": options.account_id,
        "name": format!("Account {subdomain}"),
        "subdomain": subdomain,
        "current_user_id": options.account_id + 1,
        "country": "US",
        "currency": "USD",
        "is_unsorted_on": true,
        "is_loss_reason_enabled": true,
        "_links": { "self": { "href": format!("{}/api/v4/account", account.base_url) } },
    }))
}
