//! Decisions after a 401, 402 or 403 that is about a job or about its account.

use super::*;

fn refusals() -> [AttemptOutcome; 4] {
    [status(401), status(402), status(403), web_page(403)]
}

fn refused(failing_since: Option<Timestamp>, refused_at: Timestamp) -> Delivery {
    let failures = u32::from(failing_since.is_some());
    Delivery { failures, failing_since, answer_lost: false, refused_at: Some(refused_at) }
}

#[test]
fn a_job_that_is_refused_alone_waits_alone_and_is_charged_until_it_gives_up() {
    let account = AccountEvidence { taken_at: Some(NOW), refuses_others: false };
    let before = NOW - Duration::from_secs(1);
    for outcome in refusals() {
        let first = Case { delivery: refused(None, before), account, ..Case::default() }.decide(&outcome);
        assert_eq!((first.pause, first.result), (None, Some(AttemptResult::Retry)), "{outcome:?}");
        let AfterDelivery::Retry { due_at, delivery } = first.next else { panic!("{outcome:?}") };
        assert_eq!(due_at, NOW + Duration::from_millis(500), "{outcome:?}");
        assert_eq!(delivery, refused(Some(NOW), NOW), "{outcome:?}");
        assert!(
            delivery.is_refused_alone() && first.error.unwrap().contains("takes other jobs"),
            "{outcome:?}"
        );

        // From then on it is known to be refused alone, even to a new process without evidence.
        let (since, no_evidence) = (NOW - HOUR, AccountEvidence::default());
        let almost = refused(Some(since + Duration::from_millis(1)), before);
        let again = Case { delivery: almost, account: no_evidence, ..Case::default() }.decide(&outcome);
        assert!(matches!(again.next, AfterDelivery::Retry { .. }) && again.pause.is_none(), "{outcome:?}");
        let last = Case { delivery: refused(Some(since), before), account: no_evidence, ..Case::default() };
        let last = last.decide(&outcome);
        assert_eq!(
            (last.next, last.pause),
            (AfterDelivery::Dead { answer_lost: false }, None),
            "{outcome:?}"
        );
    }
}

#[test]
fn an_outage_of_the_account_charges_no_job_and_remembers_refused_ones() {
    let account = AccountEvidence { taken_at: Some(NOW), refuses_others: true };
    let before = NOW - Duration::from_secs(1);
    for outcome in refusals() {
        let good = Case { delivery: refused(None, before), account, ..Case::default() }.decide(&outcome);
        assert!(good.pause.is_some() && good.result.is_none(), "{outcome:?}");
        let AfterDelivery::Wait { delivery, .. } = good.next else { panic!("{outcome:?}") };
        assert_eq!(delivery, refused(None, NOW), "{outcome:?}");

        let bad =
            Case { delivery: refused(Some(NOW - HOUR), before), account, ..Case::default() }.decide(&outcome);
        assert_eq!((bad.pause, bad.result), (None, None), "{outcome:?}");
        let AfterDelivery::Retry { due_at, delivery } = bad.next else { panic!("{outcome:?}") };
        assert_eq!(
            (due_at, delivery),
            (NOW + LONE_RETRY_DELAY, refused(Some(NOW - HOUR), NOW)),
            "{outcome:?}"
        );
    }
    // Its time budget does not start again either when its account waits for another reason.
    let delivery = refused(Some(NOW - HOUR), before);
    for outcome in [status(429), AttemptOutcome::NoBearer(NoBearer::Unknown)] {
        let AfterDelivery::Wait { delivery: then, .. } =
            (Case { delivery, ..Case::default() }).decide(&outcome).next
        else {
            panic!("{outcome:?}")
        };
        assert_eq!(then, delivery, "{outcome:?}");
    }
}

#[test]
fn a_replaced_completion_starts_without_a_refusal() {
    let delivery = refused(Some(NOW), NOW);
    let case = Case { prepared: with_handlers(), delivery, ..Case::default() };
    let AfterDelivery::Replace { delivery, .. } = case.decide(&status(422)).next else { panic!() };
    assert_eq!(delivery, Delivery::default());
}

#[test]
fn only_a_wait_becomes_a_retry_of_the_job_alone() {
    let decision = Case::default().decide(&status(403));
    let AfterDelivery::Wait { delivery, .. } = decision.next else { panic!() };
    let due_at = NOW + HOUR;
    assert_eq!(decision.until(due_at).next, AfterDelivery::Retry { due_at, delivery });
    let delivered = Case::default().decide(&status(202)).until(due_at);
    assert_eq!(delivered.next, AfterDelivery::Delivered);
}
