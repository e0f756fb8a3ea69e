//! What an unfinished job waits for, according to the API.

use super::*;
use model::{ALL_ACCOUNTS, AccountWait, Timestamp, WaitCause};

pub(super) fn unauthorized() -> AccountWait {
    AccountWait {
        cause: WaitCause::Unauthorized,
        why: "Kommo answered 401".into(),
        advice: "authorize it".into(),
        since: Timestamp::from_millis(1_700_000_000_000),
        until: None,
    }
}

#[tokio::test]
async fn an_unfinished_job_says_what_it_waits_for_and_what_to_do() {
    let it = Fixture::new(None).await;
    let waits_for = async |id| it.get(&format!("/api/v1/jobs/{id}")).await["waits_for"].clone();
    let delivering = it.jobs.make("echo", StateName::Delivering).await;
    assert_eq!(waits_for(delivering).await["cause"], "turn");
    let wait =
        |origin: &str| it.jobs.store.accounts().write_waits(vec![(origin.into(), Some(unauthorized()))]);
    wait(ALL_ACCOUNTS).await.unwrap();
    assert_eq!(waits_for(delivering).await["cause"], "all_accounts");
    wait("https://a1.kommo.com").await.unwrap();
    let expected = json!({
        "cause": "unauthorized", "why": "deliveries to a1.kommo.com wait: Kommo answered 401", "advice": "authorize it",
        "since": "2023-11-14T22:13:20.000Z", "until": null,
    });
    assert_eq!(waits_for(delivering).await, expected);

    let queued = it.jobs.make("echo", StateName::Queued).await;
    assert_eq!(waits_for(queued).await["cause"], "worker");
    let without_handler = it.jobs.make("greet", StateName::Queued).await;
    assert_eq!(waits_for(without_handler).await["cause"], "no_handler");
    let delivered = it.jobs.make("other", StateName::Delivered).await;
    assert_eq!(waits_for(delivered).await, Value::Null);
}
