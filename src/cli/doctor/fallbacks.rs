//! How many bots got the fallback lately, most often why, and what to do about it.

use std::time::Duration;

use model::Timestamp;
use store::{FallbackCount, RecentOutcomes, Store};

use super::check::Check;

const NAME: &str = "answers";
/// Only jobs of this span before now are counted.
const LAST_HOUR: Duration = Duration::from_secs(3_600);
/// A share of fallbacks from which on an operator should look: below it are single jobs with odd data.
const NOTABLE_SHARE: f64 = 0.01;

/// Checks the jobs of the last hour; `None` if there were none.
pub(super) async fn check(store: &Store, now: Timestamp) -> Option<Check> {
    match store.jobs().recent_outcomes(now - LAST_HOUR).await {
        Ok(outcomes) => decide(&outcomes),
        Err(error) => {
            Some(Check::failed(NAME, error.to_string(), "fix that, or set store.url to another file"))
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
        "the bots of {all} of {of} got the fallback ({:.1} %), most often of handler `{handler}`: {} ({reason}, {most})",
        share * 100.0,
        reason.what(),
    );
    if share < NOTABLE_SHARE {
        return Some(Check::ok(NAME, found));
    }
    let todo =
        format!("see them with `jobs list --outcome fallback --handler {handler}`; {}", reason.advice());
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
    fn a_notable_share_of_fallbacks_is_told_with_the_commonest_reason_and_what_to_do() {
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
    fn a_few_among_many_are_told_and_no_reason_to_act() {
        let (outcome, text) = decided(1_000, &[("greet", FallbackReason::Failed, 9)]).unwrap();
        assert!(outcome == Outcome::Ok && text.contains("9 of 1000"), "{text}");
        assert_eq!(decided(1_000, &[("greet", FallbackReason::Failed, 10)]).unwrap().0, Outcome::Warning);
        assert_eq!(decided(3, &[]).unwrap().0, Outcome::Ok);
        assert!(decided(1, &[]).unwrap().1.contains("among 1 job of the last hour"));
        assert_eq!(decided(0, &[]), None);
    }

    #[test]
    fn a_sample_is_called_one() {
        let outcomes = RecentOutcomes { jobs: 9_000, fallbacks: Vec::new(), is_sample: true };
        let text = serde_json::to_value(decide(&outcomes).unwrap()).unwrap().to_string();
        assert!(text.contains("the newest 9000 jobs"), "{text}");
    }
}
