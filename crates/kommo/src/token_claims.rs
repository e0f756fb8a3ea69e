//! The claims of an access token, which is a JWT.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use model::AccountId;

use super::lenient;

/// The claims of an access token. They are not verified, because the token came from Kommo over TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenClaims {
    /// The account's number.
    pub account_id: Option<AccountId>,
    /// The host that returns the account's current address.
    pub api_domain: Option<String>,
}

/// Reads the claims of an access token; all are `None` if it is not a JWT.
pub fn token_claims(access: &SecretString) -> TokenClaims {
    let claims = claims_of(access);
    let account_id = claims.get("account_id").and_then(lenient::whole);
    TokenClaims {
        account_id: account_id.filter(|id| *id > 0).map(AccountId),
        api_domain: claims.get("api_domain").and_then(Value::as_str).map(str::to_owned),
    }
}

/// The claims of a JWT, unverified; empty if it is not one.
pub(super) fn claims_of(access: &SecretString) -> Map<String, Value> {
    let payload = access.expose_secret().split('.').nth(1);
    let bytes = payload.and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok());
    bytes.and_then(|bytes| lenient::object_of(&bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_names_account_and_api_host() {
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
