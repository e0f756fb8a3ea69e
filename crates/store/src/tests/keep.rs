//! Maintenance: deletions, leases, and changes by other processes.

use tokio_util::sync::CancellationToken;

use super::*;

/// Maintenance that runs in its own task until it is stopped.
pub(crate) struct MaintenanceTask {
    pub(crate) stop: CancellationToken,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

impl MaintenanceTask {
    pub(crate) fn start(store: &Store, retention: Duration) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (store, stop) = (store.clone(), stop.clone());
            async move { store.maintenance().run(retention, stop).await }
        });
        Self { stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Lets time pass, second by second, until `done`. So the intervals of maintenance are part of the test.
pub(crate) async fn until(home: &Home, store: &Store, mut done: impl AsyncFnMut() -> bool) {
    let rounds = async {
        while !done().await {
            home.pass(Duration::from_secs(1));
            store.probe().await.unwrap();
        }
    };
    tokio::time::timeout(COMMIT_TIMEOUT, rounds).await.expect("the condition was never met");
}

#[tokio::test]
async fn expired_leases_are_freed() {
    let home = Home::new();
    let store = home.serve().await;
    let job = home.running(&store).await;
    let maintenance = MaintenanceTask::start(&store, Duration::from_secs(3_600));
    until(&home, &store, async || state(&store, job.id).await == StateName::Queued).await;
    maintenance.stop().await;
    assert!(home.now() >= START + LEASE);
}

#[tokio::test]
async fn the_owner_sees_changes_by_an_observer() {
    let home = Home::new();
    let store = home.serve().await;
    let (dead, queued) = (home.dead(&store).await, home.queued(&store).await);
    let observer = home.open(Role::Observer).await.unwrap();
    observer.jobs().retry(dead).await.unwrap();
    observer.jobs().cancel(queued).await.unwrap();
    assert_eq!(store.delivery().due(home.now()).len(), 0);
    let changed = store.delivery().changed();
    let maintenance = MaintenanceTask::start(&store, Duration::from_secs(3_600));
    until(&home, &store, async || !store.delivery().due(home.now()).is_empty()).await;
    changed.await;
    maintenance.stop().await;
    let [job] = due_deliveries(&store).await.try_into().unwrap();
    assert_eq!(job.id, dead);
    assert_eq!(store.work().due(home.now()).len(), 0);
    let counted = observer.jobs().stats().await.unwrap().jobs;
    assert_eq!((counted[&StateName::Cancelled], counted[&StateName::Delivering]), (1, 1));
}
