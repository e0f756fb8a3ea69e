//! Each reason, as a table.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{
    AccountId, AccountWait, AttemptResult, CheckedCompletion, FallbackReason, Job, JobId, Outcome,
    PreparedCompletion, QueueWait, Stage, State, WaitCause, WidgetRequest,
};

mod finished;
mod live;

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn job(state: State, last_error: Option<&str>) -> Job {
    Job {
        id: JobId::new(at(0), 1),
        handler: "echo".parse().unwrap(),
        request: WidgetRequest {
            account_id: AccountId(1),
            entity: None,
            return_url: "https://a.kommo.com/api/v4/salesbot/1/continue/1".parse().unwrap(),
            data: json!({}),
            earlier: Vec::new(),
        },
        received_at: at(0),
        answer_by: at(50),
        handler_attempts: 2,
        delivery_attempts: 0,
        last_error: last_error.map(str::to_owned),
        handler_completion: None,
        error_group: None,
        joined_into: None,
        state,
    }
}

fn prepared() -> PreparedCompletion {
    PreparedCompletion { completion: CheckedCompletion::from_json("{}").unwrap(), outcome: Outcome::Handler }
}

fn delivering(due: i64, lease: Option<i64>) -> State {
    State::Delivering { prepared: prepared(), due_at: at(due), lease_until: lease.map(at) }
}

fn wait(cause: WaitCause, until: Option<i64>) -> AccountWait {
    let (why, advice) = (format!("said {cause}"), "do that".to_owned());
    AccountWait { cause, why, advice, since: at(3), until: until.map(at) }
}

#[test]
fn each_reason_to_wait_comes_with_advice() {
    let now = ExplainContext { is_served: Some(true), ..ExplainContext::at(at(10)) };
    let unauthorized = wait(WaitCause::Unauthorized, Some(40));
    let (ended, blocked) = (wait(WaitCause::TooMany, Some(9)), wait(WaitCause::Blocked, None));
    let refused = ExplainContext { account: Some(&unauthorized), ..now };
    let due = State::Queued(QueueWait::Until(at(9)));
    let retry = State::Queued(QueueWait::Until(at(12)));
    let running = State::Running { lease_until: at(99) };
    for (state, error, context, cause, why, advice, until) in [
        (due.clone(), None, now, "worker", "free worker", "workers.concurrency", None),
        (
            due.clone(),
            None,
            ExplainContext { has_handler: false, ..now },
            "no_handler",
            "`echo`",
            "handlers.echo",
            Some(50),
        ),
        (
            State::Queued(QueueWait::Turn),
            None,
            now,
            "conversation",
            "not answered yet",
            "holds up the earlier job",
            Some(50),
        ),
        (State::Queued(QueueWait::Messages(at(11))), None, now, "messages", "further", "no action", Some(11)),
        (State::Queued(QueueWait::Messages(at(9))), None, now, "worker", "free", "concurrency", None),
        (
            retry,
            Some("no route"),
            now,
            "handler_retry",
            "attempt 2 of its handler failed (no route)",
            "fallback",
            Some(12),
        ),
        (running, None, now, "handler", "handler runs", "fallback", Some(50)),
        (delivering(9, Some(70)), None, refused, "response", "in flight", "no action", None),
        (delivering(9, None), None, now, "turn", "its turn", "delivery.concurrency", None),
        (delivering(30, None), Some("503"), now, "delivery_retry", "(503)", "give_up_after", Some(30)),
        (
            delivering(30, None),
            Some(WaitCause::NotConnected.what()),
            now,
            "delivery_retry",
            "is connected",
            "accounts authorize",
            Some(30),
        ),
        (delivering(9, None), None, refused, "unauthorized", "said unauthorized", "do that", Some(40)),
        (
            delivering(90, None),
            None,
            refused,
            "unauthorized",
            "deliveries to a.kommo.com wait",
            "do that",
            Some(90),
        ),
        (
            delivering(9, None),
            None,
            ExplainContext { account: Some(&ended), ..now },
            "too_many",
            "said",
            "do that",
            None,
        ),
        (
            delivering(9, None),
            None,
            ExplainContext { all_accounts: Some(&blocked), ..now },
            "all_accounts",
            "all accounts wait: said",
            "do that",
            None,
        ),
        (
            delivering(9, None),
            None,
            ExplainContext { all_accounts: Some(&blocked), ..refused },
            "unauthorized",
            "said",
            "do that",
            Some(40),
        ),
        (
            due,
            None,
            ExplainContext { is_served: Some(false), ..refused },
            "bridge",
            "no bridge serves",
            "serve",
            None,
        ),
        (
            delivering(9, None),
            None,
            ExplainContext { is_served: Some(false), ..refused },
            "bridge",
            "said unauthorized",
            "serve",
            None,
        ),
        (
            delivering(9, None),
            None,
            ExplainContext { is_served: None, ..now },
            "turn",
            "its turn",
            "no action",
            None,
        ),
    ] {
        let explained = explain(&JobRecord::Whole(job(state.clone(), error)), &[], &context);
        let found = explained.waits_for().unwrap();
        assert_eq!(explained.summary, format!("{}: {why}", state.name(), why = found.why));
        assert_eq!((found.cause.as_str(), found.until), (cause, until.map(at)), "{state:?} {context:?}");
        assert!(found.why.contains(why) && found.advice.contains(advice), "{found:?}");
    }
}

