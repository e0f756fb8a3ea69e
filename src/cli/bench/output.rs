//! The result of a run: as text, as JSON, and as a verdict.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use load::{Latency, Report, Usage};

use super::Args;
use super::metrics::Commits;

/// The most requests to list one by one.
const MAX_NAMED_REQUESTS: usize = 10;

/// The CPU and memory that the bridge used for the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    cpu_per_job: Option<Duration>,
    peak_memory: u64,
}

impl Spent {
    pub(super) fn between(before: Option<Usage>, after: Option<Usage>, jobs: usize) -> Option<Self> {
        let (before, after) = before.zip(after)?;
        let cpu = after.cpu.saturating_sub(before.cpu);
        let cpu_per_job = u32::try_from(jobs).ok().and_then(|jobs| cpu.checked_div(jobs));
        Some(Self { cpu_per_job, peak_memory: after.peak_memory })
    }
}

/// Everything to print.
pub(super) struct Outcome {
    report: Report,
    spent: Option<Spent>,
    commits: Option<Commits>,
    /// Further facts that the reader needs.
    pub(super) notes: Vec<String>,
    /// What went wrong. [`check`](Self::check) fails if this is not empty.
    pub(super) wrong: Vec<String>,
}

impl Outcome {
    pub(super) fn new(report: Report, spent: Option<Spent>, commits: Option<Commits>) -> Self {
        let wrong = wrong(&report);
        Self { report, spent, commits, notes: Vec::new(), wrong }
    }

    /// Checks that every request was answered and continued as expected.
    ///
    /// # Errors
    /// What went wrong, as one text.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.wrong.is_empty() { Ok(()) } else { Err(self.wrong.join("; ")) }
    }

    pub(super) fn json(&self, args: &Args) -> String {
        let mut json = json!(self.report);
        json["requests"] = json!(args.requests);
        json["connections"] = json!(args.connections);
        json["rate"] = json!(args.rate);
        json["target"] = json!(args.target);
        json["commits"] = json!(self.commits);
        json["bridge"] = json!(self.spent.map(|spent| json!({
            "cpu_us_per_job": spent.cpu_per_job.map(micros),
            "peak_memory_bytes": spent.peak_memory,
        })));
        json["notes"] = json!(self.notes);
        json["wrong"] = json!(self.wrong);
        format!("{json:#}")
    }

    pub(super) fn text(&self, args: &Args) -> String {
        let report = &self.report;
        let loop_kind = match args.rate {
            Some(rate) => format!("open loop at {rate} requests/s"),
            None => "closed loop".to_owned(),
        };
        let bridge = args.target.as_deref().unwrap_or("a bridge that bench started, handler echo");
        let mut text = format!(
            "{} requests over {} connections, {loop_kind}, to {bridge}\n\n",
            args.requests, args.connections
        );
        let mut line = |name: &str, value: String| {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{name:<22}{value}");
        };
        line("requests", format!("{:>9.0} /s", report.requests_per_second));
        line("jobs", format!("{:>9.0} /s", report.jobs_per_second));
        line("acknowledgement", latency(report.acknowledgement));
        line("receipt to continue", latency(report.until_continue));
        if args.rate.is_some() {
            line("sent late by", latency(report.lateness));
        }
        let spent = self.spent;
        let cpu = spent.and_then(|spent| spent.cpu_per_job);
        line("bridge's CPU", cpu.map_or_else(unknown, |cpu| format!("{:>9.1} µs per job", micros(cpu))));
        line("bridge's peak memory", spent.map_or_else(unknown, |spent| mebibytes(spent.peak_memory)));
        if let Some(Commits { count, mean_ms, mean_operations }) = self.commits {
            line(
                "commits",
                format!("{count:>9.0}, {mean_ms:.2} ms and {mean_operations:.0} operations each"),
            );
        }
        let once = report.continued - report.repeated.len();
        line("continued once", format!("{once:>9} of {}", args.requests));
        for note in &self.notes {
            line("note", format!("  {note}"));
        }
        text.trim_end().to_owned()
    }
}

/// Everything that went wrong according to the report.
fn wrong(report: &Report) -> Vec<String> {
    let mut wrong = Vec::new();
    for (status, number) in report.answers.iter().filter(|(status, _)| ![200, 503].contains(*status)) {
        wrong.push(format!("{number} requests got the response {status}"));
    }
    if report.unanswered > 0 {
        wrong.push(format!("{} requests got no response", report.unanswered));
    }
    if !report.answers.contains_key(&200) {
        wrong.push("no request was accepted".to_owned());
    }
    if !report.missing.is_empty() {
        let numbers = report.missing.iter().map(u64::to_string);
        wrong.push(format!(
            "{} requests got a 200 but were not continued: continue_id {}",
            report.missing.len(),
            named(numbers)
        ));
    }
    if !report.repeated.is_empty() {
        let numbers = report.repeated.iter().map(|(id, times)| format!("{id} ({times} times)"));
        wrong.push(format!(
            "{} requests were continued more than once: continue_id {}",
            report.repeated.len(),
            named(numbers)
        ));
    }
    wrong
}

fn named(mut all: impl Iterator<Item = String>) -> String {
    let mut text = all.by_ref().take(MAX_NAMED_REQUESTS).collect::<Vec<_>>().join(", ");
    if all.next().is_some() {
        text.push_str(", …");
    }
    text
}

fn latency(latency: Option<Latency>) -> String {
    let Some(Latency { p50, p90, p99, max }) = latency else { return unknown() };
    let [p50, p90, p99, max] = [p50, p90, p99, max].map(|time| time.as_secs_f64() * 1e3);
    format!("{p50:>9.2} ms p50  {p90:>8.2} p90  {p99:>8.2} p99  {max:>8.2} max")
}

fn mebibytes(bytes: u64) -> String {
    format!("{:>9.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn micros(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e7).round() / 10.0
}

fn unknown() -> String {
    format!("{:>9}", "unknown")
}
