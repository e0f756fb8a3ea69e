//! Checks that the bridge is reachable: its admin listener on this machine, and its public address.

use std::time::Duration;

use http::header::DATE;
use reqwest::Client;
use serde_json::Value;
use url::{Host, Url};

use crate::cli::health;
use kommo::client_builder;
use model::{Outgoing, Timestamp, url_below};

use super::check::Check;
use super::clock;

/// The longest wait for a response. A healthy host takes less.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);

/// A client without secrets. Its calls take the same route as calls to Kommo.
pub(super) fn client(outgoing: &Outgoing) -> Option<Client> {
    client_builder(outgoing).ok()?.timeout(REACH_TIMEOUT).build().ok()
}

/// The time that the host at `origin` returns.
pub(super) async fn date(client: &Client, origin: &str) -> Option<Timestamp> {
    let answer = client.head(origin).send().await.ok()?;
    clock::date(answer.headers().get(DATE)?.to_str().ok()?)
}

/// Checks the admin listener, which was asked.
pub(super) fn admin(probed: health::Probed) -> Check {
    match probed {
        health::Probed::Ready => Check::ok("bridge", "it runs here and is ready"),
        health::Probed::NotReady(why) => Check::failed(
            "bridge",
            format!("it runs here, but is not ready: {why}"),
            "wait, or fix the cause that it reports",
        ),
        health::Probed::Absent(why) => Check::warning(
            "bridge",
            format!("no bridge runs here with this configuration: {why}"),
            "run `serve`",
        ),
        health::Probed::Foreign => Check::failed(
            "bridge",
            "something other than a bridge responds at admin.listen",
            "set admin.listen to a free address",
        ),
    }
}

/// Calls the public address as Kommo does, but without a token. `runs`: a bridge runs here. Otherwise the address cannot
/// lead to it, and only the way there can be checked.
pub(super) async fn public(client: &Client, url: &Url, runs: bool) -> Check {
    match client.get(url_below(url, "/widget_request/doctor")).send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap_or_default();
            decide_public(url, status, &body, runs)
        }
        Err(error) if !runs && error.is_connect() && is_loopback(url) => not_running(url),
        Err(error) => Check::failed(
            "public_url",
            format!("cannot reach {url} from here: {}", causes(&error)),
            "check its DNS name, its certificate, and that the proxy runs; if this machine cannot call its own public \
             address, try from another machine",
        ),
    }
}

fn not_running(url: &Url) -> Check {
    let todo = "run `serve`, then check again";
    Check::warning("public_url", format!("{url} does not lead to a bridge, because none runs here"), todo)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Recognizes a bridge by its problem details for a GET where only POST is allowed.
fn decide_public(url: &Url, status: u16, body: &Value, runs: bool) -> Check {
    let is_ours =
        status == 405 && body["status"] == 405 && body["type"].is_string() && body["detail"].is_string();
    let todo = "configure the proxy to forward /widget_request/ and /oauth/ below this address to server.listen, and check that `serve` runs";
    match status {
        _ if is_ours => Check::ok("public_url", format!("{url} leads to a bridge")),
        502..=504 if !runs => not_running(url),
        502..=504 => Check::failed(
            "public_url",
            format!("the proxy at {url} returned {status}: it cannot reach the bridge"),
            todo,
        ),
        _ => Check::failed(
            "public_url",
            format!("something other than a bridge returned {status} at {url}"),
            todo,
        ),
    }
}

fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = if text.is_empty() { error.to_string() } else { format!("{text}: {error}") };
        cause = error.source();
    }
    if error.is_timeout() { format!("no response within {} s", REACH_TIMEOUT.as_secs()) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn only_the_response_of_a_bridge_is_accepted() {
        let url = "https://bots.example.com".parse().unwrap();
        let ours = json!({ "type": "about:blank", "title": "x", "status": 405, "detail": "y" });
        for (status, body, runs, outcome, part) in [
            (405, &ours, true, Outcome::Ok, "leads to a bridge"),
            (405, &json!(null), true, Outcome::Failed, "something other than"),
            (404, &ours, false, Outcome::Failed, "something other than"),
            (200, &json!("hello"), false, Outcome::Failed, "returned 200"),
            (502, &json!(null), true, Outcome::Failed, "cannot reach the bridge"),
            (502, &json!(null), false, Outcome::Warning, "none runs here"),
        ] {
            let check = decide_public(&url, status, body, runs);
            let text = serde_json::to_string(&check).unwrap();
            assert_eq!(check.outcome(), outcome, "{text}");
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_bridge_that_is_not_running_is_only_a_warning() {
        for (probed, outcome) in [
            (health::Probed::Ready, Outcome::Ok),
            (health::Probed::NotReady("draining".into()), Outcome::Failed),
            (health::Probed::Absent("refused".into()), Outcome::Warning),
            (health::Probed::Foreign, Outcome::Failed),
        ] {
            assert_eq!(admin(probed).outcome(), outcome);
        }
    }
}
