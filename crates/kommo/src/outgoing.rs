//! Applies the proxy and the trusted certificates to the HTTP client.
//!
//! The client ignores proxies in the environment; only `delivery.proxy` counts. If the proxy fails, the call was
//! not sent, and its error names the proxy.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Certificate, ClientBuilder, NoProxy, Proxy, redirect};
use url::Url;

use model::Outgoing;

/// Returns a builder for a client that uses the proxy and certificates of `outgoing`, follows no redirects, and retries
/// nothing. It does not check where calls go.
///
/// # Errors
/// The certificates or the proxy's address are invalid. The configuration has already checked both.
pub fn client_builder(outgoing: &Outgoing) -> reqwest::Result<ClientBuilder> {
    // `never` alone would still copy each request for a retry.
    let no_retry = reqwest::retry::never().max_retries_per_request(0);
    let mut builder = ClientBuilder::new().redirect(redirect::Policy::none()).retry(no_retry).no_proxy();
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

/// The proxy of a client, to name it in errors.
pub(super) struct ProxyRoute {
    shown: String,
    matcher: Matcher,
}

impl ProxyRoute {
    /// The proxy of `outgoing`; `None` if there is no proxy.
    pub(super) fn new(outgoing: &Outgoing) -> Option<Self> {
        let proxy = outgoing.proxy.as_ref()?;
        let except = proxy.except.clone().unwrap_or_default();
        let matcher = Matcher::builder().all(proxy.url.with_credentials().to_string()).no(except).build();
        Some(Self { shown: proxy.url.to_string(), matcher })
    }

    /// The proxy for a call to `url`, without credentials; `None` if the call uses no proxy.
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
