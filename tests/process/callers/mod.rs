//! Tests with hostile and broken callers, who send bytes on raw sockets to the real program. Whatever they send, the
//! bridge responds with a 4xx or closes the connection, never with a 5xx. It does not panic, accepts no smuggled request,
//! and serves a bot beside them and after them.

mod connections;
mod crowd;
mod shapes;
mod wire;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;
use simulator::{Bot, Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::serve::Serve;

/// Opens a connection and sends these bytes. The bridge may close the connection meanwhile.
fn open(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let _cut = stream.write_all(bytes);
    stream
}

/// The bridge's response, up to the end of the connection.
fn heard(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The statuses of the responses in a text.
fn statuses(heard: &str) -> Vec<u16> {
    heard.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

/// A whole request of this bot, with the lines of `more` added to its head.
fn request(bot: &Bot, serve: &Serve, more: &str) -> Vec<u8> {
    let body = bot.request(&serve.url("echo")).body;
    let head = format!(
        "POST /widget_request/echo HTTP/1.1\r\nHost: a\r\n{more}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// A Kommo whose bots wait long for the bridge's answer: these tests load the machine, and do not test the two seconds.
async fn simulator() -> Simulator {
    Simulator::start(Options { answer_timeout: TEST_TIMEOUT, ..Options::default() }).await.unwrap()
}

fn bot(simulator: &Simulator) -> Bot {
    simulator.bot(Plan::with_data(json!({ "n": "1" })))
}

/// Asserts that an ordinary bot is answered.
async fn is_served(simulator: &Simulator, serve: &Serve) {
    let answer = bot(simulator).call(&serve.url("echo")).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// The number of jobs in all states.
async fn jobs(serve: &Serve) -> u64 {
    let (_, stats) = serve.get("/api/v1/stats").await;
    stats["jobs"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

/// Stops the bridge, and asserts that it did not panic.
fn ends_well(serve: Serve) {
    let log = serve.stop().err;
    assert!(!log.contains("panic"), "{log}");
}
