//! How a circuit breaker opens, is probed and closes, as tables.

use super::*;
use model::{JobId, Timestamp};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A pause of an account, as a job that is not named is answered.
fn begin(
    pauses: &mut Pauses,
    era: u64,
    cause: Cause,
    hint: Option<Duration>,
    now: Duration,
) -> Option<Duration> {
    pauses.pause(era, Pause { cause, hint, source: Source::Call }, now).map(|begun| begun.until)
}

fn job(number: u128) -> Source {
    Source::Job(JobId::new(Timestamp::from_millis(0), number))
}

#[test]
fn a_pause_ends_with_one_probe() {
    let mut pauses = Pauses::default();
    assert_eq!(pauses.permission(secs(0)), Permission::Go);
    assert_eq!(begin(&mut pauses, 0, Cause::TooMany, Some(secs(5)), secs(0)), Some(secs(5)));
    assert_eq!(pauses.permission(secs(4)), Permission::Wait(Some(secs(5))));
    assert_eq!(pauses.permission(secs(5)), Permission::Probe);
    pauses.begin();
    assert_eq!(pauses.permission(secs(6)), Permission::Wait(None));
    assert!(pauses.fine(pauses.era(), true));
    assert_eq!(pauses.permission(secs(6)), Permission::Go);
    assert!(!pauses.fine(pauses.era(), true));
}

#[test]
fn a_probe_that_fails_makes_the_pause_longer() {
    let mut pauses = Pauses::default();
    let refused = |number| Pause { cause: Cause::Unauthorized, hint: None, source: job(number) };
    assert_eq!(pauses.pause(0, refused(1), secs(0)).unwrap().until, secs(30));
    pauses.begin();
    assert_eq!(pauses.pause(1, refused(2), secs(30)), Some(Begun { until: secs(90), alone_until: None }));
    pauses.begin();
    pauses.unknown(2);
    assert_eq!(pauses.permission(secs(90)), Permission::Probe);
}

#[test]
fn stragglers_of_an_earlier_era_change_nothing() {
    let mut pauses = Pauses::default();
    begin(&mut pauses, 0, Cause::TooMany, Some(secs(10)), secs(0));
    assert_eq!(begin(&mut pauses, 0, Cause::TooMany, Some(secs(99)), secs(1)), None);
    assert!(!pauses.fine(0, true));
    assert_eq!(pauses.permission(secs(9)), Permission::Wait(Some(secs(10))));
}

#[test]
fn who_found_no_token_just_before_there_was_one_begins_no_pause() {
    let mut pauses = Pauses::default();
    let asked = pauses.era();
    assert!(!pauses.lift(), "there is none yet");
    assert_eq!(begin(&mut pauses, asked, Cause::NotConnected, None, secs(0)), None);
    assert_eq!(pauses.permission(secs(0)), Permission::Go);
}

#[test]
fn a_pause_that_a_new_token_does_not_end_hears_the_answer_to_its_probe() {
    let mut pauses = Pauses::default();
    begin(&mut pauses, 0, Cause::TooMany, None, secs(0));
    pauses.begin();
    let probe = pauses.era();
    assert!(!pauses.lift() && !pauses.lift_unasked());
    assert!(pauses.fine(probe, true));
}

#[test]
fn a_renewal_ends_only_what_was_for_want_of_it() {
    for (cause, ends) in [
        (Cause::NotRenewed, true),
        (Cause::NotConnected, true),
        (Cause::Unauthorized, false),
        (Cause::Forbidden, false),
        (Cause::TooMany, false),
    ] {
        let mut pauses = Pauses::default();
        begin(&mut pauses, 0, cause, None, secs(0));
        assert_eq!(pauses.lift_unasked(), ends, "{cause:?}");
    }
}

#[test]
fn a_pause_of_no_time_is_a_pause_all_the_same() {
    let mut pauses = Pauses::default();
    let zero = Some(Duration::ZERO);
    assert_eq!(begin(&mut pauses, 0, Cause::TooMany, zero, secs(0)), Some(secs(1)));
    assert_eq!(begin(&mut pauses, 1, Cause::TooMany, zero, secs(1)), Some(secs(3)));
}

#[test]
fn a_pause_of_days_is_cut_to_an_hour() {
    assert_eq!(
        begin(&mut Pauses::default(), 0, Cause::TooMany, Some(secs(999_999)), secs(0)),
        Some(secs(3_600))
    );
}

#[test]
fn who_alone_is_refused_again_waits_longer_and_holds_up_no_other() {
    let mut pauses = Pauses::default();
    let refused = |number| Pause { cause: Cause::Forbidden, hint: None, source: job(number) };
    assert_eq!(pauses.pause(0, refused(1), secs(0)), Some(Begun { until: secs(60), alone_until: None }));
    assert!(!pauses.is_of_others(1, job(1)) && pauses.is_of_others(1, job(2)));
    for (era, length) in [(1, 120), (2, 240), (3, 480)] {
        pauses.begin();
        let begun = pauses.pause(era, refused(1), secs(100)).unwrap();
        assert_eq!(begun, Begun { until: secs(100), alone_until: Some(secs(100 + length)) });
        assert_eq!(pauses.permission(secs(100)), Permission::Probe, "another may find out");
    }
    // The next that is refused makes it the account's.
    assert_eq!(pauses.pause(4, refused(2), secs(100)).unwrap().until, secs(100 + 120));
    assert!(pauses.is_of_others(5, job(1)) && pauses.is_of_others(5, job(2)));
    assert!(pauses.is_of_others(4, job(1)), "an answer of an earlier era says nothing of its job");
}

#[test]
fn a_call_of_a_handler_does_not_end_a_pause_that_a_continue_began() {
    for (cause, ends) in [(Cause::Forbidden, false), (Cause::Blocked, false), (Cause::TooMany, true)] {
        let mut pauses = Pauses::default();
        pauses.pause(0, Pause { cause, hint: None, source: job(1) }, secs(0));
        pauses.begin();
        assert_eq!(pauses.fine(1, false), ends, "{cause:?}");
        assert_eq!(pauses.fine(1, true), !ends, "{cause:?}");
    }
}

#[test]
fn what_was_reserved_before_a_pause_does_not_start_in_it() {
    let mut pauses = Pauses::default();
    let mut reserved = pauses.era();
    assert!(pauses.admits(&mut reserved));
    begin(&mut pauses, 0, Cause::TooMany, None, secs(0));
    assert!(!pauses.admits(&mut reserved));
    let mut probe = pauses.era();
    assert!(pauses.admits(&mut probe));
    assert!(pauses.fine(probe, true));
    assert!(pauses.admits(&mut reserved), "the pause is over");
    // Its answer is one of today, so its 429 pauses.
    assert!(begin(&mut pauses, reserved, Cause::TooMany, None, secs(9)).is_some());
}

#[test]
fn a_late_429_counts_though_its_pause_is_over_and_a_late_refusal_does_not() {
    let mut pauses = Pauses::default();
    begin(&mut pauses, 0, Cause::TooMany, None, secs(0));
    assert!(pauses.fine(1, true));
    assert_eq!(begin(&mut pauses, 0, Cause::Forbidden, None, secs(2)), None);
    assert_eq!(begin(&mut pauses, 0, Cause::TooMany, None, secs(2)), Some(secs(3)));
}
