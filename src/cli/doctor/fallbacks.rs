//! Checks how many bots received the fallback in the last hour, and suggests a fix for the most common reason.

use std::time::Duration;

use model::Timestamp;
use store::{FallbackCount, RecentOutcomes, Store};

use super::check::Check;

const NAME: &str = "answers";
/// How far back the check counts jobs.
const LAST_HOUR: Duration = Duration::from_secs(3_600);
/// The smallest share of fallbacks that is a warning. A smaller share usually comes from single jobs with odd data.
const NOTABLE_SHARE: f64 = 0.01;

/// Checks the jobs of the last hour; `None` if there were none.
pub(super) async fn check(store: &Store, now: Timestamp) -> Option<Check> {
    match store.jobs().recent_outcomes(now - LAST_HOUR).await {
        Ok(outcomes) => decide(&outcomes),
        Err(error) => {
            Some(Check::failed(NAME, error.to_string(), "fix the cause, or set store.url to another file"))
        }
    }
}

fn decide(outcomes: &RecentOutcomes) -> Option<Check> {
    let RecentOutcomes { jobs, fallbacks, is_sample } = outcomes;
    if *jobs == 0 {
        return None;
    }
    let of = match jobs {
        _ if *is_sample => format!("the newest {jobs} jobs"),
        1 => "1 job of the last hour".to_owned(),
        _ => format!("{jobs} jobs of the last hour"),
    };
    let Some(FallbackCount { handler, reason, jobs: most }) = fallbacks.first() else {
        return Some(Check::ok(NAME, format!("no fallback among {of}")));
    };
    let (all, share) = (outcomes.fallen_back(), outcomes.share());
    let found = format!(
        "{all} of {of} ended with the fallback ({:.1} %), most often from handler `{handler}`: {} ({reason}, {most})",
        share * 100.0,
        reason.what(),
    );
    if share < NOTABLE_SHARE {
        return Some(Check::ok(NAME, found));
    }
    let todo =
        format!("list them with `jobs list --outcome fallback --handler {handler}`; {}", reason.advice());
    Some(Check::warning(NAME, found, todo))
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;
    use model::FallbackReason;

    fn decided(jobs: u64, fallbacks: &[(&str, FallbackReason, u64)]) -> Option<(Outcome, String)> {
        let count = |(handler, reason, jobs): &(&str, FallbackReason, u64)| FallbackCount {
            handler: handler.parse().unwrap(),
            reason: *reason,
            jobs: *jobs,
        };
        let fallbacks = fallbacks.iter().map(count).collect();
        let check = decide(&RecentOutcomes { jobs, fallbacks, is_sample: false })?;
        Some((check.outcome(), serde_json::to_value(&check).unwrap().to_string()))
    }

    #[test]
    fn a_notable_share_of_fallbacks_is_a_warning_with_the_most_common_reason() {
        let (outcome, text) =
            decided(340, &[("greet", FallbackReason::MaxAttempts, 10), ("quote", FallbackReason::Failed, 2)])
                .unwrap();
        assert_eq!(outcome, Outcome::Warning);
        for part in [
            "12 of 340 jobs of the last hour",
            "(3.5 %)",
            "`greet`: all attempts failed (max_attempts, 10)",
            "jobs list --outcome fallback --handler greet",
            "handlers.NAME.max_attempts",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_few_fallbacks_among_many_jobs_are_reported_as_ok() {
        let (outcome, text) = decided(1_000, &[("greet", FallbackReason::Failed, 9)]).unwrap();
        assert!(outcome == Outcome::Ok && text.contains("9 of 1000"), "{text}");
        assert_eq!(decided(1_000, &[("greet", FallbackReason::Failed, 10)]).unwrap().0, Outcome::Warning);
        assert_eq!(decided(3, &[]).unwrap().0, Outcome::Ok);
        assert!(decided(1, &[]).unwrap().1.contains("among 1 job of the last hour"));
        assert_eq!(decided(0, &[]), None);
    }

    #[test]
    fn a_sample_is_described_as_the_newest_jobs() {
        let outcomes = RecentOutcomes { jobs: 9_000, fallbacks: Vec::new(), is_sample: true };
        let text = serde_json::to_value(decide(&outcomes).unwrap()).unwrap().to_string();
        assert!(text.contains("the newest 9000 jobs"), "{text}");
    }
}
