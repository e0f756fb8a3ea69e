//! Tests that a job that crashes the process gets only a limited number of attempts.

use std::os::unix::process::ExitStatusExt;

use serde_json::json;
use simulator::{Options, Plan, Simulator};

use crate::home::Home;
use crate::process::Process;

const ABORTED: i32 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_ran_in_three_crashes_in_a_row_gets_its_fallback() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })));

    let mut first = home.serve_own();
    // The crash may lose the response.
    let _answer = bot.call(&first.url("abort")).await;
    assert_eq!(first.process.end().status.signal(), Some(ABORTED));
    for _ in 2..=3 {
        let mut next = Process::start(home.own());
        let ended = next.end();
        assert_eq!(ended.status.signal(), Some(ABORTED), "{}", ended.err);
        assert_eq!(bot.report().attempts, 0, "the job is retried");
    }

    let last = home.serve_own();
    assert_eq!(bot.continued().await.data, json!({ "status": "fail" }));
    let innocent = simulator.bot(Plan::with_data(json!({ "n": "2", "ms": "0" })));
    assert_eq!(innocent.call(&last.url("wait")).await.unwrap().status, 200);
    assert_eq!(innocent.continued().await.data["n"], "2");
    last.settled().await;
    let (_, page) = last.get("/api/v1/jobs?handler=abort").await;
    let job = &page["jobs"][0];
    assert_eq!((&job["outcome"], &job["handler_attempts"]), (&json!("fallback"), &json!(0)), "{page}");
    let error = job["last_error"].as_str().unwrap();
    assert!(error.contains("3 times in a row"), "{error}");
    last.stop();
}
