//! `health`: asks the bridge of this configuration whether it is ready. A container's health check calls it, so the image
//! needs no curl. It sends no token, because `/health/*` never requires one.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::bail;
use secrecy::ExposeSecret;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::Config;
use crate::health::Nonce;
use store::StoreKind;

/// A bridge that does not respond within this time counts as not ready.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
const READY: &str = "/health/ready";
/// The longest response to read. A bridge sends less.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Asks `/health/ready`.
///
/// # Errors
/// The bridge is not ready or does not respond. The error says why.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    match probe(config).await {
        Probed::Ready => Ok(()),
        Probed::NotReady(why) => bail!("not ready: {why}"),
        Probed::Absent(why) => bail!("{why}: run `serve`, or correct admin.listen"),
        Probed::Foreign => bail!(
            "the program at {} is not a bridge's admin listener: correct admin.listen",
            reachable(config.admin.listen)
        ),
        Probed::OtherStore => bail!(
            "the bridge at {} serves another store than store.url: correct admin.listen or store.url",
            reachable(config.admin.listen)
        ),
    }
}

/// The result of asking the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Probed {
    /// The bridge accepts requests.
    Ready,
    /// The bridge accepts no requests, for this reason.
    NotReady(String),
    /// No response, for this reason.
    Absent(String),
    /// A response that did not come from a bridge.
    Foreign,
    /// A response of a bridge that serves another store than this configuration's.
    OtherStore,
}

/// Asks `/health/ready`.
pub(super) async fn probe(config: &Config) -> Probed {
    let address = reachable(config.admin.listen);
    match tokio::time::timeout(ANSWER_TIMEOUT, ask(address, READY)).await {
        Err(_) => Probed::Absent(format!(
            "the bridge at {address} (admin.listen) did not respond within {} s",
            ANSWER_TIMEOUT.as_secs()
        )),
        Ok(Err(error)) => {
            Probed::Absent(format!("cannot reach the bridge at {address} (admin.listen): {error}"))
        }
        Ok(Ok(answer)) => match decide(&answer) {
            Probed::Ready | Probed::NotReady(_) if serves_other_store(config).await => Probed::OtherStore,
            probed => probed,
        },
    }
}

/// Whether the running bridge serves another store than this configuration's. `false` if it does not run, or if that
/// cannot be determined.
async fn serves_other_store(config: &Config) -> bool {
    let Some(nonce) = any_nonce(config).await else { return false };
    let Ok(place) = store::outside::place(&config.store.url) else { return false };
    // If this process may not see the file, it may know it under another name than the bridge. A database always has several
    // names, such as an address and the name of its host.
    let is_hidden = config.store.url.kind() == StoreKind::Postgres
        || std::fs::metadata(&place).is_err_and(|error| error.kind() != ErrorKind::NotFound);
    !is_hidden && nonce.serves(&place) == Some(false)
}

/// The body that `/health/ready` returns; `None` if the bridge is not ready, does not run or serves another store.
pub(super) async fn ready(config: &Config) -> Option<serde_json::Value> {
    let asked = ask(reachable(config.admin.listen), READY);
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, asked).await.ok()?.ok()?;
    let body = body_of_ready(&answer)?;
    (!serves_other_store(config).await).then_some(body)
}

/// The nonce of the running bridge; `None` if it does not run, has none, or serves another store.
pub(super) async fn nonce(config: &Config) -> Option<Nonce> {
    let nonce = any_nonce(config).await?;
    (!serves_other_store(config).await).then_some(nonce)
}

/// The nonce of the bridge that responds, whichever store it serves.
async fn any_nonce(config: &Config) -> Option<Nonce> {
    let asked = ask(reachable(config.admin.listen), "/health/nonce");
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, asked).await.ok()?.ok()?;
    let (_, body) = answer.split_once("\r\n\r\n").filter(|_| decide(&answer) == Probed::Ready)?;
    serde_json::from_str(body).ok()
}

fn body_of_ready(answer: &str) -> Option<serde_json::Value> {
    let (_, body) = answer.split_once("\r\n\r\n").filter(|_| decide(answer) == Probed::Ready)?;
    serde_json::from_str(body).ok()
}

/// The address to call. A wildcard address (all addresses of this machine) becomes loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The metrics of the running bridge, as Prometheus text; `None` if it does not run or does not show them.
pub(super) async fn metrics(config: &Config) -> Option<String> {
    get(config, "/metrics").await
}

