//! Bulk changes by filter: which jobs they change, and which they leave alone.

use super::erase::by;
use super::*;

const LONG: Duration = Duration::from_secs(30);

/// Adds a queued job of `handler`, a second younger than the one before.
async fn queued(home: &Home, store: &Store, handler_name: &str, account: i64) -> JobId {
    home.pass(Duration::from_secs(1));
    let mut request = home.request();
    (request.handler, request.request.account_id) = (handler(handler_name), AccountId(account));
    accept(store, request).await
}

async fn plan(store: &Store, action: BulkAction, filter: &Filter) -> BulkPlan {
    by(store).plan_bulk(filter, action, LONG).await.unwrap()
}

/// Begins what `plan` says.
async fn begin(store: &Store, action: BulkAction, filter: &Filter, plan: &BulkPlan) -> Bulk {
    let (newest, max_jobs) = (plan.newest.unwrap(), plan.jobs);
    let order = BulkOrder { action, filter: filter.clone(), force: false, newest, max_jobs };
    let id = by(store).begin_bulk(order).await.unwrap();
    by(store).bulk(id).await.unwrap().unwrap()
}

async fn finish(store: &Store, mut bulk: Bulk) -> Bulk {
    while bulk.state == ActionResult::Running {
        bulk = by(store).step_bulk(bulk).await.unwrap();
    }
    bulk
}

async fn states(store: &Store, jobs: &[JobId]) -> Vec<StateName> {
    let mut states = Vec::new();
    for id in jobs {
        states.push(state(store, *id).await);
    }
    states
}

#[tokio::test]
async fn only_jobs_that_match_are_cancelled() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    let greet = queued(&home, &store, "greet", 7).await;
    let other = queued(&home, &store, "other", 7).await;
    let account = queued(&home, &store, "greet", 8).await;
    let filter = BulkAction::Cancel.narrow(wanted("handler:greet account:7"));
    let planned = plan(&store, BulkAction::Cancel, &filter).await;
    let expected = BulkPlan { jobs: 1, accounts: [(7, 1)].into(), newest: Some(greet), oldest: Some(greet) };
    assert_eq!(planned, expected);
    assert_eq!(state(&store, greet).await, StateName::Queued, "a plan changes nothing");
    let bulk = finish(&store, begin(&store, BulkAction::Cancel, &filter, &planned).await).await;
    assert_eq!((bulk.state, bulk.changed, bulk.skipped), (ActionResult::Done, 1, 0));
    let expected = [StateName::Cancelled, StateName::Queued, StateName::Queued, StateName::Dead];
    assert_eq!(states(&store, &[greet, other, account, dead]).await, expected);
    let log = store.actions(&crate::ActionFilter::default(), None, 1).await.unwrap().actions.remove(0);
    assert_eq!((&*log.what, log.jobs, log.result), ("jobs cancel", 1, ActionResult::Done));
    assert_eq!(log.target, Some(filter.to_string()));
}

#[tokio::test]
async fn jobs_that_came_after_the_plan_are_left_alone() {
    let home = Home::new();
    let store = home.serve().await;
    let old = [queued(&home, &store, "greet", 7).await, queued(&home, &store, "greet", 7).await];
    let filter = wanted("state:queued");
    let planned = plan(&store, BulkAction::Cancel, &filter).await;
    let new = queued(&home, &store, "greet", 7).await;
    finish(&store, begin(&store, BulkAction::Cancel, &filter, &planned).await).await;
    assert_eq!(states(&store, &old).await, [StateName::Cancelled; 2]);
    assert_eq!(state(&store, new).await, StateName::Queued);
}

#[tokio::test]
async fn at_most_the_planned_number_of_jobs_changes_even_if_others_match_now() {
    let home = Home::new();
    let store = home.serve().await;
    let first = home.dead(&store).await;
    home.pass(Duration::from_secs(1));
    // It will match only after the plan.
    let job = home.delivering(&store).await;
    let late = job.id;
    home.pass(Duration::from_secs(1));
    let newest = home.dead(&store).await;
    let filter = wanted("state:dead");
    let planned = plan(&store, BulkAction::Retry, &filter).await;
    assert_eq!(planned.jobs, 2);
    store.jobs().sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    let bulk = finish(&store, begin(&store, BulkAction::Retry, &filter, &planned).await).await;
    assert_eq!(bulk.changed, 2);
    let expected = [StateName::Delivering, StateName::Delivering, StateName::Dead];
    assert_eq!(states(&store, &[newest, late, first]).await, expected, "newest first, up to the number");
}

