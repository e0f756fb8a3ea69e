//! Responses to a continue that the real Kommo never sends: endless, cut in the middle, not HTTP. Each costs its own job
//! one attempt within `delivery.request_timeout`. It costs no memory, and does not affect other accounts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::{Bot, Plan, Simulator, TokenStyle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::bridge::TestBridge;
use crate::played::{bot, continued, kommo, plan};
use crate::setup::{Setup, host};

/// The response to the first continue of a bot. Later ones are accepted.
#[derive(Clone)]
enum Answer {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes, then a reset of the connection.
    Reset(Vec<u8>),
    /// The first bytes, then the others repeatedly for as long as the client reads.
    Endless(&'static str, Vec<u8>),
    /// The first bytes, then single bytes without end.
    Drip(&'static str),
    /// The server closes its sending side without a response.
    HalfClosed,
}

use Answer::{Bytes, Drip, Endless, HalfClosed, Reset};

/// A server that sends these answers. The number in a bot's `return_url` selects one.
struct Hostile {
    address: String,
    /// Bytes written for the first continue, by answer.
    written: Arc<Mutex<HashMap<usize, usize>>>,
}

impl Hostile {
    async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let written = Arc::new(Mutex::new(HashMap::new()));
        let seen = written.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers.clone(), seen.clone()));
            }
        });
        Self { address, written }
    }

    /// A bot that names this server in its `return_url`.
    fn bot(&self, kommo: &Simulator, number: usize) -> Bot {
        let url = format!("http://{}", self.address);
        let claims = json!({ "iss": url }).as_object().unwrap().clone();
        kommo.bot(Plan {
            return_url: Some(format!("{url}/api/v4/salesbot/1/continue/{number}")),
            token: TokenStyle { claims, ..TokenStyle::default() },
            ..plan()
        })
    }

    async fn bridge(&self, kommo: &Simulator, more: &str) -> TestBridge {
        let hosts = [host(kommo), &self.address];
        let account =
            format!(r#"accounts.hostile = {{ base_url = "http://{}", access_token = "x" }}"#, self.address);
        Setup::with(&[kommo])
            .config(&format!("delivery.allowed_hosts = {hosts:?}\n{account}\n{more}"))
            .start()
            .await
    }
}

/// Serves one call. Errors are intended.
async fn serve(stream: TcpStream, answers: Vec<Answer>, written: Arc<Mutex<HashMap<usize, usize>>>) {
    let _cut = answer(stream, &answers, &written).await;
}

async fn answer(
    mut stream: TcpStream,
    answers: &[Answer],
    written: &Mutex<HashMap<usize, usize>>,
) -> std::io::Result<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(stream.read_u8().await?.into());
    }
    let after = |before: &str| {
        let rest = head.split(before).nth(1).unwrap_or_default();
        rest.split_ascii_whitespace().next().and_then(|word| word.parse::<usize>().ok()).unwrap_or(0)
    };
    let (number, length) = (after("/continue/"), after("content-length: "));
    stream.read_exact(&mut vec![0; length]).await?;
    let is_first = written.lock().unwrap().insert(number, 0).is_none();
    if !is_first {
        return stream
            .write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
    }
    match &answers[number] {
        Bytes(bytes) => stream.write_all(bytes).await?,
        Reset(bytes) => {
            stream.write_all(bytes).await?;
            stream.set_zero_linger()?;
        }
        Endless(first, others) => {
            stream.write_all(first.as_bytes()).await?;
            loop {
                stream.write_all(others).await?;
                *written.lock().unwrap().entry(number).or_default() += others.len();
            }
        }
        Drip(first) => {
            stream.write_all(first.as_bytes()).await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        HalfClosed => {
            stream.shutdown().await?;
            stream.read_to_end(&mut Vec::new()).await?;
        }
    }
    Ok(())
}

