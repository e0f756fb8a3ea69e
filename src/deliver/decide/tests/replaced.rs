//! Decisions after Kommo refused a completion: what is sent instead.

use super::*;

#[test]
fn too_few_for_data_alone_is_sent_again_with_a_goto() {
    let case = Case { goto: Some(Step::question(1)), ..Case::default() };
    let AfterDelivery::Replace { prepared, .. } = case.decide(&with_code(400, "TooFew")).next else {
        panic!()
    };
    assert_eq!((prepared.completion.is_data_alone(), prepared.outcome), (false, Outcome::Handler));

    // The second completion is no longer data alone, so the next refusal leads to the fallback.
    let again = Case { prepared, goto: Some(Step::question(1)), ..Case::default() };
    let AfterDelivery::Replace { prepared, .. } = again.decide(&with_code(400, "TooFew")).next else {
        panic!()
    };
    assert_eq!(
        prepared,
        PreparedCompletion { completion: fallback(), outcome: Outcome::Fallback(FallbackReason::Refused) }
    );
}

#[test]
fn too_few_without_a_configured_goto_is_dead_and_names_the_key() {
    let decision = Case::default().decide(&with_code(400, "TooFew"));
    assert_eq!(
        (decision.next, decision.result),
        (AfterDelivery::Dead { answer_lost: false }, Some(AttemptResult::Fail))
    );
    assert!(decision.error.unwrap().contains("handlers.NAME.goto"));
}

#[test]
fn a_refused_completion_is_replaced_by_the_fallback_once() {
    for outcome in [with_code(400, "TooLong"), status(422), status(400)] {
        let case = Case { prepared: with_handlers(), ..Case::default() };
        let AfterDelivery::Replace { prepared, delivery } = case.decide(&outcome).next else {
            panic!("{outcome:?}")
        };
        assert_eq!(
            prepared,
            PreparedCompletion {
                completion: fallback(),
                outcome: Outcome::Fallback(FallbackReason::Refused)
            }
        );
        assert_eq!(delivery, Delivery::default());

        let last = Case { prepared: alone(Outcome::Fallback(FallbackReason::Refused)), ..Case::default() };
        assert_eq!(last.decide(&outcome).next, AfterDelivery::Dead { answer_lost: false }, "{outcome:?}");
    }
    let case = Case { prepared: alone(Outcome::Fallback(FallbackReason::Refused)), ..Case::default() };
    assert!(case.decide(&with_code(400, "TooLong")).error.unwrap().contains("TooLong at somewhere"));
}
