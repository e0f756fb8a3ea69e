//! The address of a `referer`: which host a code may be exchanged at, and so may get the integration's secret.

use url::Url;

use super::Accounts;

impl Accounts {
    /// The address of a `referer`, which is a host or, as some have seen it, a URL.
    ///
    /// # Errors
    /// It is not a host that may get a secret; the text says why.
    pub(super) fn origin_of(&self, referer: &str) -> Result<Url, String> {
        let rules = &self.0.parts.hosts;
        let schemes = if rules.insecure { &["https", "http"][..] } else { &["https"] };
        let mut refusal = "it is no host".to_owned();
        for scheme in schemes {
            let bare = referer.trim().trim_end_matches('/');
            let text = if bare.contains("://") { bare.to_owned() } else { format!("{scheme}://{bare}") };
            let Ok(url) = Url::parse(&text) else { continue };
            if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
                return Err("it is more than a host".to_owned());
            }
            match rules.check(&url) {
                Ok(()) if is_plain(&url) || *scheme == "http" => return Ok(url),
                Ok(()) => {}
                Err(error) => refusal = error.to_string(),
            }
        }
        Err(refusal)
    }
}

/// Under `insecure` an address with a port of its own is a test's, and speaks plain HTTP.
fn is_plain(url: &Url) -> bool {
    url.scheme() == "http" || url.port().is_none()
}
