//! 5,000 accounts without a token, each with waiting deliveries: the effect on a busy account. Runs alternate with a
//! bridge that has no such accounts.

use ::load::{Account, Report, Sink};

use crate::Result;
use crate::figure::Figure;
use crate::load::{Measured, Shape, all_accepted};
use crate::pairs::{Pairs, Value};
use crate::rig::{Program, Rig};

/// The domain of their addresses, which do not exist.
const UNCONNECTED: &str = "unconnected.example";
/// The number of deliveries that wait for the token of each account: one could be tried while the other waits.
const DELIVERIES: usize = 2;

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let waiting = rig.size(5_000, 100);
    let mut pairs = Pairs::new(format!("{waiting} unconnected accounts"), "without them");
    for _ in 0..rig.runs {
        let with = once(rig, waiting).await?;
        let without = once(rig, 0).await?;
        pairs.add(&figures(&with), &figures(&without));
    }
    Ok(pairs.figures())
}

fn figures(measured: &Measured) -> [Value; 2] {
    let rate = measured.report.jobs_per_second;
    [("busy account, jobs continued", "/s", rate), ("busy account, CPU per job", "µs", measured.cpu)]
}

async fn once(rig: &Rig, waiting: usize) -> Result<Measured> {
    let (store, busy) = (rig.store()?, rig.sink(1).await?);
    // The configuration has no token for them.
    let unconnected: Vec<Sink> = (0..waiting)
        .map(|number| {
            Sink::absent(format!("http://a{number}.{UNCONNECTED}"), Account::numbered(2 + number as u32))
        })
        .collect();
    let busy_host = busy.origin().replace("http://", "");
    let hosts = format!(r#"["{busy_host}", "*.{UNCONNECTED}"]"#);
    let env = [("BRIDGE_DELIVERY__ALLOWED_HOSTS", hosts)];
    let bridge = rig.start_with(Program::Bridge, store.path(), &[&busy], "", &env)?;
    if waiting > 0 {
        let sinks: Vec<&Sink> = unconnected.iter().collect();
        let shape = Shape::closed(waiting * DELIVERIES, 64);
        let batch = shape.sign(rig, &bridge, &sinks, "echo");
        shape.send(&batch).await?;
        all_accepted(&Report::of(batch.ledger()), shape.requests)?;
    }
    Shape::closed(1_000, 64).run(rig, &bridge, &[&busy]).await?;
    Shape::closed(rig.size(50_000, 2_000), 64).run(rig, &bridge, &[&busy]).await
}
