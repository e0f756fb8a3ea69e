//! An account that floods the bridge with requests, beside an ordinary one.

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use simulator::{Bot, Fault, Plan, Simulator};

use crate::bridge::TestBridge;
use crate::played::{account, bot, continued};
use crate::setup::Setup;

const LARGE_BYTES: usize = 200_000;
const MAX_CONCURRENT_REQUESTS: usize = 16;

/// A bot that sends 200 KB.
fn large(kommo: &Simulator) -> Bot {
    kommo.bot(Plan::with_data(json!({ "message": "x".repeat(LARGE_BYTES) })))
}

/// Sends a request from each of `bots` bots, sixteen at once. Returns the acknowledged bots and the number of refusals.
async fn flood(bridge: &TestBridge, kommo: &Simulator, bots: usize) -> (Vec<Bot>, usize) {
    let answers = stream::iter(0..bots).map(|_| async {
        let bot = large(kommo);
        let request = bot.request(&bridge.url("echo"));
        let answer = bridge.post("echo", &request.content_type, request.body).await;
        let status = answer.status().as_u16();
        if status == 429 {
            assert!(answer.headers().contains_key("retry-after"));
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
        } else {
            assert_eq!(status, 200, "{}", answer.text().await.unwrap());
        }
        (status == 200).then_some(bot)
    });
    let answers: Vec<Option<Bot>> = answers.buffer_unordered(MAX_CONCURRENT_REQUESTS).collect().await;
    let refused = answers.iter().filter(|answer| answer.is_none()).count();
    (answers.into_iter().flatten().collect(), refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_flooding_account_is_refused_and_its_acknowledged_bots_are_continued() {
    let (greedy, modest) = (account(1).await, account(2).await);
    let bridge = Setup::with(&[&greedy, &modest]).config(r#"budget = { unfinished = "2MiB" }"#).start().await;
    greedy.set_outage(Some(Fault::Status(503)));
    let (flooding, modest_bots) = tokio::join!(flood(&bridge, &greedy, 60), async {
        let mut asked = Vec::new();
        for _ in 0..20 {
            let bot = bot(&modest);
            bridge.ask(&bot, "echo").await;
            asked.push(bot);
        }
        asked
    });
    let (acknowledged, refused) = flooding;
    // A job reserves the size of its data twice, the second time for its completion.
    assert!(
        (5..=11).contains(&acknowledged.len()),
        "{} were accepted, {refused} refused",
        acknowledged.len()
    );
    for bot in &modest_bots {
        continued(bot).await;
    }
    greedy.set_outage(None);
    for bot in &acknowledged {
        continued(bot).await;
    }
    bridge.settled().await;
    let (again, _) = flood(&bridge, &greedy, 1).await;
    assert_eq!(again.len(), 1, "finished jobs free their budget");
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_large_jobs_contain_no_bodies() {
    let kommo = account(1).await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let (bots, _) = flood(&bridge, &kommo, 40).await;
    for bot in &bots {
        continued(bot).await;
    }
    bridge.settled().await;
    let path = format!("/api/v1/jobs?limit=500&q={}", "x".repeat(9));
    let lists = ["/api/v1/jobs?limit=500", &path, "/api/v1/jobs?limit=500", "/api/v1/jobs?state=delivered"];
    for (status, list) in futures_util::future::join_all(lists.map(|path| bridge.get(path))).await {
        assert_eq!(status, 200, "{list}");
        let jobs = list["jobs"].as_array().unwrap();
        assert_eq!(jobs.len(), 40);
        let carries = |job: &Value| job.get("data").is_some() || job.get("completion").is_some();
        assert!(!jobs.iter().any(carries) && list.to_string().len() < 40 * 1_000);
    }
    let id = bridge.jobs().await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(bridge.job(&id).await["data"]["message"].as_str().map(str::len), Some(LARGE_BYTES));
}
