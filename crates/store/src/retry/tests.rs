//! Which jobs an operator may retry, and which completion is sent, as tables.

use model::Timestamp;

use super::*;

fn id(number: u128) -> JobId {
    JobId::new(Timestamp::from_millis(0), number)
}

fn found(state: StateName) -> Found {
    Found {
        state,
        is_leased: false,
        tried: true,
        superseded_by: None,
        is_fallback: false,
        has_handler_completion: false,
        has_bodies: true,
    }
}

fn options(send: Resend, force: bool) -> RetryOptions {
    RetryOptions { send, force }
}

fn last() -> RetryOptions {
    RetryOptions::default()
}

#[test]
fn only_dead_gone_and_waiting_jobs_can_be_retried() {
    for state in StateName::ALL {
        let allowed = matches!(state, StateName::Dead | StateName::Gone | StateName::Delivering);
        assert_eq!(decide(id(1), &found(state), &last()).is_ok(), allowed, "{state}");
    }
    let leased = Found { is_leased: true, ..found(StateName::Delivering) };
    for force in [false, true] {
        let error = decide(id(1), &leased, &options(Resend::Last, force)).unwrap_err().to_string();
        assert!(error.contains("is delivering: its continue is on its way"), "{error}");
    }
}

#[test]
fn a_job_whose_texts_were_erased_is_not_retried() {
    for state in [StateName::Dead, StateName::Gone] {
        for force in [false, true] {
            let erased = Found { has_bodies: false, ..found(state) };
            let error = decide(id(1), &erased, &options(Resend::Last, force)).unwrap_err().to_string();
            assert!(error.contains("its texts were erased"), "{error}");
        }
    }
}

#[test]
fn a_repeated_continue_of_a_superseded_job_is_refused_unless_forced() {
    let newer = id(2);
    for (state, tried, force, allowed) in [
        (StateName::Dead, true, false, false),
        (StateName::Gone, true, false, false),
        (StateName::Dead, false, false, false),
        (StateName::Delivering, true, false, false),
        (StateName::Delivering, false, false, true),
        (StateName::Dead, true, true, true),
        (StateName::Gone, true, true, true),
        (StateName::Delivering, true, true, true),
    ] {
        let found = Found { tried, superseded_by: Some(newer), ..found(state) };
        let expected =
            if allowed { Ok(Swap::Keep) } else { Err(StoreError::Superseded { id: id(1), newer }) };
        assert_eq!(decide(id(1), &found, &options(Resend::Last, force)), expected, "{state} {tried} {force}");
    }
}

#[test]
fn a_retry_can_send_any_completion_that_the_job_has() {
    let fallback = || Resend::Fallback(CheckedCompletion::failed());
    for (is_fallback, has_handler_completion, send, expected) in [
        (false, false, Resend::Last, Ok(Swap::Keep)),
        (true, true, Resend::Last, Ok(Swap::Keep)),
        (false, false, Resend::Handler, Ok(Swap::Keep)),
        (true, true, Resend::Handler, Ok(Swap::Handler)),
        (true, false, Resend::Handler, Err(StoreError::NoHandlerCompletion(id(1)))),
        (false, false, fallback(), Ok(Swap::Fallback)),
        (true, true, fallback(), Ok(Swap::Fallback)),
        (true, false, fallback(), Ok(Swap::Fallback)),
    ] {
        let found = Found { is_fallback, has_handler_completion, ..found(StateName::Dead) };
        let options = options(send, false);
        assert_eq!(decide(id(1), &found, &options), expected, "{found:?} {options:?}");
    }
}
