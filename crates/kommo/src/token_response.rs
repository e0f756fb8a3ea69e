//! The response to a request for tokens, parsed leniently. A code or a refresh token works only once, so an odd field must
//! not make the new tokens unusable.
//!
//! | field | accepted | otherwise |
//! |---|---|---|
//! | the body | a JSON object, also with a BOM, surrounding white space or half characters | an error |
//! | `access_token` | a string that fits a header; surrounding white space is dropped | an error |
//! | `refresh_token` | the same; if a refresh token was sent and none is returned, the old one stays valid (RFC 6749) | an error |
//! | `expires_in` | seconds from 1 to [`MAX_TOKEN_LIFE`]: a number, also with a fraction or as a string | the lifetime from the access token (`exp` minus `iat` or `nbf`, else `exp`); else [`DEFAULT_TOKEN_LIFE`] |
//! | `token_type` | ignored: Kommo has only bearer tokens | |
//! | any other key | ignored | |

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};

use model::Timestamp;

use super::lenient;
use super::token_claims::claims_of;

/// The lifetime of an access token if the response names none. Kommo's tokens are valid for a day; a short guess does no
/// harm.
pub(super) const DEFAULT_TOKEN_LIFE: Duration = Duration::from_secs(60 * 60);
/// The maximum lifetime: Kommo's long-lived tokens are valid for five years. A larger number is a date, milliseconds or
/// nonsense.
pub(super) const MAX_TOKEN_LIFE: Duration = Duration::from_secs(5 * 366 * 24 * 60 * 60);

/// A new pair of tokens.
pub struct GrantedTokens {
    /// The access token, for calls.
    pub access: SecretString,
    /// The refresh token, for the next pair.
    pub refresh: SecretString,
    /// The lifetime of the access token, if the response names it.
    pub(super) expires_in: Option<Duration>,
}

impl GrantedTokens {
    /// When the access token expires, if it was issued at `now`.
    pub fn expires_at(&self, now: Timestamp) -> Timestamp {
        if let Some(life) = self.expires_in {
            return now + life;
        }
        let claims = claims_of(&self.access);
        let time = |key| claims.get(key).and_then(lenient::seconds);
        let (exp, begin) = (time("exp"), time("iat").or_else(|| time("nbf")));
        // The difference does not depend on our clock.
        if let Some(life) = exp.zip(begin).and_then(|(exp, begin)| plausible(exp - begin)) {
            return now + life;
        }
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of this era are below 2^53")]
        let now_seconds = now.as_millis() as f64 / 1000.0;
        now + exp.and_then(|exp| plausible(exp - now_seconds)).unwrap_or(DEFAULT_TOKEN_LIFE)
    }
}

/// Parses the body of a success. `old` is the refresh token that was sent, if any.
///
/// # Errors
/// A part is missing. The text names it, without content of the body.
pub(super) fn read(body: &[u8], old: Option<&SecretString>) -> Result<GrantedTokens, &'static str> {
    let map = lenient::object_of(body).ok_or("the body is not a JSON object")?;
    let access = token(&map, "access_token").ok_or("the body has no usable `access_token`")?;
    let refresh = token(&map, "refresh_token").or_else(|| old.cloned());
    let refresh = refresh.ok_or("the body has no usable `refresh_token`")?;
    let expires_in = map.get("expires_in").and_then(lenient::seconds).and_then(plausible);
    Ok(GrantedTokens { access, refresh, expires_in })
}

/// The token under `key`; `None` if it is missing or does not fit a header.
fn token(map: &Map<String, Value>, key: &str) -> Option<SecretString> {
    let text = map.get(key)?.as_str()?.trim();
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.into())
}

