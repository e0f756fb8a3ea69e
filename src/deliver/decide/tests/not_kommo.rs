//! Decisions after an early 404, and after responses that are not from Kommo's API.

use super::*;

#[test]
fn a_404_within_three_seconds_of_the_request_is_retried_and_charges_nothing() {
    let foreign = web_page(404);
    for (age, delay) in [(0, 500), (499, 500), (500, 1_000), (1_500, 2_000), (2_999, 2_000)] {
        for outcome in [status(404), foreign.clone()] {
            for delivery in [Delivery::default(), answer_was_lost()] {
                let waiting_since = NOW - Duration::from_millis(age);
                let decision = Case { waiting_since, delivery, ..Case::default() }.decide(&outcome);
                let due_at = NOW + Duration::from_millis(delay);
                assert_eq!(decision.next, AfterDelivery::Retry { due_at, delivery }, "{age} {outcome:?}");
                assert_eq!((decision.result, decision.pause), (None, None), "{age} {outcome:?}");
                // Only Kommo's own response shows that the account takes calls.
                assert_eq!(
                    decision.account_is_fine,
                    matches!(outcome, AttemptOutcome::Called(CallOutcome::NotFound { .. }))
                );
            }
        }
    }
}

#[test]
fn an_early_404_does_not_keep_a_job_from_giving_up() {
    let early = |since| {
        let delivery =
            Delivery { failures: 3, failing_since: Some(since), answer_lost: false, refused_at: None };
        Case { waiting_since: NOW, delivery, ..Case::default() }
    };
    let over = NOW + Duration::from_millis(500) - HOUR;
    assert_eq!(early(over).decide(&status(404)).next, AfterDelivery::Gone);
    let foreign = web_page(404);
    assert!(matches!(early(NOW - HOUR).decide(&foreign).next, AfterDelivery::Dead { .. }));
    let almost = early(over + Duration::from_millis(1)).decide(&status(404));
    // It does not count as a failure, or the end of an outage would send the continue again too early.
    let AfterDelivery::Retry { delivery, .. } = almost.next else { panic!("{almost:?}") };
    assert_eq!((delivery.failures, delivery.failing_since), (0, None));
}

#[test]
fn a_404_of_a_job_from_the_future_is_final() {
    let waiting_since = NOW + Duration::from_millis(1);
    let decision = Case { waiting_since, ..Case::default() }.decide(&status(404));
    assert_eq!(decision.next, AfterDelivery::Gone);
}

#[test]
fn a_response_that_is_not_kommos_is_retried_and_a_success_counts_as_a_lost_response() {
    for (status, lost) in [(404, false), (200, true), (206, true)] {
        let outcome = web_page(status);
        let decision = Case::default().decide(&outcome);
        assert_eq!((decision.result, decision.account_is_fine), (Some(AttemptResult::Retry), false));
        let AfterDelivery::Retry { due_at, delivery } = decision.next else { panic!("{status}") };
        assert_eq!(due_at, NOW + Duration::from_millis(500), "{status}");
        assert_eq!((delivery.failures, delivery.answer_lost), (1, lost), "{status}");
        let error = decision.error.unwrap();
        assert!(error.contains(&status.to_string()) && error.contains("not Kommo's API"), "{error}");
        // Even after a lost response, a 404 of another server does not mean that the continue had arrived.
        let delivery = Delivery { failures: 9, failing_since: Some(NOW - HOUR), ..answer_was_lost() };
        let last = Case { delivery, ..Case::default() }.decide(&outcome);
        assert_eq!(last.next, AfterDelivery::Dead { answer_lost: true }, "{status}");
    }
}
