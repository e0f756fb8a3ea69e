//! Which claim gets which jobs, and in which order.

use super::*;
use crate::tests::claims::{claim_deliveries, retried};

#[tokio::test]
async fn young_jobs_go_before_old_ones_first_tries_before_retries_and_refused_ones_last() {
    let home = Home::new();
    let store = home.serve().await;
    let old_retry = retried(&home, &store).await;
    home.pass(Duration::from_millis(1));
    let refused = home.waiting(&store).await;
    home.run("UPDATE jobs SET refused_at = 1 WHERE state = 'delivering' AND failures = 0").await;
    home.pass(Duration::from_millis(1));
    let old = [home.waiting(&store).await, home.waiting(&store).await];
    home.pass(Duration::from_secs(61));
    let young_retry = retried_beside(&home, &store).await;
    home.pass(Duration::from_millis(1));
    let young = [home.waiting(&store).await, home.waiting(&store).await];

    let mut order = Vec::new();
    for _ in 0..7 {
        order.extend(claim_deliveries(&store, 1, LongestDue::default()).await);
    }
    assert_eq!(order[..2], young);
    assert_eq!(order[2], young_retry);
    assert_eq!(order[3..5], old);
    assert_eq!(order[5..], [old_retry, refused]);
}

/// Like [`retried`], without claiming the jobs that already wait.
async fn retried_beside(home: &Home, store: &Store) -> JobId {
    let id = home.waiting(store).await;
    home.run(&format!(
        "UPDATE jobs SET failures = 1, failing_since = 1 WHERE state = 'delivering' AND received_at = {}",
        home.now().as_millis()
    ))
    .await;
    id
}

#[tokio::test]
async fn a_refused_job_precedes_retries_if_the_claim_prefers_retries() {
    let home = Home::new();
    let store = home.serve().await;
    let retry = retried(&home, &store).await;
    let refused = home.waiting(&store).await;
    home.run("UPDATE jobs SET refused_at = 1 WHERE failures = 0").await;
    home.pass(Duration::from_millis(1));
    let first = home.waiting(&store).await;
    for (retries_first, expected) in [(true, refused), (false, first)] {
        let longest_due = LongestDue { jobs: 1, retries_first };
        assert_eq!(claim_deliveries(&store, 1, longest_due).await, [expected]);
    }
    assert_eq!(claim_deliveries(&store, 9, LongestDue::default()).await, [retry]);
}
