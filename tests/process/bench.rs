//! Tests of `bench` with a bridge that it starts, with a running bridge, and with one that loses or repeats continues.

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

/// Asserts that these are the figures of `requests` requests, each continued once.
fn assert_complete(result: &Value, requests: u64) {
    assert_eq!(result["answers"], serde_json::json!({ "200": requests }), "{result:#}");
    for (key, expected) in [("sent", requests), ("continued", requests), ("unanswered", 0)] {
        assert_eq!(result[key], expected, "{key} in {result:#}");
    }
    for key in ["missing", "repeated", "wrong"] {
        assert_eq!(result[key], serde_json::json!([]), "{key} in {result:#}");
    }
    for key in ["requests_per_second", "jobs_per_second"] {
        assert!(result[key].as_f64().unwrap() > 0.0, "{key} in {result:#}");
    }
    for key in ["acknowledgement", "until_continue", "lateness"] {
        let at = |name: &str| result[key][name].as_f64().unwrap();
        let rising = [at("p50_ms"), at("p90_ms"), at("p99_ms"), at("max_ms")];
        assert!(rising.is_sorted(), "{key} in {result:#}");
    }
    if cfg!(target_os = "linux") {
        assert!(result["bridge"]["cpu_us_per_job"].as_f64().unwrap() > 0.0, "{result:#}");
        assert!(result["bridge"]["peak_memory_bytes"].as_u64().unwrap() > 1 << 20, "{result:#}");
    }
}

#[test]
fn a_closed_loop_prints_its_figures_and_continues_every_request_once() {
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
fn an_open_loop_follows_its_schedule_and_prints_its_figures_as_json() {
    let ended = bench(&["--requests", "200", "--connections", "8", "--rate", "400", "--json"]).expect(0);
    let result = ended.json();
    assert_complete(&result, 200);
    assert_eq!(
        (&result["rate"], &result["connections"], &result["target"]),
        (&400.0.into(), &8.into(), &Value::Null)
    );
    assert!(result["commits"]["count"].as_f64().unwrap() > 0.0, "{result:#}");
    // The last of 200 requests is due after 199/400 s, so the rate cannot be higher.
    assert!(result["requests_per_second"].as_f64().unwrap() < 405.0, "{result:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_bridge_is_loaded_with_its_own_secret_and_account() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    let url = format!("http://{}", serve.public);

    let taken = home.run(&["bench", "--requests", "1", "--target", &url]).expect(1);
    assert!(taken.err.contains("stop the simulator if it runs there"), "{}", taken.err);

    // bench replaces the simulator.
    simulator.shutdown().await;
    let ended = home.run(&["bench", "--requests", "60", "--target", &url, "--json"]).expect(0);
    let result = ended.json();
    assert_complete(&result, 60);
    assert_eq!((&result["target"], &result["commits"]), (&url.as_str().into(), &Value::Null));
    assert!(result["notes"][0].as_str().unwrap().contains("at most 500"), "{result:#}");
    assert_eq!(serve.count("delivered").await, 60);

    // The path of a handler that does not exist.
    let handler = format!("{url}/widget_request/unknown");
    let ended = home.run(&["bench", "--requests", "3", "--target", &handler]).expect(1);
    assert!(ended.err.contains("3 requests got the response 404"), "{}", ended.err);
    serve.stop();
}

/// A bridge that answers 200, and continues request number `n` `times(n)` times.
async fn unreliable(token: String, times: fn(usize) -> usize) -> SocketAddr {
    struct Behaviour {
        token: String,
        times: fn(usize) -> usize,
        number: AtomicUsize,
        client: Client,
    }
    async fn answer(State(behaviour): State<Arc<Behaviour>>, body: String) -> &'static str {
        let (_, url) = body.rsplit_once("&return_url=").unwrap();
        let url = url.replace("%3A", ":").replace("%2F", "/");
        for _ in 0..(behaviour.times)(behaviour.number.fetch_add(1, Ordering::Relaxed)) {
            let post = behaviour.client.post(&url).bearer_auth(&behaviour.token).body("{}");
            assert_eq!(post.send().await.unwrap().status(), 202);
        }
        "{}"
    }
    let client = Client::builder().no_proxy().build().unwrap();
    let behaviour = Arc::new(Behaviour { token, times, number: AtomicUsize::new(0), client });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(
        async move { axum::serve(listener, Router::new().fallback(answer).with_state(behaviour)).await },
    );
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_and_repeated_continues_are_named() {
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
        let result = ended.json();
        assert_eq!(result["missing"].as_array().unwrap().len(), missing, "{result:#}");
        assert_eq!(result["repeated"].as_array().unwrap().len(), repeated, "{result:#}");
        let (what, which) = match missing {
            0 => ("2 requests were continued more than once: continue_id", &result["repeated"][0][0]),
            _ => ("1 requests got a 200 but were not continued: continue_id", &result["missing"][0]),
        };
        assert!(ended.err.contains(what) && ended.err.contains(&which.to_string()), "{}", ended.err);
        for secret in [&access_token, &client_secret] {
            assert!(!ended.out.contains(secret.as_str()) && !ended.err.contains(secret.as_str()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_usage_exits_with_2_and_names_the_allowed_values() {
    for (arguments, part) in [
        (&["--requests", "0"][..], "--requests"),
        (&["--requests", "many"], "--requests"),
        (&["--connections", "0"], "1..=10000"),
        (&["--connections", "10001"], "1..=10000"),
        (&["--rate", "0"], "0.001 to 1000000"),
        (&["--rate", "inf"], "0.001 to 1000000"),
        (&["--timeout", "0"], "--timeout"),
        (&["--config", "some.toml"], "remove --config, or add --target"),
    ] {
        let ended = bench(arguments).expect(2);
        assert!(ended.err.contains(part), "{arguments:?}: {}", ended.err);
    }
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    for (target, part) in [
        ("somewhere", "not a URL"),
        ("https://127.0.0.1:1", "plain http"),
        ("http://192.0.2.1:8080", "bench sends load to no other"),
    ] {
        let ended = home.run(&["bench", "--target", target]).expect(2);
        assert!(ended.err.contains(part), "{target}: {}", ended.err);
    }
    let config = fs::read_to_string(home.config()).unwrap();
    for (text, other, part) in [
        (simulator.base_url(), "https://example.kommo.com", "accounts.main.base_url"),
        ("handlers.echo = { kind = \"echo\" }", "handlers.a = {}\nhandlers.b = {}", "names no handler"),
    ] {
        fs::write(home.config(), config.replacen(text, other, 1)).unwrap();
        let ended = home.run(&["bench", "--target", "http://127.0.0.1:1"]).expect(2);
        assert!(ended.err.contains(part), "{other}: {}", ended.err);
    }
}

#[test]
fn a_signal_ends_bench_and_its_bridge_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command: Command = program();
    // The bridge is ready long before the second request is due.
    command.args(["bench", "--requests", "1000", "--rate", "0.01"]).env("TMPDIR", folder.path());
    let mut bench = Process::start(command);
    let store =
        || fs::read_dir(folder.path()).unwrap().flatten().find(|dir| dir.path().join("bridge.db").exists());
    let deadline = Instant::now() + TEST_TIMEOUT;
    let store = loop {
        if let Some(found) = store() {
            break found.path();
        }
        assert!(Instant::now() < deadline, "bench never started its bridge");
    };
    bench.signal("INT");
    let ended = bench.end().expect(1);
    assert!(ended.err.contains("stopped before the run was complete"), "{}", ended.err);
    assert!(!store.exists(), "the folder is still there");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
