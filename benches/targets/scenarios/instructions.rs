//! The instructions that the bridge executes for a job: unlike times, they hardly differ between machines and days.
//!
//! `.ci/instructions` counts them under callgrind, with one connection, for 2,000 jobs. `.ci/run` compares the same count
//! with `benches/instructions.txt`.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::Command;

use crate::Result;
use crate::figure::Figure;
use crate::rig::{Program, Rig};

/// The script that counts, for the program that this bench measures.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/instructions");
/// They hardly vary, so more runs would only take time.
const MAX_RUNS: usize = 3;

pub async fn run(rig: &Rig) -> Result<Vec<Figure>> {
    let mut figure = Figure::new("instructions per job, one connection", "thousand");
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().await;
    if !valgrind.is_ok_and(|status| status.success()) {
        let why = "valgrind is missing: install it (Debian: `apt-get install valgrind`)";
        eprintln!("SKIPPED: the instructions per job: {why}");
        return Ok(vec![figure.skipped(why)]);
    }
    let program = rig.executable(Program::Bridge)?;
    for _ in 0..rig.size(rig.runs.min(MAX_RUNS), 1) {
        figure.values.push(count(&program).await? / 1e3);
    }
    Ok(vec![figure])
}

async fn count(program: &Path) -> Result<f64> {
    let mut script = Command::new(SCRIPT);
    let script = script.arg("--count").arg(program).stdin(Stdio::null()).kill_on_drop(true);
    let Output { status, stdout, stderr } = script.output().await?;
    if !status.success() {
        return Err(format!(".ci/instructions: {status}: {}", String::from_utf8_lossy(&stderr).trim()).into());
    }
    Ok(String::from_utf8_lossy(&stdout).trim().parse()?)
}
