//! `simulate`: the Kommo simulator alone, for a bridge that runs beside it.
//!
//! Its text output is also a configuration for that bridge: redirect it into `bridge.toml`, and follow the numbered steps in
//! its comments. With `--replay`, a bot sends the request of a stored job to that bridge.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::config::Config;
use simulator::{Continue, FAULTS, Language, Options, Simulator};

use super::examples;
use super::exit::{Failure, Usage, notice, print, print_until};
use super::simulate_bridge::BridgeAt;
use super::simulate_replay::{self, Replay};
use super::simulate_text::Printed;

/// The arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct Args {
    /// The address and port to listen on; port 0 chooses a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090", value_parser = address)]
    pub listen: SocketAddr,
    /// The URL of the bridge, which listens there with the printed configuration. With https, a proxy must forward that
    /// URL to 127.0.0.1:8080
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = bridge_url)]
    pub bridge: Url,
    /// Include the account and its long-lived token in the configuration, so that it needs no authorization
    #[arg(long)]
    pub long_lived: bool,
    /// The language of the account's error messages: en, or ru as in amoCRM
    #[arg(long, value_name = "CODE", default_value = "en")]
    pub language: Language,
    /// The maximum number of API calls per second; further calls get a 429 [default: no limit; Kommo's is 7]
    #[arg(long, value_name = "N")]
    pub rate_limit: Option<u32>,
    /// The duration of each API call, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency_ms: u64,
    /// Send the request of this job again, once a bridge runs with the printed configuration, and show what the bot gets.
    /// The job is named by its id, or a unique prefix of it, in the store of the configuration; or by a file with the job
    /// as JSON, as `jobs show` writes it. Includes --long-lived
    #[arg(long, value_name = "ID|FILE")]
    pub replay: Option<String>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an IP address and a port, like 127.0.0.1:8090".to_owned())
}

fn bridge_url(text: &str) -> Result<Url, String> {
    text.parse().map_err(|_| "expected scheme, host and port, like http://127.0.0.1:8080".to_owned())
}

/// The part of `--help` after the options.
fn after_help() -> String {
    let width = FAULTS.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let faults: String = FAULTS.iter().map(|(name, what)| format!("\n  {name:width$}  {what}")).collect();
    format!(
        "Control the running simulator with:\n  \
           GET  /simulator/         list all requests that it accepts, as JSON\n  \
           POST /simulator/bots     start bots, with the \"faults\" that they meet\n  \
           GET  /simulator/bots     show the bots and their continues\n  \
           POST /simulator/widgets  upload a widget.zip\n\n\
         Faults, one for each attempt to continue a bot, instead of the usual response:{faults}\n  \
           {:width$}  this status, from 200 to 599\n\n\
         See docs/simulator.md for more.\n\n{}",
        "500, …",
        examples::SIMULATE,
    )
}

/// Runs the simulator until SIGTERM or SIGINT. Prints its address, its secrets and a matching configuration to stdout, as
/// TOML, or as one JSON object if `json` is set. With `--replay`, reports on stderr how the replay ends; with `json`, on
/// stdout. `config` loads the configuration that names the store of the job.
///
/// # Errors
/// `--bridge` is wrong, there is no job to replay, the address cannot be bound, stdout cannot be written, or signals or
/// random bytes are not available.
pub async fn run(
    args: Args,
    json: bool,
    config: impl FnOnce() -> Result<Config, Failure>,
) -> Result<(), Failure> {
    let replay = match &args.replay {
        Some(what) => Some(Replay::read(what, config).await?),
        None => None,
    };
    Ok(simulate(args, json, replay).await?)
}

async fn simulate(args: Args, json: bool, replay: Option<Replay>) -> anyhow::Result<()> {
    let stop = stop_signal().context("cannot listen for signals")?;
    let listen = args.listen;
    let bridge = BridgeAt::new(&args.bridge, listen).map_err(Usage)?;
    let options = Options {
        listen,
        redirect_uri: format!("{}/oauth/callback", bridge.url),
        language: args.language,
        rate_limit: args.rate_limit,
        latency: Duration::from_millis(args.latency_ms),
        // Without the program's path, the simulator runs scripts on threads.
        script_program: std::env::current_exe().ok(),
        ..Options::default()
    };
    let simulator = Simulator::start(options).await.map_err(|error| {
        anyhow!("cannot listen on {listen}: {error}; choose another address with --listen")
    })?;
    let mut key = [0; 32];
    getrandom::fill(&mut key).context("cannot get random bytes for store.encryption_key")?;
    let printed = Printed {
        base_url: simulator.base_url(),
        options: simulator.options(),
        bridge: &bridge,
        encryption_key: &STANDARD.encode(key),
        long_lived: args.long_lived || replay.is_some(),
        handler: replay.as_ref().map(|replay| replay.handler.as_str()),
    };
    let text = if json { printed.json() } else { printed.toml() };
    let stopped = CancellationToken::new();
    let forwarded = stopped.clone();
    tokio::spawn(async move {
        stop.await;
        forwarded.cancel();
    });
    match print_until(&stopped, text.trim_end().to_owned()).await {
        // A stop before the configuration is read is an ordinary stop.
        Err(_) if stopped.is_cancelled() => {}
        printed => {
            printed?;
            if let Some(replay) = &replay {
                let played = replay.play(&simulator, &bridge.url);
                if let Some(Some(got)) = stopped.run_until_cancelled(played).await {
                    report(&got, json, &stopped).await?;
                }
            }
            stopped.cancelled().await;
        }
    }
    simulator.shutdown().await;
    Ok(())
}

/// Reports what the bot of a replay got. A text would damage the configuration on stdout.
async fn report(got: &Continue, json: bool, stop: &CancellationToken) -> anyhow::Result<()> {
    if !json {
        notice(&simulate_replay::text(got));
        return Ok(());
    }
    let line = serde_json::json!({ "replayed": simulate_replay::value(got) });
    match print_until(stop, line.to_string()).await {
        Err(_) if stop.is_cancelled() => Ok(()),
        printed => printed,
    }
}

/// Runs the widget script that stdin holds. The simulator starts this program again for each script.
///
/// # Errors
/// The script cannot run, or stdout cannot be written.
pub fn run_script() -> anyhow::Result<()> {
    let answer = simulator::serve_script(std::io::stdin().lock());
    print(&answer.context("cannot run the script")?)
}

#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
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
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
