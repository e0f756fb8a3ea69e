//! Tests of the decision after a response of Kommo, one row of the table each.

mod not_kommo;
mod refusal_props;
mod refusals;
mod replaced;

use super::*;
use kommo::{ApiProblem, Reason, Response, classify};
use model::{CheckedCompletion, Completion, Step};

const NOW: Timestamp = Timestamp::from_millis(10_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn job() -> JobId {
    JobId::new(NOW, 1)
}

fn alone(outcome: Outcome) -> PreparedCompletion {
    PreparedCompletion { completion: Completion::success().check().unwrap(), outcome }
}

fn with_handlers() -> PreparedCompletion {
    PreparedCompletion {
        completion: Completion::success().goto(Step::question(1)).check().unwrap(),
        outcome: Outcome::Handler,
    }
}

fn fallback() -> CheckedCompletion {
    CheckedCompletion::from_json(r#"{"data":{"status":"sorry"}}"#).unwrap()
}

struct Case {
    prepared: PreparedCompletion,
    delivery: Delivery,
    account: AccountEvidence,
    goto: Option<Step>,
    waiting_since: Timestamp,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            prepared: alone(Outcome::Handler),
            delivery: Delivery::default(),
            account: AccountEvidence::default(),
            goto: None,
            waiting_since: NOW - Duration::from_secs(3),
        }
    }
}

impl Case {
    fn decide(&self, outcome: &AttemptOutcome) -> Decision {
        let policy = HandlerPolicy { fallback: fallback(), goto: self.goto, ..HandlerPolicy::default() };
        decide(
            outcome,
            DecisionContext {
                job: job(),
                waiting_since: self.waiting_since,
                account: self.account,
                prepared: &self.prepared,
                delivery: self.delivery,
                policy: &policy,
                give_up_after: HOUR,
                now: NOW,
                jitter: 1.0,
            },
        )
    }
}

/// A response with this body.
fn response(status: u16, body: &str) -> AttemptOutcome {
    AttemptOutcome::Called(classify(&Response { status, body: body.into(), ..Response::default() }))
}

fn status(status: u16) -> AttemptOutcome {
    response(status, "{}")
}

fn web_page(status: u16) -> AttemptOutcome {
    response(status, "<html>")
}

