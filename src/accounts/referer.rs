//! The address in a `referer`: the host where a code may be exchanged, and which may therefore receive the
//! integration's secret.

use url::Url;

use kommo::GrantError;
use model::HostRefusal;

use super::Accounts;

/// Why a code is not exchanged at the address of a `referer`. The text does not repeat the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefererError {
    /// It does not parse as a host.
    #[error("it is not a host")]
    NotAHost,
    /// It has a path, a query or a fragment.
    #[error("it contains more than a host")]
    MoreThanAHost,
    /// The configuration does not allow this host.
    #[error(transparent)]
    Host(#[from] HostRefusal),
    /// The client does not send a secret there.
    #[error(transparent)]
    NotSent(#[from] GrantError),
}

impl Accounts {
    /// Returns the address of a `referer`, which is a host or, in some reported cases, a URL.
    ///
    /// # Errors
    /// It is not a host that may receive a secret.
    pub(super) fn origin_of(&self, referer: &str) -> Result<Url, RefererError> {
        let rules = &self.0.parts.hosts;
        let schemes = if rules.insecure { &["https", "http"][..] } else { &["https"] };
        let mut refusal = RefererError::NotAHost;
        for scheme in schemes {
            let bare = referer.trim().trim_end_matches('/');
            let text = if bare.contains("://") { bare.to_owned() } else { format!("{scheme}://{bare}") };
            let Ok(url) = Url::parse(&text) else { continue };
            if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
                return Err(RefererError::MoreThanAHost);
            }
            match rules.check(&url) {
                Ok(()) if fits_scheme(&url) || *scheme == "http" => return Ok(url),
                Ok(()) => {}
                Err(error) => refusal = error.into(),
            }
        }
        Err(refusal)
    }
}

/// Whether the scheme fits. Under `insecure`, an address with an explicit port belongs to a test, which uses plain
/// HTTP.
fn fits_scheme(url: &Url) -> bool {
    url.scheme() == "http" || url.port().is_none()
}
