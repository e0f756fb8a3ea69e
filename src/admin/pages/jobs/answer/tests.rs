//! The sentence above lists, and the reason below it, as tables.

use std::sync::LazyLock;

use model::{AccountId, JobId, Timestamp};

use super::*;

fn job(state: StateName, account: &str) -> JobSummary {
    let received_at = Timestamp::from_millis(1_700_000_000_000);
    JobSummary {
        id: JobId::new(received_at, 1),
        state,
        handler: "echo".parse().unwrap(),
        account_id: AccountId(1),
        entity: None,
        return_url: format!("https://{account}.kommo.com/api/v4/salesbot/1/continue/1").parse().unwrap(),
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

fn found<'a>(q: &'a str, jobs: &'a [JobSummary]) -> Found<'a> {
    static NAMES: LazyLock<AccountNames> = LazyLock::new(AccountNames::default);
    Found { q, jobs, is_later: false, has_more: false, has_stopped: false, counts: None, names: &NAMES }
}

#[test]
fn the_sentence_says_what_the_jobs_are() {
    let jobs = vec![job(StateName::Dead, "a"); 28];
    for (q, number, expected) in [
        ("since:3h -state:delivered", 28, "28 jobs were not delivered in the last 3 hours"),
        ("since:1d -state:delivered", 1, "1 job was not delivered in the last day"),
        ("-state:delivered since:24h", 0, "No undelivered job in the last 24 hours"),
        ("state:dead", 2, "2 jobs are dead"),
        ("state:delivering", 2, "2 jobs are being delivered"),
        ("state:awaiting_callback", 1, "1 job awaits a callback"),
        ("-state:awaiting_callback", 2, "2 jobs match"),
        ("state:dead,gone", 2, "2 jobs match"),
        ("is:late", 1, "1 job is late"),
        ("outcome:fallback since:24h", 2, "2 jobs got the fallback in the last 24 hours"),
        ("since:90s", 2, "2 jobs arrived in the last 90 seconds"),
        ("since:2026-11-27", 2, "2 jobs match"),
        ("since:1h since:2h", 2, "2 jobs match"),
        ("lead:7", 3, "3 jobs are about lead 7"),
        ("lead:7 state:dead", 3, "3 jobs match"),
        ("<script>", 1, "1 job matches"),
        ("handler:x", 0, "No job matches"),
        ("-state:dead", 0, "No job matches"),
        ("", 2, "2 jobs are stored"),
        ("", 0, "No job yet"),
    ] {
        assert_eq!(sentence(found(q, &jobs[..number])), expected, "{q}");
    }
}

#[test]
fn the_sentence_claims_no_more_than_is_known() {
    let jobs = vec![job(StateName::Dead, "a"); 2];
    let counts = BTreeMap::from([(StateName::Dead, 11), (StateName::Gone, 58), (StateName::Queued, 0)]);
    let some = found("handler:x", &jobs);
    let none = found("handler:x", &[]);
    for (found, expected) in [
        (Found { has_more: true, ..some }, "More than 2 jobs match"),
        (Found { has_more: true, has_stopped: true, ..some }, "At least 2 jobs match"),
        (Found { has_more: true, has_stopped: true, ..none }, "No job found so far"),
        (Found { is_later: true, ..some }, "2 older jobs match"),
        (Found { is_later: true, ..none }, "No older job matches"),
        (Found { counts: Some(&counts), ..some }, "2 jobs match"),
        (Found { q: "state:dead", counts: Some(&counts), ..some }, "11 jobs are dead"),
        (Found { q: "-state:dead", counts: Some(&counts), ..some }, "58 jobs are not dead"),
        (Found { q: "state:gone,dead", counts: Some(&counts), ..some }, "69 jobs match"),
        (Found { q: "", counts: Some(&counts), ..some }, "69 jobs are stored"),
        (Found { q: "", has_more: true, ..some }, "More than 2 jobs are stored"),
    ] {
        assert_eq!(sentence(found), expected, "{found:?}");
    }
}

#[test]
fn the_reason_says_what_became_of_the_jobs_and_whose_they_are() {
    let mut jobs = vec![job(StateName::Gone, "fabrikam"); 4];
    jobs.extend([job(StateName::Running, "a"), job(StateName::Queued, "b"), job(StateName::Cancelled, "c")]);
    let text = |found| why(found, "3 jobs are dead in the last hour").into_string();
    let all = found("since:1h", &jobs);
    assert_eq!(
        text(all),
        "2 are still under way, 4 are gone, 1 was cancelled. <strong>4 of them belong to fabrikam</strong>."
    );
    assert_eq!(
        text(Found { has_more: true, ..all }),
        "Of the 7 shown, 2 are still under way, 4 are gone, 1 was cancelled. <strong>4 of them belong to fabrikam</strong>."
    );
    assert_eq!(text(found("", &jobs[..4])), "All are gone. All of them belong to <strong>fabrikam</strong>.");
    let dead = vec![job(StateName::Dead, "a"); 2];
    assert_eq!(text(found("", &dead)), "All of them belong to <strong>a</strong>.");
    assert_eq!(text(found("", &jobs[..1])), "");
    assert_eq!(text(found("", &[])), "");
}
