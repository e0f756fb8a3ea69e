//! What the numbers say of the time.

use super::*;

/// More jobs than a look at the ones with the least time to answer would see.
const FRESH: u32 = 120;

#[tokio::test]
async fn the_age_of_the_oldest_queued_job_is_the_time_that_it_has_waited() {
    let it = Fixture::new(None).await;
    it.jobs.accept_for("slow", Duration::from_secs(7_200)).await;
    it.jobs.clock.advance(Duration::from_secs(3_600));
    for _ in 0..FRESH {
        it.jobs.accept_for("fast", Duration::from_secs(50)).await;
    }
    for set_back in [0, 7_200] {
        it.jobs.clock.set(it.jobs.clock.now() - Duration::from_secs(set_back));
        assert_eq!(it.get("/api/v1/stats").await["oldest_queued_seconds"], json!(3_600.0));
        let metrics = it.call("GET", "/metrics", "").await.text;
        assert!(metrics.lines().any(|line| line == "bridge_oldest_queued_seconds 3600"), "{metrics}");
    }
}
