//! Tests that a handler's own log lines contain the id of its job, and that no line contains it twice.

use serde_json::{Value, json};
use simulator::{Options, Plan, Simulator};

use crate::home::Home;

/// Calls the handler `log` of a bridge that logs in `format`. Returns the job's id, the handler's log line, and the bridge's
/// log line about the finished job.
async fn lines_of_a_job(format: &str) -> (String, String, String) {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, &format!("log.format = \"{format}\""));
    let serve = home.serve_own();
    let bot = simulator.bot(Plan::with_data(json!({})));
    let answer = bot.call(&serve.url("log")).await.unwrap();
    let id = answer.json()["job_id"].as_str().unwrap().to_owned();
    let line = |what: &str| serve.process.err.wait(what, |line| line.contains(what).then(|| line.to_owned()));
    let lines = (id, line("a line of the handler"), line("job finished"));
    serve.stop();
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handlers_own_log_lines_contain_the_job_id_as_json() {
    let (id, of_handler, of_bridge) = lines_of_a_job("json").await;
    let of_handler: Value = serde_json::from_str(&of_handler).unwrap();
    let span = json!([{ "name": "job", "job.id": id, "handler": "log", "attempt": 1 }]);
    assert_eq!(of_handler["spans"], span, "{of_handler}");
    let of_bridge: Value = serde_json::from_str(&of_bridge).unwrap();
    assert_eq!((&of_bridge["job.id"], of_bridge.get("spans")), (&json!(id), None), "{of_bridge}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handlers_own_log_lines_contain_the_job_id_as_text() {
    let (id, of_handler, of_bridge) = lines_of_a_job("text").await;
    let span = format!("job{{job.id={id} handler=log attempt=1}}: ");
    assert!(of_handler.contains(&span), "{of_handler}");
    assert_eq!((of_bridge.matches(&id).count(), of_bridge.contains("job{")), (1, false), "{of_bridge}");
}
