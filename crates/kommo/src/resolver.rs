//! Where a name leads: its addresses without those that the rules forbid.
//!
//! A name on the allow-list may lead anywhere, and elsewhere the next time it is asked for. So the addresses that are
//! checked are the very ones that are connected to, and each new connection looks them up and checks them again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use model::HostRules;

/// Finds the addresses of a name.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Asks the system.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }))
}

/// Resolves names, and leaves out the addresses that the rules forbid.
pub(super) struct PublicOnly {
    pub(super) rules: Arc<HostRules>,
    pub(super) lookup: Lookup,
    /// Whether private addresses are allowed for every name (`delivery.allow_private_addresses`).
    pub(super) allow_private: bool,
    /// The proxy's host, which the configuration names: it may be inside.
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
                return Err(
                    "the name resolves to private addresses only; if it is a gateway of your own, set \
                     delivery.allow_private_addresses"
                        .into(),
                );
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

    /// Answers each question with the next of these, and then with the last.
    fn leads_to(answers: Vec<Vec<SocketAddr>>) -> Lookup {
        let asked = AtomicUsize::new(0);
        Arc::new(move |_| {
            let turn = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            let found = answers[turn].clone();
            Box::pin(async move { Ok(found) })
        })
    }

    fn rules(insecure: bool, port: u16) -> HostRules {
        let allowed = vec![format!("changes.kommo.com:{port}").parse().unwrap()];
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
    async fn only_what_is_public_is_left_of_a_mixed_answer() {
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
        let resolver = public_only(leads_to(vec![addresses]));
        let left = resolver.resolve("changes.kommo.com".parse().unwrap()).await.unwrap();
        assert_eq!(left.map(|address| address.to_string()).collect::<Vec<_>>(), ["93.184.215.14:0"]);
    }

    #[tokio::test]
    async fn each_lookup_of_a_name_is_checked_again() {
        let answers = ["93.184.215.14:0", "169.254.169.254:0", "93.184.215.14:0"];
        let answers = answers.map(|address| vec![address.parse().unwrap()]).to_vec();
        let resolver = public_only(leads_to(answers));
        for permitted in [true, false, true] {
            let left = resolver.resolve("changes.kommo.com".parse().unwrap()).await;
            assert_eq!(left.is_ok(), permitted);
        }
    }

    #[tokio::test]
    async fn no_connection_is_opened_to_where_a_name_must_not_lead() {
        let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = inside.local_addr().unwrap();
        let lookup = leads_to(vec![vec![address]]);
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
        // Where private addresses are allowed the same lookup does lead there, so it was the check that refused.
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
        assert_eq!(head, b"POST", "the first caller that got through is the allowed one");
    }
}
