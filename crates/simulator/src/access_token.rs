//! Access tokens in Kommo's format: a JWT. Its `api_domain` is the host to ask about an account that
//! has moved.

use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::account::Account;
use super::grants::NewPair;
use super::plan::Algorithm;
use super::token::{entries, part, sign};

/// Creates a pair, issued now. It becomes valid when it is added to the account's grants.
pub(super) fn pair(account: &Account) -> NewPair {
    let issued = account.options.clock.now();
    let seconds = issued.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let lifetime = account.options.access_token_lifetime;
    let header = entries(json!({ "typ": "JWT", "alg": "HS256" }));
    let claims = entries(json!({
        "aud": account.options.client_uuid,
        "jti": account.uuid(),
        "iat": seconds,
        "nbf": seconds,
        "exp": seconds + lifetime.as_secs(),
        "sub": (account.options.account_id + 1).to_string(),
        "grant_type": "",
        "account_id": account.options.account_id,
        "base_domain": account.host(),
        "api_domain": account.host(),
        "version": 2,
        "scopes": ["push_notifications", "files", "crm", "files_delete", "notifications"],
    }));
    let signed = format!("{}.{}", part(header), part(claims));
    // Only the account itself checks access tokens, so each may have its own key.
    let key = account.opaque();
    let signature = sign(Algorithm::Hs256, key.as_bytes(), signed.as_bytes());
    NewPair {
        access: format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)),
        refresh: account.opaque(),
        issued,
        expires: issued + lifetime,
    }
}
