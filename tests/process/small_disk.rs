//! Tests that one account cannot fill a disk that is smaller than the budgets. Needs the right to mount a small file
//! system in memory.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use serde_json::json;
use simulator::{Bot, Fault, Options, Plan, Simulator, TokenStyle};

use crate::disk_full::Disk;
use crate::home::Home;
use crate::serve::Serve;

/// Large requests from one account: together far more than the disk can hold.
const REQUESTS: usize = 250;
const AT_ONCE: usize = 16;

async fn post(serve: &Serve, bot: &Bot) -> u16 {
    let url = serve.url("echo");
    let request = bot.request(&url);
    let post = serve.client.post(url).header("content-type", request.content_type);
    post.body(request.body).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_account_with_large_requests_does_not_fill_a_small_disk_for_the_others() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let disk = match Disk::mount(&home.path("disk"), "120m") {
        Ok(disk) => disk,
        Err(reason) => return println!("skipped: no file system can be mounted here: {reason}"),
    };
    // This test is about disk space, so a busy machine must not make it fail.
    home.configure(&simulator, &disk.0.join("bridge.db"), "server.ack_deadline = \"30s\"");
    let serve = home.serve();
    // Nothing is finished, so the bridge cannot delete any bodies.
    simulator.set_outage(Some(Fault::Status(503)));
    let claims = json!({ "account_id": 1_234_567 }).as_object().unwrap().clone();
    let greedy = || {
        let token = TokenStyle { claims: claims.clone(), ..TokenStyle::default() };
        simulator.bot(Plan { token, ..Plan::with_data(json!({ "text": "x".repeat(200_000) })) })
    };
    let flooding = stream::iter(0..REQUESTS)
        .map(|_| async {
            let bot = greedy();
            (post(&serve, &bot).await, bot)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    let others = async {
        let mut answers = Vec::new();
        for _ in 0..100 {
            let bot = simulator.bot(Plan::with_data(json!({ "text": "hello" })));
            answers.push((post(&serve, &bot).await, bot));
        }
        answers
    };
    let (flooding, others) = tokio::join!(flooding, others);
    let count = |answers: &[(u16, Bot)]| {
        let mut counts = BTreeMap::new();
        answers.iter().for_each(|(status, _)| *counts.entry(*status).or_insert(0_usize) += 1);
        counts
    };
    let log = serve.process.err.so_far();
    assert_eq!(count(&others), [(200, 100)].into(), "beside {:?}:\n{log}", count(&flooding));
    let counts = count(&flooding);
    assert!(counts.keys().all(|status| matches!(status, 200 | 429)), "{counts:?}:\n{log}");
    assert!(counts[&429] > 0, "the disk held everything, so this tested nothing");
    serve.becomes(200).await;
    serve.stop();
}
