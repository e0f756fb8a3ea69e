//! A database as an operator's commands see it.

use sqlx::{AssertSqlSafe, Executor};

use model::Timestamp;

use super::*;
use crate::outside;
use crate::postgres::testing;
use crate::records::{Extent, Sizes};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

async fn run(url: &str, sql: &str) -> PgConnection {
    let mut connection = connect(&Target::parse(url).unwrap(), Session::Maintenance).await.unwrap();
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    connection
}

#[tokio::test]
async fn a_store_is_served_while_a_process_holds_the_owners_lock() {
    let Some(database) = testing::database() else { return };
    let url = database.url();
    assert_eq!((outside::is_served(url).await, outside::owner(url).await), (Some(false), None));
    let lock = owner_lock::OwnerLock::take(&Target::parse(url).unwrap()).await.unwrap();
    assert_eq!(
        (outside::is_served(url).await, outside::owner(url).await),
        (Some(true), Some(std::process::id()))
    );
    lock.release().await;
    assert_eq!(outside::is_served(url).await, Some(false));
    assert_eq!(outside::is_served("postgres://bridge@127.0.0.1:1/bridge").await, None);
}

#[tokio::test]
async fn the_sizes_name_the_oldest_snapshot() {
    let Some(database) = testing::database() else { return };
    let url = database.url();
    let Sizes::Database(sizes) = outside::sizes(url).await.unwrap() else { panic!("not a database") };
    assert!(sizes.database_bytes > 1_000_000 && !sizes.address.contains("bridge@"), "{sizes:?}");
    let held = run(url, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM job_counts").await;
    let Sizes::Database(sizes) = outside::sizes(url).await.unwrap() else { panic!("not a database") };
    let oldest = sizes.oldest_snapshot.unwrap();
    assert!(oldest.holder.contains("(salesbot-bridge process") && oldest.held.is_some(), "{oldest:?}");
    drop(held);
}

#[tokio::test]
async fn the_content_of_a_store_is_read_and_a_database_without_one_is_refused() {
    let Some(database) = testing::database() else { return };
    let stats = outside::stats(database.url(), NOW).await.unwrap();
    assert_eq!(
        (stats.jobs["queued"], stats.body_bytes, stats.oldest, stats.received_in_a_day),
        (0, 0, None, 0)
    );
    assert!(matches!(stats.extent, Extent::Database(_)), "{stats:?}");
    let Some(empty) = testing::empty_database() else { return };
    let error = outside::stats(empty.url(), NOW).await.unwrap_err().to_string();
    assert!(error.contains("contains no store: start `serve`"), "{error}");
}

#[tokio::test]
async fn a_check_reports_wrong_counts_and_what_it_left_out() {
    let Some(database) = testing::database() else { return };
    let url = database.url();
    let sound = outside::check_until(url, || false).await.unwrap();
    assert_eq!(sound.problems, [""; 0]);
    assert!(sound.notes.len() == 1 && sound.notes[0].contains("CREATE EXTENSION amcheck"), "{sound:?}");
    run(url, "UPDATE job_counts SET jobs = 2 WHERE state = 'dead'").await;
    run(url, "INSERT INTO account_bytes VALUES (7, 10, 20)").await;
    let wrong = outside::check_until(url, || false).await.unwrap().problems;
    assert_eq!(
        wrong,
        [
            "job_counts says 2 dead jobs, and there are 0",
            "account_bytes says 10 unfinished and 20 stored bytes of account 7, and its jobs have 0 and 0",
        ]
    );
    assert_eq!(outside::check_until(url, || true).await, Err(StoreError::Closed));
}

#[tokio::test]
async fn a_check_reads_the_indexes_with_amcheck() {
    let Some(database) = testing::database() else { return };
    let url = database.url();
    let connection = connect(&Target::parse(url).unwrap(), Session::Maintenance).await;
    // Some systems have this extension in a package of its own.
    if connection.unwrap().execute("CREATE EXTENSION amcheck").await.is_err() {
        eprintln!("skipped: the extension amcheck is not installed");
        return;
    }
    assert_eq!(outside::check_until(url, || false).await.unwrap(), outside::Checked::default());
}
