//! Writes the table as Markdown or JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::figure::{Figure, Target};
use super::machine::Machine;

/// The name and figures of one scenario, or why it failed.
pub type Outcome = (&'static str, Result<Vec<Figure>, String>);

/// The table as Markdown, for people and for `docs/performance.md`.
#[must_use]
pub fn markdown(machine: &Machine, quick: bool, outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let Machine { cpu, cores, memory, kernel, file_system, sync_ms: (p50, p99), load_average, optimised } =
        machine;
    // Writing to a string cannot fail.
    let _never = writeln!(
        text,
        "{cpu}, {cores} cores, {memory} GiB, Linux {kernel}, {file_system}; fdatasync of 4 KiB {p50:.2} ms p50, \
         {p99:.2} p99; load average at the start {load_average}.{}{}\n",
        if *optimised { "" } else { " **Unoptimised build: the figures mean nothing.**" },
        if quick { " **Small sizes (`--quick`): the figures mean nothing.**" } else { "" },
    );
    text.push_str(
        "| scenario | figure | target | median | min – max | runs | |\n|---|---|---|---:|---:|---:|---|\n",
    );
    for (scenario, outcome) in outcomes {
        match outcome {
            Ok(figures) => {
                for figure in figures {
                    let _never = writeln!(text, "{}", line(scenario, figure));
                }
            }
            Err(why) => {
                let _never = writeln!(text, "| {scenario} | **failed**: {} | | | | | |", cell(why));
            }
        }
    }
    text
}

fn line(scenario: &str, figure: &Figure) -> String {
    let unit = figure.unit;
    let target = match figure.target {
        None => String::new(),
        Some(Target::AtLeast(least)) => format!("≥ {} {unit}", short(least)),
        Some(Target::AtMost(most)) => format!("≤ {} {unit}", short(most)),
        Some(Target::Never(most)) => format!("never > {} {unit}", short(most)),
    };
    if let Some(why) = &figure.skipped {
        let why = cell(why);
        return format!("| {scenario} | {} | {target} | – | – | 0 | **skipped**: {why} |", figure.name);
    }
    let met = match figure.met() {
        None => "",
        Some(true) => "met",
        Some(false) => "**missed**",
    };
    let (low, high) = figure.spread();
    format!(
        "| {scenario} | {} | {target} | {} {unit} | {} – {} | {} | {met} |",
        figure.name,
        short(figure.median()),
        short(low),
        short(high),
        figure.values.len()
    )
}

/// A text that fits into one cell.
fn cell(text: &str) -> String {
    text.replace('|', "/").replace('\n', " ")
}

/// The value with three significant digits, or as an integer if it has more.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The table as JSON, for programs.
#[must_use]
pub fn json(machine: &Machine, quick: bool, outcomes: &[Outcome]) -> Value {
    let scenarios: Vec<Value> = outcomes
        .iter()
        .map(|(scenario, outcome)| match outcome {
            Ok(figures) => {
                let figures: Vec<Value> = figures
                    .iter()
                    .map(|figure| json!({ "figure": figure, "median": figure.median(), "met": figure.met() }))
                    .collect();
                json!({ "scenario": scenario, "figures": figures })
            }
            Err(why) => json!({ "scenario": scenario, "failed": why }),
        })
        .collect();
    json!({ "machine": machine, "quick": quick, "scenarios": scenarios })
}
