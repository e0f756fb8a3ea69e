//! The run itself, with a progress bar.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::progress::Progress;
use load::{Batch, Report};

use super::Args;

const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// Sends every request, waits for the continues, and returns a report.
///
/// # Errors
/// The bridge cannot be reached.
pub(super) async fn run_load(args: &Args, batch: &Arc<Batch>) -> anyhow::Result<Report> {
    let bar = Progress::start(args.requests, "{bar:30} {pos}/{len} continued  {elapsed}");
    let run = async {
        args.load().run(batch).await?;
        // The report lists the missing continues.
        let _missing = batch.ledger().settled(args.timeout()).await;
        anyhow::Ok(())
    };
    let result = tokio::select! {
        result = run => result,
        never = watch(&bar, batch) => never,
    };
    bar.finish();
    result.map(|()| Report::of(batch.ledger()))
}

async fn watch(bar: &Progress, batch: &Batch) -> anyhow::Result<()> {
    let mut redraw = tokio::time::interval(REDRAW_INTERVAL);
    loop {
        redraw.tick().await;
        bar.set(batch.ledger().count().continued);
    }
}
