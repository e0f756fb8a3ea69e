//! `dev`: played bots against a handler on this machine.
//!
//! A bot of a simulated Kommo sends what a person types, or a file holds, to a real bridge, whose handler is the person's own
//! program. Every event is a line. Everything lives in a temporary folder, which the end deletes.

mod advice;
mod answer;
mod calls;
mod changes;
mod event;
mod input;
mod player;
mod render;
mod session;
mod settings;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::bridge::Bridge;
use crate::shutdown::Shutdown;
use crate::telemetry;

use super::exit::{Failure, notice};
use super::sandbox::Sandbox;
use calls::Calls;
use input::Input;
use session::{Session, Target};
use settings::Settings;

/// The arguments of `dev`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The URL of your handler, such as http://127.0.0.1:8000/ or localhost:8000 [default: the built-in handler echo]
    #[arg(long, value_name = "URL")]
    forward: Option<String>,
    /// The form of requests and responses, as the key `preset` of a handler: bridge, data, n8n-chat, flowise, dify or typebot
    #[arg(long, value_name = "NAME", requires = "forward")]
    preset: Option<String>,
    /// A file with the secret that signs the requests [default: a new secret, which the first lines print]
    #[arg(long, value_name = "FILE", requires = "forward")]
    secret_file: Option<PathBuf>,
    /// A file with the value of the header Authorization. Without --secret-file, the requests are then not signed
    #[arg(long, value_name = "FILE", requires = "forward")]
    auth_file: Option<PathBuf>,
    /// How long one call may take, as the key `attempt_timeout` of a handler [default: 30s]
    #[arg(long, value_name = "TIME", requires = "forward")]
    timeout: Option<String>,
    /// When a bot without an answer gets the fallback, as the key `answer_within` of a handler [default: 50s]
    #[arg(long, value_name = "TIME")]
    answer_within: Option<String>,
    /// The number of the lead that the bots talk about
    #[arg(long, value_name = "N", default_value_t = 1001, value_parser = clap::value_parser!(u32).range(1..))]
    lead: u32,
    /// Send this message, or JSON object, and end after the answer. May be repeated
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    message: Vec<String>,
    /// Send each line of this file, one after the other, and end. `-` is the standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Plays bots until the input ends, or until SIGTERM, SIGINT or SIGHUP.
///
/// # Errors
/// An argument or a line of the file is wrong, a part cannot start, or a bot of `--message`, `--file` or a pipe did not get
/// the handler's answer.
pub async fn run(args: Args, json: bool, verbose: u8) -> Result<(), Failure> {
    let result = play(args, json, verbose).await;
    telemetry::flush_log().await;
    result
}

async fn play(args: Args, json: bool, verbose: u8) -> Result<(), Failure> {
    let is_terminal = std::io::stdin().is_terminal();
    let input = Input::open(&args.message, args.file.as_deref(), is_terminal).map_err(Failure::usage)?;
    let settings = Settings::new(&args)?;
    let shutdown = stop_signals().context("cannot listen for signals")?;
    let calls = Calls::default();
    let watch = calls.watch();
    let mut answer_within = Duration::ZERO;
    let prepare = |bridge: Bridge| {
        answer_within = settings.answer_within(&bridge);
        bridge.watch_calls(watch)
    };
    let started = Sandbox::start(&settings.toml(), verbose, prepare).await;
    let sandbox = started.map_err(|error| settings.failure(error))?;
    if !matches!(input, Input::Known(_)) {
        notice(&settings.banner(&sandbox, input.is_interactive()));
    }
    let target = Target { handler: settings.name(), answer_within, calls };
    let session = Session::new(sandbox, target, args.lead, json).map_err(Failure::from)?;
    let (ended, sandbox) = session.run(input, &shutdown).await;
    let stopped = sandbox.stop(shutdown.forced()).await;
    ended?;
    Ok(stopped?)
}

/// A stop on SIGTERM and SIGINT, and on SIGHUP, which a terminal sends when a person closes it.
fn stop_signals() -> std::io::Result<Shutdown> {
    let shutdown = Shutdown::on_signals()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let hung_up = shutdown.clone();
    tokio::spawn(async move {
        if hangup.recv().await.is_some() {
            hung_up.ask();
        }
    });
    Ok(shutdown)
}
