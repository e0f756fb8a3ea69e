//! The full loop with 64 connections in a closed loop: the bridge and the two baselines alternate, with their ratios.

use crate::Result;
use crate::figure::{Figure, Target};
use crate::load::{Measured, Shape};
use crate::rig::{Program, Rig};

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let mut bridge = Side::new("bridge");
    bridge.cpu = bridge.cpu.target(Target::AtMost(90.0));
    let mut p50 = Figure::new("bridge, receipt to continue p50", "ms").target(Target::AtMost(20.0));
    let mut p99 = Figure::new("bridge, receipt to continue p99", "ms").target(Target::AtMost(60.0));
    let mut memory = Figure::new("bridge, peak of resident memory", "MiB").target(Target::AtMost(64.0));
    let mut harness = Figure::new("generator and sink, CPU per job", "µs");
    let mut baseline = Side::new("baseline");
    let mut rate_ratio = Figure::new("jobs continued, bridge / baseline", "×").target(Target::AtLeast(6.0));
    let mut cpu_ratio = Figure::new("CPU per job, baseline / bridge", "×").target(Target::AtLeast(8.0));
    let mut fastify = Side::new("fastify");
    let mut fastify_rate_ratio =
        Figure::new("jobs continued, bridge / fastify", "×").target(Target::AtLeast(7.0));
    let mut fastify_cpu_ratio = Figure::new("CPU per job, fastify / bridge", "×");
    let has_fastify = rig.fastify().await;
    for _ in 0..rig.runs {
        let ours = once(rig, Program::Bridge, rig.size(100_000, 3_000)).await?;
        bridge.add(&ours);
        let [half, most] = ours.until_continue();
        p50.values.push(half);
        p99.values.push(most);
        memory.values.push(ours.peak_memory);
        harness.values.push(ours.own_cpu);

        let theirs = once(rig, Program::Baseline, rig.size(10_000, 500)).await?;
        baseline.add(&theirs);
        rate_ratio.values.push(ours.report.jobs_per_second / theirs.report.jobs_per_second);
        cpu_ratio.values.push(theirs.cpu / ours.cpu);

        if has_fastify.is_ok() {
            let theirs = once(rig, Program::Fastify, rig.size(20_000, 1_000)).await?;
            fastify.add(&theirs);
            fastify_rate_ratio.values.push(ours.report.jobs_per_second / theirs.report.jobs_per_second);
            fastify_cpu_ratio.values.push(theirs.cpu / ours.cpu);
        }
    }
    let of_fastify = fastify.figures().into_iter().chain([fastify_rate_ratio, fastify_cpu_ratio]);
    let of_fastify = of_fastify.map(|figure| match has_fastify {
        Ok(_) => figure,
        Err(why) => figure.skipped(why),
    });
    let [rate, cpu, answer] = bridge.figures();
    Ok([rate, cpu, answer, p50, p99, memory, harness]
        .into_iter()
        .chain(baseline.figures())
        .chain([rate_ratio, cpu_ratio])
        .chain(of_fastify)
        .collect())
}

/// The figures that all programs have.
struct Side {
    rate: Figure,
    cpu: Figure,
    answer: Figure,
}

impl Side {
    fn new(name: &str) -> Self {
        Self {
            rate: Figure::new(format!("{name}, jobs continued"), "/s"),
            cpu: Figure::new(format!("{name}, CPU per job"), "µs"),
            answer: Figure::new(format!("{name}, acknowledgement p99"), "ms"),
        }
    }

    fn add(&mut self, measured: &Measured) {
        self.rate.values.push(measured.report.jobs_per_second);
        self.cpu.values.push(measured.cpu);
        self.answer.values.push(measured.answer()[1]);
    }

    fn figures(self) -> [Figure; 3] {
        [self.rate, self.cpu, self.answer]
    }
}

/// Measures a new process on a new store, after a warm-up.
async fn once(rig: &Rig, program: Program, requests: usize) -> Result<Measured> {
    let (store, sink) = (rig.store()?, rig.sink(1).await?);
    let program = rig.start(program, store.path(), &[&sink], "")?;
    Shape::closed(requests / 20, 64).run(rig, &program, &[&sink]).await?;
    Shape::closed(requests, 64).run(rig, &program, &[&sink]).await
}
