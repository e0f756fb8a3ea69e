//! Tests with a disk that fails for a while under a running bridge. The bridge does not acknowledge what it cannot store,
//! and recovers automatically when the disk works again.

use serde_json::json;
use simulator::{Bot, Fault, Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::disk::{self, BROKEN, CANNOT_SYNC, Disk, FULL, READ_ONLY};
use crate::home::Home;
use crate::serve::Serve;

async fn call(serve: &Serve, bot: &Bot) -> reqwest::Response {
    let url = serve.url("echo");
    let request = bot.request(&url);
    let post = serve.client.post(url).header("content-type", request.content_type);
    post.body(request.body).send().await.unwrap()
}

/// Asserts that the bridge refuses requests during this fault, and afterwards continues every bot, with one job each.
async fn assert_refuses_during_and_recovers_from(fault: disk::Fault) {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let bots: Vec<Bot> =
        (0..6).map(|number| simulator.bot(Plan::with_data(json!({ "n": number.to_string() })))).collect();
    let home = Home::new(&simulator, "");
    let disk = Disk::new(&home.path(""));
    home.configure(&simulator, &disk.path("bridge.db"), "");
    let serve = Serve::start(disk.under(home.command(&["serve"])));
    simulator.set_outage(Some(Fault::Status(503)));
    for bot in &bots[..3] {
        assert_eq!(call(&serve, bot).await.status(), 200);
    }

    disk.fail(fault);
    simulator.set_outage(None);
    for bot in &bots[3..] {
        let refused = call(&serve, bot).await;
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"), "{:?}", refused.headers());
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
    }
    let reasons = serve.becomes(503).await.to_string();
    assert!(reasons.contains("full") || reasons.contains("cannot be written"), "{reasons}");

    disk.mend();
    serve.becomes(200).await;
    for bot in &bots[3..] {
        assert_eq!(call(&serve, bot).await.status(), 200);
    }
    for bot in &bots {
        let continued = tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await;
        continued.unwrap_or_else(|_| panic!("{:?}", bot.report()));
    }
    serve.settled().await;
    assert_eq!(serve.count("delivered").await, bots.len() as u64, "one job per bot");
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_refused_while_the_disk_is_read_only() {
    assert_refuses_during_and_recovers_from(READ_ONLY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_refused_while_the_disk_is_full() {
    assert_refuses_during_and_recovers_from(FULL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_refused_while_writes_fail() {
    assert_refuses_during_and_recovers_from(BROKEN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_refused_while_syncs_fail() {
    assert_refuses_during_and_recovers_from(CANNOT_SYNC).await;
}
