//! The line of each state, as tables.

use std::time::Duration;

use model::{AccountId, FallbackReason, JobId, WaitCause};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_060_000);

fn job(state: StateName) -> JobSummary {
    let received_at = Timestamp::from_millis(1_700_000_000_000);
    JobSummary {
        id: JobId::new(received_at, 1),
        state,
        handler: "echo".parse().unwrap(),
        account_id: AccountId(1),
        entity: None,
        return_url: "https://northwind.kommo.com/api/v4/salesbot/1/continue/1".parse().unwrap(),
        outcome: None,
        received_at,
        due_at: None,
        finished_at: None,
        handler_attempts: 0,
        delivery_attempts: 0,
        last_error: None,
        error_group: None,
        joined_into: None,
        bodies_dropped: false,
    }
}

fn wait(until: Option<Timestamp>) -> AccountWait {
    AccountWait {
        cause: WaitCause::TooMany,
        why: "Kommo answered 429".into(),
        advice: String::new(),
        since: NOW,
        until,
    }
}

fn shown(job: &JobSummary, facts: Facts<'_>) -> String {
    let Line { tone, text, until, .. } = line(job, facts, NOW);
    let until =
        until.map(|(until, after)| format!("{} s{after}", until.since(NOW).as_secs())).unwrap_or_default();
    format!("{}|{text}{until}", tone.class())
}

#[test]
fn every_state_says_what_it_waits_for_or_how_it_ended() {
    let soon = Some(NOW + Duration::from_secs(42));
    let base = |state, due_at, attempts, error: Option<&str>| JobSummary {
        due_at,
        handler_attempts: attempts,
        last_error: error.map(str::to_owned),
        error_group: None,
        ..job(state)
    };
    let failed = Some("503:\n \u{1b}[31mno  luck");
    for (job, expected) in [
        (base(StateName::Queued, None, 0, None), "|the answer to an earlier message of its conversation"),
        (base(StateName::Queued, Some(NOW), 0, None), "|a free worker"),
        (base(StateName::Queued, soon, 0, None), "|further messages, for 42 s"),
        (base(StateName::Queued, soon, 2, failed), "warn|handler retry in 42 s: 503: [31mno luck"),
        (base(StateName::Running, None, 1, None), "|its handler, attempt 2"),
        (base(StateName::AwaitingCallback, None, 1, None), "|the callback of its handler"),
        (base(StateName::Delivering, Some(NOW), 1, None), "|its turn to be delivered"),
        (base(StateName::Delivering, soon, 1, failed), "warn|retry in 42 s: 503: [31mno luck"),
        (base(StateName::Delivered, None, 1, failed), "|"),
        (base(StateName::Gone, None, 1, None), "|Kommo: no one is waiting"),
        (base(StateName::Gone, None, 1, Some("404")), "|404"),
        (base(StateName::Dead, None, 1, failed), "|503: [31mno luck"),
        (base(StateName::Cancelled, None, 1, None), "|cancelled"),
    ] {
        assert_eq!(shown(&job, Facts { account: "northwind", ..Facts::default() }), expected, "{job:?}");
    }
    let fallback =
        JobSummary { outcome: Some(Outcome::Fallback(FallbackReason::Overdue)), ..job(StateName::Delivered) };
    assert_eq!(shown(&fallback, Facts::default()), "warn|fallback: no worker was free in time");
    let joined = JobSummary { joined_into: Some(fallback.id), ..job(StateName::Delivered) };
    assert_eq!(shown(&joined, Facts::default()), "|answered with a later message of its conversation");
}

#[test]
fn a_delivery_says_which_account_is_paused_and_until_when() {
    let (soon, later) = (NOW + Duration::from_secs(42), NOW + Duration::from_secs(90));
    let (ends, stays) = (wait(Some(soon)), wait(None));
    let pause = AccountPause { cause: WaitCause::TooMany, until: soon };
    let facts = Facts { account: "northwind", ..Facts::default() };
    for (facts, due_at, expected) in [
        (Facts { wait: Some(&ends), ..facts }, NOW, "warn|northwind resumes in 42 s: Kommo answered 429"),
        (Facts { wait: Some(&ends), ..facts }, later, "warn|northwind resumes in 90 s: Kommo answered 429"),
        (Facts { wait: Some(&stays), ..facts }, NOW, "warn|northwind is paused: Kommo answered 429"),
        (Facts { pause: Some(pause), ..facts }, NOW, "warn|northwind resumes in 42 s: Kommo answered 429"),
        (
            Facts { all_wait: Some(&ends), ..facts },
            NOW,
            "warn|all accounts resume in 42 s: Kommo answered 429",
        ),
    ] {
        let delivering = JobSummary { due_at: Some(due_at), ..job(StateName::Delivering) };
        assert_eq!(shown(&delivering, facts), expected);
    }
    let unreachable = Facts { unreachable_until: Some(soon), ..facts };
    let queued = JobSummary { due_at: Some(NOW), ..job(StateName::Queued) };
    assert_eq!(shown(&queued, unreachable), "warn|its handler, which cannot be reached");
}

#[test]
fn a_long_error_is_cut() {
    let shown = clean(&"é".repeat(MAX_BYTES));
    assert_eq!((shown.chars().count(), shown.ends_with('…')), (MAX_BYTES / 2 + 1, true));
    assert_eq!(clean(" a\u{202e}b\r\n"), "a\u{202e}b");
}
