//! Kommo is down and 100,000 jobs wait: the memory that they take, and how fast they drain once Kommo is back.

use std::time::{Duration, Instant};

use ::load::{Behaviour, Report};

use crate::Result;
use crate::figure::{Figure, Target};
use crate::load::{STALL_TIMEOUT, Shape, all_accepted};
use crate::rig::{Program, Rig};

const MIB: f64 = (1 << 20) as f64;
/// How long Kommo stays down after the last request. The bridge keeps trying to deliver.
const OUTAGE: Duration = Duration::from_secs(20);

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let jobs = rig.size(100_000, 2_000);
    let mut accepted = Figure::new(format!("{jobs} requests taken while Kommo is down"), "/s");
    let mut memory =
        Figure::new("resident memory, peak while they wait", "MiB").target(Target::AtMost(100.0));
    let mut waiting = Figure::new("CPU while they wait", "% of a core");
    let mut first = Figure::new("first continue after Kommo is back", "s");
    let mut drain = Figure::new("drain, jobs continued", "/s").target(Target::AtLeast(10_000.0));
    let mut half = Figure::new("drain, until half are continued", "s");
    let mut all = Figure::new("drain, until all are continued", "s");
    let mut repeated = Figure::new("bots continued twice", "");
    for _ in 0..rig.runs {
        let (store, sink) = (rig.store()?, rig.sink(1).await?);
        sink.behave(Behaviour::Down);
        let bridge = rig.start(Program::Bridge, store.path(), &[&sink], "")?;
        let shape = Shape::closed(jobs, 64);
        let batch = shape.sign(rig, &bridge, &[&sink], "echo");
        shape.send(&batch).await?;
        let report = Report::of(batch.ledger());
        all_accepted(&report, jobs)?;
        accepted.values.push(report.requests_per_second);
        let outage = if rig.size(1, 0) == 1 { OUTAGE } else { OUTAGE / 10 };
        let before = bridge.usage().ok_or("the bridge has ended")?;
        tokio::time::sleep(outage).await;
        let after = bridge.usage().ok_or("the bridge has ended")?;
        memory.values.push(after.peak_memory as f64 / MIB);
        waiting.values.push((after.cpu - before.cpu).as_secs_f64() / outage.as_secs_f64() * 100.0);

        sink.behave(Behaviour::ACCEPT);
        let (ledger, back) = (batch.ledger(), Instant::now());
        for (figure, number) in [(&mut first, 1), (&mut half, jobs / 2), (&mut all, jobs)] {
            if !ledger.reaches(STALL_TIMEOUT, |ledger| ledger.count().continued >= number).await {
                let continued = ledger.count().continued;
                return Err(format!("only {continued} of {jobs} jobs were continued").into());
            }
            figure.values.push(back.elapsed().as_secs_f64());
        }
        drain.values.push(jobs as f64 / back.elapsed().as_secs_f64());
        repeated.values.push(Report::of(ledger).repeated.len() as f64);
    }
    Ok(vec![accepted, memory, waiting, first, drain, half, all, repeated])
}
