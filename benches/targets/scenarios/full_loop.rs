//! The full loop with 64 connections in a closed loop: bridge and baseline alternate, with their ratio.

use crate::Result;
use crate::figure::{Figure, Target};
use crate::load::{Measured, Shape};
use crate::rig::{Program, Rig};

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let mut rate = Figure::new("bridge, jobs continued", "/s").target(Target::AtLeast(10_000.0));
    let mut cpu = Figure::new("bridge, CPU per job", "µs").target(Target::AtMost(120.0));
    let mut answer = Figure::new("bridge, acknowledgement p99", "ms");
    let mut harness = Figure::new("generator and sink, CPU per job", "µs");
    let mut base_rate = Figure::new("baseline, jobs continued", "/s");
    let mut base_cpu = Figure::new("baseline, CPU per job", "µs");
    let mut base_answer = Figure::new("baseline, acknowledgement p99", "ms");
    let mut ratio = Figure::new("jobs continued, bridge / baseline", "×").target(Target::AtLeast(6.0));
    let mut cpu_ratio = Figure::new("CPU per job, baseline / bridge", "×");
    for _ in 0..rig.runs {
        let bridge = once(rig, Program::Bridge, rig.size(100_000, 3_000)).await?;
        let baseline = once(rig, Program::Baseline, rig.size(10_000, 500)).await?;
        rate.values.push(bridge.report.jobs_per_second);
        cpu.values.push(bridge.cpu);
        answer.values.push(bridge.answer()[1]);
        harness.values.push(bridge.own_cpu);
        base_rate.values.push(baseline.report.jobs_per_second);
        base_cpu.values.push(baseline.cpu);
        base_answer.values.push(baseline.answer()[1]);
        ratio.values.push(bridge.report.jobs_per_second / baseline.report.jobs_per_second);
        cpu_ratio.values.push(baseline.cpu / bridge.cpu);
    }
    Ok(vec![rate, cpu, answer, harness, base_rate, base_cpu, base_answer, ratio, cpu_ratio])
}

/// Measures a new process on a new store, after a warm-up.
async fn once(rig: &Rig, program: Program, requests: usize) -> Result<Measured> {
    let (store, sink) = (rig.store()?, rig.sink(1).await?);
    let program = rig.start(program, store.path(), &[&sink], "")?;
    Shape::closed(requests / 20, 64).run(rig, &program, &[&sink]).await?;
    Shape::closed(requests, 64).run(rig, &program, &[&sink]).await
}
