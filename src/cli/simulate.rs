//! `simulate`: the Kommo simulator alone, for a bridge that runs beside it.
//!
//! What it prints as text is at the same time a configuration that fits: redirect it into
//! `bridge.toml`, and follow the numbered commands in its comments.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio_util::sync::CancellationToken;
use url::Url;

use simulator::{FAULTS, Language, Options, Simulator};

use super::exit::{Usage, print, print_until};
use super::simulate_bridge::BridgeAt;
use super::simulate_text::Printed;

/// Plays one Kommo account on loopback and prints a configuration that fits it.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct Args {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// Where the bridge will be reached: the printed configuration listens there. With https, a proxy has to lead from there to
    /// 127.0.0.1:8080
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub bridge: Url,
    /// Print the account with its long-lived token, so that nothing needs to be authorized
    #[arg(long)]
    pub long_lived: bool,
    /// The language of the account, in which it says what is wrong: en, or ru as in amoCRM
    #[arg(long, value_name = "CODE", default_value = "en")]
    pub language: Language,
    /// Calls of the API per second before it answers 429 (Kommo allows 7); no limit if absent
    #[arg(long, value_name = "N")]
    pub rate_limit: Option<u32>,
    /// Milliseconds that each call of the API takes
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency_ms: u64,
}

/// What `--help` says after the options.
fn after_help() -> String {
    let width = FAULTS.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let faults: String = FAULTS.iter().map(|(name, what)| format!("\n  {name:width$}  {what}")).collect();
    format!(
        "While it runs:\n  \
           GET  /simulator/         all it can be asked, as JSON\n  \
           POST /simulator/bots     starts bots; \"faults\" names what goes wrong\n  \
           GET  /simulator/bots     what became of them\n  \
           POST /simulator/widgets  takes a widget.zip\n\n\
         Faults, one for each attempt to continue a bot, in place of the usual answer:{faults}\n  \
           {:width$}  this status, from 200 to 599\n\n\
         docs/simulator.md has more.",
        "500, …",
    )
}

/// Plays Kommo until SIGTERM or SIGINT. The address, the secrets and a fitting configuration go
/// to stdout: as TOML, or as one JSON object with `json`.
///
/// # Errors
///
/// `--bridge` cannot be used, the address cannot be bound, or stdout, the signals or random bytes cannot be had.
pub async fn run(args: Args, json: bool) -> anyhow::Result<()> {
    let stop = stop_signal().context("cannot listen for signals")?;
    let listen = args.listen;
    let bridge = BridgeAt::new(&args.bridge, listen).map_err(Usage)?;
    let options = Options {
        listen,
        redirect_uri: format!("{}/oauth/callback", bridge.url),
        language: args.language,
        rate_limit: args.rate_limit,
        latency: Duration::from_millis(args.latency_ms),
        // Without its own file it runs scripts on threads.
        script_program: std::env::current_exe().ok(),
        ..Options::default()
    };
    let simulator = Simulator::start(options)
        .await
        .with_context(|| format!("cannot listen on {listen}: choose another address with --listen"))?;
    let mut key = [0; 32];
    getrandom::fill(&mut key).context("the system gives no random bytes for store.encryption_key")?;
    let printed = Printed {
        base_url: simulator.base_url(),
        options: simulator.options(),
        bridge: &bridge,
        encryption_key: &STANDARD.encode(key),
        long_lived: args.long_lived,
    };
    let text = if json { printed.json() } else { printed.toml() };
    let stopped = CancellationToken::new();
    let forwarded = stopped.clone();
    tokio::spawn(async move {
        stop.await;
        forwarded.cancel();
    });
    match print_until(&stopped, text.trim_end().to_owned()).await {
        // A stop while no one has read the configuration is a stop like any other.
        Err(_) if stopped.is_cancelled() => {}
        printed => {
            printed?;
            stopped.cancelled().await;
        }
    }
    simulator.shutdown().await;
    Ok(())
}

/// Runs the script of a widget, which comes on stdin: the simulator starts this program again for it.
///
/// # Errors
/// The script cannot be run, or stdout cannot be written.
pub fn run_script() -> anyhow::Result<()> {
    let answer = simulator::serve_script(std::io::stdin().lock());
    print(&answer.context("the script cannot be run")?)
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
