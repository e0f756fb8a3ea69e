//! The cost of 5 million finished jobs in the store: runs alternate with an empty store, and the figures are ratios.
//!
//! The full loop and the open loop are measured first. Then handlers hang and Kommo is down, as in `stuck`, which leaves
//! the same number of waiting jobs in both stores.

use std::time::Duration;

use ::load::BridgeProcess;

use crate::Result;
use crate::figure::Figure;
use crate::filler::{Kind, fill};
use crate::load::Shape;
use crate::machine;
use crate::pairs::{Pairs, Value};
use crate::rig::{Program, Rig};

use super::stuck;

/// Three times the disk space of a finished job with its history and indexes.
const BYTES: u64 = 2_048;
const DAY: u64 = 86_400;

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let jobs = rig.size(5_000_000, 100_000);
    let (full, empty) = (rig.store()?, rig.store()?);
    if machine::room(full.path())? < jobs as u64 * BYTES {
        return Err(format!(
            "{jobs} finished jobs need {} GiB of free disk space: choose another disk with --folder",
            (jobs as u64 * BYTES) >> 30
        )
        .into());
    }
    let sink = rig.sink(1).await?;
    let sinks = [&sink];
    for store in [&full, &empty] {
        let bridge = rig.start(Program::Bridge, store.path(), &sinks, "")?;
        Shape::closed(500, 16).run(rig, &bridge, &sinks).await?;
        bridge.stop(Duration::from_secs(30))?;
    }
    let file = full.path().join("bridge.db");
    // Within the retention of 14 days: maintenance would delete older jobs.
    fill(&file, Kind::Finished, jobs as i64, Duration::from_secs(13 * DAY), Duration::from_secs(60)).await?;
    let size = std::fs::metadata(&file)?.len() as f64 / f64::from(1 << 30);

    let with_jobs = format!("{jobs} finished jobs");
    let mut loops = Pairs::new(with_jobs.clone(), "without them");
    for _ in 0..rig.runs {
        let mut both = Vec::new();
        for store in [&full, &empty] {
            let bridge = rig.start(Program::Bridge, store.path(), &sinks, "")?;
            both.push(figures(rig, &bridge, &sinks).await?);
            bridge.stop(Duration::from_secs(30))?;
        }
        loops.add(&both[0], &both[1]);
    }
    let mut stuck_handlers = Pairs::new(with_jobs, "without them");
    for _ in 0..rig.runs {
        let mut both = Vec::new();
        for store in [&full, &empty] {
            let [_, p99, _] = stuck::acknowledgements(rig, store.path(), &sink).await?;
            both.push([("stuck, acknowledgement p99", "ms", p99)]);
        }
        stuck_handlers.add(&both[0], &both[1]);
    }
    let size = Figure::new("the store's file", "GiB").of([size]);
    Ok(loops.figures().into_iter().chain(stuck_handlers.figures()).chain([size]).collect())
}

async fn figures(rig: &Rig, bridge: &BridgeProcess, sinks: &[&::load::Sink]) -> Result<[Value; 7]> {
    Shape::closed(1_000, 64).run(rig, bridge, sinks).await?;
    let closed = Shape::closed(rig.size(50_000, 2_000), 64).run(rig, bridge, sinks).await?;
    let open = Shape::thousand_a_second(rig.size(20, 2)).run(rig, bridge, sinks).await?;
    let [saturated_p50, saturated_p99] = closed.until_continue();
    let [p50, p99] = open.until_continue();
    Ok([
        ("full loop, jobs continued", "/s", closed.report.jobs_per_second),
        ("full loop, CPU per job", "µs", closed.cpu),
        ("full loop, receipt to continue p50", "ms", saturated_p50),
        ("full loop, receipt to continue p99", "ms", saturated_p99),
        ("1,000/s, receipt to continue p50", "ms", p50),
        ("1,000/s, receipt to continue p99", "ms", p99),
        ("1,000/s, CPU per job", "µs", open.cpu),
    ])
}
