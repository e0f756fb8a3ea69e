//! The result of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::latency::Latency;
use super::ledger::Ledger;

/// The figures of one batch, with the requests that were never continued or were continued more than once.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The number of requests sent.
    pub sent: usize,
    /// The number of responses by status.
    pub answers: BTreeMap<u16, usize>,
    /// Requests without a response: the connection broke, or the run ended first.
    pub unanswered: usize,
    /// The number of requests that were continued.
    pub continued: usize,
    /// Responses per second, from the first request to the last response.
    pub requests_per_second: f64,
    /// Continued requests per second, from the first request to the last continue.
    pub jobs_per_second: f64,
    /// The time from sending a request (with a rate: from its due time) to its response.
    pub acknowledgement: Option<Latency>,
    /// The time from sending a request (with a rate: from its due time) to its first continue.
    pub until_continue: Option<Latency>,
    /// How long after its due time a request was sent. Grows if all connections or the generator are busy.
    pub lateness: Option<Latency>,
    /// The ids, as in `return_url`, of requests answered with 200 but not continued.
    pub missing: Vec<u64>,
    /// The ids of requests that were continued more than once, with the number of continues.
    pub repeated: Vec<(u64, u32)>,
}

impl Report {
    /// The report of the ledger's current state.
    #[must_use]
    pub fn of(ledger: &Ledger) -> Self {
        let mut answers = BTreeMap::new();
        let (mut sent, mut unanswered, mut continued) = (0, 0, 0);
        let (mut missing, mut repeated) = (Vec::new(), Vec::new());
        let (mut acknowledgement, mut until_continue, mut lateness) = (Vec::new(), Vec::new(), Vec::new());
        let (mut first, mut last_answer, mut last_continue) = (Duration::MAX, Duration::ZERO, Duration::ZERO);
        for one in ledger.times() {
            let Some((due, at)) = one.due.zip(one.sent) else { continue };
            sent += 1;
            first = first.min(due);
            lateness.push(at.saturating_sub(due));
            match one.status.zip(one.answered) {
                Some((status, at)) => {
                    *answers.entry(status).or_default() += 1;
                    last_answer = last_answer.max(at);
                    acknowledgement.push(at.saturating_sub(due));
                }
                None => unanswered += 1,
            }
            if let Some(at) = one.continued {
                continued += 1;
                last_continue = last_continue.max(at);
                until_continue.push(at.saturating_sub(due));
            } else if one.status == Some(200) {
                missing.push(one.id);
            }
            if one.continues > 1 {
                repeated.push((one.id, one.continues));
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

    /// The same times and rates, with the ledger's current counts of continues. Late and repeated continues may arrive
    /// after the report was made.
    #[must_use]
    pub fn with_continues_of(self, ledger: &Ledger) -> Self {
        let Self { missing, repeated, continued, .. } = Self::of(ledger);
        Self { missing, repeated, continued, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn millis(latency: Option<Latency>) -> (u128, u128) {
        let latency = latency.unwrap();
        (latency.p50.as_millis(), latency.max.as_millis())
    }

    #[test]
    fn latencies_count_from_the_due_time_and_not_from_the_time_of_sending() {
        let ledger = Ledger::new(1, 1);
        let due = Instant::now();
        let at = |millis: u64| due + Duration::from_millis(millis);
        ledger.note_sent(0, due, at(100));
        ledger.note_answered(0, 200, at(101));
        ledger.note_continued(0, at(105));
        let report = Report::of(&ledger);
        assert_eq!(millis(report.acknowledgement), (101, 101));
        assert_eq!(millis(report.until_continue), (105, 105));
        assert_eq!(millis(report.lateness), (100, 100));
        assert!((report.jobs_per_second - 1_000.0 / 105.0).abs() < 0.001, "{report:?}");
        assert!((report.requests_per_second - 1_000.0 / 101.0).abs() < 0.001, "{report:?}");
    }

    #[test]
    fn every_request_is_counted_by_its_response_and_its_continues() {
        let ledger = Ledger::new(50, 7);
        let now = Instant::now();
        // 0 fine, 1 not continued, 2 continued three times, 3 refused, 4 refused but continued, 5 broken, 6 never sent.
        for index in 0..6 {
            ledger.note_sent(index, now, now);
        }
        for (index, status) in [(0, 200), (1, 200), (2, 200), (3, 503), (4, 503)] {
            ledger.note_answered(index, status, now);
        }
        ledger.note_broken(5);
        for index in [0, 2, 2, 2, 4] {
            ledger.note_continued(index, now);
        }
        let report = Report::of(&ledger);
        assert_eq!((report.sent, report.unanswered, report.continued), (6, 1, 3));
        assert_eq!(report.answers, BTreeMap::from([(200, 3), (503, 2)]));
        assert_eq!((report.missing, report.repeated), (vec![51], vec![(52, 3)]));
        assert!(!ledger.is_settled());
        ledger.note_continued(1, now);
        assert!(ledger.is_settled());
    }

    #[test]
    fn later_continues_are_counted_but_not_timed() {
        let ledger = Ledger::new(1, 1);
        let now = Instant::now();
        ledger.note_sent(0, now, now);
        ledger.note_answered(0, 200, now);
        ledger.note_continued(0, now);
        let report = Report::of(&ledger);
        ledger.note_continued(0, now);
        let later = report.clone().with_continues_of(&ledger);
        assert_eq!((report.repeated, later.repeated), (vec![], vec![(1, 2)]));
        assert_eq!(report.until_continue, later.until_continue);
    }
}
