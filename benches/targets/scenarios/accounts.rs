//! The full loop for 1,000 accounts in rotation: runs alternate with a single account.

use crate::Result;
use crate::figure::Figure;
use crate::load::{Measured, Shape};
use crate::pairs::{Pairs, Value};
use crate::rig::Rig;

use super::growth;

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let many = rig.size(1_000, 50);
    let shape = Shape::closed(rig.size(50_000, 2_000), 64);
    let mut pairs = Pairs::new(format!("{many} accounts"), "one account");
    for _ in 0..rig.runs {
        let with = growth::once(rig, many as u32, 0, shape).await?;
        let without = growth::once(rig, 1, 0, shape).await?;
        pairs.add(&figures(&with), &figures(&without));
    }
    Ok(pairs.figures())
}

fn figures(measured: &Measured) -> [Value; 2] {
    [("jobs continued", "/s", measured.report.jobs_per_second), ("CPU per job", "µs", measured.cpu)]
}
