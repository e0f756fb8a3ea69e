//! The time that a job took, in parts: until its handler began, until the handler answered, until Kommo accepted the
//! continue.

use std::time::Duration;

use crate::{Attempt, JobSummary, Stage, Timestamp};

/// A continue that comes later than this after the request is late: the customer has noticed.
pub(super) const LATE: Duration = Duration::from_secs(20);

/// Says where the time between the receipt of a job and `end` went.
pub(super) fn parts(job: &JobSummary, attempts: &[Attempt], end: Timestamp) -> String {
    let of = |stage: Stage| attempts.iter().filter(move |attempt| attempt.stage == stage);
    let handler = of(Stage::Handler).next().zip(of(Stage::Handler).next_back());
    let mut parts = Vec::new();
    let answered_at = match handler {
        None => job.received_at,
        Some((first, last)) => {
            let answered_at = last.started_at + last.duration;
            let waited = first.started_at.since(job.received_at);
            parts.push(format!("{} until its handler began", span(waited)));
            let took = answered_at.since(first.started_at);
            parts.push(format!(
                "{} until the handler was done ({})",
                span(took),
                tries(job.handler_attempts)
            ));
            answered_at
        }
    };
    let sent = span(end.since(answered_at));
    parts.push(format!("{sent} until Kommo accepted the continue ({})", tries(job.delivery_attempts)));
    parts.join(", ")
}

fn tries(attempts: u32) -> String {
    if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") }
}

/// A duration for people.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", span.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_the_unit_that_a_person_would_use() {
        for (ms, expected) in [
            (0, "0.0 s"),
            (1_240, "1.2 s"),
            (59_900, "59 s"),
            (119_999, "119 s"),
            (120_000, "2 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 days"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), expected);
        }
    }
}
