//! The claims of a token, parsed leniently: Kommo writes numbers as numbers or strings, times with a fraction, `aud`
//! as a string or a list, and the integration's id under two names.
//!
//! Only called with the payload of a token whose signature was verified.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use model::{AccountId, Entity, EntityKind, Timestamp};

/// The last second of the year 9999. A greater value cannot be a time in seconds.
const MAX_SECOND: f64 = 253_402_300_799.0;

/// The claims that the bridge uses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TokenClaims {
    /// `iss`: the account's URL.
    pub iss: Url,
    /// `aud`: who the token is for.
    pub aud: Vec<String>,
    /// `jti`: identifies the request; `None` if it is absent or empty.
    pub jti: Option<String>,
    /// `exp`: when the token expires.
    pub exp: Timestamp,
    /// `nbf`: when the token becomes valid.
    pub nbf: Option<Timestamp>,
    /// `account_id`.
    pub account_id: AccountId,
    /// `client_uuid`, or `client_uid`, its former name; empty if absent.
    pub client_uuid: String,
    /// `entity_type` and `entity_id`, if both are present and valid.
    pub entity: Option<Entity>,
}

impl TokenClaims {
    /// Parses a payload.
    ///
    /// # Errors
    /// A claim is missing or invalid.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, ClaimsError> {
        let raw: Raw = serde_json::from_slice(payload).map_err(|_| ClaimsError::Json)?;
        let exp = raw.exp.as_ref().ok_or(ClaimsError::NoExp)?;
        let positive = |value: &Option<Value>| value.as_ref().and_then(integer).filter(|number| *number > 0);
        let entity = positive(&raw.entity_type)
            .zip(positive(&raw.entity_id))
            .map(|(code, id)| Entity { kind: EntityKind::from_code(code), id });
        Ok(Self {
            iss: raw.iss.as_ref().and_then(Value::as_str).and_then(web_url).ok_or(ClaimsError::Iss)?,
            aud: strings(raw.aud),
            jti: raw.jti.and_then(text).filter(|jti| !jti.is_empty()),
            exp: moment(exp).ok_or(ClaimsError::Time("exp"))?,
            nbf: raw.nbf.map(|nbf| moment(&nbf).ok_or(ClaimsError::Time("nbf"))).transpose()?,
            account_id: positive(&raw.account_id).map(AccountId).ok_or(ClaimsError::AccountId)?,
            client_uuid: raw.client_uuid.and_then(text).or(raw.client_uid.and_then(text)).unwrap_or_default(),
            entity,
        })
    }

    /// Whether any `aud` has the scheme and host of `public_url`. Ports are not compared, because sources disagree on
    /// whether `aud` contains one.
    pub(super) fn is_for(&self, public_url: &Url) -> bool {
        let same = |aud: Url| aud.scheme() == public_url.scheme() && aud.host() == public_url.host();
        self.aud.iter().any(|aud| Url::parse(aud).is_ok_and(same))
    }
}

/// Why a payload cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::receive) enum ClaimsError {
    /// Not a JSON object, or an object with a repeated claim.
    #[error("its claims are not a JSON object")]
    Json,
    /// A token without `exp` would never expire.
    #[error("it has no `exp`")]
    NoExp,
    /// Not a number of seconds since 1970.
    #[error("its `{0}` is not a time in seconds since 1970")]
    Time(&'static str),
    /// Not a URL.
    #[error("its `iss` is not an http or https URL")]
    Iss,
    /// Not a positive number.
    #[error("its `account_id` is not a positive number")]
    AccountId,
}

/// The unchecked claims. Null counts as absent.
#[derive(Deserialize)]
struct Raw {
    iss: Option<Value>,
    aud: Option<Value>,
    jti: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    account_id: Option<Value>,
    client_uuid: Option<Value>,
    client_uid: Option<Value>,
    entity_type: Option<Value>,
    entity_id: Option<Value>,
}

fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    matches!(url.scheme(), "https" | "http").then_some(url)
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn strings(value: Option<Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.into_iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

fn moment(value: &Value) -> Option<Timestamp> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // NaN is not in any range.
    if !(0.0..=MAX_SECOND).contains(&seconds) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "the range above is far below 2^53 milliseconds")]
    let millis = (seconds * 1000.0).round() as i64;
    Some(Timestamp::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(changes: Value) -> Result<TokenClaims, ClaimsError> {
        let mut claims = json!({
            "iss": "https://example.kommo.com",
            "aud": "https://bridge.example.com",
            "jti": "one",
            "exp": 1_700_000_000,
            "account_id": 7,
            "client_uuid": "id",
        });
        for (key, value) in changes.as_object().unwrap() {
            claims[key] = value.clone();
        }
        TokenClaims::parse(claims.to_string().as_bytes())
    }

    #[test]
    fn times_may_be_numbers_strings_or_fractions() {
        for (time, expected) in [
            (json!(1_700_000_000), Some(1_700_000_000_000)),
            (json!(1_700_000_000.123_456), Some(1_700_000_000_123)),
            (json!("1700000000"), Some(1_700_000_000_000)),
            (json!(" 1700000000.9996 "), Some(1_700_000_001_000)),
            (json!(0), Some(0)),
            (json!(253_402_300_799_u64), Some(253_402_300_799_000)),
            (json!(253_402_300_800_u64), None),
            (json!(1_700_000_000_000_u64), None),
            (json!(-1), None),
            (json!(u64::MAX), None),
            (json!(1e300), None),
            (json!("1e999"), None),
            (json!("NaN"), None),
            (json!("inf"), None),
            (json!(""), None),
            (json!("tomorrow"), None),
            (json!([1]), None),
            (json!(true), None),
        ] {
            let millis = |moment: Timestamp| moment.as_millis();
            assert_eq!(
                with(json!({"exp": time})).ok().map(|claims| millis(claims.exp)),
                expected,
                "exp {time}"
            );
            let nbf = with(json!({"nbf": time})).ok().and_then(|claims| claims.nbf);
            assert_eq!(nbf.map(millis), expected, "nbf {time}");
        }
        assert_eq!(with(json!({"exp": null})), Err(ClaimsError::NoExp));
        assert_eq!(with(json!({"nbf": null})).unwrap().nbf, None);
        assert_eq!(with(json!({"nbf": "x"})), Err(ClaimsError::Time("nbf")));
    }

    #[test]
    fn ids_may_be_numbers_or_strings() {
        for (id, expected) in [
            (json!(7), Ok(AccountId(7))),
            (json!("31764961"), Ok(AccountId(31_764_961))),
            (json!(null), Err(ClaimsError::AccountId)),
            (json!(0), Err(ClaimsError::AccountId)),
            (json!("-7"), Err(ClaimsError::AccountId)),
            (json!(7.5), Err(ClaimsError::AccountId)),
            (json!("99999999999999999999"), Err(ClaimsError::AccountId)),
        ] {
            assert_eq!(with(json!({"account_id": id})).map(|claims| claims.account_id), expected, "{id}");
        }
        let lead = Some(Entity { kind: EntityKind::Lead, id: 5 });
        for (kind, id, expected) in [
            (json!(2), json!(5), lead),
            (json!("2"), json!("5"), lead),
            (json!("lead"), json!(5), None),
            (json!(2), json!(null), None),
            (json!(2), json!(""), None),
            (json!(null), json!(5), None),
            (json!({}), json!([]), None),
        ] {
            let claims = with(json!({"entity_type": kind, "entity_id": id})).unwrap();
            assert_eq!(claims.entity, expected, "{kind} {id}");
        }
    }

    #[test]
    fn identifiers_may_have_several_forms() {
        assert_eq!(with(json!({"jti": 12})).unwrap().jti.as_deref(), Some("12"));
        assert_eq!(with(json!({"jti": ""})).unwrap().jti, None);
        assert_eq!(with(json!({"jti": null})).unwrap().jti, None);
        let old = with(json!({"client_uuid": null, "client_uid": "old"})).unwrap();
        assert_eq!(old.client_uuid, "old");
        for iss in [json!(null), json!(1), json!("example.kommo.com"), json!("ftp://a.b"), json!("https://")]
        {
            assert_eq!(with(json!({"iss": iss})), Err(ClaimsError::Iss), "{iss}");
        }
        for payload in ["", "null", "[]", "1", r#"{"exp":1,"exp":2}"#] {
            assert_eq!(TokenClaims::parse(payload.as_bytes()), Err(ClaimsError::Json), "{payload}");
        }
    }

    #[test]
    fn the_audience_is_compared_by_scheme_and_host() {
        let public_url: Url = "https://bridge.example.com:8443/some/path".parse().unwrap();
        for (aud, expected) in [
            (json!("https://bridge.example.com"), true),
            (json!("https://Bridge.Example.com:443/other"), true),
            (json!("https://bridge.example.com:8443"), true),
            (json!(["https://other.example.com", "https://bridge.example.com"]), true),
            (json!("http://bridge.example.com"), false),
            (json!("https://other.example.com"), false),
            (json!("https://bridge.example.com.evil.com"), false),
            (json!("bridge.example.com"), false),
            (json!([]), false),
            (json!(null), false),
            (json!(1), false),
        ] {
            assert_eq!(with(json!({"aud": aud})).unwrap().is_for(&public_url), expected, "{aud}");
        }
    }
}
