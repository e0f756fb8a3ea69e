//! Whether the bridge is there: its admin listener on this machine, and its public address.

use std::time::Duration;

use http::header::DATE;
use reqwest::Client;
use serde_json::Value;
use url::Url;

use crate::cli::health;
use crate::config::Config;
use kommo::client_builder;
use model::{Outgoing, Timestamp, url_below};

use super::check::Check;
use super::clock;

/// Nobody who is well takes longer.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that carries no secret, and whose calls leave as those to Kommo do.
pub(super) fn client(outgoing: &Outgoing) -> Option<Client> {
    client_builder(outgoing).ok()?.timeout(REACH_TIMEOUT).build().ok()
}

/// What the host at `origin` takes for the time.
pub(super) async fn date(client: &Client, origin: &str) -> Option<Timestamp> {
    let answer = client.head(origin).send().await.ok()?;
    clock::date(answer.headers().get(DATE)?.to_str().ok()?)
}

/// Asks the admin listener.
pub(super) async fn admin(config: &Config) -> Check {
    judge_admin(health::probe(config).await)
}

fn judge_admin(probed: health::Probed) -> Check {
    match probed {
        health::Probed::Ready => Check::ok("bridge", "it runs here, and is ready"),
        health::Probed::NotReady(why) => Check::failed(
            "bridge",
            format!("it runs here, but is not ready: {why}"),
            "wait for it, or fix what it names",
        ),
        health::Probed::Absent(why) => {
            Check::warning("bridge", format!("none runs here with this configuration: {why}"), "run `serve`")
        }
        health::Probed::Foreign => Check::failed(
            "bridge",
            "something else answers at admin.listen",
            "set admin.listen to an address that is not in use",
        ),
    }
}

/// Asks the public address as Kommo would, but for the token.
pub(super) async fn public(client: &Client, url: &Url) -> Check {
    match client.get(url_below(url, "/widget_request/doctor")).send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap_or_default();
            judge_public(url, status, &body)
        }
        Err(error) => Check::failed(
            "public_url",
            format!("{url} does not answer from here: {}", causes(&error)),
            "check its name, its certificate, and that the proxy runs; if this machine cannot call its own public address, \
             ask from another one",
        ),
    }
}

/// A GET where only a POST is allowed: the bridge says so in a way of its own.
fn judge_public(url: &Url, status: u16, body: &Value) -> Check {
    let is_ours =
        status == 405 && body["status"] == 405 && body["type"].is_string() && body["detail"].is_string();
    let todo = "let the proxy pass /widget_request/ and /oauth/ below this address to server.listen, and see that `serve` runs";
    match status {
        _ if is_ours => Check::ok("public_url", format!("{url} leads to a bridge")),
        502..=504 => Check::failed(
            "public_url",
            format!("the proxy at {url} answers {status}: it does not reach the bridge"),
            todo,
        ),
        _ => Check::failed("public_url", format!("something else answers at {url}, with {status}"), todo),
    }
}

fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = if text.is_empty() { error.to_string() } else { format!("{text}: {error}") };
        cause = error.source();
    }
    if error.is_timeout() { format!("not within {} s", REACH_TIMEOUT.as_secs()) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn only_a_bridge_answers_like_a_bridge() {
        let url = "https://bots.example.com".parse().unwrap();
        let ours = json!({ "type": "about:blank", "title": "x", "status": 405, "detail": "y" });
        for (status, body, outcome, part) in [
            (405, &ours, Outcome::Ok, "leads to a bridge"),
            (405, &json!(null), Outcome::Failed, "something else"),
            (404, &ours, Outcome::Failed, "something else"),
            (200, &json!("hello"), Outcome::Failed, "with 200"),
            (502, &json!(null), Outcome::Failed, "does not reach the bridge"),
        ] {
            let check = judge_public(&url, status, body);
            let text = serde_json::to_string(&check).unwrap();
            assert_eq!(check.outcome(), outcome, "{text}");
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_bridge_that_does_not_run_is_no_mistake() {
        for (probed, outcome) in [
            (health::Probed::Ready, Outcome::Ok),
            (health::Probed::NotReady("draining".into()), Outcome::Failed),
            (health::Probed::Absent("refused".into()), Outcome::Warning),
            (health::Probed::Foreign, Outcome::Failed),
        ] {
            assert_eq!(judge_admin(probed).outcome(), outcome);
        }
    }
}
