//! What is done with an answer of Kommo, a row a test.

mod not_kommo;
mod refusal_props;

use super::*;
use model::{CheckedCompletion, Completion, Step};

const NOW: Timestamp = Timestamp::from_millis(10_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn job() -> JobId {
    JobId::new(NOW, 1)
}

fn alone(outcome: Outcome) -> Prepared {
    Prepared { completion: Completion::success().check().unwrap(), outcome }
}

fn with_handlers() -> Prepared {
    Prepared {
        completion: Completion::success().goto(Step::question(1)).check().unwrap(),
        outcome: Outcome::Handler,
    }
}

fn fallback() -> CheckedCompletion {
    CheckedCompletion::from_json(r#"{"data":{"status":"sorry"}}"#).unwrap()
}

struct Case {
    prepared: Prepared,
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
    fn judge(&self, got: &Got) -> Judgement {
        let policy = HandlerPolicy { fallback: fallback(), goto: self.goto, ..HandlerPolicy::default() };
        judge(
            got,
            Circumstances {
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

fn status(status: u16) -> Got {
    Got::Answer(Answer::Status { status, retry_after: None, problem: Some(Problem::default()) })
}

fn with_code(status: u16, code: &str) -> Got {
    let problem = Problem { codes: vec![code.into()], text: format!("{code} somewhere"), retry_after: None };
    Got::Answer(Answer::Status { status, retry_after: None, problem: Some(problem) })
}

fn lost() -> Got {
    Got::Answer(Answer::Lost { why: "reset".into(), timed_out: false })
}

fn not_sent() -> Got {
    Got::Answer(Answer::NotSent("refused".into()))
}

fn answer_was_lost() -> Delivery {
    Delivery { answer_lost: true, ..Delivery::default() }
}

#[test]
fn success_is_delivered() {
    for code in [200, 202, 204] {
        let judgement = Case::default().judge(&status(code));
        assert_eq!(
            (judgement.next, judgement.result),
            (AfterDelivery::Delivered, Some(AttemptResult::Ok)),
            "{code}"
        );
        assert!(judgement.account_is_fine);
    }
}

#[test]
fn not_found_is_gone_unless_an_answer_was_lost() {
    let judgement = Case::default().judge(&status(404));
    assert_eq!((judgement.next, judgement.result), (AfterDelivery::Gone, Some(AttemptResult::Gone)));
    let after_loss = Case { delivery: answer_was_lost(), ..Case::default() };
    assert_eq!(after_loss.judge(&status(404)).next, AfterDelivery::Delivered);
}

#[test]
fn a_superseded_job_is_gone_without_a_call_and_names_the_newer_one() {
    let newer = JobId::new(NOW, 2);
    let judgement = Case::default().judge(&Got::Superseded(newer));
    assert_eq!((judgement.next, judgement.result), (AfterDelivery::Gone, None));
    assert_eq!((judgement.pause, judgement.account_is_fine), (None, false));
    assert!(judgement.error.unwrap().contains(&newer.to_string()));
}

#[test]
fn what_a_stop_hands_back_keeps_what_it_had() {
    let delivery = Delivery { failures: 3, failing_since: Some(NOW), answer_lost: false, refused_at: None };
    let judgement = Case { delivery, ..Case::default() }.judge(&Got::Stopped);
    assert_eq!(judgement.next, AfterDelivery::Wait { delivery, keeps_place: true });
    assert_eq!((judgement.result, judgement.error, judgement.pause), (None, None, None));
}

#[test]
fn the_account_waits_and_no_attempt_is_burnt() {
    let failing =
        Delivery { failures: 3, failing_since: Some(NOW - HOUR), answer_lost: true, refused_at: None };
    let case = Case { delivery: failing, ..Case::default() };
    let html = Got::Answer(Answer::Status { status: 403, retry_after: None, problem: None });
    for (got, cause) in [
        (status(401), Cause::Unauthorized),
        (status(402), Cause::PaymentRequired),
        (status(403), Cause::Forbidden),
        (html, Cause::Blocked),
        (status(429), Cause::TooMany),
        (Got::NoBearer(NoBearer::Unknown), Cause::NotConnected),
        (Got::NoBearer(NoBearer::NeedsAuthorization { why: "x".into() }), Cause::NotConnected),
        (Got::NoBearer(NoBearer::NotRenewed { why: "x".into() }), Cause::NotRenewed),
        (Got::NoBearer(NoBearer::LongLived), Cause::Unauthorized),
    ] {
        let judgement = case.judge(&got);
        assert_eq!(judgement.pause, Some(Pause { cause, hint: None, source: Source::Job(job()) }), "{got:?}");
        assert_eq!(judgement.result, None, "{got:?}");
        // A lost answer is not forgotten; the time budget starts anew.
        let AfterDelivery::Wait { delivery, .. } = judgement.next else { panic!("{got:?}") };
        let refused_at = cause.may_be_of_one_job().then_some(NOW);
        assert_eq!(delivery, Delivery { refused_at, ..answer_was_lost() }, "{got:?}");
        assert!(judgement.error.unwrap().contains(cause.advice()));
    }
}

fn refusals() -> [Got; 4] {
    let html = Got::Answer(Answer::Status { status: 403, retry_after: None, problem: None });
    [status(401), status(402), status(403), html]
}

fn refused(failing_since: Option<Timestamp>, refused_at: Timestamp) -> Delivery {
    let failures = u32::from(failing_since.is_some());
    Delivery { failures, failing_since, answer_lost: false, refused_at: Some(refused_at) }
}

#[test]
fn a_job_that_is_refused_while_the_account_takes_others_waits_alone_and_is_charged_until_it_gives_up() {
    let account = AccountEvidence { taken_at: Some(NOW), refuses_others: false };
    let before = NOW - Duration::from_secs(1);
    for got in refusals() {
        let first = Case { delivery: refused(None, before), account, ..Case::default() }.judge(&got);
        assert_eq!((first.pause, first.result), (None, Some(AttemptResult::Retry)), "{got:?}");
        let AfterDelivery::Retry { due_at, delivery } = first.next else { panic!("{got:?}") };
        assert_eq!(due_at, NOW + Duration::from_millis(500), "{got:?}");
        assert_eq!(delivery, refused(Some(NOW), NOW), "{got:?}");
        assert!(delivery.is_refused_alone() && first.error.unwrap().contains("takes other jobs"), "{got:?}");

        // From then on it is known, also to a process that has seen no other job.
        let (since, standing) = (NOW - HOUR, AccountEvidence::default());
        let almost = refused(Some(since + Duration::from_millis(1)), before);
        let again = Case { delivery: almost, account: standing, ..Case::default() }.judge(&got);
        assert!(matches!(again.next, AfterDelivery::Retry { .. }) && again.pause.is_none(), "{got:?}");
        let last = Case { delivery: refused(Some(since), before), account: standing, ..Case::default() };
        let last = last.judge(&got);
        assert_eq!((last.next, last.pause), (AfterDelivery::Dead { answer_lost: false }, None), "{got:?}");
    }
}

#[test]
fn an_outage_of_the_account_charges_no_job_and_forgets_no_refused_one() {
    let account = AccountEvidence { taken_at: Some(NOW), refuses_others: true };
    let before = NOW - Duration::from_secs(1);
    for got in refusals() {
        let good = Case { delivery: refused(None, before), account, ..Case::default() }.judge(&got);
        assert!(good.pause.is_some() && good.result.is_none(), "{got:?}");
        let AfterDelivery::Wait { delivery, .. } = good.next else { panic!("{got:?}") };
        assert_eq!(delivery, refused(None, NOW), "{got:?}");

        let bad =
            Case { delivery: refused(Some(NOW - HOUR), before), account, ..Case::default() }.judge(&got);
        assert_eq!((bad.pause, bad.result), (None, None), "{got:?}");
        let AfterDelivery::Retry { due_at, delivery } = bad.next else { panic!("{got:?}") };
        assert_eq!((due_at, delivery), (NOW + ALONE, refused(Some(NOW - HOUR), NOW)), "{got:?}");
    }
    // Nor does its time begin again whenever its account has to wait for something else.
    let delivery = refused(Some(NOW - HOUR), before);
    for got in [status(429), Got::NoBearer(NoBearer::Unknown)] {
        let AfterDelivery::Wait { delivery: then, .. } =
            (Case { delivery, ..Case::default() }).judge(&got).next
        else {
            panic!("{got:?}")
        };
        assert_eq!(then, delivery, "{got:?}");
    }
}

#[test]
fn what_is_put_in_the_place_of_a_refused_completion_was_not_refused() {
    let delivery = refused(Some(NOW), NOW);
    let case = Case { prepared: with_handlers(), delivery, ..Case::default() };
    let AfterDelivery::Replace { delivery, .. } = case.judge(&status(422)).next else { panic!() };
    assert_eq!(delivery, Delivery::default());
}

#[test]
fn who_alone_is_refused_again_waits_alone() {
    let judgement = Case::default().judge(&status(403));
    let AfterDelivery::Wait { delivery, .. } = judgement.next else { panic!() };
    let due_at = NOW + HOUR;
    assert_eq!(judgement.until(due_at).next, AfterDelivery::Retry { due_at, delivery });
    let delivered = Case::default().judge(&status(202)).until(due_at);
    assert_eq!(delivered.next, AfterDelivery::Delivered);
}

#[test]
fn who_is_not_called_yet_keeps_what_it_had() {
    let failing = Delivery { failures: 3, failing_since: Some(NOW), answer_lost: true, refused_at: None };
    let judgement =
        Case { delivery: failing, ..Case::default() }.judge(&Got::NotItsTurn(Paused { left: None }));
    assert_eq!(judgement.next, AfterDelivery::Wait { delivery: failing, keeps_place: true });
    assert_eq!((judgement.result, judgement.pause, judgement.account_is_fine), (None, None, false));
}

#[test]
fn a_stranger_waits_by_itself() {
    let failing = Delivery { failures: 3, failing_since: Some(NOW), answer_lost: true, refused_at: None };
    let judgement = Case { delivery: failing, ..Case::default() }.judge(&Got::Stranger);
    let due_at = NOW + Duration::from_secs(60);
    assert_eq!(judgement.next, AfterDelivery::Retry { due_at, delivery: answer_was_lost() });
    assert_eq!((judgement.result, judgement.pause, judgement.account_is_fine), (None, None, false));
    assert!(judgement.error.unwrap().contains("accounts authorize"));
}

#[test]
fn too_many_requests_wait_as_long_as_kommo_says() {
    let secs = Duration::from_secs;
    let problem = |after: Option<Duration>| Some(Problem { retry_after: after, ..Problem::default() });
    for (header, body, hint) in [
        (Some(secs(3)), problem(Some(secs(300))), Some(secs(3))),
        (None, problem(Some(secs(300))), Some(secs(300))),
        (None, problem(None), None),
        (None, None, None),
    ] {
        let got = Got::Answer(Answer::Status { status: 429, retry_after: header, problem: body });
        assert_eq!(Case::default().judge(&got).pause.unwrap().hint, hint);
    }
}

#[test]
fn too_few_on_data_alone_is_sent_once_more_with_goto() {
    let case = Case { goto: Some(Step::question(1)), ..Case::default() };
    let AfterDelivery::Replace { prepared, .. } = case.judge(&with_code(400, "TooFew")).next else {
        panic!()
    };
    assert_eq!((prepared.completion.is_data_alone(), prepared.outcome), (false, Outcome::Handler));

    // Then it is not data alone any more, and the next refusal brings the fallback.
    let again = Case { prepared, goto: Some(Step::question(1)), ..Case::default() };
    let AfterDelivery::Replace { prepared, .. } = again.judge(&with_code(400, "TooFew")).next else {
        panic!()
    };
    assert_eq!(
        prepared,
        Prepared { completion: fallback(), outcome: Outcome::Fallback(FallbackReason::Refused) }
    );
}

#[test]
fn too_few_without_a_configured_goto_is_dead_and_says_what_to_set() {
    let judgement = Case::default().judge(&with_code(400, "TooFew"));
    assert_eq!(
        (judgement.next, judgement.result),
        (AfterDelivery::Dead { answer_lost: false }, Some(AttemptResult::Fail))
    );
    assert!(judgement.error.unwrap().contains("handlers.NAME.goto"));
}

#[test]
fn a_refused_completion_is_replaced_by_the_fallback_once() {
    for got in [with_code(400, "TooLong"), status(422), status(400)] {
        let case = Case { prepared: with_handlers(), ..Case::default() };
        let AfterDelivery::Replace { prepared, delivery } = case.judge(&got).next else { panic!("{got:?}") };
        assert_eq!(
            prepared,
            Prepared { completion: fallback(), outcome: Outcome::Fallback(FallbackReason::Refused) }
        );
        assert_eq!(delivery, Delivery::default());

        let last = Case { prepared: alone(Outcome::Fallback(FallbackReason::Refused)), ..Case::default() };
        assert_eq!(last.judge(&got).next, AfterDelivery::Dead { answer_lost: false }, "{got:?}");
    }
    let case = Case { prepared: alone(Outcome::Fallback(FallbackReason::Refused)), ..Case::default() };
    assert!(case.judge(&with_code(400, "TooLong")).error.unwrap().contains("TooLong somewhere"));
}

#[test]
fn what_may_pass_is_retried_with_backoff() {
    for got in [
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
            let judgement = Case { delivery, ..Case::default() }.judge(&got);
            let AfterDelivery::Retry { due_at, delivery } = judgement.next else { panic!("{got:?}") };
            assert_eq!(due_at, NOW + Duration::from_millis(delay), "{got:?}");
            assert_eq!(
                (delivery.failures, delivery.failing_since),
                (failures + 1, Some(if failures > 0 { since } else { NOW }))
            );
        }
    }
}

#[test]
fn only_what_may_have_arrived_counts_as_lost() {
    let lost_after = |got: &Got| match Case::default().judge(got).next {
        AfterDelivery::Retry { delivery, .. } => delivery.answer_lost,
        other => panic!("{other:?}"),
    };
    for (got, expected) in [
        (lost(), true),
        (status(502), true),
        (status(504), true),
        (not_sent(), false),
        (status(500), false),
        (status(302), false),
    ] {
        assert_eq!(lost_after(&got), expected, "{got:?}");
    }
    let remembered = Case { delivery: answer_was_lost(), ..Case::default() }.judge(&not_sent());
    assert!(matches!(remembered.next, AfterDelivery::Retry { delivery, .. } if delivery.answer_lost));
}

#[test]
fn it_gives_up_in_the_end() {
    let delivery =
        Delivery { failures: 60, failing_since: Some(NOW - HOUR), answer_lost: false, refused_at: None };
    let judgement = Case { delivery, ..Case::default() }.judge(&status(500));
    assert_eq!(judgement.next, AfterDelivery::Dead { answer_lost: false });
    let lost = Case { delivery, ..Case::default() }.judge(&lost());
    assert_eq!(lost.next, AfterDelivery::Dead { answer_lost: true }, "a later 404 means that it had arrived");
    assert!(judgement.error.unwrap().contains("delivery.give_up_after"));
    let almost = Delivery { failing_since: Some(NOW - HOUR + Duration::from_millis(1)), ..delivery };
    assert!(matches!(
        Case { delivery: almost, ..Case::default() }.judge(&status(500)).next,
        AfterDelivery::Retry { .. }
    ));
}
