//! Filters whose conditions are decided elsewhere too: why jobs wait, and what their attempts show.

use model::filter::WaitingFor;

use super::waits::wait;
use super::*;

async fn found(store: &Store, text: &str) -> Vec<JobId> {
    let filter = JobFilter { filter: wanted(text), limit: 500, ..JobFilter::default() };
    let mut ids: Vec<JobId> =
        store.jobs().list(&filter).await.unwrap().jobs.iter().map(|job| job.id).collect();
    ids.sort();
    ids
}

/// Whether a job with this cause matches `waiting:`.
fn matches(waiting: WaitingFor, cause: &str) -> bool {
    match waiting {
        WaitingFor::Retry => cause == "handler_retry" || cause == "delivery_retry",
        WaitingFor::Account => cause.parse::<WaitCause>().is_ok(),
        single => single.as_str() == cause,
    }
}

#[tokio::test]
async fn a_filter_and_a_single_job_agree_about_why_it_waits() {
    let home = Home::new();
    let store = home.serve().await;
    let mut ids = vec![home.dead(&store).await];
    let claimed = home.running(&store).await;
    ids.push(claimed.id);
    store.jobs().handled(handled(claimed, AfterHandler::AwaitCallback)).await.unwrap();
    let claimed = home.running(&store).await;
    ids.push(claimed.id);
    let later = AfterHandler::Retry { due_at: home.steady() + Duration::from_secs(9) };
    store
        .jobs()
        .handled(HandlerReport { next: later, ..handled(claimed, AfterHandler::AwaitCallback) })
        .await
        .unwrap();
    let claimed = home.delivering(&store).await;
    ids.push(claimed.id);
    let delivery = Delivery { failures: 1, failing_since: Some(home.steady()), ..claimed.delivery };
    let later = AfterDelivery::Retry { due_at: home.steady() + Duration::from_secs(9), delivery };
    store.jobs().sent(sent(claimed, later)).await.unwrap();
    ids.push(home.delivering(&store).await.id);
    ids.push(home.waiting(&store).await);
    // Last, because each of the others claims what is due for a worker.
    ids.push(home.running(&store).await.id);
    ids.push(home.queued(&store).await);

    let mut waits = vec![(None, None), (None, Some(wait(WaitCause::Blocked)))];
    for cause in WaitCause::ALL {
        waits.extend([(Some(wait(cause)), None), (Some(wait(cause)), Some(wait(WaitCause::Blocked)))]);
    }
    let mut seen = std::collections::BTreeSet::new();
    for (account, all_accounts) in waits {
        let both = vec![(ORIGIN.into(), account.clone()), (ALL_ACCOUNTS.into(), all_accounts.clone())];
        store.accounts().write_waits(both).await.unwrap();
        let mut causes = Vec::new();
        for id in &ids {
            let context = ExplainContext {
                is_served: Some(true),
                account: account.as_ref(),
                all_accounts: all_accounts.as_ref(),
                ..ExplainContext::at(home.now())
            };
            let (record, attempts) = store.jobs().get(*id).await.unwrap().unwrap();
            let waits = explain(&record, &attempts, &context).waits_for();
            causes.push((*id, waits.map(|waits| waits.cause.as_str())));
        }
        for waiting in WaitingFor::ALL {
            let is_of = |(_, cause): &&(JobId, Option<&'static str>)| {
                cause.is_some_and(|cause| matches(*waiting, cause))
            };
            let expected: Vec<JobId> = causes.iter().filter(is_of).map(|(id, _)| *id).collect();
            assert_eq!(
                found(&store, &format!("waiting:{}", waiting.as_str())).await,
                expected,
                "{waiting:?}"
            );
            if !expected.is_empty() {
                seen.insert(waiting.as_str());
            }
            let others: Vec<JobId> = ids.iter().copied().filter(|id| !expected.contains(id)).collect();
            assert_eq!(found(&store, &format!("-waiting:{}", waiting.as_str())).await, others, "{waiting:?}");
        }
    }
    let ordered_only = ["conversation", "messages"];
    assert_eq!(seen.len(), WaitingFor::ALL.len() - ordered_only.len(), "{seen:?}");
}

#[tokio::test]
async fn a_status_is_that_of_an_attempt_or_of_the_last_error() {
    let home = Home::new();
    let store = home.serve().await;
    let report = async |status, result, next, error: Option<&str>| {
        let job = home.delivering(&store).await;
        let id = job.id;
        let attempt = Attempt { status, ..attempt(Stage::Delivery, job.attempts + 1, result) };
        let attempt = status.is_some().then_some(attempt);
        let report = DeliveryReport { attempt, next, error: error.map(str::to_owned), job };
        assert_eq!(store.jobs().sent(report).await.unwrap(), Written::Done);
        id
    };
    let accepted = report(Some(202), AttemptResult::Ok, AfterDelivery::Delivered, None).await;
    let gone = report(Some(404), AttemptResult::Gone, AfterDelivery::Gone, None).await;
    let dead = AfterDelivery::Dead { answer_lost: false };
    let refused =
        report(None, AttemptResult::Retry, dead.clone(), Some("429 Too Many Requests: wait; no action"))
            .await;
    let failed = report(None, AttemptResult::Retry, dead, Some("connection Reset")).await;
    for (text, expected) in [
        ("status:202", vec![accepted]),
        ("status:404", vec![gone]),
        ("status:429", vec![refused]),
        ("status:4xx", vec![gone, refused]),
        ("status:>=200", vec![accepted, gone, refused]),
        ("-status:4xx", vec![accepted, failed]),
        ("error:reset", vec![failed]),
        ("error:\"TOO MANY\",reset", vec![refused, failed]),
        ("-error:reset", vec![accepted, gone, refused]),
        ("state:dead -status:429", vec![failed]),
    ] {
        assert_eq!(found(&store, text).await, expected, "{text}");
    }
}
