//! Checks that the bridge is reachable on this machine, through its admin listener.

use std::time::Duration;

use http::header::DATE;
use reqwest::Client;

use crate::cli::health;
use crate::config::Config;
use kommo::client_builder;
use model::{Outgoing, Timestamp};

use super::check::Check;
use super::clock;

/// The longest wait for a response. A healthy host takes less.
pub(super) const REACH_TIMEOUT: Duration = Duration::from_secs(5);

/// A client without secrets. Its calls take the same route as calls to Kommo.
pub(super) fn client(outgoing: &Outgoing) -> Option<Client> {
    client_builder(outgoing).ok()?.timeout(REACH_TIMEOUT).build().ok()
}

/// The time that the host at `origin` returns.
pub(super) async fn date(client: &Client, origin: &str) -> Option<Timestamp> {
    let answer = client.head(origin).send().await.ok()?;
    clock::date(answer.headers().get(DATE)?.to_str().ok()?)
}

/// Checks the admin listener.
pub(super) async fn admin(config: &Config) -> Check {
    decide_admin(health::probe(config).await)
}

fn decide_admin(probed: health::Probed) -> Check {
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
        health::Probed::OtherStore => Check::failed(
            "bridge",
            "the bridge at admin.listen serves another store than store.url",
            "if it is another bridge, set admin.listen to a free address; if it should be this one, correct store.url, or \
             restart it with this configuration",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn a_bridge_that_is_not_running_is_only_a_warning() {
        for (probed, outcome) in [
            (health::Probed::Ready, Outcome::Ok),
            (health::Probed::NotReady("draining".into()), Outcome::Failed),
            (health::Probed::Absent("refused".into()), Outcome::Warning),
            (health::Probed::Foreign, Outcome::Failed),
            (health::Probed::OtherStore, Outcome::Failed),
        ] {
            assert_eq!(decide_admin(probed).outcome(), outcome);
        }
    }
}