fn with_code(status: u16, code: &str) -> AttemptOutcome {
    let body = format!(r#"{{"validation-errors":[{{"errors":[{{"code":"{code}","path":"somewhere"}}]}}]}}"#);
    response(status, &body)
}

fn lost() -> AttemptOutcome {
    AttemptOutcome::Called(CallOutcome::NoResponse(CallFailure::Lost {
        reason: Reason::new("reset"),
        timed_out: false,
    }))
}

fn not_sent() -> AttemptOutcome {
    AttemptOutcome::Called(CallOutcome::NoResponse(CallFailure::NotSent(Reason::new("refused"))))
}

fn answer_was_lost() -> Delivery {
    Delivery { answer_lost: true, ..Delivery::default() }
}

#[test]
fn success_is_delivered() {
    for code in [200, 202, 204] {
        let decision = Case::default().decide(&status(code));
        assert_eq!(
            (decision.next, decision.result),
            (AfterDelivery::Delivered, Some(AttemptResult::Ok)),
            "{code}"
        );
        assert!(decision.account_is_fine);
    }
}

#[test]
fn a_404_is_gone_unless_a_response_was_lost() {
    let decision = Case::default().decide(&status(404));
    assert_eq!((decision.next, decision.result), (AfterDelivery::Gone, Some(AttemptResult::Gone)));
    let after_loss = Case { delivery: answer_was_lost(), ..Case::default() };
    assert_eq!(after_loss.decide(&status(404)).next, AfterDelivery::Delivered);
}

#[test]
fn a_superseded_job_is_gone_without_a_call_and_names_the_newer_one() {
    let newer = JobId::new(NOW, 2);
    let decision = Case::default().decide(&AttemptOutcome::Superseded(newer));
    assert_eq!((decision.next, decision.result), (AfterDelivery::Gone, None));
    assert_eq!((decision.pause, decision.account_is_fine), (None, false));
    assert!(decision.error.unwrap().contains(&newer.to_string()));
}

#[test]
fn a_delivery_that_a_stop_hands_back_is_unchanged() {
    let delivery = Delivery { failures: 3, failing_since: Some(NOW), answer_lost: false, refused_at: None };
    let decision = Case { delivery, ..Case::default() }.decide(&AttemptOutcome::Stopped);
    assert_eq!(decision.next, AfterDelivery::Wait { delivery, keeps_place: true });
    assert_eq!((decision.result, decision.error, decision.pause), (None, None, None));
}

#[test]
fn an_account_waits_and_no_attempt_is_charged() {
    let failing =
        Delivery { failures: 3, failing_since: Some(NOW - HOUR), answer_lost: true, refused_at: None };
    let case = Case { delivery: failing, ..Case::default() };
    for (outcome, cause) in [
        (status(401), Cause::Unauthorized),
        (status(402), Cause::PaymentRequired),
        (status(403), Cause::Forbidden),
        (web_page(403), Cause::Blocked),
        (status(429), Cause::TooMany),
        (AttemptOutcome::NoBearer(NoBearer::Unknown), Cause::NotConnected),
        (AttemptOutcome::NoBearer(NoBearer::NeedsAuthorization { why: "x".into() }), Cause::NotConnected),
        (AttemptOutcome::NoBearer(NoBearer::NotRenewed { why: "x".into() }), Cause::NotRenewed),
        (AttemptOutcome::NoBearer(NoBearer::LongLived), Cause::Unauthorized),
    ] {
        let decision = case.decide(&outcome);
        assert_eq!(
            decision.pause,
            Some(Pause { cause, hint: None, source: Source::Job(job()) }),
            "{outcome:?}"
        );
        assert_eq!(decision.result, None, "{outcome:?}");
        // A lost response is remembered; the time budget starts again.
        let AfterDelivery::Wait { delivery, .. } = decision.next else { panic!("{outcome:?}") };
        let refused_at = cause.may_be_of_one_job().then_some(NOW);
        assert_eq!(delivery, Delivery { refused_at, ..answer_was_lost() }, "{outcome:?}");
        let error = decision.error.unwrap();
        assert!(!error.is_empty() && !error.contains(cause.advice()), "{error}");
        assert!(!error.contains("access_token") && !error.contains("accounts authorize"), "{error}");
    }
}

#[test]
fn a_delivery_that_is_not_admitted_is_unchanged() {
    let failing = Delivery { failures: 3, failing_since: Some(NOW), answer_lost: true, refused_at: None };
    let decision = Case { delivery: failing, ..Case::default() }
        .decide(&AttemptOutcome::NotAdmitted(Paused { left: None }));
    assert_eq!(decision.next, AfterDelivery::Wait { delivery: failing, keeps_place: true });
    assert_eq!((decision.result, decision.pause, decision.account_is_fine), (None, None, false));
}

#[test]
fn a_job_of_another_account_waits_alone() {
    let failing = Delivery { failures: 3, failing_since: Some(NOW), answer_lost: true, refused_at: None };
    let decision = Case { delivery: failing, ..Case::default() }.decide(&AttemptOutcome::OtherAccount);
    let due_at = NOW + Duration::from_secs(60);
    assert_eq!(decision.next, AfterDelivery::Retry { due_at, delivery: answer_was_lost() });
    assert_eq!((decision.result, decision.pause, decision.account_is_fine), (None, None, false));
    assert_eq!(decision.error.unwrap(), Cause::NotConnected.what());
}

#[test]
fn a_429_pauses_for_as_long_as_kommo_says() {
    for hint in [Some(Duration::from_secs(300)), None] {
        let problem = ApiProblem::default();
        let outcome = AttemptOutcome::Called(CallOutcome::TooManyRequests { retry_after: hint, problem });
        assert_eq!(Case::default().decide(&outcome).pause.unwrap().hint, hint);
    }
}

#[test]
fn temporary_failures_are_retried_with_backoff() {
    for outcome in [
        status(408),
        status(425),
        status(500),
        status(502),
        status(503),
        status(504),
        status(301),
        status(307),
        lost(),
        not_sent(),
    ] {
        for (failures, delay) in [(0, 500), (1, 1_000), (6, 32_000), (7, 60_000), (50, 60_000)] {
            let since = NOW - Duration::from_secs(60);
            let delivery = Delivery {
                failures,
                failing_since: (failures > 0).then_some(since),
                answer_lost: false,
                refused_at: None,
            };
            let decision = Case { delivery, ..Case::default() }.decide(&outcome);
            let AfterDelivery::Retry { due_at, delivery } = decision.next else { panic!("{outcome:?}") };
            assert_eq!(due_at, NOW + Duration::from_millis(delay), "{outcome:?}");
            assert_eq!(
                (delivery.failures, delivery.failing_since),
                (failures + 1, Some(if failures > 0 { since } else { NOW }))
            );
        }
    }
}

#[test]
fn only_a_continue_that_may_have_arrived_counts_as_a_lost_response() {
    let lost_after = |outcome: &AttemptOutcome| match Case::default().decide(outcome).next {
        AfterDelivery::Retry { delivery, .. } => delivery.answer_lost,
        other => panic!("{other:?}"),
    };
    for (outcome, expected) in [
        (lost(), true),
        (status(502), true),
        (status(504), true),
        (not_sent(), false),
        (status(500), false),
        (status(302), false),
    ] {
        assert_eq!(lost_after(&outcome), expected, "{outcome:?}");
    }
    let remembered = Case { delivery: answer_was_lost(), ..Case::default() }.decide(&not_sent());
    assert!(matches!(remembered.next, AfterDelivery::Retry { delivery, .. } if delivery.answer_lost));
}

#[test]
fn a_delivery_is_given_up_after_its_time_budget() {
    let delivery =
        Delivery { failures: 60, failing_since: Some(NOW - HOUR), answer_lost: false, refused_at: None };
    let decision = Case { delivery, ..Case::default() }.decide(&status(500));
    assert_eq!(decision.next, AfterDelivery::Dead { answer_lost: false });
    let before = Case::default().decide(&status(500));
    assert!(matches!(before.next, AfterDelivery::Retry { .. }));
    assert_eq!(decision.error, before.error, "the last failure belongs to the group of the others");
    let lost = Case { delivery, ..Case::default() }.decide(&lost());
    assert_eq!(
        lost.next,
        AfterDelivery::Dead { answer_lost: true },
        "a later 404 would mean that this continue had arrived"
    );
    let almost = Delivery { failing_since: Some(NOW - HOUR + Duration::from_millis(1)), ..delivery };
    assert!(matches!(
        Case { delivery: almost, ..Case::default() }.decide(&status(500)).next,
        AfterDelivery::Retry { .. }
    ));
}
