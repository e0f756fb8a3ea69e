//! The long run of the crash rig: plays one generation, as many as `--generations` says, or as many as begin within
//! `--seconds`.
//!
//! `cargo test --release --locked --test soak -- [--seconds N | --generations N] [--kills N] [--seed S] [--json]`.
//! The first generation has seed S, the next S + 1, and so on. To replay a failed generation, use
//! `--seed ITS_SEED --generations 1`. `.ci/soak` runs this together with the other long tests.
//!
//! If the variable [`own_handlers::SERVE_VARIABLE`] is set, this program runs as a bridge with the rig's handlers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    dead_code,
    reason = "a program for developers, which uses only part of the process tests' kit"
)]

#[path = "../process/home.rs"]
mod home;
#[path = "../process/lines.rs"]
mod lines;
mod own_handlers;
#[path = "../process/process.rs"]
mod process;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../process/serve.rs"]
mod serve;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rig::report::Report;

/// The time limit of a single step.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

struct Arguments {
    seconds: Option<u64>,
    generations: Option<u64>,
    kills: usize,
    seed: u64,
    json: bool,
}

fn main() -> ExitCode {
    if own_handlers::is_bridge_process() {
        return salesbot_bridge::cli::main(rig::handlers::register);
    }
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let report = runtime.block_on(run(&arguments));
    if arguments.json {
        println!("{}", serde_json::to_string(&report).unwrap());
    } else {
        println!("{report}");
    }
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(arguments: &Arguments) -> Report {
    let started = Instant::now();
    let mut sum = Report::default();
    for number in 0.. {
        let generations =
            arguments.generations.unwrap_or(if arguments.seconds.is_some() { u64::MAX } else { 1 });
        let over = arguments.seconds.is_some_and(|seconds| started.elapsed().as_secs() >= seconds);
        if number == generations || over {
            break;
        }
        let seed = arguments.seed.wrapping_add(number);
        let report = rig::play(seed, arguments.kills).await;
        eprintln!(
            "seed {seed}: {} kills, {} acknowledged, lost {}, {}",
            report.kills,
            report.acknowledged,
            report.lost,
            if report.is_good() { "good" } else { "BAD" }
        );
        sum.add(report);
    }
    sum
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments {
        seconds: None,
        generations: None,
        kills: 25,
        seed: fastrand::u64(..1 << 32),
        json: false,
    };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let mut number = || -> Result<u64, String> {
            let value = given.next().ok_or_else(|| format!("{name} needs a number"))?;
            value.parse().map_err(|_| format!("{name}: `{value}` is not a number"))
        };
        match name.as_str() {
            "--seconds" => arguments.seconds = Some(number()?),
            "--generations" => arguments.generations = Some(number()?),
            "--kills" => arguments.kills = usize::try_from(number()?).map_err(|error| error.to_string())?,
            "--seed" => arguments.seed = number()?,
            "--json" => arguments.json = true,
            _ => {
                return Err(format!(
                    "unknown option `{name}` (expected one of: --seconds N, --generations N, --kills N per generation, \
                     --seed S, --json)"
                ));
            }
        }
    }
    Ok(arguments)
}
