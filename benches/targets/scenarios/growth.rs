//! How the cost of a job grows with connections, accounts and stored jobs.

use std::time::Duration;

use ::load::Sink;

use crate::Result;
use crate::figure::Figure;
use crate::filler::{Kind, fill};
use crate::load::{Measured, Shape};
use crate::rig::{Program, Rig};

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for connections in [1, 16, 64, 256, 1_024] {
        // A single connection waits for each commit, so fewer requests suffice.
        let requests = rig.size(if connections == 1 { 3_000 } else { 30_000 }, 1_100);
        let name = format!("{connections} connections");
        figures.extend(measure(rig, &name, 1, 0, Shape::closed(requests, connections)).await?);
    }
    for accounts in [10, 100, 1_000] {
        let shape = Shape::closed(rig.size(30_000, 1_100), 64);
        figures.extend(measure(rig, &format!("{accounts} accounts"), accounts, 0, shape).await?);
    }
    for stored in [rig.size(100_000, 1_000), rig.size(1_000_000, 10_000)] {
        let shape = Shape::closed(rig.size(30_000, 1_100), 64);
        figures.extend(measure(rig, &format!("{stored} finished jobs"), 1, stored, shape).await?);
    }
    Ok(figures)
}

async fn measure(rig: &Rig, name: &str, accounts: u32, stored: usize, shape: Shape) -> Result<[Figure; 2]> {
    let mut rate = Figure::new(format!("{name}, jobs continued"), "/s");
    let mut cpu = Figure::new(format!("{name}, CPU per job"), "µs");
    for _ in 0..rig.runs.min(3) {
        let measured = once(rig, accounts, stored, shape).await?;
        rate.values.push(measured.report.jobs_per_second);
        cpu.values.push(measured.cpu);
    }
    Ok([rate, cpu])
}

/// Measures a load of this shape on a new store with `stored` finished jobs. The requests belong to `accounts` accounts
/// in rotation.
pub(super) async fn once(rig: &Rig, accounts: u32, stored: usize, shape: Shape) -> Result<Measured> {
    let store = rig.store()?;
    let mut sinks = Vec::new();
    for number in 1..=accounts {
        sinks.push(rig.sink(number).await?);
    }
    let sinks: Vec<&Sink> = sinks.iter().collect();
    let mut bridge = rig.start(Program::Bridge, store.path(), &sinks, "")?;
    if stored > 0 {
        Shape::closed(500, 16).run(rig, &bridge, &sinks).await?;
        bridge.stop(Duration::from_secs(30))?;
        let (week, minute) = (Duration::from_secs(7 * 86_400), Duration::from_secs(60));
        fill(&store.path().join("bridge.db"), Kind::Finished, stored as i64, week, minute).await?;
        bridge = rig.start(Program::Bridge, store.path(), &sinks, "")?;
    }
    Shape::closed(1_000.max(accounts as usize), shape.connections.min(64)).run(rig, &bridge, &sinks).await?;
    shape.run(rig, &bridge, &sinks).await
}
