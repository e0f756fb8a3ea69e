//! Tests with more callers than the default limits allow: 1,024 connections and a `read_timeout` of 10 s. A bot waits
//! only two seconds for its answer, so the bridge cannot wait for the timeout to make room for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use simulator::Simulator;

use super::{ends_well, is_served, open, simulator};
use crate::home::Home;
use crate::process::run;
use crate::serve::Serve;

/// A bridge with the default limits, and its simulator.
async fn bridge() -> (Simulator, Home, Serve) {
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: before.maximum, maximum: before.maximum }).unwrap();
    let simulator = simulator().await;
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    (simulator, home, serve)
}

/// Reads one sample of `/metrics`.
async fn metric(serve: &Serve, name: &str) -> u64 {
    let url = format!("http://{}/metrics", serve.admin);
    let text = serve.client.get(url).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// Asserts that the bridge kept to its limit by closing old connections for the new ones.
async fn has_evicted(serve: &Serve, opened: u64) {
    assert!(metric(serve, "bridge_connections{listener=\"public\"}").await <= 1_024);
    let evicted = metric(serve, "bridge_connections_evicted_total{listener=\"public\"}").await;
    assert!(evicted >= opened - 1_024, "{evicted} of {opened}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_defaults_idle_connections_do_not_delay_a_bot() {
    const BODY: &[u8] =
        b"POST /widget_request/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n{\"token\":";
    const CHUNK: &[u8] =
        b"POST /widget_request/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9000\r\n{\"token\":";
    for (what, bytes) in [
        ("silent", &b""[..]),
        ("half a head", b"POST /widget_request/echo HTTP/1.1\r\nHost: a\r\nContent-"),
        ("half a body", BODY),
        ("half a chunk", CHUNK),
    ] {
        let (simulator, _home, serve) = bridge().await;
        let opened: Vec<_> = (0..1_200).map(|_| open(serve.public, bytes)).collect();
        is_served(&simulator, &serve).await;
        has_evicted(&serve, 1_201).await;
        assert_eq!(serve.get("/health/ready").await.0, 200, "{what}");
        // A connection that sends one byte at a time keeps no slot either.
        for mut stream in &opened {
            let _cut = stream.write_all(b"x");
        }
        is_served(&simulator, &serve).await;
        drop(opened);
        ends_well(serve);
    }
}

/// Requests a missing page, on a connection that is reopened if the bridge closed it.
fn ask(stream: &mut Option<TcpStream>, address: SocketAddr) {
    const NOTHING: &[u8] = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    let open = stream.get_or_insert_with(|| open(address, b""));
    if open.write_all(NOTHING).is_err() || !matches!(open.read(&mut [0; 4096]), Ok(1..)) {
        *stream = None;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_defaults_repeated_useless_requests_do_not_block_a_bot() {
    let (simulator, _home, serve) = bridge().await;
    let mut callers: Vec<Option<TcpStream>> = (0..1_100).map(|_| None).collect();
    for _ in 0..4 {
        for stream in &mut callers {
            ask(stream, serve.public);
        }
        is_served(&simulator, &serve).await;
    }
    has_evicted(&serve, 1_101).await;
    assert_eq!(serve.get("/health/ready").await.0, 200);
    drop(callers);
    ends_well(serve);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_do_not_block_a_probe_of_the_admin_listener() {
    let (_simulator, home, serve) = bridge().await;
    const BODY: &[u8] =
        b"POST /api/v1/jobs/retry HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 90\r\n\r\n{\"state\":";
    for bytes in [&b""[..], b"GET /metrics HTTP/1.1\r\nHost: 127.", BODY] {
        let begun = Instant::now();
        let opened: Vec<_> = (0..100).map(|_| open(serve.admin, bytes)).collect();
        let mut probe =
            open(serve.admin, b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut live = String::new();
        probe.read_to_string(&mut live).unwrap();
        assert!(live.starts_with("HTTP/1.1 200"), "{live}");
        assert!(begun.elapsed() < Duration::from_secs(10), "the probe had to wait for read_timeout");
        let mut health = home.command(&["health"]);
        health.env("BRIDGE_ADMIN__LISTEN", serve.admin.to_string());
        run(health).expect(0);
        assert_eq!(serve.get("/api/v1/stats").await.0, 200);
        drop(opened);
    }
    ends_well(serve);
}
