//! Handlers hang and Kommo is down: 1,000 requests per second are still acknowledged.
//!
//! Half of the requests go to the handler `hang`, half to `echo`, whose continues fail. Before the measurement, `hang`
//! occupies every permit that it may hold, and thousands of continues wait for their next attempt.

use std::path::Path;

use ::load::{Behaviour, Report, Sink};

use crate::Result;
use crate::figure::{Figure, Target};
use crate::load::{Shape, all_accepted, millis};
use crate::rig::{Program, Rig};

/// Long timeouts, so that `hang` hangs during the whole measurement.
const HANG_SETTINGS: &str = "handlers.hang = { attempt_timeout = \"1h\", answer_within = \"1h\" }\n";

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let mut p50 = Figure::new("acknowledgement, p50", "ms");
    let mut p99 = Figure::new("acknowledgement, p99", "ms").target(Target::AtMost(10.0));
    let mut max = Figure::new("acknowledgement, max", "ms").target(Target::AtMost(100.0));
    // Kommo gives up after two seconds.
    let mut longest =
        Figure::new("acknowledgement, the longest of all runs", "ms").target(Target::Never(2_000.0));
    for _ in 0..rig.runs {
        let (store, sink) = (rig.store()?, rig.sink(1).await?);
        let worst = acknowledgements(rig, store.path(), &sink).await?;
        for (figure, value) in [(&mut p50, worst[0]), (&mut p99, worst[1]), (&mut max, worst[2])] {
            figure.values.push(value);
        }
        longest.values.push(worst[2]);
    }
    Ok(vec![p50, p99, max, longest])
}

/// The p50, p99 and maximum of the acknowledgements, in ms, of the slower handler. Switches the sink off.
pub(super) async fn acknowledgements(rig: &Rig, store: &Path, sink: &Sink) -> Result<[f64; 3]> {
    sink.behave(Behaviour::Down);
    let bridge = rig.start(Program::Hanging, store, &[sink], HANG_SETTINGS)?;
    for (handler, requests) in [("hang", 200), ("echo", rig.size(10_000, 500))] {
        let shape = Shape::closed(requests, 16);
        let batch = shape.sign(rig, &bridge, &[sink], handler);
        shape.send(&batch).await?;
        all_accepted(&Report::of(batch.ledger()), requests)?;
    }

    let half = Shape { requests: rig.size(15_000, 1_000), connections: 128, rate: Some(500.0) };
    let hang = half.sign(rig, &bridge, &[sink], "hang");
    let echo = half.sign(rig, &bridge, &[sink], "echo");
    let (one, other) = tokio::join!(half.send(&hang), half.send(&echo));
    one.and(other)?;
    let mut worst = [0_f64; 3];
    for batch in [hang, echo] {
        let report = Report::of(batch.ledger());
        all_accepted(&report, half.requests)?;
        let latency = report.acknowledgement;
        let times = [latency.map(|l| l.p50), latency.map(|l| l.p99), latency.map(|l| l.max)];
        worst = [0, 1, 2].map(|index| worst[index].max(millis(times[index])));
    }
    Ok(worst)
}
