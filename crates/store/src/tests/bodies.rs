//! Dropped bodies: which jobs lose them, and what stays of those jobs.

use std::collections::BTreeSet;

use super::*;

/// Lets a second pass, adds a job of `account` with about a thousand bytes, and finishes it with `next`; `None` cancels
/// it.
pub(crate) async fn finished(home: &Home, store: &Store, account: i64, next: Option<AfterDelivery>) -> JobId {
    home.pass(Duration::from_secs(1));
    let mut request = home.request();
    request.request.account_id = AccountId(account);
    request.request.data = "x".repeat(1_000).into();
    let id = accept(store, request).await;
    let Some(next) = next else {
        store.jobs().cancel(id).await.unwrap();
        return id;
    };
    let [job] = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap().try_into().unwrap();
    store.jobs().handled(handled(job, AfterHandler::Deliver(prepared("hi")))).await.unwrap();
    let [job] = due_deliveries(store).await.try_into().unwrap();
    store.jobs().sent(sent(job, next)).await.unwrap();
    id
}

pub(crate) async fn delivered(home: &Home, store: &Store, account: i64) -> JobId {
    finished(home, store, account, Some(AfterDelivery::Delivered)).await
}

/// Returns the jobs without bodies.
pub(crate) async fn bare(store: &Store) -> BTreeSet<JobId> {
    let page = store.jobs().list(&JobFilter { limit: 500, ..JobFilter::default() }).await.unwrap();
    page.jobs.iter().filter(|job| job.bodies_dropped).map(|job| job.id).collect()
}

#[tokio::test]
async fn a_job_delivered_after_a_refusal_loses_its_bodies_like_any_other() {
    let home = Home::new();
    let store = home.serve().await;
    let mut all = BTreeSet::new();
    for cancelled in [false, true] {
        let job = home.delivering(&store).await;
        all.insert(job.id);
        let delivery = Delivery { refused_at: Some(home.now()), ..job.delivery };
        store.jobs().sent(sent(job, AfterDelivery::Wait { delivery, keeps_place: false })).await.unwrap();
        let [job] = due_deliveries(&store).await.try_into().unwrap();
        if cancelled {
            store.jobs().cancel(job.id).await.unwrap();
        } else {
            store.jobs().sent(sent(job, AfterDelivery::Delivered)).await.unwrap();
        }
    }
    store.maintenance().set_budget(Budget { stored: 1, ..Budget::default() });
    store.maintenance().trim().await;
    assert_eq!(bare(&store).await, all);
}

#[tokio::test]
async fn a_job_without_bodies_keeps_everything_else() {
    let home = Home::new();
    let store = home.serve().await;
    let id = delivered(&home, &store, 7).await;
    let before = JobSummary::from(&stored_job(&store, id).await);
    store.maintenance().set_budget(Budget { stored: 1, ..Budget::default() });
    store.maintenance().trim().await;
    let (record, attempts) = store.jobs().get(id).await.unwrap().unwrap();
    assert_eq!(record, JobRecord::WithoutBodies(JobSummary { bodies_dropped: true, ..before }));
    assert_eq!(attempts.len(), 2);
    let find = async |text: &str| {
        let filter =
            JobFilter { filter: Condition::Text(text.into()).into(), limit: 9, ..JobFilter::default() };
        store.jobs().list(&filter).await.unwrap().jobs.len()
    };
    assert_eq!((find("xxx").await, find("/continue/34_").await, find(&id.to_string()).await), (0, 1, 1));
    assert!(matches!(
        store.jobs().retry(id).await,
        Err(StoreError::WrongState { state: StateName::Delivered, .. })
    ));
}
