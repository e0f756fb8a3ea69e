//! Every loss of a claim raises the fence.

use super::*;

/// A claim must never match a later claim of the same job, whatever the states in between.
#[tokio::test]
async fn taking_a_job_from_its_claim_raises_the_fence() {
    let home = Home::new();
    let store = home.serve().await;
    let fence = async |id: JobId| {
        let mut raw = home.raw().await;
        let sql = "SELECT fence FROM jobs WHERE id = ?";
        sqlx::query_scalar::<_, i64>(sql).bind(id.as_uuid()).fetch_one(&mut raw).await.unwrap()
    };
    let running = home.running(&store).await;
    store.jobs().cancel(running.id).await.unwrap();
    assert_eq!(fence(running.id).await, running.fence.0 + 1, "cancelled while running");
    let delivering = home.delivering(&store).await;
    store.jobs().cancel(delivering.id).await.unwrap();
    assert_eq!(fence(delivering.id).await, delivering.fence.0 + 1, "cancelled while under way");
    let (running, delivering) = (home.running(&store).await, home.delivering(&store).await);
    store.sqlite().free_leases(None, home.now()).await.unwrap();
    assert_eq!(fence(running.id).await, running.fence.0 + 1, "freed while running");
    assert_eq!(fence(delivering.id).await, delivering.fence.0 + 1, "freed while under way");
    let dead = home.dead(&store).await;
    let before = fence(dead).await;
    store.jobs().retry(dead).await.unwrap();
    assert_eq!(fence(dead).await, before + 1, "retried");
    let waiting = home.waiting(&store).await;
    let before = fence(waiting).await;
    store.maintenance().give_up_unknown(|_, _| false);
    home.pass(Duration::from_secs(2));
    store.sqlite().end_unclaimed(store.sqlite().moment(), Duration::from_secs(1)).await.unwrap();
    assert_eq!(state(&store, waiting).await, StateName::Dead);
    assert_eq!(fence(waiting).await, before + 1, "given up");
}
