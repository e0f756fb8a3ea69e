//! `bench`: against a bridge of its own, against one that runs already, and against one that breaks its promise.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use reqwest::Client;
use serde_json::Value;
use simulator::{Options, Simulator};

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::process::{Ended, Process, program, run};

fn bench(arguments: &[&str]) -> Ended {
    let mut command = program();
    command.arg("bench").args(arguments);
    run(command)
}

/// Fails unless these are figures of `requests` requests that were all continued once.
fn assert_whole(told: &Value, requests: u64) {
    assert_eq!(told["answers"], serde_json::json!({ "200": requests }), "{told:#}");
    for (key, expected) in [("sent", requests), ("continued", requests), ("unanswered", 0)] {
        assert_eq!(told[key], expected, "{key} in {told:#}");
    }
    for key in ["missing", "repeated", "wrong"] {
        assert_eq!(told[key], serde_json::json!([]), "{key} in {told:#}");
    }
    for key in ["requests_per_second", "jobs_per_second"] {
        assert!(told[key].as_f64().unwrap() > 0.0, "{key} in {told:#}");
    }
    for key in ["acknowledgement", "until_continue", "lateness"] {
        let at = |name: &str| told[key][name].as_f64().unwrap();
        let rising = [at("p50_ms"), at("p90_ms"), at("p99_ms"), at("max_ms")];
        assert!(rising.is_sorted(), "{key} in {told:#}");
    }
    if cfg!(target_os = "linux") {
        assert!(told["bridge"]["cpu_us_per_job"].as_f64().unwrap() > 0.0, "{told:#}");
        assert!(told["bridge"]["peak_memory_bytes"].as_u64().unwrap() > 1 << 20, "{told:#}");
    }
}

#[test]
fn a_closed_loop_tells_its_figures_and_continues_every_request_once() {
    let ended = bench(&["--requests", "200"]).expect(0);
    for part in [
        "200 requests over 64 connections, closed loop",
        "jobs ",
        "acknowledgement ",
        "receipt to continue ",
        "p50",
        "p99",
        "bridge's CPU ",
        "bridge's peak memory ",
        "commits ",
        "200 of 200",
    ] {
        assert!(ended.out.contains(part), "no {part:?} in\n{}", ended.out);
    }
    assert_eq!(ended.err, "", "progress is for terminals");
}