/// The response of the running bridge's admin API to a GET; `None` if it does not run, or does not answer with JSON.
pub(super) async fn api(config: &Config, path: &str) -> Option<serde_json::Value> {
    serde_json::from_str(&get(config, path).await?).ok()
}

/// The body of a 2xx of the bridge that serves this configuration's store.
async fn get(config: &Config, path: &str) -> Option<String> {
    if serves_other_store(config).await {
        return None;
    }
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build().ok()?;
    let mut request = client.get(format!("http://{}{path}", reachable(config.admin.listen)));
    if let Some(token) = &config.admin.token {
        request = request.bearer_auth(token.expose_secret());
    }
    request.send().await.ok()?.error_for_status().ok()?.text().await.ok()
}

/// The same if a bridge serves the store of this configuration; otherwise `None` at once.
pub(super) async fn served_api(config: &Config, path: &str) -> Option<serde_json::Value> {
    if store::outside::is_served(&config.store.url).await == Some(false) {
        return None;
    }
    api(config, path).await
}

async fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // A server sends an HTTP/1.0 client the whole body and then closes the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[derive(Deserialize)]
struct NotReady {
    reasons: Vec<String>,
}

fn decide(answer: &str) -> Probed {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).unwrap_or_default();
    if status == "200" {
        return Probed::Ready;
    }
    match serde_json::from_str::<NotReady>(body) {
        Ok(NotReady { reasons }) if status == "503" => Probed::NotReady(reasons.join("; ")),
        _ => Probed::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use crate::admin::fixture::{Jobs, fallback};
    use crate::admin::{AccountNames, Admin, DeliveryRates, router};
    use crate::health::Health;
    use crate::listener::{ConnectionLimits, ListenerOptions, serve};
    use crate::log_limiter::LogLimiter;

    use super::*;

    #[test]
    fn a_wildcard_address_is_called_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("10.0.0.7:1", "10.0.0.7:1"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }

    #[test]
    fn only_a_200_means_ready() {
        for (answer, expected) in [
            ("HTTP/1.0 200 OK\r\n\r\n{}", Probed::Ready),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Probed::Ready),
            (
                "HTTP/1.0 503 x\r\n\r\n{\"status\":\"not ready\",\"reasons\":[\"a\",\"b\"]}",
                Probed::NotReady("a; b".into()),
            ),
            ("HTTP/1.0 503 x\r\n\r\n<html>", Probed::Foreign),
            ("HTTP/1.0 404 x\r\n\r\n{}", Probed::Foreign),
            ("SSH-2.0-x 200", Probed::Foreign),
            ("", Probed::Foreign),
        ] {
            assert_eq!(decide(answer), expected, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_real_admin_listener_reports_whether_it_is_ready() {
        let (jobs, health) = (Jobs::new().await, Health::new());
        let admin = router(Admin {
            store: jobs.store.clone(),
            health: health.clone(),
            settings: crate::admin::Settings::default(),
            handlers: std::sync::Arc::default(),
            token: Some("secret".into()),
            read_token: None,
            show_data: model::ShowData::default(),
            metrics: std::sync::Arc::new(|| crate::telemetry::render(&crate::telemetry::recorder())),
            history: crate::history::History::default(),
            token_expiry: std::sync::Arc::new(|| None),
            job_log: crate::job_log::JobLog::new(jobs.clock.clock()),
            clock: jobs.clock.clock(),
            fallback: fallback(),
            live: crate::admin::fixture::live(),
            account_names: AccountNames::default(),
            rates: DeliveryRates { per_account: 7, total: None },
            secret_random: |_| false,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = ConnectionLimits { max_connections: 4, read_timeout: Duration::from_secs(5) };
        let options = ListenerOptions::new("admin", limits, LogLimiter::new("a test", jobs.clock.clock()));
        tokio::spawn(serve(listener, admin, options, CancellationToken::new()));
        let starting = Probed::NotReady("the bridge is starting".into());
        assert_eq!(decide(&ask(address, READY).await.unwrap()), starting);
        health.ready();
        let answer = ask(address, READY).await.unwrap();
        assert_eq!(decide(&answer), Probed::Ready);
        assert_eq!(body_of_ready(&answer).unwrap()["everybody_waits"], serde_json::Value::Null);
    }
}
