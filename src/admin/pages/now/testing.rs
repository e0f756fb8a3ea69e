//! Values for tests.

use std::time::Duration;

use model::{AccountId, Entity, EntityKind, JobId, JobSummary, StateName, Timestamp};
use store::UnfinishedJob;
use store::outside::{FileSizes, Sizes};

use super::facts::{
    Accounts, Counts, Errors, Facts, Numbers, Setup, StoreFacts, Trouble, Waiting, WaitingJob,
};
use crate::health::Phase;
use crate::history::MergedPeriod;

/// A quiet bridge that has answered 197 of 200 bots with their handler's answer in the last hour.
pub(super) fn facts() -> Facts {
    let hour = MergedPeriod::of(200, 197, 3);
    let numbers =
        Numbers { minutes: Vec::new(), fives: Vec::new(), five_minutes: hour, hour, day: hour, ever: 200 };
    let fifty = Duration::from_secs(50);
    Facts {
        now: Timestamp::from_millis(1_795_789_928_000),
        phase: Phase::Ready,
        refuses_because: Vec::new(),
        refused: Vec::new(),
        counts: Ok(Counts(StateName::ALL.into_iter().map(|state| (state, 0)).collect())),
        waiting: Ok(Waiting { jobs: Vec::new(), is_exact: true }),
        everybody: None,
        accounts: Ok(Accounts { all: Some(1), ..Accounts::default() }),
        errors: Ok(Errors::default()),
        store: Ok(StoreFacts {
            sizes: Sizes::File(FileSizes {
                path: "/data/bridge.db".into(),
                file_bytes: 1 << 30,
                log_bytes: 0,
                free_bytes: None,
                readers: [].into(),
            }),
            retention: Duration::from_secs(86_400),
            backup: None,
        }),
        numbers,
        setup: Setup {
            public_url: Some("https://bots.example.com".into()),
            handlers: vec!["greet".parse().unwrap()],
            answer_within: Some((fifty, fifty)),
            give_up_after: Duration::from_secs(3_600),
            misdirected: Vec::new(),
            unreachable: Vec::new(),
        },
    }
}

/// A job of `a.kommo.com` that has waited for `ms` and has 50 s to be answered.
pub(super) fn job(facts: &Facts, ms: u64, state: StateName) -> WaitingJob {
    let since = facts.now - Duration::from_millis(ms);
    let job = JobSummary {
        id: JobId::new(since, 1),
        state,
        handler: "greet".parse().unwrap(),
        account_id: AccountId(1),
        entity: Some(Entity { kind: EntityKind::Lead, id: 7 }),
        return_url: "https://a.kommo.com/api/v4/salesbot/1/continue/2".parse().unwrap(),
        outcome: None,
        received_at: since,
        due_at: None,
        finished_at: None,
        handler_attempts: 0,
        delivery_attempts: 0,
        last_error: None,
        error_group: None,
        joined_into: None,
        bodies_dropped: false,
    };
    let answer_by = since + Duration::from_secs(50);
    WaitingJob { job: UnfinishedJob { job, since, answer_by }, reason: None }
}

/// An account that is paused for 42 s.
pub(super) fn trouble(host: &str, waiting: u64) -> Trouble {
    Trouble {
        name: host.to_owned(),
        host: Some(host.to_owned()),
        integration: None,
        needs_authorization: false,
        why: "Kommo answered 429".into(),
        until: Some(facts().now + Duration::from_secs(42)),
        waiting: Some(waiting),
        authorize: None,
    }
}