#[test]
fn a_finished_job_waits_for_nothing() {
    let blocked = wait(WaitCause::Blocked, None);
    let context = ExplainContext {
        is_served: Some(false),
        has_handler: false,
        account: Some(&blocked),
        all_accounts: Some(&blocked),
        ..ExplainContext::at(at(10))
    };
    let (prepared, finished_at) = (prepared(), at(9));
    for state in [
        State::Delivered { prepared: prepared.clone(), finished_at },
        State::Gone { prepared: prepared.clone(), finished_at },
        State::Dead { prepared: prepared.clone(), finished_at },
        State::Cancelled { prepared: Some(prepared), finished_at },
    ] {
        let explained = explain(&JobRecord::Whole(job(state.clone(), Some("500"))), &[], &context);
        assert_eq!((explained.waits_for(), explained.next), (None, None), "{state:?}");
        assert!(!explained.because.is_empty(), "{state:?}");
    }
}

#[test]
fn each_code_has_one_name() {
    let mut names: Vec<&str> = Code::all().map(Code::as_str).collect();
    for code in Code::all() {
        let written = serde_json::to_value(code).unwrap();
        assert_eq!(serde_json::from_value::<Code>(written).unwrap(), code);
    }
    assert!(serde_json::from_value::<Code>(json!("hunger")).is_err());
    assert_eq!(serde_json::to_value(Code::Account(WaitCause::TooMany)).unwrap(), "too_many");
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!((names.len(), all), (33, 33));
}

#[test]
fn a_program_reads_the_summary_the_reasons_the_next_step_and_the_commands() {
    let job = job(State::Queued(QueueWait::Until(at(9))), None);
    let context = ExplainContext { is_served: Some(true), ..ExplainContext::at(at(10)) };
    let explained = explain(&JobRecord::Whole(job.clone()), &[], &context);
    let value = serde_json::to_value(&explained).unwrap();
    assert_eq!(value["summary"], "queued: it waits for a free worker");
    let reason =
        json!({ "code": "worker", "text": "it waits for a free worker", "since": at(9), "until": null });
    assert_eq!(value["because"], json!([reason]));
    assert_eq!(value["next"]["at"], json!(at(50)));
    let commands: Vec<&str> =
        explained.you_can.iter().filter_map(|suggestion| suggestion.command.as_deref()).collect();
    let id = job.id;
    assert_eq!(
        commands,
        [
            format!("salesbot-bridge jobs complete {id} --data '{{\"reply\":\"…\"}}'"),
            format!("salesbot-bridge jobs cancel {id}")
        ]
    );
    assert!(value.get("is_finished").is_none() && value["because"][0].get("advice").is_none());
}
