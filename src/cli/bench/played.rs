//! The load itself, with a bar for whoever watches.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::load::{Batch, Report};

use super::Args;

const REDRAW: Duration = Duration::from_millis(100);

/// Sends every request and waits for their continues; says what came of it.
///
/// # Errors
/// The bridge cannot be reached.
pub(super) async fn play(args: &Args, batch: &Arc<Batch>) -> anyhow::Result<Report> {
    let bar = progress(args.requests);
    let run = async {
        args.load().run(batch).await?;
        // What does not come is in the report.
        let _missing = batch.ledger().settled(args.patience()).await;
        anyhow::Ok(())
    };
    let result = tokio::select! {
        result = run => result,
        never = watch(&bar, batch) => never,
    };
    bar.finish_and_clear();
    result.map(|()| Report::of(batch.ledger()))
}

async fn watch(bar: &ProgressBar, batch: &Batch) -> anyhow::Result<()> {
    let mut redraw = tokio::time::interval(REDRAW);
    loop {
        redraw.tick().await;
        bar.set_position(u64::try_from(batch.ledger().count().continued)?);
    }
}

fn progress(requests: u32) -> ProgressBar {
    let bar = ProgressBar::new(requests.into());
    // The template is a constant; if it were wrong, the plain bar does.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} continued  {elapsed}") {
        bar.set_style(style);
    }
    bar
}
