//! How calls leave this machine, as the HTTP client wants it: its proxy, and whom it trusts.
//!
//! The environment is not asked: `delivery.proxy` says what is used. What the proxy itself does wrong happens before the call
//! is sent, so such a call is tried again, and its error names the proxy.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Certificate, ClientBuilder, NoProxy, Proxy, redirect};
use url::Url;

use model::Outgoing;

/// A client that follows no redirect and repeats nothing, and whose calls leave as `outgoing` says. Where they may go is not
/// its matter.
///
/// # Errors
/// The certificates or the address of the proxy cannot be used; the configuration has checked both.
pub fn client_builder(outgoing: &Outgoing) -> reqwest::Result<ClientBuilder> {
    let mut builder =
        ClientBuilder::new().redirect(redirect::Policy::none()).retry(reqwest::retry::never()).no_proxy();
    if let Some(proxy) = &outgoing.proxy {
        let except = proxy.except.as_deref().and_then(NoProxy::from_string);
        builder = builder.proxy(Proxy::all(proxy.url.with_credentials().clone())?.no_proxy(except));
    }
    if let Some(authorities) = &outgoing.authorities {
        let trusted = authorities.certificates.iter().map(|der| Certificate::from_der(der));
        builder = builder.tls_certs_merge(trusted.collect::<reqwest::Result<Vec<_>>>()?);
    }
    Ok(builder)
}

/// The proxy of a client, for what is said of a call.
pub(super) struct ProxyRoute {
    shown: String,
    matcher: Matcher,
}

impl ProxyRoute {
    /// The one of `outgoing`; `None` if calls go directly.
    pub(super) fn new(outgoing: &Outgoing) -> Option<Self> {
        let proxy = outgoing.proxy.as_ref()?;
        let except = proxy.except.clone().unwrap_or_default();
        let matcher = Matcher::builder().all(proxy.url.with_credentials().to_string()).no(except).build();
        Some(Self { shown: proxy.url.to_string(), matcher })
    }

    /// The proxy that a call of `url` goes through, without its credentials; `None` if it goes directly.
    pub(super) fn proxy(&self, url: &Url) -> Option<&str> {
        let uri: Uri = url.as_str().parse().ok()?;
        self.matcher.intercept(&uri).map(|_| self.shown.as_str())
    }
}

impl std::fmt::Debug for ProxyRoute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ProxyRoute").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests;
