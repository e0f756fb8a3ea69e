//! The write-ahead log with a reader that does not end.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::file::MAX_LOG_BYTES;

/// The bytes that one write adds to the log.
const PIECE: u64 = 16 << 20;

#[tokio::test]
async fn a_log_held_by_a_foreign_reader_is_truncated_after_the_reader_ends() {
    let home = Home::new();
    let store = home.serve().await;
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move { store.maintenance().run(Duration::from_secs(1 << 20), stop).await }
    });
    let mut reader = home.raw().await;
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    sqlx::query("SELECT count(*) FROM jobs").fetch_one(&mut reader).await.unwrap();

    let mut raw = home.raw().await;
    for sql in ["PRAGMA synchronous = OFF", "PRAGMA wal_autocheckpoint = 0", "CREATE TABLE bulk (x)"] {
        sqlx::query(sql).execute(&mut raw).await.unwrap();
    }
    for _ in 0..=MAX_LOG_BYTES / PIECE {
        let write = sqlx::query("INSERT INTO bulk VALUES (zeroblob(?))").bind(PIECE.cast_signed());
        write.execute(&mut raw).await.unwrap();
    }
    // While the reader is still there, seconds pass: the store accepts requests, and the log stays long.
    for _ in 0..5 {
        home.pass(Duration::from_secs(1));
        home.queued(&store).await;
    }
    assert!(store.maintenance().log_bytes() > MAX_LOG_BYTES, "{}", store.maintenance().log_bytes());

    sqlx::query("COMMIT").execute(&mut reader).await.unwrap();
    let shrinks = async {
        // A commit alone would leave 64 MiB of the file.
        while store.maintenance().log_bytes() > 1 << 20 {
            home.pass(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(COMMIT_TIMEOUT, shrinks).await.expect("the log was never truncated");
    home.queued(&store).await;
    stop.cancel();
    task.await.unwrap();
}