#[tokio::test]
async fn a_job_whose_state_has_changed_since_the_search_is_skipped() {
    let home = Home::new();
    let store = home.serve().await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        home.pass(Duration::from_secs(1));
        jobs.push(home.dead(&store).await);
    }
    let filter = wanted("state:dead");
    let planned = plan(&store, BulkAction::Retry, &filter).await;
    let bulk = begin(&store, BulkAction::Retry, &filter, &planned).await;
    // The search of this step runs first. Its write waits behind the retry of one of its jobs.
    let open = hold(&store).await;
    let (retries, steps) = (by(&store), by(&store));
    let retry = retries.retry_with(jobs[1], RetryOptions::default());
    let step = steps.step_bulk(bulk);
    let both = async { tokio::join!(retry, step) };
    let release = async {
        gathered(&store, 2).await;
        open.send(()).unwrap();
    };
    let ((retried, bulk), ()) = tokio::join!(both, release);
    retried.unwrap();
    let bulk = bulk.unwrap();
    assert_eq!((bulk.state, bulk.changed, bulk.skipped), (ActionResult::Done, 2, 1));
}

#[tokio::test]
async fn superseded_and_erased_jobs_are_not_retried() {
    let home = Home::new();
    let store = home.serve().await;
    let erased = home.dead(&store).await;
    super::erase::erase(&store, Erasure::new(None, Some(AccountId(7))), false).await;
    home.pass(Duration::from_secs(1));
    let mut request = home.request();
    request.request.return_url = return_url(ORIGIN, 99);
    let superseded = accept(&store, request).await;
    let job = store.jobs().claim_work("greet".into(), 1, LEASE).await.unwrap().remove(0);
    store.jobs().handled(handled(job, AfterHandler::Deliver(prepared("hi")))).await.unwrap();
    let job = due_deliveries(&store).await.remove(0);
    store.jobs().sent(sent(job, AfterDelivery::Dead { answer_lost: false })).await.unwrap();
    home.pass(Duration::from_secs(1));
    let mut newer = home.request();
    newer.request.return_url = return_url(ORIGIN, 99);
    accept(&store, newer).await;
    let filter = wanted("state:dead");
    let planned = plan(&store, BulkAction::Retry, &filter).await;
    assert_eq!((planned.jobs, planned.newest), (1, Some(superseded)), "an erased job has nothing to send");
    let bulk = finish(&store, begin(&store, BulkAction::Retry, &filter, &planned).await).await;
    assert_eq!((bulk.changed, bulk.skipped), (0, 2));
    let order = BulkOrder { action: BulkAction::Retry, filter, force: true, newest: superseded, max_jobs: 9 };
    let id = by(&store).begin_bulk(order).await.unwrap();
    let bulk = finish(&store, by(&store).bulk(id).await.unwrap().unwrap()).await;
    assert_eq!((bulk.changed, bulk.skipped), (1, 1), "force includes superseded jobs");
    let (record, _) = store.jobs().get(erased).await.unwrap().unwrap();
    assert_eq!(record.summary().state, StateName::Dead);
}

#[tokio::test]
async fn a_bulk_change_of_many_jobs_goes_on_after_a_restart_and_changes_each_once() {
    let home = Home::new();
    let store = home.serve().await;
    let first = home.dead(&store).await;
    store.jobs().copy_dead(first, 1_200).await;
    let filter = wanted("state:dead");
    let planned = plan(&store, BulkAction::Retry, &filter).await;
    assert_eq!((planned.jobs, planned.oldest.is_some()), (1_201, true));
    let bulk = begin(&store, BulkAction::Retry, &filter, &planned).await;
    let bulk = by(&store).step_bulk(bulk).await.unwrap();
    assert_eq!((bulk.state, bulk.changed), (ActionResult::Running, 500));
    store.close().await;
    let store = home.serve().await;
    let mut ticks = store.ticks(Duration::from_secs(3_600));
    ticks.tick().await;
    let bulk = by(&store).bulk(bulk.id).await.unwrap().unwrap();
    assert_eq!((bulk.state, bulk.changed, bulk.skipped), (ActionResult::Done, 1_201, 0));
    assert_eq!(
        (count(&store, StateName::Dead).await, count(&store, StateName::Delivering).await),
        (0, 1_201)
    );
}

#[tokio::test]
async fn a_filter_that_reads_too_much_is_refused_before_anything_changes() {
    let home = Home::new();
    let store = home.serve().await;
    let first = home.dead(&store).await;
    store.jobs().copy_dead(first, 5_000).await;
    let refused = by(&store).plan_bulk(&wanted("state:dead"), BulkAction::Retry, Duration::ZERO).await;
    assert_eq!(refused, Err(StoreError::SlowFilter));
}
