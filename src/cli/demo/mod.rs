//! `demo`: the whole loop on this machine, without any setup.
//!
//! It runs a real bridge with a real configuration file and a real SQLite file in a temporary folder. Only Kommo is
//! simulated. Some bots meet faults, to show how the bridge handles them.

mod bots;
mod next;
mod table;

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::bridge::{Bridge, Error, Listeners};
use crate::config::{Config, Sources};
use crate::shutdown::Shutdown;
use crate::telemetry;
use simulator::{Bot, Options, Simulator};

use super::exit::print_until;
use super::progress::Progress;
use super::screen::Screen;
use next::{Addresses, next};

/// The timeout for continuing every bot, and then for finishing every job. All faults of the demo end well within it.
const DEMO_TIMEOUT: Duration = Duration::from_secs(60);

/// The arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many bots to start, 1 to 100000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    requests: u32,
    /// Keep running after the last bot, and print commands to try
    #[arg(long)]
    keep: bool,
}

/// Runs the bots, and prints what happened to each.
///
/// # Errors
/// A part of the demo cannot start, or a bot was not continued.
pub async fn run(args: Args, json: bool, verbose: u8) -> anyhow::Result<()> {
    let result = run_bots(args, json, verbose).await;
    telemetry::flush_log().await;
    result
}

async fn run_bots(args: Args, json: bool, verbose: u8) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals().context("cannot listen for signals")?;
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let simulator = Simulator::start(Options::default()).await.context("cannot start the simulator")?;
    let rate = args.requests.div_ceil(4).max(7);
    let config = configuration(folder.path(), &simulator, rate)?;
    if verbose > 0 {
        let log = super::with_verbosity(config.clone(), verbose).log;
        telemetry::init_log(&log).map_err(Error::Log)?;
        telemetry::log_panics();
    }
    let listeners = Listeners::bind(&config).await?;
    let bridge_url = format!("http://{}/widget_request/echo", listeners.public.local_addr()?);
    let admin_url = format!("http://{}", listeners.admin.local_addr()?);
    // The printed commands name the program as it was called, because it may not be on the PATH.
    let program = std::env::args().next().unwrap_or_else(|| "salesbot-bridge".to_owned());
    let at = Addresses {
        bridge: &bridge_url,
        admin: &admin_url,
        kommo: simulator.base_url(),
        config: &folder.path().join("bridge.toml"),
        program: &program,
    };
    let stop_bridge = Shutdown::manual();
    let mut bridge = tokio::spawn(Bridge::new(config).run(listeners, stop_bridge.clone()));

    if args.keep && !json {
        print_until(shutdown.asked(), at.ready(args.requests)).await?;
    } else {
        // In this case, stdout gets only the result.
        print_note(at.ready(args.requests), args.keep);
    }
    let result = tokio::select! {
        result = continue_bots(&simulator, args.requests, &bridge_url, &admin_url) => result,
        ended = &mut bridge => bail!("the bridge ended: {}", why(ended)),
        () = shutdown.asked().cancelled() => bail!("stopped before every bot was continued"),
    };
    let reports = simulator.bots();
    let printed = if json {
        let bots =
            json!({ "bots": reports, "continued": table::continued(&reports), "asked": reports.len() });
        format!("{bots:#}")
    } else {
        let next = match (&result, args.keep) {
            (Err(_), _) => String::new(),
            (Ok(()), true) => at.commands(),
            (Ok(()), false) => next(&program),
        };
        format!("{}{next}", table::render(&reports, Screen::stdout()))
    };
    let printed = print_until(shutdown.asked(), printed).await;

    if args.keep && result.is_ok() {
        if json {
            print_note(at.commands().trim_start().to_owned(), true);
        }
        shutdown.asked().cancelled().await;
    }
    stop(&stop_bridge, bridge).await?;
    simulator.shutdown().await;
    result.and(printed)
}

