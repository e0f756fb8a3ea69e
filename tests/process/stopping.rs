//! Tests of SIGTERM, and of the restart after it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::{Bot, Fault, Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::process::Process;

/// A grace period that outlasts every test.
const LONG_GRACE: &str = "workers.grace = \"1h\"\nhandlers.block = { answer_within = \"1d\" }";

fn bot(simulator: &Simulator, ms: &str) -> Bot {
    simulator.bot(Plan::with_data(json!({ "n": "1", "ms": ms })))
}

/// Waits until the bridge logs that it is stopping.
fn wait_until_stopping(process: &Process) {
    process
        .err
        .wait("stopping", |line| line.contains("stopping: no longer accepting requests").then_some(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_lets_a_running_handler_finish_and_sends_its_continue() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    for signal in ["TERM", "INT"] {
        let mut serve = home.serve_own();
        let bot = bot(&simulator, "700");
        assert_eq!(bot.call(&serve.url("wait")).await.unwrap().status, 200);
        serve.reaches("running", 1).await;
        serve.process.signal(signal);
        serve.process.end().expect(0);
        assert_eq!(bot.continues().len(), 1, "{signal}: this process continues the bot before it ends");
    }
    let jobs = home.run(&["jobs", "list", "--json"]).expect(0).json();
    for job in jobs["jobs"].as_array().unwrap() {
        assert_eq!((&job["state"], &job["handler_attempts"]), (&json!("delivered"), &json!(1)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_bridge_accepts_nothing_and_unfinished_jobs_continue_after_the_restart() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    simulator.set_outage(Some(Fault::Hang));
    let home = Home::new(&simulator, "workers.grace = \"6s\"\nworkers.concurrency = 1");
    let mut serve = home.serve_own();
    let (hanging, running, queued) = (bot(&simulator, "0"), bot(&simulator, "3600000"), bot(&simulator, "0"));
    assert_eq!(hanging.call(&serve.url("wait")).await.unwrap().status, 200);
    serve.reaches("delivering", 1).await;
    for bot in [&running, &queued] {
        assert_eq!(bot.call(&serve.url("wait")).await.unwrap().status, 200);
    }
    serve.reaches("running", 1).await;
    let asked = Instant::now();
    serve.process.signal("TERM");
    wait_until_stopping(&serve.process);
    let refused = bot(&simulator, "0");
    // No response is fine too: the listener is closed, so Kommo knows that the request was not accepted.
    if let Ok(answer) = refused.call(&serve.url("wait")).await {
        assert_eq!(answer.status, 503, "{}", answer.body);
    }
    let ended = serve.process.end().expect(0);
    let took = asked.elapsed();
    assert!(took > Duration::from_secs(6), "{took:?} is shorter than the grace period");
    assert!(took < Duration::from_secs(11), "{took:?}: handlers and deliveries share one grace period");
    assert!(ended.err.contains("handed back to the queue"), "{}", ended.err);

    let jobs = home.run(&["jobs", "list", "--json"]).expect(0).json();
    let jobs = jobs["jobs"].as_array().unwrap();
    let states: Vec<&Value> = jobs.iter().rev().map(|job| &job["state"]).collect();
    assert_eq!(states, ["delivering", "queued", "queued"], "three were acknowledged, and none is lost");
    assert!(jobs[..2].iter().all(|job| job["handler_attempts"] == 0), "a stop charges no attempt");

    simulator.set_outage(None);
    let serve = home.serve_own();
    hanging.continued().await;
    assert!(refused.continues().is_empty());
    serve.reaches("running", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_the_bridge_at_once_even_if_everything_hangs() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    simulator.set_outage(Some(Fault::Hang));
    let home = Home::new(&simulator, LONG_GRACE);
    let mut serve = home.serve_own();
    let (hanging, blocked) = (bot(&simulator, "0"), bot(&simulator, "0"));
    assert_eq!(hanging.call(&serve.url("wait")).await.unwrap().status, 200);
    serve.reaches("delivering", 1).await;
    assert_eq!(blocked.call(&serve.url("block")).await.unwrap().status, 200);
    serve.reaches("running", 1).await;

    serve.process.signal("TERM");
    wait_until_stopping(&serve.process);
    let asked = Instant::now();
    serve.process.signal("INT");
    serve.process.end().expect(0);
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?} is not at once", asked.elapsed());

    simulator.set_outage(None);
    let serve = home.serve_own();
    tokio::time::timeout(TEST_TIMEOUT, hanging.continued()).await.unwrap();
    serve.reaches("running", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_half_open_connections_do_not_delay_the_stop() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, LONG_GRACE);
    let mut serve = home.serve_own();
    let bot = bot(&simulator, "0");
    bot.call(&serve.url("echo")).await.unwrap();
    let mut half_open = std::net::TcpStream::connect(serve.public).unwrap();
    std::io::Write::write_all(&mut half_open, b"POST /widget_request/echo HTTP/1.1\r\nHost: a").unwrap();
    serve.settled().await;
    let asked = Instant::now();
    serve.process.signal("TERM");
    serve.process.end().expect(0);
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
}
