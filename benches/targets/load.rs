//! One measured load: what came of it, and what the program used for it.

use std::sync::Arc;
use std::time::Duration;

use ::load::{Batch, BridgeProcess, Load, Report, Sink, Target, Usage};

use super::Result;
use super::rig::Rig;

/// Nothing moves for this long: the run has failed.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(90);

/// The figures of one load.
#[derive(Debug)]
pub struct Measured {
    /// What callers and bots saw.
    pub report: Report,
    /// The program's CPU time per request, in µs.
    pub cpu: f64,
    /// The same of this process: generator and sink.
    pub own_cpu: f64,
}

/// How a load is sent.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many requests.
    pub requests: usize,
    /// Over how many connections.
    pub connections: usize,
    /// How many a second; none: as fast as they are answered.
    pub rate: Option<f64>,
}

impl Shape {
    /// As fast as they are answered, over so many connections.
    pub fn closed(requests: usize, connections: usize) -> Self {
        Self { requests, connections, rate: None }
    }

    /// A thousand requests a second for so long, whatever comes of them.
    pub fn thousand_a_second(seconds: usize) -> Self {
        Self { requests: seconds * 1_000, connections: 256, rate: Some(1_000.0) }
    }

    /// Signs so many requests to a handler.
    pub fn sign(self, rig: &Rig, program: &BridgeProcess, sinks: &[&Sink], handler: &str) -> Arc<Batch> {
        let address = program.public();
        let path = format!("/widget_request/{handler}");
        let target = Target { address, path, audience: format!("http://{address}") };
        Batch::sign(&rig.integration, sinks, &target, self.requests)
    }

    /// Sends them, until each is answered or has failed.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn send(self, batch: &Arc<Batch>) -> Result<()> {
        let Self { connections, rate, .. } = self;
        Ok(Load { connections, rate, stall_timeout: STALL_TIMEOUT }.run(batch).await?)
    }

    /// Sends them to `echo` and waits until all bots are continued.
    ///
    /// # Errors
    /// A request was not answered 200, or not continued just once.
    pub async fn run(self, rig: &Rig, program: &BridgeProcess, sinks: &[&Sink]) -> Result<Measured> {
        let batch = self.sign(rig, program, sinks, "echo");
        let before = cpu(program)?;
        self.send(&batch).await?;
        batch.ledger().settled(STALL_TIMEOUT).await;
        let after = cpu(program)?;
        let report = Report::of(batch.ledger());
        all_accepted(&report, self.requests)?;
        if !(report.missing.is_empty() && report.repeated.is_empty()) {
            let (missing, repeated) = (report.missing.len(), report.repeated.len());
            return Err(format!("{missing} requests were not continued, {repeated} more than once").into());
        }
        let [cpu, own_cpu] =
            [0, 1].map(|whose| (after[whose] - before[whose]).as_secs_f64() * 1e6 / self.requests as f64);
        Ok(Measured { report, cpu, own_cpu })
    }
}

/// The CPU time of the program and of this process so far.
fn cpu(program: &BridgeProcess) -> Result<[Duration; 2]> {
    let usage = |usage: Option<Usage>| usage.map(|usage| usage.cpu).ok_or("the program has ended");
    Ok([usage(program.usage())?, usage(Usage::of(std::process::id()))?])
}

/// Every request was answered 200.
///
/// # Errors
/// One was not.
pub fn all_accepted(report: &Report, requests: usize) -> Result<()> {
    if report.answers.get(&200) == Some(&requests) {
        return Ok(());
    }
    let Report { answers, unanswered, .. } = report;
    Err(format!("of {requests} requests not all were answered 200: {answers:?}, {unanswered} unanswered")
        .into())
}

/// A time in milliseconds; not a number if nothing was measured.
pub fn millis(time: Option<Duration>) -> f64 {
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

impl Measured {
    /// From when a request was due until its answer: p50, p99 and the longest, in ms.
    pub fn answer(&self) -> [f64; 3] {
        let latency = self.report.acknowledgement;
        [latency.map(|l| l.p50), latency.map(|l| l.p99), latency.map(|l| l.max)].map(millis)
    }

    /// From when a request was due until its bot was continued: p50 and p99, in ms.
    pub fn until_continue(&self) -> [f64; 2] {
        let latency = self.report.until_continue;
        [latency.map(|l| l.p50), latency.map(|l| l.p99)].map(millis)
    }
}
