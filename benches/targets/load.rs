//! One measured load: its results, and the CPU time that the program used.

use std::sync::Arc;
use std::time::Duration;

use ::load::{Batch, BridgeProcess, Load, Report, Sink, Target, Usage};

use super::Result;
use super::rig::Rig;

/// A run fails if there is no progress for this long.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(90);

/// The figures of one load.
#[derive(Debug)]
pub struct Measured {
    /// The load generator's report.
    pub report: Report,
    /// The program's CPU time per request, in µs.
    pub cpu: f64,
    /// The CPU time per request of this process (generator and sink), in µs.
    pub own_cpu: f64,
    /// The program's peak of resident memory since its start (`VmHWM`), in MiB.
    pub peak_memory: f64,
}

/// The size and rate of a load.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The number of requests.
    pub requests: usize,
    /// The number of connections.
    pub connections: usize,
    /// Requests per second; `None` runs a closed loop.
    pub rate: Option<f64>,
}

impl Shape {
    /// A closed loop: each connection sends its next request when it has the previous response.
    pub fn closed(requests: usize, connections: usize) -> Self {
        Self { requests, connections, rate: None }
    }

    /// An open loop: a thousand requests per second, independent of the responses.
    pub fn thousand_a_second(seconds: usize) -> Self {
        Self { requests: seconds * 1_000, connections: 256, rate: Some(1_000.0) }
    }

    /// Signs the requests, addressed to `handler`.
    pub fn sign(self, rig: &Rig, program: &BridgeProcess, sinks: &[&Sink], handler: &str) -> Arc<Batch> {
        let address = program.public();
        let path = format!("/widget_request/{handler}");
        let target = Target { address, path, audience: format!("http://{address}") };
        Batch::sign(&rig.integration, sinks, &target, self.requests)
    }

    /// Sends the requests, and returns when each has its response or has failed.
    ///
    /// # Errors
    /// The program cannot be reached.
    pub async fn send(self, batch: &Arc<Batch>) -> Result<()> {
        let Self { connections, rate, .. } = self;
        Ok(Load { connections, rate, stall_timeout: STALL_TIMEOUT }.run(batch).await?)
    }

    /// Sends requests to `echo` and waits until all bots are continued.
    ///
    /// # Errors
    /// A request was not answered with 200, or not continued exactly once.
    pub async fn run(self, rig: &Rig, program: &BridgeProcess, sinks: &[&Sink]) -> Result<Measured> {
        self.run_with(rig, program, sinks, "echo").await
    }

    /// The same as [`run`](Self::run), with another handler.
    ///
    /// # Errors
    /// The same as [`run`](Self::run).
    pub async fn run_with(
        self,
        rig: &Rig,
        program: &BridgeProcess,
        sinks: &[&Sink],
        handler: &str,
    ) -> Result<Measured> {
        let batch = self.sign(rig, program, sinks, handler);
        let before = usage(program)?;
        self.send(&batch).await?;
        batch.ledger().settled(STALL_TIMEOUT).await;
        let after = usage(program)?;
        let report = Report::of(batch.ledger());
        all_accepted(&report, self.requests)?;
        if !(report.missing.is_empty() && report.repeated.is_empty()) {
            let (missing, repeated) = (report.missing.len(), report.repeated.len());
            return Err(format!("{missing} requests were not continued, {repeated} more than once").into());
        }
        let [cpu, own_cpu] = [0, 1]
            .map(|index| (after[index].cpu - before[index].cpu).as_secs_f64() * 1e6 / self.requests as f64);
        let peak_memory = after[0].peak_memory as f64 / f64::from(1 << 20);
        Ok(Measured { report, cpu, own_cpu, peak_memory })
    }
}

/// The resources used so far, by the program and by this process.
fn usage(program: &BridgeProcess) -> Result<[Usage; 2]> {
    let known = |usage: Option<Usage>| usage.ok_or("the program has ended");
    Ok([known(program.usage())?, known(Usage::of(std::process::id()))?])
}

/// Checks that every request was answered with 200.
///
/// # Errors
/// At least one was not.
pub fn all_accepted(report: &Report, requests: usize) -> Result<()> {
    if report.answers.get(&200) == Some(&requests) {
        return Ok(());
    }
    let Report { answers, unanswered, .. } = report;
    Err(format!(
        "not all of {requests} requests were answered with 200: {answers:?}, {unanswered} unanswered"
    )
    .into())
}

/// A time in milliseconds; NaN if nothing was measured.
pub fn millis(time: Option<Duration>) -> f64 {
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

impl Measured {
    /// The latency from a request's due time to its response: p50, p99 and maximum, in ms.
    pub fn answer(&self) -> [f64; 3] {
        let latency = self.report.acknowledgement;
        [latency.map(|l| l.p50), latency.map(|l| l.p99), latency.map(|l| l.max)].map(millis)
    }

    /// The latency from a request's due time to the continue of its bot: p50 and p99, in ms.
    pub fn until_continue(&self) -> [f64; 2] {
        let latency = self.report.until_continue;
        [latency.map(|l| l.p50), latency.map(|l| l.p99)].map(millis)
    }
}