fn bytes(text: &str) -> Answer {
    Bytes(text.as_bytes().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_response_costs_its_job_one_attempt_and_does_not_affect_others() {
    const OK: &str = "HTTP/1.1 202 Accepted\r\n";
    let chunked = "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n";
    let kib = || vec![b'x'; 64 << 10];
    let headers = |count: usize| format!("{OK}{}Content-Length: 0\r\n\r\n", "X-A: b\r\n".repeat(count));
    // The name of a row, the first response, and the status that the attempt should record; `null` for none.
    let rows: Vec<(&str, Answer, Value)> = vec![
        ("nothing at all", bytes(""), json!(null)),
        ("half a head", bytes("HTTP/1.1 202 Acc"), json!(null)),
        ("not HTTP", Bytes(b"\x15\x03\x01\0\x02\x02\x46\r\n\r\n".to_vec()), json!(null)),
        ("HTTP/2", bytes("HTTP/2 202\r\n\r\n"), json!(null)),
        ("a status of two digits", bytes("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"), json!(null)),
        ("a status that is not a number", bytes("HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"), json!(null)),
        (
            "two lengths",
            bytes("HTTP/1.1 503 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
            json!(null),
        ),
        ("a thousand headers", bytes(&headers(1_000)), json!(null)),
        ("a header without end", Endless("HTTP/1.1 202 Accepted\r\nX-A: ", kib()), json!(null)),
        (
            "1xx without end",
            Endless("", "HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000).into_bytes()),
            json!(null),
        ),
        ("a head in drips", Drip("HTTP/1.1 202 Accepted\r\nX-A: "), json!(null)),
        ("half-closed", HalfClosed, json!(null)),
        ("reset at once", Reset(Vec::new()), json!(null)),
        ("reset in the head", Reset(b"HTTP/1.1 202 Acc".to_vec()), json!(null)),
        // The status arrived. The body does not change that.
        ("cut in the body", bytes(&format!("{OK}Content-Length: 100\r\n\r\nabc")), json!(202)),
        ("broken chunks", bytes(&format!("{chunked}zzz\r\nabc")), json!(202)),
        (
            "chunks without end",
            Endless(
                "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n",
                [&b"10000\r\n"[..], &kib(), b"\r\n"].concat(),
            ),
            json!(202),
        ),
        (
            "a gigabyte",
            Endless("HTTP/1.1 202 Accepted\r\nContent-Length: 1000000000\r\n\r\n", kib()),
            json!(202),
        ),
        (
            "a gigabyte of an error",
            Endless("HTTP/1.1 503 X\r\nContent-Length: 1000000000\r\n\r\n{\"a\":\"", kib()),
            json!(503),
        ),
        ("a body in drips", Drip("HTTP/1.1 202 Accepted\r\nContent-Length: 1000000\r\n\r\n"), json!(202)),
        ("an error in drips", Drip("HTTP/1.1 503 X\r\nContent-Length: 1000000\r\n\r\n"), json!(503)),
        (
            "no gzip",
            bytes("HTTP/1.1 500 X\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
            json!(500),
        ),
        (
            "one response too many",
            bytes(&format!("{OK}Content-Length: 0\r\n\r\n{OK}Content-Length: 0\r\n\r\n")),
            json!(202),
        ),
        ("more than its length", bytes("HTTP/1.1 503 X\r\nContent-Length: 1\r\n\r\nabcdef"), json!(503)),
        (
            "1xx and then a response",
            bytes(&format!("HTTP/1.1 103 Early Hints\r\n\r\n{OK}Content-Length: 0\r\n\r\n")),
            json!(202),
        ),
        ("an upgrade", bytes("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"), json!(101)),
        ("an unknown status", bytes("HTTP/1.1 799 X\r\nContent-Length: 0\r\n\r\n"), json!(799)),
    ];
    let kommo = kommo().await;
    let hostile = Hostile::start(rows.iter().map(|row| row.1.clone()).collect()).await;
    let bridge = hostile.bridge(&kommo, r#"delivery.request_timeout = "2s""#).await;
    let begun = Instant::now();
    let mut ids = Vec::new();
    for number in 0..rows.len() {
        ids.push(bridge.ask(&hostile.bot(&kommo, number), "echo").await);
    }
    // Another account, at the same time.
    let (good, asked) = (bot(&kommo), Instant::now());
    bridge.ask(&good, "echo").await;
    continued(&good).await;
    assert!(asked.elapsed() < Duration::from_secs(10), "another account waited {:?}", asked.elapsed());

    for (number, (what, _, first)) in rows.iter().enumerate() {
        let job = bridge.in_state(&ids[number], "delivered").await;
        let attempts = job["attempts"].as_array().unwrap().iter();
        let deliveries: Vec<&Value> = attempts.filter(|attempt| attempt["stage"] == "delivery").collect();
        let statuses: Vec<&Value> = deliveries.iter().map(|attempt| &attempt["status"]).collect();
        let expected = if *first == 202 { 1 } else { 2 };
        assert_eq!(statuses.len(), expected, "{what}: {job:#}");
        assert_eq!((statuses[0], &job["outcome"]), (first, &json!("handler")), "{what}: {job:#}");
        let took = deliveries[0]["duration_ms"].as_u64().unwrap();
        assert!(took < 10_000, "{what} took {took} ms");
        let written = hostile.written.lock().unwrap()[&number];
        assert!(written < 32 << 20, "{what}: the bridge read {written} bytes");
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_403_with_truncated_json_pauses_only_its_own_account() {
    let cut = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nContent-Length: 500\r\n\r\n{\"title\":\"Forb";
    let kommo = kommo().await;
    let hostile = Hostile::start(vec![bytes(cut)]).await;
    let bridge = hostile.bridge(&kommo, "").await.leaves_jobs();
    let id = bridge.ask(&hostile.bot(&kommo, 0), "echo").await;
    let why = bridge.waiting(&hostile.address).await;
    assert!(why.contains("administrator"), "{why}");
    let good = bot(&kommo);
    bridge.ask(&good, "echo").await;
    continued(&good).await;
    let job = bridge.job(&id).await;
    assert_eq!((&job["state"], &job["delivery_attempts"]), (&json!("delivering"), &json!(0)), "{job:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_with_any_retry_after_causes_a_limited_pause_of_its_account() {
    let answer = |header: &str, body: &str| {
        let length = body.len();
        bytes(&format!(
            "HTTP/1.1 429 X\r\nRetry-After: {header}\r\nDate: Thu, 26 Nov 2026 12:00:00 GMT\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
    };
    let kommo = kommo().await;
    // Each row causes a pause of at most a second. The call of the next row comes after the end of that pause.
    let rows = vec![
        answer("-5", ""),
        answer("soon", "<html>"),
        answer("NaN", "{\"retry_after\":1e300}"),
        answer("99999999999999999999999", "{\"retry_after\":-1}"),
        answer("Thu, 26 Nov 2026 12:00:01 GMT", ""),
        answer("Thu, 26 Nov 2026 11:00:00 GMT", "{\"retry_after\":0.5}"),
    ];
    let hostile = Hostile::start(rows.clone()).await;
    let bridge = hostile.bridge(&kommo, "").await;
    for number in 0..rows.len() {
        let begun = Instant::now();
        let id = bridge.ask(&hostile.bot(&kommo, number), "echo").await;
        let good = bot(&kommo);
        bridge.ask(&good, "echo").await;
        continued(&good).await;
        let job = bridge.in_state(&id, "delivered").await;
        // No attempt was charged, and the pause was respected.
        assert_eq!(job["delivery_attempts"], 1, "{job:#}");
        assert!(begun.elapsed() >= Duration::from_millis(490), "row {number}: {:?}", begun.elapsed());
    }
}
