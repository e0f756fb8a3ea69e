//! `/api/v1/store`: the store's size, its disk, and its contents.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::schema;
use model::{StateName, Timestamp, whole_millis};
use store::{StoreError, backup, file};

use super::Shared;
use super::call::{Answer, STORE_TIMEOUT, within};
use super::document::tag;
use super::live::StoreSettings;
use super::responses::StoreErrors;

/// The store.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Store)]
struct StoreView {
    /// The path of the database.
    path: String,
    /// The length of the database.
    file_bytes: u64,
    /// The bytes inside the file that new jobs can use before it grows.
    reusable_bytes: u64,
    /// The length of the write-ahead log.
    log_bytes: u64,
    /// The free bytes on the disk; null if unknown.
    free_bytes: Option<u64>,
    /// The ids of other processes that read it in a transaction at the moment.
    #[schema(value_type = Vec<u32>)]
    readers: BTreeSet<u32>,
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

/// Shows the store
///
/// Its size, its disk and its contents.
#[utoipa::path(get, path = "/api/v1/store", tag = tag::STATE, operation_id = "getStore",
    responses((status = 200, description = "The store.", body = StoreView), StoreErrors))]
pub(super) async fn show(State(shared): State<Shared>) -> Answer {
    let StoreSettings { url, retention, body_retention, backup_folder } = shared.live.store();
    let backup_url = url.clone();
    let stats = within(STORE_TIMEOUT, shared.store.jobs().stats()).await?;
    let reusable_bytes = within(STORE_TIMEOUT, shared.store.maintenance().reusable_bytes()).await?;
    let sizes = tokio::task::spawn_blocking(move || file::sizes(&url));
    let sizes = within(STORE_TIMEOUT, async { sizes.await.unwrap_or(Err(StoreError::Closed)) }).await?;
    let newest = move || backup_folder.map(|folder| backup::newest_in(&folder, &backup_url)).transpose();
    let newest = tokio::task::spawn_blocking(newest);
    let newest = within(STORE_TIMEOUT, async { newest.await.unwrap_or(Err(StoreError::Closed)) }).await?;
    Ok(Json(StoreView {
        path: sizes.path.display().to_string(),
        file_bytes: sizes.file_bytes,
        reusable_bytes,
        log_bytes: sizes.log_bytes,
        free_bytes: sizes.free_bytes,
        readers: sizes.readers,
        retention_ms: whole_millis(retention),
        body_retention_ms: whole_millis(body_retention),
        jobs: stats.jobs,
        stored_bytes: stats.stored_bytes,
        unfinished_bytes: stats.unfinished_bytes,
        last_backup: newest.flatten(),
    })
    .into_response())
}
