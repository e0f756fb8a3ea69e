//! The worker: every 50 ms it looks for jobs that are due, and carries out up to 64 of them side by side.

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

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    i64::try_from(token::now().as_millis()).unwrap_or(i64::MAX)
}

/// Works until the process ends. While there are jobs it does not pause.
pub(super) async fn run(pool: SqlitePool, settings: Arc<Settings>) {
    let client = match reqwest::Client::builder().timeout(CALL_TIMEOUT).build() {
        Ok(client) => client,
        Err(error) => return eprintln!("no HTTP client: {error}"),
    };
    loop {
        let jobs = store::due(&pool, now(), MAX_PARALLEL_JOBS).await.unwrap_or_else(|error| {
            eprintln!("jobs cannot be read: {error}");
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
        // Half a second, one, two, … a minute.
        _ => store::later(pool, &job.id, now() + (500 << job.attempts.min(7)).min(60_000)).await?,
    }
    Ok(())
}

/// What the bridge's handler `echo` answers.
fn echo(data: &str) -> Result<String> {
    let mut data = match serde_json::from_str(data)? {
        Value::Object(data) => data,
        other => Map::from_iter([("data".to_owned(), other)]),
    };
    data.entry("status").or_insert_with(|| "success".into());
    Ok(serde_json::json!({ "data": data }).to_string())
}
