//! The reasons that the running bridge or the store add to the state of an unfinished job.

use super::*;

const LOAD: HandlerLoad =
    HandlerLoad { in_use: 1, limit: 4, is_shared: false, has_room: true, unreachable_until: None };

fn codes(explained: &Explanation) -> Vec<&'static str> {
    explained.because.iter().map(|reason| reason.code.as_str()).collect()
}

fn explained(state: State, context: &ExplainContext<'_>) -> Explanation {
    explain(&JobRecord::Whole(job(state, Some("timeout"))), &[], context)
}

#[test]
fn what_only_the_running_bridge_knows_comes_before_what_the_store_knows() {
    let now = ExplainContext { is_served: Some(true), ..ExplainContext::at(at(10)) };
    let due = State::Queued(QueueWait::Until(at(9)));
    let later = State::Queued(QueueWait::Until(at(12)));
    let busy = HandlerLoad { in_use: 4, has_room: false, ..LOAD };
    let shared =
        HandlerLoad { in_use: 64, limit: 64, is_shared: true, has_room: false, unreachable_until: None };
    let unreachable = HandlerLoad { unreachable_until: Some(at(11)), ..LOAD };
    let pace = |used| Some(AccountPace { used, limit: 7, next_at: Some(at(11)) });
    let delivery = delivering(9, None);
    for (state, context, expected, text, until) in [
        (&due, ExplainContext { load: Some(LOAD), ..now }, &["worker"][..], "free worker", None),
        (
            &due,
            ExplainContext { load: Some(busy), ..now },
            &["handler_busy"],
            "4 of 4 permits of handlers.echo.concurrency",
            None,
        ),
        (
            &due,
            ExplainContext { load: Some(shared), ..now },
            &["handler_busy"],
            "64 of 64 permits of workers.concurrency",
            None,
        ),
        (
            &due,
            ExplainContext { load: Some(unreachable), ..now },
            &["handler_unreachable"],
            "cannot be reached",
            Some(at(11)),
        ),
        (
            &due,
            ExplainContext { load: Some(HandlerLoad { unreachable_until: Some(at(11)), ..busy }), ..now },
            &["handler_unreachable", "handler_busy"],
            "cannot be reached",
            Some(at(11)),
        ),
        (
            &later,
            ExplainContext { load: Some(unreachable), awaiting: Some((10, 10)), ..now },
            &["handler_retry", "handler_unreachable", "max_awaiting"],
            "attempt 2 of its handler failed (timeout)",
            Some(at(12)),
        ),
        (
            &later,
            ExplainContext { awaiting: Some((9, 10)), ..now },
            &["handler_retry"],
            "(timeout)",
            Some(at(12)),
        ),
        (
            &delivery,
            ExplainContext { pace: pace(7), waiting: Some(80), ..now },
            &["pace", "turn"],
            "7 of 7 calls per second to a.kommo.com",
            Some(at(11)),
        ),
        (
            &delivery,
            ExplainContext { pace: pace(6), waiting: Some(80), ..now },
            &["turn"],
            "(80 wait for this account)",
            None,
        ),
        (
            &delivery,
            ExplainContext {
                pause: Some(AccountPause { cause: WaitCause::TooMany, until: at(15) }),
                pace: pace(7),
                ..now
            },
            &["too_many"],
            "deliveries to a.kommo.com wait: Kommo answered 429",
            Some(at(15)),
        ),
        (&delivery, ExplainContext { waiting: Some(1), ..now }, &["turn"], "rate limit of its account", None),
    ] {
        let found = explained(state.clone(), &context);
        assert_eq!(codes(&found), expected, "{context:?}");
        assert!(found.because[0].text.contains(text), "{text} in {found:?}");
        assert_eq!(found.because[0].until, until, "{found:?}");
    }
}

#[test]
fn a_job_in_a_line_names_the_first_one_and_how_many_are_before_it() {
    let (first, state) = (JobId::new(at(1), 7), State::Queued(QueueWait::Turn));
    for (jobs, is_more, expected) in [
        (1, false, "1 earlier job of its conversation is"),
        (3, false, "3 earlier jobs of its conversation are"),
        (100, true, "100 or more earlier jobs"),
    ] {
        let context =
            ExplainContext { line: Some(Line { first, jobs, is_more }), ..ExplainContext::at(at(10)) };
        let found = explained(state.clone(), &context);
        let text = &found.because[0].text;
        assert!(text.contains(expected) && text.ends_with(&first.to_string()), "{text}");
        let command = found.you_can[0].command.as_deref();
        assert_eq!(command, Some(&*format!("salesbot-bridge jobs explain {first}")));
    }
}

#[test]
fn a_delivery_tells_of_its_fallback_and_of_a_newer_job() {
    let newer = JobId::new(at(5), 3);
    let fallback =
        PreparedCompletion { outcome: Outcome::Fallback(FallbackReason::MaxAttempts), ..prepared() };
    let state = State::Delivering { prepared: fallback, due_at: at(30), lease_until: None };
    for (was_sent, expected) in [(false, "at most once"), (true, "ends as `gone`")] {
        let context = ExplainContext { superseded_by: Some(newer), was_sent, ..ExplainContext::at(at(10)) };
        let found = explained(state.clone(), &context);
        assert_eq!(codes(&found), ["delivery_retry", "fallback", "superseded"]);
        assert!(found.because[2].text.contains(expected), "{found:?}");
    }
}

#[test]
fn what_an_operator_can_do_fits_the_state() {
    let mut unauthorized = wait(WaitCause::Unauthorized, Some(40));
    let configured = unauthorized.clone();
    unauthorized.advice = "authorize it: `salesbot-bridge accounts authorize --integration main`".into();
    let too_many = wait(WaitCause::TooMany, Some(40));
    let forbidden = wait(WaitCause::Forbidden, Some(40));
    let now = ExplainContext { is_served: Some(true), ..ExplainContext::at(at(10)) };
    let of = |account| ExplainContext { account: Some(account), ..now };
    let unreachable = HandlerLoad { unreachable_until: Some(at(11)), ..LOAD };
    for (state, context, expected) in [
        (
            delivering(9, None),
            of(&unauthorized),
            &["accounts authorize --integration main", "accounts resume a.kommo.com", "jobs retry"][..],
        ),
        (delivering(9, None), of(&configured), &["accounts resume a.kommo.com", "jobs retry"]),
        (delivering(9, None), of(&forbidden), &["accounts resume a.kommo.com", "jobs retry"]),
        (delivering(9, None), of(&too_many), &["jobs retry", "jobs cancel"]),
        (delivering(9, Some(70)), now, &["jobs cancel"]),
        (
            State::Queued(QueueWait::Until(at(9))),
            ExplainContext { load: Some(unreachable), ..now },
            &["handlers test echo", "jobs complete", "jobs cancel"],
        ),
        (State::AwaitingCallback, now, &["jobs complete", "jobs cancel"]),
        (
            State::Running { lease_until: at(90) },
            ExplainContext { is_served: Some(false), ..now },
            &["serve", "jobs complete", "jobs cancel"],
        ),
    ] {
        let found = explained(state.clone(), &context);
        let commands: Vec<&str> =
            found.you_can.iter().filter_map(|suggestion| suggestion.command.as_deref()).collect();
        let mut rest = commands.iter();
        for part in expected {
            assert!(rest.any(|command| command.contains(part)), "{part} in {commands:?}");
        }
    }
}
