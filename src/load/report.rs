//! What a run comes to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::latency::Latency;
use super::ledger::Ledger;

/// The figures of one batch, and whether every promise was kept.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Requests that were sent.
    pub sent: usize,
    /// How many answers had which status.
    pub answers: BTreeMap<u16, usize>,
    /// Requests without an answer: their connection broke, or the run ended first.
    pub unanswered: usize,
    /// Requests that were continued.
    pub continued: usize,
    /// Answers a second, from the first request until the last answer.
    pub requests_per_second: f64,
    /// Continued requests a second, from the first request until the last one was continued.
    pub jobs_per_second: f64,
    /// From when a request was sent (with a rate: due) until its answer.
    pub acknowledgement: Option<Latency>,
    /// From when a request was sent (with a rate: due) until its continue.
    pub until_continue: Option<Latency>,
    /// How much later than due requests were sent: because all connections were busy, or the generator itself.
    pub lateness: Option<Latency>,
    /// The numbers, as in `return_url`, of requests answered 200 that were not continued.
    pub missing: Vec<u64>,
    /// The numbers of requests that were continued more than once, and how often.
    pub repeated: Vec<(u64, u32)>,
}

impl Report {
    /// Of what the ledger knows so far.
    #[must_use]
    pub fn of(ledger: &Ledger) -> Self {
        let mut answers = BTreeMap::new();
        let (mut sent, mut unanswered, mut continued) = (0, 0, 0);
        let (mut missing, mut repeated) = (Vec::new(), Vec::new());
        let (mut acknowledgement, mut until_continue, mut lateness) = (Vec::new(), Vec::new(), Vec::new());
        let (mut first, mut last_answer, mut last_continue) = (Duration::MAX, Duration::ZERO, Duration::ZERO);
        for told in ledger.told() {
            let Some((due, at)) = told.due.zip(told.sent) else { continue };
            sent += 1;
            first = first.min(due);
            lateness.push(at.saturating_sub(due));
            match told.status.zip(told.answered) {
                Some((status, at)) => {
                    *answers.entry(status).or_default() += 1;
                    last_answer = last_answer.max(at);
                    acknowledgement.push(at.saturating_sub(due));
                }
                None => unanswered += 1,
            }
            if let Some(at) = told.continued {
                continued += 1;
                last_continue = last_continue.max(at);
                until_continue.push(at.saturating_sub(due));
            } else if told.status == Some(200) {
                missing.push(told.id);
            }
            if told.continues > 1 {
                repeated.push((told.id, told.continues));
            }
        }
        let rate = |number: usize, last: Duration| match last.saturating_sub(first) {
            Duration::ZERO => 0.0,
            time => number as f64 / time.as_secs_f64(),
        };
        Self {
            requests_per_second: rate(acknowledgement.len(), last_answer),
            jobs_per_second: rate(continued, last_continue),
            acknowledgement: Latency::of(acknowledgement),
            until_continue: Latency::of(until_continue),
            lateness: Latency::of(lateness),
            sent,
            answers,
            unanswered,
            continued,
            missing,
            repeated,
        }
    }
}