#[test]
fn an_open_loop_sends_by_its_schedule_and_tells_the_same_as_json() {
    let ended = bench(&["--requests", "200", "--connections", "8", "--rate", "400", "--json"]).expect(0);
    let told = ended.json();
    assert_whole(&told, 200);
    assert_eq!(
        (&told["rate"], &told["connections"], &told["target"]),
        (&400.0.into(), &8.into(), &Value::Null)
    );
    assert!(told["commits"]["count"].as_f64().unwrap() > 0.0, "{told:#}");
    // The last of 200 is due after 199/400 s: it cannot be faster.
    assert!(told["requests_per_second"].as_f64().unwrap() < 405.0, "{told:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_runs_already_is_loaded_with_its_own_secret_and_account() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    let url = format!("http://{}", serve.public);

    let taken = home.run(&["bench", "--requests", "1", "--target", &url]).expect(1);
    assert!(taken.err.contains("is it played there already?"), "{}", taken.err);

    // bench takes the place of Kommo.
    simulator.shutdown().await;
    let ended = home.run(&["bench", "--requests", "60", "--target", &url, "--json"]).expect(0);
    let told = ended.json();
    assert_whole(&told, 60);
    assert_eq!((&told["target"], &told["commits"]), (&url.as_str().into(), &Value::Null));
    assert!(told["notes"][0].as_str().unwrap().contains("at most 500"), "{told:#}");
    assert_eq!(serve.count("delivered").await, 60);

    // With the path of a handler, and one that there is not.
    let handler = format!("{url}/widget_request/nobody");
    let ended = home.run(&["bench", "--requests", "3", "--target", &handler]).expect(1);
    assert!(ended.err.contains("3 requests were answered 404"), "{}", ended.err);
    serve.stop();
}

/// A bridge that answers 200, and continues each request as often as its number says.
async fn unreliable(token: String, times: fn(usize) -> usize) -> SocketAddr {
    struct Told {
        token: String,
        times: fn(usize) -> usize,
        number: AtomicUsize,
        client: Client,
    }
    async fn answer(State(told): State<Arc<Told>>, body: String) -> &'static str {
        let (_, url) = body.rsplit_once("&return_url=").unwrap();
        let url = url.replace("%3A", ":").replace("%2F", "/");
        for _ in 0..(told.times)(told.number.fetch_add(1, Ordering::Relaxed)) {
            let post = told.client.post(&url).bearer_auth(&told.token).body("{}");
            assert_eq!(post.send().await.unwrap().status(), 202);
        }
        "{}"
    }
    let client = Client::builder().no_proxy().build().unwrap();
    let told = Arc::new(Told { token, times, number: AtomicUsize::new(0), client });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer).with_state(told)).await });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_continue_that_is_lost_and_one_that_comes_twice_are_named() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let Options { access_token, client_secret, .. } = simulator.options().clone();
    simulator.shutdown().await;
    for (times, missing, repeated) in
        [((|number| usize::from(number != 2)) as fn(usize) -> usize, 1, 0), (|number| 1 + number % 2, 0, 2)]
    {
        let bridge = unreliable(access_token.clone(), times).await;
        let url = format!("http://{bridge}");
        let ended =
            home.run(&["bench", "--requests", "4", "--timeout", "1", "--target", &url, "--json"]).expect(1);
        let told = ended.json();
        assert_eq!(told["missing"].as_array().unwrap().len(), missing, "{told:#}");
        assert_eq!(told["repeated"].as_array().unwrap().len(), repeated, "{told:#}");
        let (what, which) = match missing {
            0 => ("2 requests were continued more than once: continue_id", &told["repeated"][0][0]),
            _ => ("1 requests were answered 200 and not continued: continue_id", &told["missing"][0]),
        };
        assert!(ended.err.contains(what) && ended.err.contains(&which.to_string()), "{}", ended.err);
        for secret in [&access_token, &client_secret] {
            assert!(!ended.out.contains(secret.as_str()) && !ended.err.contains(secret.as_str()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_usage_exits_2_and_says_what_is_allowed() {
    for (arguments, part) in [
        (&["--requests", "0"][..], "--requests"),
        (&["--requests", "many"], "--requests"),
        (&["--connections", "0"], "1..=10000"),
        (&["--connections", "10001"], "1..=10000"),
        (&["--rate", "0"], "0.001 to 1000000"),
        (&["--rate", "inf"], "0.001 to 1000000"),
        (&["--timeout", "0"], "--timeout"),
        (&["--config", "some.toml"], "--config goes with --target"),
    ] {
        let ended = bench(arguments).expect(2);
        assert!(ended.err.contains(part), "{arguments:?}: {}", ended.err);
    }
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    for (target, part) in [
        ("somewhere", "is no URL"),
        ("https://127.0.0.1:1", "plain http"),
        ("http://192.0.2.1:8080", "load goes to no other"),
    ] {
        let ended = home.run(&["bench", "--target", target]).expect(2);
        assert!(ended.err.contains(part), "{target}: {}", ended.err);
    }
    let config = fs::read_to_string(home.config()).unwrap();
    for (text, other, part) in [
        (simulator.base_url(), "https://example.kommo.com", "accounts.main.base_url"),
        ("handlers.echo = { kind = \"echo\" }", "handlers.a = {}\nhandlers.b = {}", "says no handler"),
    ] {
        fs::write(home.config(), config.replacen(text, other, 1)).unwrap();
        let ended = home.run(&["bench", "--target", "http://127.0.0.1:1"]).expect(2);
        assert!(ended.err.contains(part), "{other}: {}", ended.err);
    }
}

#[test]
fn a_signal_ends_it_with_its_bridge_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command: Command = program();
    // The bridge is up long before the second request is due.
    command.args(["bench", "--requests", "1000", "--rate", "0.01"]).env("TMPDIR", folder.path());
    let mut bench = Process::start(command);
    let store =
        || fs::read_dir(folder.path()).unwrap().flatten().find(|dir| dir.path().join("bridge.db").exists());
    let deadline = Instant::now() + TEST_TIMEOUT;
    let store = loop {
        if let Some(found) = store() {
            break found.path();
        }
        assert!(Instant::now() < deadline, "it never started its bridge");
    };
    bench.signal("INT");
    let ended = bench.end().expect(1);
    assert!(ended.err.contains("stopped before it was done"), "{}", ended.err);
    assert!(!store.exists(), "the folder is still there");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
