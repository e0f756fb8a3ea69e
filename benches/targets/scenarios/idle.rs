//! CPU and memory of an idle bridge, after its start and after some work.

use std::time::{Duration, Instant};

use ::load::BridgeProcess;

use crate::Result;
use crate::figure::{Figure, Target};
use crate::load::Shape;
use crate::rig::{Program, Rig};

const MIB: f64 = (1 << 20) as f64;
/// Time for the bridge to become idle after its start or its last job.
const WAIT_BEFORE_WATCHING: Duration = Duration::from_secs(5);

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let mut cpu = Figure::new("CPU", "% of a core").target(Target::AtMost(0.1));
    let mut memory = Figure::new("resident memory", "MiB").target(Target::AtMost(20.0));
    let worked = rig.size(50_000, 1_000);
    let mut cpu_after = Figure::new(format!("CPU after {worked} jobs"), "% of a core");
    let mut memory_after =
        Figure::new(format!("resident memory after {worked} jobs"), "MiB").target(Target::AtMost(30.0));
    for _ in 0..rig.runs {
        let (store, sink) = (rig.store()?, rig.sink(1).await?);
        let bridge = rig.start(Program::Bridge, store.path(), &[&sink], "")?;
        watch(rig, &bridge, &mut cpu, &mut memory).await?;
        Shape::closed(worked, 64).run(rig, &bridge, &[&sink]).await?;
        watch(rig, &bridge, &mut cpu_after, &mut memory_after).await?;
    }
    Ok(vec![cpu, memory, cpu_after, memory_after])
}

async fn watch(rig: &Rig, bridge: &BridgeProcess, cpu: &mut Figure, memory: &mut Figure) -> Result<()> {
    tokio::time::sleep(WAIT_BEFORE_WATCHING).await;
    let (before, started) = (bridge.usage().ok_or("the bridge has ended")?, Instant::now());
    tokio::time::sleep(Duration::from_secs(rig.size(30, 3) as u64)).await;
    let after = bridge.usage().ok_or("the bridge has ended")?;
    cpu.values.push((after.cpu - before.cpu).as_secs_f64() / started.elapsed().as_secs_f64() * 100.0);
    memory.values.push(after.memory as f64 / MIB);
    Ok(())
}
