//! A run without `--target`: a child process of this program is the bridge, with a temporary folder.

use anyhow::{Context, bail};

use load::{Account, Batch, Integration, Sink, Start, Target};

use super::Args;
use super::metrics::commits;
use super::output::{Outcome, Spent};
use super::run::run_load;

/// Starts a bridge, loads it, and stops it.
pub(super) async fn run(args: &Args) -> anyhow::Result<Outcome> {
    let sink = Sink::start(([127, 0, 0, 1], 0).into(), Account::numbered(1)).await;
    let sink = sink.context("cannot listen for continues")?;
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let program = std::env::current_exe().context("cannot find the path of this program")?;
    let integration = Integration::default();
    let sinks = [&sink];
    let mut start = Start::new(&program, folder.path(), &integration, &sinks);
    start.start_timeout = args.timeout();
    let bridge = start.run()?;
    let batch = Batch::sign(&integration, &[&sink], &Target::echo(bridge.public()), args.requests());

    let before = bridge.usage();
    let report = run_load(args, &batch).await?;
    let spent = Spent::between(before, bridge.usage(), report.continued);
    let commits = commits(bridge.admin()).await;

    // Until the bridge ends, it may send a continue twice. Stop it on another thread, because the sink on this thread must
    // still receive continues in flight.
    let timeout = args.timeout();
    match tokio::task::spawn_blocking(move || bridge.stop(timeout)).await? {
        Ok(true) => {}
        Ok(false) => bail!("the bridge did not stop cleanly"),
        Err(error) => bail!("cannot stop the bridge: {error}"),
    }
    let mut outcome = Outcome::new(report.with_continues_of(batch.ledger()), spent, commits);
    if sink.strange() > 0 {
        outcome
            .wrong
            .push(format!("the sink received {} calls that were not continues of this run", sink.strange()));
    }
    Ok(outcome)
}
