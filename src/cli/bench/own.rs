//! A bridge of its own: a child of the same program, in a temporary folder.

use anyhow::{Context, bail};

use load::{Account, Batch, Integration, Sink, Start, Target};

use super::Args;
use super::metrics::commits;
use super::output::{Outcome, Spent};
use super::played::play;

/// Starts it, loads it, stops it.
pub(super) async fn run(args: &Args) -> anyhow::Result<Outcome> {
    let sink = Sink::start(([127, 0, 0, 1], 0).into(), Account::numbered(1)).await;
    let sink = sink.context("cannot listen for continues")?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let program = std::env::current_exe().context("the program's own file cannot be found")?;
    let integration = Integration::default();
    let bridge = Start::new(&program, folder.path(), &integration, &[&sink]).run()?;
    let batch = Batch::sign(&integration, &[&sink], &Target::echo(bridge.public()), args.requests());

    let before = bridge.usage();
    let report = play(args, &batch).await?;
    let spent = Spent::between(before, bridge.usage(), report.continued);
    let commits = commits(bridge.admin()).await;

    // After its end nothing can come any more: only now is it known that nothing came twice. Elsewhere, because what
    // is under way waits for the sink.
    let timeout = args.timeout();
    match tokio::task::spawn_blocking(move || bridge.stop(timeout)).await? {
        Ok(true) => {}
        Ok(false) => bail!("the bridge did not stop cleanly"),
        Err(error) => bail!("the bridge could not be stopped: {error}"),
    }
    let mut outcome = Outcome::new(report.with_continues_of(batch.ledger()), spent, commits);
    if sink.strange() > 0 {
        outcome.wrong.push(format!("{} calls to Kommo's side were none of its continues", sink.strange()));
    }
    Ok(outcome)
}
