//! Tests with callers that send slowly, nothing, or too much.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;
use simulator::{Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::home::Home;

const NOTHING: &str = "";
const HALF_A_HEAD: &str = "POST /widget_request/echo HTTP/1.1\r\nHost: a\r\nContent-";
const HALF_A_BODY: &str =
    "POST /widget_request/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"token\":";

fn open(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// The bridge's response, up to the end of the connection.
fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // A reset is as good as a close.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections_are_closed_and_bots_are_answered_meanwhile() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "server.read_timeout = \"2s\"");
    let serve = home.serve();
    let begun = Instant::now();
    let slow: Vec<_> = [NOTHING, HALF_A_HEAD, HALF_A_BODY]
        .iter()
        .flat_map(|text| (0..20).map(|_| (*text, open(serve.public, text))))
        .collect();

    let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })));
    let answer = bot.call(&serve.url("echo")).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "the slow connections must still be open");
    bot.continued().await;

    for (text, stream) in slow {
        let answer = rest(stream);
        if text == HALF_A_BODY {
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
            assert!(answer.contains("application/problem+json"), "{answer}");
        }
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_body_is_refused_and_a_steady_drip_is_closed() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "server.max_body = \"1KiB\"\nserver.read_timeout = \"1s\"");
    let serve = home.serve();
    let answer = serve.client.post(serve.url("echo")).body("x".repeat(100_000)).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 413);

    // One byte per round trip: the caller never pauses for long, and never ends.
    let mut drip = open(serve.public, HALF_A_HEAD);
    let deadline = Instant::now() + TEST_TIMEOUT;
    while drip.write_all(b"x").is_ok() {
        assert!(Instant::now() < deadline, "the connection is still open");
        serve.count("queued").await;
    }
    serve.stop();
}
