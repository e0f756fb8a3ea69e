//! The oldest unfinished jobs among more than the store compares.

use super::*;
use crate::sqlite::jobs::unfinished::MAX_ENTRIES;

const OTHER_ORIGIN: &str = "https://two.kommo.com";

#[tokio::test]
async fn too_many_jobs_are_reported_and_the_oldest_first_try_of_each_account_is_found() {
    let home = Home::new();
    let store = home.serve().await;
    let in_time = home.waiting(&store).await;
    // The first lane is full of younger deliveries, so no entry of the second lane is read.
    home.run(&format!("UPDATE jobs SET origin = '{OTHER_ORIGIN}'")).await;
    home.pass(Duration::from_secs(1));
    home.waiting(&store).await;
    let columns = "state, handler, account_id, origin, return_url, received_at, waiting_since, answer_by, due_at, \
         handler_attempts, outcome, data, completion";
    home.run(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MAX_ENTRIES}) \
         INSERT INTO jobs (id, {columns}) SELECT unhex(printf('%012x7000%016x', received_at, i)), {columns} \
         FROM n, (SELECT * FROM jobs WHERE origin = '{ORIGIN}')"
    ))
    .await;
    let found = store.jobs().oldest_unfinished(3).await.unwrap();
    assert_eq!((found.jobs.len(), found.jobs[0].job.id, found.is_exact), (3, in_time, false));
    home.run(&format!("DELETE FROM jobs WHERE origin = '{ORIGIN}'")).await;
    let found = store.jobs().oldest_unfinished(3).await.unwrap();
    assert_eq!((found.jobs.len(), found.is_exact), (1, true));
}
