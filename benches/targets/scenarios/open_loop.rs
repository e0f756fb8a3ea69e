//! 1,000 requests per second on a fixed schedule: latency from receipt to continue, and to the acknowledgement.

use crate::Result;
use crate::figure::{Figure, Target};
use crate::load::Shape;
use crate::rig::{Program, Rig};

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let mut p50 = Figure::new("receipt to continue, p50", "ms").target(Target::AtMost(1.0));
    let mut p99 = Figure::new("receipt to continue, p99", "ms").target(Target::AtMost(5.0));
    let mut answer = [
        Figure::new("acknowledgement, p50", "ms"),
        Figure::new("acknowledgement, p99", "ms"),
        Figure::new("acknowledgement, max", "ms"),
    ];
    let mut cpu = Figure::new("CPU per job", "µs").target(Target::AtMost(400.0));
    for _ in 0..rig.runs {
        let (store, sink) = (rig.store()?, rig.sink(1).await?);
        let bridge = rig.start(Program::Bridge, store.path(), &[&sink], "")?;
        Shape::closed(1_000, 16).run(rig, &bridge, &[&sink]).await?;
        let measured = Shape::thousand_a_second(rig.size(30, 2)).run(rig, &bridge, &[&sink]).await?;
        let [half, most] = measured.until_continue();
        p50.values.push(half);
        p99.values.push(most);
        for (figure, value) in answer.iter_mut().zip(measured.answer()) {
            figure.values.push(value);
        }
        cpu.values.push(measured.cpu);
    }
    Ok([p50, p99].into_iter().chain(answer).chain([cpu]).collect())
}
