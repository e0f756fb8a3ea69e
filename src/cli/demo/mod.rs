//! `demo`: the whole loop on this machine, without any setup.
//!
//! It runs a real bridge with a real configuration file and a real SQLite file in a temporary folder. Only Kommo is
//! simulated. Some bots meet faults, to show how the bridge handles them.

mod bots;
mod next;
mod table;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;

use crate::shutdown::Shutdown;
use crate::telemetry;
use simulator::Bot;

use super::exit::print_until;
use super::progress::Progress;
use super::sandbox::Sandbox;
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
    let mut sandbox = Sandbox::start(&settings(args.requests), verbose, |bridge| bridge).await?;
    let bridge_url = format!("{}/widget_request/echo", sandbox.public);
    let (admin_url, kommo_url) = (sandbox.admin.clone(), sandbox.simulator.base_url().to_owned());
    // The printed commands name the program as it was called, because it may not be on the PATH.
    let program = std::env::args().next().unwrap_or_else(|| "salesbot-bridge".to_owned());
    let at = Addresses {
        bridge: &bridge_url,
        admin: &admin_url,
        kommo: &kommo_url,
        config: &sandbox.config(),
        program: &program,
    };

    if args.keep && !json {
        print_until(shutdown.asked(), at.ready(args.requests)).await?;
    } else {
        // In this case, stdout gets only the result.
        print_note(at.ready(args.requests), args.keep);
    }
    let bots: Vec<Bot> = (0..args.requests).map(|number| sandbox.simulator.bot(bots::plan(number))).collect();
    let result = tokio::select! {
        result = continue_bots(&bots, &bridge_url, &admin_url) => result,
        why = sandbox.ended() => bail!("the bridge ended: {why}"),
        () = shutdown.asked().cancelled() => bail!("stopped before every bot was continued"),
    };
    let reports = sandbox.simulator.bots();
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
    sandbox.stop(shutdown.forced()).await?;
    result.and(printed)
}

/// The part of the configuration that only the demo has.
fn settings(requests: u32) -> String {
    let rate = requests.div_ceil(4).max(7);
    format!(
        r#"handlers.echo = {{ kind = "echo", goto = {{ type = "question", step = 1 }} }}
        # The default timeout of 20 s is too long to watch.
        delivery.request_timeout = "1s"
        delivery.rate_per_account = {rate}"#
    )
}

async fn continue_bots(bots: &[Bot], bridge_url: &str, admin_url: &str) -> anyhow::Result<()> {
    let total = u32::try_from(bots.len()).unwrap_or(u32::MAX);
    let progress = Progress::start(total, "{bar:30} {pos}/{len} bots continued  {elapsed}");
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
