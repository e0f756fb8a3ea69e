//! The resolver, which returns the addresses of a name without those that the rules forbid.
//!
//! An allowed name may resolve to any address, and to a different one next time. So the client connects only to the
//! addresses that were just checked, and each new connection resolves and checks the name again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use model::HostRules;

/// Looks up the addresses of a name.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// The system's lookup.
pub fn system_lookup() -> Lookup {
    Arc::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }))
}

/// Resolves names, and drops the addresses that the rules forbid.
pub(super) struct PublicOnly {
    pub(super) rules: Arc<HostRules>,
    pub(super) lookup: Lookup,
    /// Whether private addresses are allowed for every name (`delivery.allow_private_addresses`).
    pub(super) allow_private: bool,
    /// The proxy's host. It may have a private address, because the configuration names it.
    pub(super) proxy: Option<String>,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.rules.clone();
        let is_proxy = self.proxy.as_deref().is_some_and(|proxy| proxy.eq_ignore_ascii_case(name.as_str()));
        let allow_private = self.allow_private || is_proxy;
        let found = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let mut found = found.await?;
            found.retain(|address| allow_private || rules.permits_address(address.ip()));
            if found.is_empty() {
                return Err("the name resolves to private addresses only; if it is your own gateway, set \
                     delivery.allow_private_addresses"
                    .into());
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::http_client::HttpClient;
    use super::super::outcome::{CallFailure, CallOutcome};
    use super::*;
    use model::{CheckedCompletion, Outgoing};

    /// Answers each lookup with the next of `answers`, and repeats the last one.
    fn resolves_to(answers: Vec<Vec<SocketAddr>>) -> Lookup {
        let lookups = AtomicUsize::new(0);
        Arc::new(move |_| {
            let turn = lookups.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            let found = answers[turn].clone();
            Box::pin(async move { Ok(found) })
        })
    }

    fn rules(insecure: bool, port: u16) -> HostRules {
        let allowed = [format!("changes.kommo.com:{port}").parse().unwrap()].into();
        HostRules { allowed, insecure }
    }

    fn public_only(lookup: Lookup) -> PublicOnly {
        PublicOnly { rules: rules(false, 443).into(), lookup, allow_private: false, proxy: None }
    }

    async fn continued(kommo: &HttpClient, url: &str) -> CallOutcome {
        let url = format!("{url}/api/v4/salesbot/1/continue/1").parse().unwrap();
        kommo.continue_bot(&url, &"a-bearer".into(), &CheckedCompletion::failed()).await
    }

    #[tokio::test]
    async fn only_public_addresses_remain() {
        let addresses: Vec<SocketAddr> = [
            "127.0.0.1:0",
            "10.0.0.1:0",
            "93.184.215.14:0",
            "[::1]:0",
            "[::ffff:192.168.0.1]:0",
            "[fe80::1]:0",
        ]
        .map(|address| address.parse().unwrap())
        .to_vec();
        let resolver = public_only(resolves_to(vec![addresses]));
        let left = resolver.resolve("changes.kommo.com".parse().unwrap()).await.unwrap();
        assert_eq!(left.map(|address| address.to_string()).collect::<Vec<_>>(), ["93.184.215.14:0"]);
    }

    #[tokio::test]
    async fn each_lookup_of_a_name_is_checked_again() {
        let answers = ["93.184.215.14:0", "169.254.169.254:0", "93.184.215.14:0"];
        let answers = answers.map(|address| vec![address.parse().unwrap()]).to_vec();
        let resolver = public_only(resolves_to(answers));
        for permitted in [true, false, true] {
            let left = resolver.resolve("changes.kommo.com".parse().unwrap()).await;
            assert_eq!(left.is_ok(), permitted);
        }
    }

    #[tokio::test]
    async fn client_does_not_connect_to_a_forbidden_address() {
        let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = inside.local_addr().unwrap();
        let lookup = resolves_to(vec![vec![address]]);
        let timeout = Duration::from_secs(5);
        let direct = Outgoing::default();
        let kommo =
            HttpClient::with_lookup(lookup.clone(), &direct, rules(false, address.port()), timeout).unwrap();
        let url = format!("https://changes.kommo.com:{}", address.port());
        for _ in 0..3 {
            let outcome = continued(&kommo, &url).await;
            assert!(matches!(outcome, CallOutcome::NoResponse(CallFailure::NotSent(_))), "{outcome:?}");
            assert!(outcome.to_string().contains("private"), "{outcome}");
        }
        // If private addresses are allowed, the same lookup works. So the check refused the calls above.
        let allowed = HttpClient::with_lookup(lookup, &direct, rules(true, address.port()), timeout).unwrap();
        let url = format!("http://changes.kommo.com:{}", address.port());
        let heard = async {
            let (mut stream, _) = inside.accept().await.unwrap();
            let mut head = vec![0; 4];
            stream.read_exact(&mut head).await.unwrap();
            stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            head
        };
        let (answer, head) = tokio::join!(continued(&allowed, &url), heard);
        assert_eq!(answer, CallOutcome::Accepted { status: 202 });
        assert_eq!(head, b"POST", "the first connection is that of the allowed client");
    }
}
