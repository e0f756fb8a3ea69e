//! `/api/v1/store`: the store's size, its disk, and its contents.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::schema;
use model::{StateName, Timestamp, whole_millis};
use store::outside::{DatabaseSizes, FileSizes, Sizes};
use store::{StoreError, StoreKind, backup};

use super::Shared;
use super::call::{Answer, STORE_TIMEOUT, within};
use super::document::tag;
use super::live::StoreSettings;
use super::responses::StoreErrors;

/// The store.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Store)]
struct StoreView {
    /// The path of the SQLite file; null if the store is a PostgreSQL database.
    path: Option<String>,
    /// The length of the file; null if there is none.
    file_bytes: Option<u64>,
    /// The bytes inside the file that new jobs can use before it grows; null if there is none.
    reusable_bytes: Option<u64>,
    /// The length of the file's write-ahead log; null if there is none.
    log_bytes: Option<u64>,
    /// The free bytes on the disk; null if unknown.
    free_bytes: Option<u64>,
    /// The ids of other processes that read the file in a transaction at the moment.
    #[schema(value_type = Vec<u32>)]
    readers: BTreeSet<u32>,
    /// The PostgreSQL database; null if the store is a SQLite file.
    database: Option<DatabaseView>,
    /// `store.retention`, in milliseconds.
    retention_ms: u64,
    /// `store.body_retention`, in milliseconds.
    body_retention_ms: u64,
    /// The number of jobs in each state.
    #[schema(value_type = BTreeMap<schema::JobState, u64>)]
    jobs: BTreeMap<StateName, u64>,
    /// The bytes of the bodies of all jobs.
    stored_bytes: u64,
    /// The bytes of the bodies of unfinished jobs.
    unfinished_bytes: u64,
    /// When the newest scheduled backup was written; null if there is none.
    #[schema(value_type = Option<schema::Moment>)]
    last_backup: Option<Timestamp>,
}

/// The PostgreSQL database of the store.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Database)]
struct DatabaseView {
    /// Its address, without user and password.
    address: String,
    /// Its size on the server's disk, without the write-ahead log.
    bytes: u64,
    /// The dead rows that a vacuum has not removed yet, as the server estimates them.
    dead_rows: u64,
    /// The oldest snapshot of another session, which keeps a vacuum from removing dead rows; null if there is none.
    oldest_snapshot: Option<SnapshotView>,
}

/// A snapshot of another session of the database.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Snapshot)]
struct SnapshotView {
    /// What holds it.
    holder: String,
    /// How long it has been held, in milliseconds; null if unknown.
    held_ms: Option<u64>,
    /// The number of transactions that the server has begun since then.
    transactions: u64,
}

impl From<DatabaseSizes> for DatabaseView {
    fn from(sizes: DatabaseSizes) -> Self {
        let oldest_snapshot = sizes.oldest_snapshot.map(|oldest| SnapshotView {
            holder: oldest.holder,
            held_ms: oldest.held.map(whole_millis),
            transactions: oldest.transactions,
        });
        let (bytes, dead_rows) = (sizes.database_bytes, sizes.dead_rows);
        Self { address: sizes.address, bytes, dead_rows, oldest_snapshot }
    }
}

/// Returns the sizes of the store: those of its file, or of its database by one of the connections that are open.
pub(super) async fn sizes(shared: &Shared) -> Result<Sizes, StoreError> {
    match shared.store.maintenance().database_sizes().await? {
        Some(database) => Ok(Sizes::Database(database)),
        None => store::outside::sizes(&shared.live.store().url).await,
    }
}

/// Shows the store
///
/// Its size, its disk and its contents.
#[utoipa::path(get, path = "/api/v1/store", tag = tag::STATE, operation_id = "getStore",
    responses((status = 200, description = "The store.", body = StoreView), StoreErrors))]
pub(super) async fn show(State(shared): State<Shared>) -> Answer {
    let StoreSettings { url, retention, body_retention, backup_folder } = shared.live.store();
    let stats = within(STORE_TIMEOUT, shared.store.jobs().stats()).await?;
    let reusable_bytes = match url.kind() {
        StoreKind::Sqlite => Some(within(STORE_TIMEOUT, shared.store.maintenance().reusable_bytes()).await?),
        StoreKind::Postgres => None,
    };
    let (file, database) = match within(STORE_TIMEOUT, sizes(&shared)).await? {
        Sizes::File(file) => (Some(file), None),
        Sizes::Database(database) => (None, Some(database.into())),
    };
    let newest = move || backup_folder.map(|folder| backup::newest_in(&folder, &url)).transpose();
    let newest = tokio::task::spawn_blocking(newest);
    let newest = within(STORE_TIMEOUT, async { newest.await.unwrap_or(Err(StoreError::Closed)) }).await?;
    Ok(Json(StoreView {
        path: file.as_ref().map(|file| file.path.display().to_string()),
        file_bytes: file.as_ref().map(|file| file.file_bytes),
        reusable_bytes,
        log_bytes: file.as_ref().map(|file| file.log_bytes),
        free_bytes: file.as_ref().and_then(|file| file.free_bytes),
        readers: file.map(|file: FileSizes| file.readers).unwrap_or_default(),
        database,
        retention_ms: whole_millis(retention),
        body_retention_ms: whole_millis(body_retention),
        jobs: stats.jobs,
        stored_bytes: stats.stored_bytes,
        unfinished_bytes: stats.unfinished_bytes,
        last_backup: newest.flatten(),
    })
    .into_response())
}
