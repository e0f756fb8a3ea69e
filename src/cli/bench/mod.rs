//! `bench`: loads a bridge on this machine, measures it, and checks that every request is continued once.
//!
//! The bridge is a separate process, so its CPU and memory can be measured: a child process with a generated
//! configuration in a temporary folder, or the bridge that `--target` names. The sink of [`load`] replaces the simulator:
//! it is cheaper, and counts every continue exactly.

mod metrics;
mod output;
mod own;
mod run;
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

/// The arguments of `bench`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// How many requests to send, 1 to 10000000
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    requests: u32,
    /// How many connections to use, 1 to 10000; each carries one request at a time
    #[arg(long, value_name = "C", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Requests per second, 0.001 to 1000000, on a fixed schedule; latency counts from the scheduled time [default:
    /// each connection sends its next request when it gets a response]
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// The URL of a bridge that already runs on this machine with the configuration that --config names, like
    /// http://127.0.0.1:8080, or the URL of one of its handlers. bench takes the place of the simulator, at the base_url
    /// of an account on this machine [default: start a bridge in a temporary folder]
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Give up after this many seconds without progress, 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: u64,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("expected a number from 0.001 to 1000000".to_owned()),
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

/// Loads a bridge and prints the result. `config` is the file that the command line names.
///
/// # Errors
/// The usage is wrong, a part cannot start, a request got an unexpected response, or a request was not continued exactly
/// once.
pub(super) async fn run(args: Args, config: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let shutdown = Shutdown::on_signals().context("cannot listen for signals")?;
    open_files::raise();
    let target = match &args.target {
        Some(url) => Some(target::RunningTarget::read(url, config)?),
        None if config.is_some() => {
            let why = "without --target, bench starts a bridge with a generated configuration: remove --config, or add --target";
            return Err(Failure::usage(why.to_owned()));
        }
        None => None,
    };
    let load = args.clone();
    let outcome = on_own_thread(shutdown.clone(), async move {
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

/// Runs `work` on a single-threaded runtime, where no task has to wake another thread: the generator must take little CPU
/// from the bridge that it measures. Ends early if the shutdown is requested.
async fn on_own_thread(
    shutdown: Shutdown,
    work: impl Future<Output = anyhow::Result<Outcome>> + Send + 'static,
) -> anyhow::Result<Outcome> {
    let (sender, receiver) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the async runtime")?;
    let body = move || {
        let outcome = runtime.block_on(async {
            tokio::select! {
                outcome = work => outcome,
                () = shutdown.asked().cancelled() => Err(anyhow!("stopped before the run was complete")),
            }
        });
        // The receiver may be gone.
        let _unheard = sender.send(outcome);
    };
    std::thread::Builder::new().name("load".to_owned()).spawn(body).context("cannot start a thread")?;
    receiver.await.context("the load generator panicked")?
}
