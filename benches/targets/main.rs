//! The table of targets: what the bridge reaches on this machine, and what a baseline reaches in the same run.
//!
//! `just bench` runs all scenarios, a file each, and prints a table: the median of several runs, the smallest and the
//! largest value, and the target. Times say as much of the machine as of the bridge, and the machine has its moods; so
//! CPU time stands beside them, and whatever is compared is measured in turns (A, B, A, B, …), as a ratio of each pair.
//!
//! Generator, sink and bridge share the machine. Everything is on loopback, bounded in time and count, and leaves
//! nothing behind. `CONTRIBUTING.md` says how it is used.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures of small numbers")]

#[path = "../baseline/mod.rs"]
mod baseline;
mod figure;
mod filler;
mod hanging;
mod load;
mod machine;
mod rig;
mod scenarios;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use rig::{Program, Rig};

/// What anything here fails with.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A scenario that takes longer is given up.
const SCENARIO_TIMEOUT: Duration = Duration::from_secs(3_600);

// The bridge's, so that the programs of this binary are as fast as it is.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the bridge against its targets, and against a baseline.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these scenarios
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    only: Vec<String>,
    /// How often each figure is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Small sizes: shows that it works, not how fast
    #[arg(long)]
    quick: bool,
    /// Prints JSON in place of a table
    #[arg(long)]
    json: bool,
    /// Writes what is printed to this file too
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where the stores are made and removed; on the disk that is to be measured. Default: the system's folder for
    /// temporary files
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// The programs that are measured beside the bridge are this one, which a variable tells apart.
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
    let Arguments { only, runs, quick, json, output, folder, bench: _ } = arguments;
    let names: Vec<&str> = scenarios::ALL.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("there is no scenario {unknown}: there are {}", names.join(", ")).into());
    }
    let rig = Rig::new(runs as usize, quick, folder)?;
    let machine = machine::describe(rig.folder())?;
    let mut outcomes = Vec::new();
    for (name, run) in scenarios::ALL {
        if only.is_empty() || only.iter().any(|chosen| chosen == name) {
            eprintln!("{name} …");
            let outcome = tokio::select! {
                outcome = tokio::time::timeout(SCENARIO_TIMEOUT, run(&rig)) => outcome,
                // The folder is removed only if we get to the end.
                _ = tokio::signal::ctrl_c() => return Err("interrupted".into()),
            };
            let outcome = outcome.map_err(|_| format!("not done after {SCENARIO_TIMEOUT:?}"));
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
