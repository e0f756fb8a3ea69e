//! The table of targets: the results of the bridge on this machine, and those of two baselines in the same run.
//!
//! `just bench` runs all scenarios, one file each, and prints a table: the median of several runs, the smallest and the
//! largest value, and the target. Times depend on the machine as much as on the bridge, and vary between runs. The table
//! therefore includes CPU time. Comparisons alternate between the two sides (A, B, A, B, …) and use the ratio of each
//! pair.
//!
//! Generator, sink and bridge share the machine. Everything runs on loopback, is bounded in time and count, and cleans
//! up after itself. `CONTRIBUTING.md` explains how to use it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures of small numbers")]

#[path = "../baseline/mod.rs"]
mod baseline;
mod fastify;
mod figure;
mod filler;
mod hanging;
mod load;
mod machine;
mod pairs;
mod rig;
mod scenarios;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use rig::{Program, Rig};

/// The result type of this program.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A scenario that takes longer fails.
const SCENARIO_TIMEOUT: Duration = Duration::from_secs(3_600);

// The same allocator as the bridge, so that the programs of this binary are comparable.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the bridge against its targets, and against two baselines.
#[derive(Debug, Parser)]
struct Arguments {
    /// Run only these scenarios
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    only: Vec<String>,
    /// The number of runs for each figure
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Use small sizes: checks that everything works, but the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Also write the output to this file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The folder for the stores, on the disk to measure; they are removed afterwards. Default: the system's folder
    /// for temporary files
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Keep the store of `operate` in this folder, and use it again in the next run
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Added by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// Runs the measurements, or one of the measured programs: those other than the bridge are this binary, selected by an
/// environment variable.
fn main() -> ExitCode {
    match Program::of_this_process() {
        Some(Program::Baseline) => report(baseline::main()),
        Some(Program::Hanging) => hanging::main(),
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            report(
                runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(measure(Arguments::parse()))),
            )
        }
    }
}

fn report(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: Arguments) -> Result<()> {
    let Arguments { only, runs, quick, json, output, folder, keep, bench: _ } = arguments;
    let names: Vec<&str> = scenarios::ALL.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("unknown scenario `{unknown}` (expected one of: {})", names.join(", ")).into());
    }
    let rig = Rig::new(runs as usize, quick, folder, keep)?;
    let machine = machine::describe(rig.folder())?;
    let mut outcomes = Vec::new();
    for (name, run) in scenarios::ALL {
        if only.is_empty() || only.iter().any(|chosen| chosen == name) {
            eprintln!("{name} …");
            let outcome = tokio::select! {
                outcome = tokio::time::timeout(SCENARIO_TIMEOUT, run(&rig)) => outcome,
                // Returns instead of exiting, so that the folder is removed.
                _ = tokio::signal::ctrl_c() => return Err("interrupted".into()),
            };
            let outcome = outcome.map_err(|_| format!("not finished within {SCENARIO_TIMEOUT:?}"));
            let outcome = outcome.and_then(|result| result.map_err(|error| error.to_string()));
            eprint!("{}", table::markdown(&machine, quick, &[(name, outcome.clone())]));
            outcomes.push((*name, outcome));
        }
    }
    let text = if json {
        format!("{:#}\n", table::json(&machine, quick, &outcomes))
    } else {
        table::markdown(&machine, quick, &outcomes)
    };
    print!("{text}");
    if let Some(file) = output {
        std::fs::write(file, text)?;
    }
    match outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} scenarios failed").into()),
    }
}
