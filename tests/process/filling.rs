//! Tests that the filler of the benches writes ordinary jobs. Otherwise the benches would measure something else.

use std::time::Duration;

use serde_json::json;
use simulator::{Fault, Options, Plan, Simulator};

use crate::home::Home;

#[path = "../../benches/targets/filler.rs"]
mod filler;

/// The result type of the benches.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const BOTS: u32 = 3;
const FILLED: u32 = 1_000;
const MINUTE: Duration = Duration::from_secs(60);

async fn call(simulator: &Simulator, url: &str) {
    for number in 0..BOTS {
        let bot = simulator.bot(Plan::with_data(json!({ "n": number.to_string() })));
        assert_eq!(bot.call(url).await.unwrap().status, 200);
    }
}

async fn fill(home: &Home, kind: filler::Kind) -> Result<()> {
    filler::fill(&home.path("bridge.db"), kind, i64::from(FILLED), 10 * MINUTE, MINUTE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filled_in_finished_jobs_are_shown_and_counted_with_their_history() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    call(&simulator, &serve.url("echo")).await;
    serve.settled().await;
    serve.stop();

    fill(&home, filler::Kind::Finished).await.unwrap();

    let serve = home.serve();
    assert_eq!(serve.count("delivered").await, u64::from(BOTS + FILLED));
    // Newest first: the bridge's own jobs, then the copies.
    let (_, list) = serve.get("/api/v1/jobs?limit=100").await;
    let copy = &list["jobs"][3];
    let (status, job) = serve.get(&format!("/api/v1/jobs/{}", copy["id"].as_str().unwrap())).await;
    assert_eq!((status, &job["state"]), (200, &json!("delivered")));
    assert_eq!(job["attempts"].as_array().map(Vec::len), Some(2), "{job}");
    assert!(job["received_at"].as_str() < list["jobs"][0]["received_at"].as_str(), "{job}");
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filled_in_waiting_jobs_are_delivered() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    simulator.set_outage(Some(Fault::Status(503)));
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    call(&simulator, &serve.url("echo")).await;
    serve.reaches("delivering", u64::from(BOTS)).await;
    serve.stop();

    fill(&home, filler::Kind::Waiting).await.unwrap();
    simulator.set_outage(None);

    let serve = home.serve();
    serve.settled().await;
    // A copy names the bot of the original job, which is continued only once, so most copies end as `gone`.
    assert_eq!(serve.count("delivered").await + serve.count("gone").await, u64::from(BOTS + FILLED));
    serve.stop();
}

#[tokio::test]
async fn a_store_without_a_job_to_copy_is_not_filled() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    home.serve().stop();
    let error = fill(&home, filler::Kind::Finished).await.unwrap_err().to_string();
    assert!(error.contains("no job to copy"), "{error}");
}
