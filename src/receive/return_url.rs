//! Checks whether a `return_url` may be answered.
//!
//! It comes from outside, and a bearer token is sent to it. So it must have Kommo's form, be on the allow-list, and
//! belong to the account of the verified token.

use url::Url;

use model::{HostRefusal, HostRules, ReturnUrl, ReturnUrlError};

/// Parses `text` and checks it against the rules and the token's `iss`.
///
/// # Errors
/// The first check that fails: form, allow-list, `iss`.
pub(super) fn check(text: &str, iss: &Url, rules: &HostRules) -> Result<ReturnUrl, ReturnUrlRefusal> {
    let return_url: ReturnUrl = text.parse()?;
    let url = return_url.url();
    rules.check(url)?;
    let port = Url::port_or_known_default;
    if url.scheme() != iss.scheme() || url.host() != iss.host() || port(url) != port(iss) {
        return Err(ReturnUrlRefusal::Foreign);
    }
    Ok(return_url)
}

/// Why a `return_url` gets no bearer token. Does not contain the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReturnUrlRefusal {
    /// It does not have Kommo's form.
    #[error("return_url: {0}")]
    Shape(#[from] ReturnUrlError),
    /// Its host must not receive a bearer token.
    #[error("return_url: {0}")]
    Host(#[from] HostRefusal),
    /// It does not belong to the account of the token.
    #[error("return_url: its scheme, host and port differ from the token's `iss`")]
    Foreign,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str, iss: &str, allowed: &[&str], insecure: bool) -> Result<String, ReturnUrlRefusal> {
        let allowed = allowed.iter().map(|pattern| pattern.parse().unwrap()).collect();
        let rules = HostRules { allowed, insecure };
        check(text, &iss.parse().unwrap(), &rules).map(|url| url.origin().to_owned())
    }

    #[test]
    fn only_the_account_of_the_token_may_be_answered() {
        let path = "/api/v4/salesbot/1/continue/2";
        let foreign = Err(ReturnUrlRefusal::Foreign);
        let host = |refusal| Err(ReturnUrlRefusal::Host(refusal));
        let shape = Err(ReturnUrlRefusal::Shape(ReturnUrlError::Shape));
        for (origin, iss, expected) in [
            ("https://a.kommo.com", "https://a.kommo.com", Ok("https://a.kommo.com".to_owned())),
            ("https://A.Kommo.com:443", "https://a.kommo.com/", Ok("https://a.kommo.com".to_owned())),
            ("https://a.kommo.com", "https://A.KOMMO.com:443/x", Ok("https://a.kommo.com".to_owned())),
            ("https://a.amocrm.ru", "https://a.amocrm.ru", Ok("https://a.amocrm.ru".to_owned())),
            ("https://b.kommo.com", "https://a.kommo.com", foreign.clone()),
            ("https://a.amocrm.ru", "https://a.kommo.com", foreign.clone()),
            ("https://a.kommo.com", "http://a.kommo.com", foreign.clone()),
            ("https://a.kommo.com", "https://a.kommo.com:8443", foreign.clone()),
            ("https://a.kommo.com:8443", "https://a.kommo.com:8443", host(HostRefusal::NotAllowed)),
            ("http://a.kommo.com", "http://a.kommo.com", host(HostRefusal::Scheme)),
            ("https://evil.example.com", "https://evil.example.com", host(HostRefusal::NotAllowed)),
            ("https://a.kommo.com.evil.com", "https://a.kommo.com", host(HostRefusal::NotAllowed)),
            ("https://kommo.com", "https://kommo.com", host(HostRefusal::NotAllowed)),
            ("https://a.kommo.com.", "https://a.kommo.com", host(HostRefusal::NotAllowed)),
            ("https://a.kommo.com@evil.com", "https://a.kommo.com", host(HostRefusal::Credentials)),
            ("https://evil.com\\@a.kommo.com", "https://a.kommo.com", shape.clone()),
            ("https://evil.com#a.kommo.com", "https://a.kommo.com", shape.clone()),
            ("https://evil.com?a.kommo.com", "https://a.kommo.com", shape.clone()),
            ("https://127.0.0.1", "https://127.0.0.1", host(HostRefusal::IpLiteral)),
            ("https://2130706433", "https://2130706433", host(HostRefusal::IpLiteral)),
            ("https://[::ffff:127.0.0.1]", "https://a.kommo.com", host(HostRefusal::IpLiteral)),
        ] {
            let allowed = ["*.kommo.com", "*.amocrm.ru"];
            assert_eq!(verdict(&format!("{origin}{path}"), iss, &allowed, false), expected, "{origin} {iss}");
        }
    }

    #[test]
    fn on_loopback_the_port_distinguishes_accounts() {
        let url = "http://127.0.0.1:8090/api/v4/marketingbot/1/continue/x_-9";
        let allowed = ["127.0.0.1:8090"];
        assert!(verdict(url, "http://127.0.0.1:8090", &allowed, true).is_ok());
        assert_eq!(verdict(url, "http://127.0.0.1:8091", &allowed, true), Err(ReturnUrlRefusal::Foreign));
        assert_eq!(verdict(url, "http://127.0.0.1", &allowed, true), Err(ReturnUrlRefusal::Foreign));
    }

    #[test]
    fn a_return_url_must_have_kommos_form() {
        for text in ["", "nonsense", "https://a.kommo.com/", "https://a.kommo.com/api/v4/leads"] {
            let refused = verdict(text, "https://a.kommo.com", &["*.kommo.com"], false);
            assert!(matches!(refused, Err(ReturnUrlRefusal::Shape(_))), "{text}");
        }
    }
}
