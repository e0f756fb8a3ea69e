//! Ages in the stats.

use super::*;

/// More jobs than the store reads if it looks for the jobs with the least time to answer.
const FRESH: u32 = 120;

#[tokio::test]
async fn the_age_of_the_oldest_queued_job_is_its_waiting_time() {
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
