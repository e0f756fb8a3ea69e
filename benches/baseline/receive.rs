//! The only route: checks the token, inserts a job, responds.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use serde_json::json;
use sqlx::SqlitePool;

use super::Settings;
use super::{form, store, token, worker};

type Shared = State<(SqlitePool, Arc<Settings>)>;

pub(super) fn router(pool: SqlitePool, settings: Arc<Settings>) -> Router {
    Router::new().route("/widget_request/{handler}", post(receive)).with_state((pool, settings))
}

async fn receive(State((pool, settings)): Shared, Path(handler): Path<String>, body: Bytes) -> Response {
    let request = form::parse(&body);
    let Some(claims) = token::verify(&request.token, &settings.client_secret) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let ours = |url: &str| url.strip_prefix(&settings.base_url).is_some_and(|rest| rest.starts_with('/'));
    if claims.iss != settings.base_url || !ours(&request.return_url) {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    match store::insert(&pool, &handler, &claims.jti, &request, worker::now()).await {
        Ok((id, duplicate)) => Json(json!({ "job_id": id, "duplicate": duplicate })).into_response(),
        Err(error) => {
            eprintln!("cannot store the job: {error}");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
