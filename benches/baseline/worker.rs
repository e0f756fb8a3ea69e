//! The worker: polls every 50 ms for due jobs, and runs up to 64 of them concurrently.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value};
use sqlx::SqlitePool;

use super::Settings;
use super::store::{self, Job};
use super::token;

const POLL_INTERVAL: Duration = Duration::from_millis(50);
const MAX_PARALLEL_JOBS: i64 = 64;
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Milliseconds since the Unix epoch.
pub(super) fn now() -> i64 {
    i64::try_from(token::now().as_millis()).unwrap_or(i64::MAX)
}

/// Runs until the process ends. Does not sleep while there are jobs.
pub(super) async fn run(pool: SqlitePool, settings: Arc<Settings>) {
    let client = match reqwest::Client::builder().timeout(CALL_TIMEOUT).build() {
        Ok(client) => client,
        Err(error) => return eprintln!("cannot create the HTTP client: {error}"),
    };
    loop {
        let jobs = store::due(&pool, now(), MAX_PARALLEL_JOBS).await.unwrap_or_else(|error| {
            eprintln!("cannot read jobs: {error}");
            Vec::new()
        });
        if jobs.is_empty() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        for done in join_all(jobs.into_iter().map(|job| step(&pool, &settings, &client, job))).await {
            if let Err(error) = done {
                eprintln!("a job failed: {error}");
            }
        }
    }
}

async fn step(pool: &SqlitePool, settings: &Settings, client: &reqwest::Client, job: Job) -> Result<()> {
    let completion = match job.completion {
        Some(completion) => completion,
        None => {
            let completion = echo(&job.data)?;
            store::handled(pool, &job.id, &completion).await?;
            completion
        }
    };
    let sent = client
        .post(&job.return_url)
        .bearer_auth(&settings.access_token)
        .header("content-type", "application/json")
        .body(completion)
        .send()
        .await;
    match sent {
        Ok(answer) if answer.status().is_success() => {
            store::finished(pool, &job.id, "delivered", now()).await?;
        }
        Ok(answer) if answer.status().as_u16() == 404 => {
            store::finished(pool, &job.id, "gone", now()).await?;
        }
        // Backoff: 0.5 s, 1 s, 2 s, … up to a minute.
        _ => store::later(pool, &job.id, now() + (500 << job.attempts.min(7)).min(60_000)).await?,
    }
    Ok(())
}

/// The completion of the bridge's handler `echo`.
fn echo(data: &str) -> Result<String> {
    let mut data = match serde_json::from_str(data)? {
        Value::Object(data) => data,
        other => Map::from_iter([("data".to_owned(), other)]),
    };
    data.entry("status").or_insert_with(|| "success".into());
    Ok(serde_json::json!({ "data": data }).to_string())
}
