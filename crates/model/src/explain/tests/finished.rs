//! Why finished jobs ended as they did.

use super::*;

fn attempt(stage: Stage, started: i64, seconds: u64, result: AttemptResult, error: Option<&str>) -> Attempt {
    Attempt {
        stage,
        number: 1,
        started_at: at(started),
        duration: Duration::from_secs(seconds),
        result,
        status: None,
        error: error.map(str::to_owned),
    }
}

fn fallback(reason: FallbackReason) -> PreparedCompletion {
    PreparedCompletion { outcome: Outcome::Fallback(reason), ..prepared() }
}

fn found(job: Job, attempts: &[Attempt], context: &ExplainContext<'_>) -> (Vec<&'static str>, Explanation) {
    let explained = explain(&JobRecord::Whole(job), attempts, context);
    (explained.because.iter().map(|reason| reason.code.as_str()).collect(), explained)
}

#[test]
fn each_end_has_its_reason() {
    let newer = JobId::new(at(5), 3);
    let now = ExplainContext::at(at(90));
    let superseded = ExplainContext { superseded_by: Some(newer), ..now };
    let finished_at = at(2);
    let delivered = |prepared| State::Delivered { prepared, finished_at };
    let failed = attempt(Stage::Handler, 1, 1, AttemptResult::Fail, Some("no such lead"));
    let refused = attempt(Stage::Delivery, 2, 1, AttemptResult::Fail, Some("400: TooLong"));
    let timeout = attempt(Stage::Delivery, 2, 1, AttemptResult::Timeout, Some("no response"));
    let not_found = attempt(Stage::Delivery, 2, 1, AttemptResult::Gone, Some("404"));
    let prepared = prepared();
    for (state, attempts, context, codes, text, command) in [
        (delivered(prepared.clone()), vec![], now, &["answered"][..], "handler's answer 2.0 s after", None),
        (
            delivered(fallback(FallbackReason::Failed)),
            vec![failed.clone()],
            now,
            &["fallback"],
            "got the fallback, because the handler failed for good (no such lead)",
            None,
        ),
        (
            delivered(fallback(FallbackReason::Refused)),
            vec![refused.clone()],
            now,
            &["fallback"],
            "because Kommo refused the handler's completion (400: TooLong)",
            None,
        ),
        (
            State::Gone { prepared: prepared.clone(), finished_at },
            vec![not_found.clone()],
            superseded,
            &["no_bot"],
            "no bot waited for the continue",
            Some("jobs retry"),
        ),
        (
            State::Gone { prepared: prepared.clone(), finished_at },
            vec![timeout.clone()],
            superseded,
            &["superseded"],
            "came later with the same return_url",
            Some("--force"),
        ),
        (
            State::Dead { prepared: prepared.clone(), finished_at },
            vec![timeout],
            now,
            &["gave_up"],
            "delivery.give_up_after had passed: 500",
            Some("jobs retry"),
        ),
        (
            State::Dead { prepared: fallback(FallbackReason::Refused), finished_at },
            vec![refused],
            superseded,
            &["refused", "superseded", "fallback"],
            "Kommo refused its completion: 500",
            Some("--force"),
        ),
        (
            State::Dead { prepared: prepared.clone(), finished_at },
            vec![failed],
            now,
            &["never_connected"],
            "500",
            Some("jobs retry"),
        ),
        (
            State::Cancelled { prepared: Some(prepared.clone()), finished_at },
            vec![],
            now,
            &["cancelled"],
            "an operator cancelled it",
            None,
        ),
    ] {
        let (found, explained) = found(job(state.clone(), Some("500")), &attempts, &context);
        assert_eq!(found, codes, "{state:?}");
        assert!(explained.because[0].text.contains(text), "{text} in {explained:?}");
        let mut commands = explained.you_can.iter().filter_map(|suggestion| suggestion.command.as_deref());
        assert!(command.is_none_or(|part| commands.any(|command| command.contains(part))), "{explained:?}");
    }
}

#[test]
fn a_late_continue_says_where_the_time_went() {
    let attempts = [
        attempt(Stage::Handler, 31, 4, AttemptResult::Timeout, Some("slow")),
        attempt(Stage::Handler, 40, 3, AttemptResult::Ok, None),
        attempt(Stage::Delivery, 43, 1, AttemptResult::Retry, Some("503")),
        attempt(Stage::Delivery, 62, 1, AttemptResult::Ok, None),
    ];
    let state = State::Delivered { prepared: prepared(), finished_at: at(63) };
    let job = Job { delivery_attempts: 2, ..job(state, Some("503")) };
    let (codes, explained) = found(job, &attempts, &ExplainContext::at(at(90)));
    assert_eq!(codes, ["answered", "late"]);
    assert_eq!(
        explained.because[1].text,
        "the continue came 63 s after the request: 31 s until its handler began, 12 s until the handler was done (2 attempts), \
         20 s until Kommo accepted the continue (2 attempts); the last error before: 503"
    );
}

#[test]
fn a_joined_message_names_the_job_that_answers_it() {
    let later = JobId::new(at(5), 3);
    let state = State::Delivered { prepared: prepared(), finished_at: at(2) };
    let joined = Job { joined_into: Some(later), ..job(state, None) };
    let (codes, explained) = found(joined.clone(), &[], &ExplainContext::at(at(90)));
    assert_eq!(codes, ["joined"]);
    assert!(explained.summary.contains(&later.to_string()), "{explained:?}");
    let waiting = Job { state: delivering(9, None), ..joined };
    let (codes, _) = found(waiting, &[], &ExplainContext::at(at(10)));
    assert_eq!(codes, ["turn", "joined"]);
}

#[test]
fn a_job_without_its_bodies_is_explained_too() {
    let state = State::Delivered { prepared: prepared(), finished_at: at(2) };
    let summary = JobRecord::Whole(job(state, None)).summary();
    let explained = explain(&JobRecord::WithoutBodies(summary), &[], &ExplainContext::at(at(90)));
    assert_eq!(explained.because[0].code, Code::Answered);
}
