//! `simulate`: the Kommo simulator alone, for a bridge that runs beside it.
//!
//! What it prints as text is at the same time a configuration that fits: redirect it into
//! `bridge.toml`, start `serve` with that file, and start bots with the command in its comments.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::simulator::{Options, Simulator};

/// Where the printed command expects the bridge: the default of `server.listen`.
const BRIDGE: &str = "http://127.0.0.1:8080/widget_request/echo";

/// Plays one Kommo account on loopback and prints a configuration that fits it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// Continues per second before it answers 429 (Kommo allows 7); no limit if absent
    #[arg(long, value_name = "N")]
    pub rate_limit: Option<u32>,
    /// Milliseconds that each continue takes
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency_ms: u64,
}

/// Plays Kommo until SIGTERM or SIGINT. The address, the secrets and a fitting configuration go
/// to stdout: as TOML, or as one JSON object with `json`.
///
/// # Errors
///
/// The address cannot be bound, or stdout or the signals cannot be had.
pub async fn run(args: Args, json: bool) -> anyhow::Result<()> {
    let stop = stop_signal().context("cannot listen for signals")?;
    let listen = args.listen;
    let options = Options {
        listen,
        rate_limit: args.rate_limit,
        latency: Duration::from_millis(args.latency_ms),
        ..Options::default()
    };
    let simulator = Simulator::start(options)
        .await
        .with_context(|| format!("cannot listen on {listen}: choose another address with --listen"))?;
    let text = if json { as_json(&simulator) } else { as_toml(&simulator) };
    let mut out = anstream::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to stdout")?;
    stop.await;
    simulator.shutdown().await;
    Ok(())
}

fn as_toml(simulator: &Simulator) -> String {
    let base_url = simulator.base_url();
    let Options { client_uuid, client_secret, access_token, .. } = simulator.options();
    format!(
        r#"# The Kommo simulator listens on {base_url} until Ctrl-C.
# This is a bridge.toml for it: salesbot-bridge serve --config bridge.toml
#
# Start a bot:    {curl}
# See the bots:   curl {base_url}/simulator/bots

[integrations.simulator]
client_uuid = "{client_uuid}"
client_secret = "{client_secret}"

[accounts.simulator]
base_url = "{base_url}"
access_token = "{access_token}"

[delivery]
allowed_hosts = ["{host}"]
insecure = true

[handlers.echo]
kind = "echo"
"#,
        curl = curl(base_url),
        host = host(base_url),
    )
}

fn as_json(simulator: &Simulator) -> String {
    let base_url = simulator.base_url();
    let options = simulator.options();
    let whole = json!({
        "base_url": base_url,
        "start_a_bot": curl(base_url),
        "config": {
            "integrations": { "simulator": {
                "client_uuid": options.client_uuid, "client_secret": options.client_secret } },
            "accounts": { "simulator": { "base_url": base_url, "access_token": options.access_token } },
            "delivery": { "allowed_hosts": [host(base_url)], "insecure": true },
            "handlers": { "echo": { "kind": "echo" } },
        },
    });
    format!("{whole}\n")
}

fn curl(base_url: &str) -> String {
    format!(
        r#"curl {base_url}/simulator/bots --json '{{"url":"{BRIDGE}","data":{{"message":"hi"}},"faults":["500"]}}'"#
    )
}

fn host(base_url: &str) -> &str {
    base_url.strip_prefix("http://").unwrap_or(base_url)
}

#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_outputs_hold_the_same_configuration() {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let from_toml: serde_json::Value = toml::from_str(&as_toml(&simulator)).unwrap();
        let from_json: serde_json::Value = serde_json::from_str(&as_json(&simulator)).unwrap();
        assert_eq!(from_toml, from_json["config"]);
        assert_eq!(from_toml["accounts"]["simulator"]["base_url"], simulator.base_url());
        let host = simulator.base_url().strip_prefix("http://").unwrap();
        assert_eq!(from_toml["delivery"]["allowed_hosts"], json!([host]));
    }

    #[tokio::test]
    async fn the_printed_command_starts_a_bot() {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let command = curl(simulator.base_url());
        let (address, order) = command.split_once(" --json ").unwrap();
        assert_eq!(address, format!("curl {}/simulator/bots", simulator.base_url()));
        let order: serde_json::Value = serde_json::from_str(order.trim_matches('\'')).unwrap();
        assert_eq!(order["url"], BRIDGE);
    }
}
