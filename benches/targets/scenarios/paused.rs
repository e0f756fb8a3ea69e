//! One account is paused with 50,000 waiting deliveries: the effect on other accounts. Runs alternate with a bridge that
//! has no waiting deliveries.

use ::load::{Behaviour, Report};

use crate::Result;
use crate::figure::{Figure, Target};
use crate::load::{Measured, Shape, all_accepted};
use crate::rig::{Program, Rig};

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let waiting = rig.size(50_000, 1_000);
    let mut rate = Figure::new(format!("others, jobs continued while {waiting} wait"), "/s");
    let mut alone = Figure::new("others, jobs continued without them", "/s");
    let mut ratio = Figure::new("jobs continued, with / without", "×").target(Target::AtLeast(0.9));
    let mut cpu_ratio = Figure::new("CPU per job, with / without", "×");
    for _ in 0..rig.runs {
        let with = once(rig, waiting).await?;
        let without = once(rig, 0).await?;
        rate.values.push(with.report.jobs_per_second);
        alone.values.push(without.report.jobs_per_second);
        ratio.values.push(with.report.jobs_per_second / without.report.jobs_per_second);
        cpu_ratio.values.push(with.cpu / without.cpu);
    }
    Ok(vec![rate, alone, ratio, cpu_ratio])
}

async fn once(rig: &Rig, waiting: usize) -> Result<Measured> {
    let (store, other, paused) = (rig.store()?, rig.sink(1).await?, rig.sink(2).await?);
    paused.behave(Behaviour::Refuse { status: 429, retry_after: Some(3_600) });
    let bridge = rig.start(Program::Bridge, store.path(), &[&other, &paused], "")?;
    if waiting > 0 {
        let shape = Shape::closed(waiting, 64);
        let batch = shape.sign(rig, &bridge, &[&paused], "echo");
        shape.send(&batch).await?;
        all_accepted(&Report::of(batch.ledger()), waiting)?;
        if paused.refused() == 0 || batch.ledger().count().continued > 0 {
            return Err("the account is not paused".into());
        }
    }
    Shape::closed(1_000, 64).run(rig, &bridge, &[&other]).await?;
    Shape::closed(rig.size(50_000, 2_000), 64).run(rig, &bridge, &[&other]).await
}
