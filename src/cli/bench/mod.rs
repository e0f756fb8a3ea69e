//! `bench`: loads a bridge on this machine, measures it, and checks that every request was continued once.
//!
//! The bridge is a process of its own, so that its CPU and memory are its own: a child with a generated
//! configuration in a temporary folder, or the one that `--target` names. Kommo's side is the sink of
//! [`load`], in place of the simulator: cheaper, and exact about what came how often.

mod metrics;
mod output;
mod own;
mod played;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::oneshot;

use crate::bridge::open_files;
use crate::shutdown::Shutdown;
use load::Load;

use super::exit::{Failure, print_until};
use output::Outcome;

/// Loads a bridge on this machine, measures it, and checks that every request is continued once.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// How many requests to send
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    requests: u32,
    /// Connections that carry them, one request at a time each
    #[arg(long, value_name = "C", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Requests per second by a constant schedule, where latency counts from when one was due; without
    /// it each connection sends the next request when the last one was answered
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// A bridge that runs on this machine with this configuration (-c), in place of one of its own:
    /// http://127.0.0.1:8080, or with the path of a handler. The account whose base_url is on this
    /// machine is played
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Give up when nothing has moved for this long
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: u64,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("a number from 0.001 to 1000000".to_owned()),
    }
}

impl Args {
    fn load(&self) -> Load {
        Load {
            connections: usize::try_from(self.connections).unwrap_or(usize::MAX),
            rate: self.rate,
            stall_timeout: self.timeout(),
        }
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    fn requests(&self) -> usize {
        usize::try_from(self.requests).unwrap_or(usize::MAX)
    }
}

/// Loads a bridge and prints what came of it. `config` is the file that was named on the command line.
///
/// # Errors
/// Wrong usage; something could not be started; or a request was not continued exactly once, or not answered as it
/// should be.
pub(super) async fn run(args: Args, config: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let shutdown = Shutdown::on_signals().context("cannot listen to signals")?;
    open_files::raise();
    let target = match &args.target {
        Some(url) => Some(target::RunningTarget::read(url, config)?),
        None if config.is_some() => {
            let why =
                "bench runs a bridge of its own, which needs no configuration: --config goes with --target";
            return Err(Failure::usage(why.to_owned()));
        }
        None => None,
    };
    let load = args.clone();
    let outcome = alone(shutdown.clone(), async move {
        match target {
            Some(target) => target.run(&load).await,
            None => own::run(&load).await,
        }
    })
    .await?;
    let text = if json { outcome.json(&args) } else { outcome.text(&args) };
    print_until(shutdown.asked(), text).await?;
    outcome.check().map_err(Failure::running)
}

/// Runs `work` on a thread of its own, where no task has to wake another thread: what the generator costs is taken
/// from what it measures. Ends early if a stop is asked for.
async fn alone(
    shutdown: Shutdown,
    work: impl Future<Output = anyhow::Result<Outcome>> + Send + 'static,
) -> anyhow::Result<Outcome> {
    let (sender, receiver) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot start")?;
    let body = move || {
        let outcome = runtime.block_on(async {
            tokio::select! {
                outcome = work => outcome,
                () = shutdown.asked().cancelled() => Err(anyhow!("stopped before it was done")),
            }
        });
        // Whoever asked may have gone.
        let _unheard = sender.send(outcome);
    };
    std::thread::Builder::new().name("load".to_owned()).spawn(body).context("cannot start a thread")?;
    receiver.await.context("the load generator broke down")?
}
