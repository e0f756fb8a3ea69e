//! Fallbacks: lists find them, and statistics count them by handler and reason.

use super::*;
use crate::FallbackCount;

/// Adds a job whose bot gets the fallback.
async fn fallen_back(home: &Home, store: &Store, reason: FallbackReason) -> JobId {
    let job = home.running(store).await;
    let id = job.id;
    let prepared =
        PreparedCompletion { completion: CheckedCompletion::failed(), outcome: Outcome::Fallback(reason) };
    store.jobs().handled(handled(job, AfterHandler::Deliver(prepared))).await.unwrap();
    id
}

#[tokio::test]
async fn every_reason_is_read_as_it_was_stored() {
    let home = Home::new();
    let store = home.serve().await;
    for reason in FallbackReason::ALL {
        let id = fallen_back(&home, &store, reason).await;
        let State::Delivering { prepared, .. } = stored_job(&store, id).await.state else { panic!() };
        assert_eq!(prepared.outcome, Outcome::Fallback(reason));
    }
    let claimed = due_deliveries(&store).await;
    assert_eq!(claimed.len(), FallbackReason::ALL.len());
    assert!(claimed.iter().all(|job| job.prepared.outcome.fallback_reason().is_some()));
}

#[tokio::test]
async fn a_list_can_show_only_fallbacks_or_only_answers() {
    let home = Home::new();
    let store = home.serve().await;
    let answered = home.waiting(&store).await;
    let fallback = fallen_back(&home, &store, FallbackReason::Failed).await;
    home.queued(&store).await;
    let both = |one: Option<Condition>, other: Option<Condition>| {
        one.into_iter().chain(other).fold(Filter::default(), Filter::and)
    };
    let list = async |outcome: Option<OutcomeName>, state: Option<StateName>| {
        let filter = both(state.map(Condition::State), outcome.map(Condition::Outcome));
        let filter = JobFilter { filter, limit: 9, ..JobFilter::default() };
        let jobs = store.jobs().list(&filter).await.unwrap().jobs;
        jobs.iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Some(OutcomeName::Fallback), None).await, [fallback]);
    assert_eq!(list(Some(OutcomeName::Handler), None).await, [answered]);
    assert_eq!(list(Some(OutcomeName::Fallback), Some(StateName::Delivering)).await, [fallback]);
    assert_eq!(list(Some(OutcomeName::Fallback), Some(StateName::Dead)).await, []);
    assert_eq!(list(None, None).await.len(), 3);
}

#[tokio::test]
async fn recent_outcomes_count_jobs_with_a_completion_by_handler_and_reason() {
    let home = Home::new();
    let store = home.serve().await;
    fallen_back(&home, &store, FallbackReason::Crashed).await;
    home.pass(Duration::from_secs(3_600));
    let since = home.now();
    for _ in 0..2 {
        fallen_back(&home, &store, FallbackReason::MaxAttempts).await;
    }
    fallen_back(&home, &store, FallbackReason::Failed).await;
    home.waiting(&store).await;
    home.queued(&store).await;
    let outcomes = store.jobs().recent_outcomes(since).await.unwrap();
    let count = |reason, jobs| FallbackCount { handler: handler("greet"), reason, jobs };
    assert_eq!(outcomes.fallbacks, [count(FallbackReason::MaxAttempts, 2), count(FallbackReason::Failed, 1)]);
    assert_eq!((outcomes.jobs, outcomes.fallen_back(), outcomes.is_sample), (4, 3, false));
    assert!((outcomes.share() - 0.75).abs() < 1e-9);
    let later = store.jobs().recent_outcomes(home.now() + Duration::from_secs(1)).await.unwrap();
    assert_eq!((later.jobs, later.share()), (0, 0.0));
}