fn configuration(folder: &Path, simulator: &Simulator, rate: u32) -> anyhow::Result<Config> {
    let Options { client_uuid, client_secret, access_token, .. } = simulator.options();
    let base_url = simulator.base_url();
    let host = base_url.trim_start_matches("http://");
    let text = format!(
        r#"
        server.listen = "127.0.0.1:0"
        admin.listen = "127.0.0.1:0"
        store.url = "sqlite:{database}"
        integrations.demo = {{ client_uuid = "{client_uuid}", client_secret = "{client_secret}" }}
        accounts.demo = {{ base_url = "{base_url}", access_token = "{access_token}" }}
        handlers.echo = {{ kind = "echo", goto = {{ type = "question", step = 1 }} }}
        # Loopback is neither https nor public. The default timeout of 20 s is too long to watch.
        delivery = {{ allowed_hosts = ["{host}"], insecure = true, request_timeout = "1s", rate_per_account = {rate} }}
        "#,
        database = folder.join("bridge.db").display(),
    );
    let file = folder.join("bridge.toml");
    write_secret(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Config::load(&Sources { file: Some(file), env: Vec::new() }).map_err(Error::from)?)
}

/// Writes a file with secrets, which only its owner can read.
fn write_secret(file: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}

async fn continue_bots(
    simulator: &Simulator,
    requests: u32,
    bridge_url: &str,
    admin_url: &str,
) -> anyhow::Result<()> {
    let bots: Vec<Bot> = (0..requests).map(|number| simulator.bot(bots::plan(number))).collect();
    let progress = Progress::start(requests, "{bar:30} {pos}/{len} bots continued  {elapsed}");
    let each = bots.iter().map(async |bot| {
        bot.call(bridge_url).await.with_context(|| format!("bot {} got no response", bot.id()))?;
        bot.continued().await;
        progress.increment();
        anyhow::Ok(())
    });
    let all = futures_util::future::try_join_all(each);
    let result = tokio::time::timeout(DEMO_TIMEOUT, all).await;
    // A lost response hides from the bridge that its continue arrived. Wait until a retry has shown that.
    let finished = match &result {
        Ok(Ok(_)) => tokio::time::timeout(DEMO_TIMEOUT, wait_until_finished(admin_url)).await,
        _ => Ok(Ok(())),
    };
    progress.finish();
    match result {
        Err(_) => bail!("not every bot was continued within {} s", DEMO_TIMEOUT.as_secs()),
        Ok(result) => result.map(|_| ())?,
    }
    match finished {
        Err(_) => bail!("the bridge did not finish all jobs within {} s", DEMO_TIMEOUT.as_secs()),
        Ok(result) => result,
    }
}

/// Waits until the bridge has finished every job.
async fn wait_until_finished(admin_url: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    loop {
        let stats: serde_json::Value =
            client.get(format!("{admin_url}/api/v1/stats")).send().await?.json().await?;
        let jobs = |state: &str| stats["jobs"][state].as_u64().unwrap_or(0);
        if ["queued", "running", "delivering"].into_iter().map(jobs).sum::<u64>() == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn stop(stop_bridge: &Shutdown, bridge: JoinHandle<Result<(), Error>>) -> anyhow::Result<()> {
    stop_bridge.ask();
    match bridge.await {
        Ok(Ok(())) => Ok(()),
        ended => bail!("the bridge did not stop cleanly: {}", why(ended)),
    }
}

fn why(ended: Result<Result<(), Error>, tokio::task::JoinError>) -> String {
    match ended {
        Ok(Ok(())) => "it stopped without a request".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Writes a note to stderr if that is a terminal, or if `always` is set. Writes on a separate thread: a paused terminal
/// must not delay the bridge.
fn print_note(text: String, always: bool) {
    if always || std::io::stderr().is_terminal() {
        tokio::task::spawn_blocking(move || {
            // If stderr cannot be written, there is nowhere to report it.
            let _unheard = anstream::stderr().write_all(format!("{text}\n").as_bytes());
        });
    }
}