fn plausible(seconds: f64) -> Option<Duration> {
    let life = Duration::try_from_secs_f64(seconds).ok()?;
    (Duration::from_secs(1)..=MAX_TOKEN_LIFE).contains(&life).then_some(life)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn life(body: &[u8]) -> Result<u64, &'static str> {
        let granted = read(body, None)?;
        Ok(granted.expires_at(NOW).since(NOW).as_secs())
    }

    fn same(one: &SecretString, other: &SecretString) -> bool {
        one.expose_secret() == other.expose_secret()
    }

    fn jwt(claims: &Value) -> String {
        format!("x.{}.y", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn odd_lifetime_does_not_make_tokens_unusable() {
        for (expires_in, expected) in [
            (json!(86_400), 86_400),
            (json!("86400"), 86_400),
            (json!(" 86400 "), 86_400),
            (json!(86_400.0), 86_400),
            (json!("86400.5"), 86_400),
            (json!(1), 1),
            (json!(0), 3_600),
            (json!(-1), 3_600),
            (json!(0.5), 3_600),
            (json!(1e300), 3_600),
            (json!("1e400"), 3_600),
            (json!("NaN"), 3_600),
            // A date instead of a duration.
            (json!(1_700_086_400), 3_600),
            (json!(""), 3_600),
            (json!("a day"), 3_600),
            (json!(null), 3_600),
            (json!(true), 3_600),
            (json!([86_400]), 3_600),
            (json!({"seconds": 86_400}), 3_600),
        ] {
            let body = json!({"token_type": "Bearer", "expires_in": expires_in, "access_token": "a", "refresh_token": "r"});
            assert_eq!(life(body.to_string().as_bytes()), Ok(expected), "{expires_in}");
        }
        assert_eq!(life(br#"{"access_token":"a","refresh_token":"r"}"#), Ok(3_600));
        let endless =
            br#"{"access_token":"a","refresh_token":"r","expires_in":123456789012345678901234567890}"#;
        assert_eq!(life(endless), Ok(3_600));
    }

    #[test]
    fn missing_lifetime_is_taken_from_the_token() {
        for (claims, expected) in [
            (json!({"iat": 1_600_000_000, "exp": 1_600_086_400}), 86_400),
            (json!({"nbf": "1600000000", "exp": "1600086400"}), 86_400),
            (json!({"iat": 1_600_000_000.5, "nbf": 1, "exp": 1_600_086_400.75}), 86_400),
            (json!({"exp": 1_700_043_200}), 43_200),
            (json!({"exp": 1_600_000_000}), 3_600),
            (json!({"iat": 1_600_000_000, "exp": 1_600_000_000}), 3_600),
            (json!({"exp": "never"}), 3_600),
            (json!({"iat": 5}), 3_600),
            (json!([]), 3_600),
        ] {
            let body = json!({"access_token": jwt(&claims), "refresh_token": "r"}).to_string();
            assert_eq!(life(body.as_bytes()), Ok(expected), "{claims}");
        }
    }

    #[test]
    fn odd_content_around_the_tokens_does_not_make_them_unusable() {
        for body in [
            &b"\xef\xbb\xbf\r\n{\"access_token\":\"a\",\"refresh_token\":\"r\"}\r\n"[..],
            br#"{"token_type":"bearer","access_token":"a","refresh_token":"r"}"#,
            br#"{"token_type":null,"access_token":" a\n","refresh_token":"\tr "}"#,
            br#"{"token_type":["BEARER"],"server_time":"\ud83d","access_token":"a","refresh_token":"r","x":1e999}"#,
            b"{\"account\":\"caf\xe9\",\"access_token\":\"a\",\"refresh_token\":\"r\"}",
        ] {
            let granted = read(body, None).unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(body)));
            assert!(same(&granted.access, &"a".into()) && same(&granted.refresh, &"r".into()));
        }
    }

    #[test]
    fn response_without_tokens_names_what_is_missing() {
        for (body, expected) in [
            ("", "not a JSON object"),
            ("<html>", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("{}", "`access_token`"),
            (r#"{"access_token":"a b","refresh_token":"r"}"#, "`access_token`"),
            (r#"{"access_token":7,"refresh_token":"r"}"#, "`access_token`"),
            (r#"{"access_token":" ","refresh_token":"r"}"#, "`access_token`"),
            (r#"{"access_token":"a"}"#, "`refresh_token`"),
            (r#"{"access_token":"a","refresh_token":null}"#, "`refresh_token`"),
        ] {
            let why = read(body.as_bytes(), None).err().unwrap_or_default();
            assert!(why.contains(expected), "{body}: {why}");
        }
    }

    #[test]
    fn refresh_token_that_is_not_replaced_stays_valid() {
        let old = SecretString::from("old");
        for body in [r#"{"access_token":"a"}"#, r#"{"access_token":"a","refresh_token":""}"#] {
            assert!(same(&read(body.as_bytes(), Some(&old)).unwrap().refresh, &old), "{body}");
        }
        let new = read(br#"{"access_token":"a","refresh_token":"new"}"#, Some(&old)).unwrap();
        assert!(same(&new.refresh, &"new".into()));
    }
}
