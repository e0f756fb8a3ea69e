//! How a circuit breaker opens, half-opens and closes.

use super::*;
use model::{JobId, Timestamp};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Trips the breaker with a call that is not a job, and returns the end of the pause.
fn begin(
    breaker: &mut Breaker,
    epoch: u64,
    cause: Cause,
    hint: Option<Duration>,
    now: Duration,
) -> Option<Duration> {
    breaker.trip(epoch, Pause { cause, hint, source: Source::Call }, now).map(|begun| begun.until)
}

fn job(number: u128) -> Source {
    Source::Job(JobId::new(Timestamp::from_millis(0), number))
}

#[test]
fn pause_ends_with_one_probe() {
    let mut breaker = Breaker::default();
    assert_eq!(breaker.state(secs(0)), BreakerState::Closed);
    assert_eq!(begin(&mut breaker, 0, Cause::TooMany, Some(secs(5)), secs(0)), Some(secs(5)));
    assert_eq!(breaker.state(secs(4)), BreakerState::Open(Some(secs(5))));
    assert_eq!(breaker.state(secs(5)), BreakerState::HalfOpen);
    breaker.call_reserved();
    assert_eq!(breaker.state(secs(6)), BreakerState::Open(None));
    assert!(breaker.succeeded(breaker.epoch(), true));
    assert_eq!(breaker.state(secs(6)), BreakerState::Closed);
    assert!(!breaker.succeeded(breaker.epoch(), true));
}

#[test]
fn failed_probe_lengthens_the_pause() {
    let mut breaker = Breaker::default();
    let refused = |number| Pause { cause: Cause::Unauthorized, hint: None, source: job(number) };
    assert_eq!(breaker.trip(0, refused(1), secs(0)).unwrap().until, secs(30));
    breaker.call_reserved();
    assert_eq!(breaker.trip(1, refused(2), secs(30)), Some(Opened { until: secs(90), alone_until: None }));
    breaker.call_reserved();
    breaker.inconclusive(2);
    assert_eq!(breaker.state(secs(90)), BreakerState::HalfOpen);
}

#[test]
fn responses_from_an_earlier_epoch_change_nothing() {
    let mut breaker = Breaker::default();
    begin(&mut breaker, 0, Cause::TooMany, Some(secs(10)), secs(0));
    assert_eq!(begin(&mut breaker, 0, Cause::TooMany, Some(secs(99)), secs(1)), None);
    assert!(!breaker.succeeded(0, true));
    assert_eq!(breaker.state(secs(9)), BreakerState::Open(Some(secs(10))));
}

#[test]
fn caller_that_found_no_token_just_before_a_new_one_trips_nothing() {
    let mut breaker = Breaker::default();
    let asked = breaker.epoch();
    assert!(!breaker.close_with_new_token(), "there is no pause yet");
    assert_eq!(begin(&mut breaker, asked, Cause::NotConnected, None, secs(0)), None);
    assert_eq!(breaker.state(secs(0)), BreakerState::Closed);
}

#[test]
fn pause_that_a_new_token_does_not_end_still_ends_with_its_probe() {
    let mut breaker = Breaker::default();
    begin(&mut breaker, 0, Cause::TooMany, None, secs(0));
    breaker.call_reserved();
    let probe = breaker.epoch();
    assert!(!breaker.close_with_new_token() && !breaker.close_after_renewal());
    assert!(breaker.succeeded(probe, true));
}

#[test]
fn renewal_ends_only_pauses_that_began_without_a_call() {
    for (cause, ends) in [
        (Cause::NotRenewed, true),
        (Cause::NotConnected, true),
        (Cause::Unauthorized, false),
        (Cause::Forbidden, false),
        (Cause::TooMany, false),
    ] {
        let mut breaker = Breaker::default();
        begin(&mut breaker, 0, cause, None, secs(0));
        assert_eq!(breaker.close_after_renewal(), ends, "{cause:?}");
    }
}

#[test]
fn hint_of_zero_still_starts_a_pause() {
    let mut breaker = Breaker::default();
    let zero = Some(Duration::ZERO);
    assert_eq!(begin(&mut breaker, 0, Cause::TooMany, zero, secs(0)), Some(secs(1)));
    assert_eq!(begin(&mut breaker, 1, Cause::TooMany, zero, secs(1)), Some(secs(3)));
}

#[test]
fn hint_of_days_is_limited_to_an_hour() {
    assert_eq!(
        begin(&mut Breaker::default(), 0, Cause::TooMany, Some(secs(999_999)), secs(0)),
        Some(secs(3_600))
    );
}

#[test]
fn only_the_refused_job_waits_and_longer_each_time() {
    let mut breaker = Breaker::default();
    let refused = |number| Pause { cause: Cause::Forbidden, hint: None, source: job(number) };
    assert_eq!(breaker.trip(0, refused(1), secs(0)), Some(Opened { until: secs(60), alone_until: None }));
    assert!(!breaker.refuses_others(1, job(1)) && breaker.refuses_others(1, job(2)));
    for (epoch, length) in [(1, 120), (2, 240), (3, 480)] {
        breaker.call_reserved();
        let begun = breaker.trip(epoch, refused(1), secs(100)).unwrap();
        assert_eq!(begun, Opened { until: secs(100), alone_until: Some(secs(100 + length)) });
        assert_eq!(breaker.state(secs(100)), BreakerState::HalfOpen, "another job may be the probe");
    }
    // The refusal of another job pauses the account.
    assert_eq!(breaker.trip(4, refused(2), secs(100)).unwrap().until, secs(100 + 120));
    assert!(breaker.refuses_others(5, job(1)) && breaker.refuses_others(5, job(2)));
    assert!(breaker.refuses_others(4, job(1)), "a refusal from an earlier epoch says nothing about its job");
}

#[test]
fn call_of_a_handler_does_not_end_a_pause_that_a_continue_started() {
    for (cause, ends) in [(Cause::Forbidden, false), (Cause::Blocked, false), (Cause::TooMany, true)] {
        let mut breaker = Breaker::default();
        breaker.trip(0, Pause { cause, hint: None, source: job(1) }, secs(0));
        breaker.call_reserved();
        assert_eq!(breaker.succeeded(1, false), ends, "{cause:?}");
        assert_eq!(breaker.succeeded(1, true), !ends, "{cause:?}");
    }
}

#[test]
fn call_reserved_before_a_pause_does_not_start_in_it() {
    let mut breaker = Breaker::default();
    let mut reserved = breaker.epoch();
    assert!(breaker.admits(&mut reserved));
    begin(&mut breaker, 0, Cause::TooMany, None, secs(0));
    assert!(!breaker.admits(&mut reserved));
    let mut probe = breaker.epoch();
    assert!(breaker.admits(&mut probe));
    assert!(breaker.succeeded(probe, true));
    assert!(breaker.admits(&mut reserved), "the pause is over");
    // The call moved to the current epoch, so its 429 counts.
    assert!(begin(&mut breaker, reserved, Cause::TooMany, None, secs(9)).is_some());
}

#[test]
fn late_429_counts_after_its_pause_and_late_refusal_does_not() {
    let mut breaker = Breaker::default();
    begin(&mut breaker, 0, Cause::TooMany, None, secs(0));
    assert!(breaker.succeeded(1, true));
    assert_eq!(begin(&mut breaker, 0, Cause::Forbidden, None, secs(2)), None);
    assert_eq!(begin(&mut breaker, 0, Cause::TooMany, None, secs(2)), Some(secs(3)));
}
