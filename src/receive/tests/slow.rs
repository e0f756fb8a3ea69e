//! Bodies over a real connection: incomplete, too large, in pieces.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::listener::{self, ConnectionLimits, ListenerOptions};

/// Sends `text` and returns everything that arrives until the bridge closes the connection.
async fn answer_to(read_timeout: Duration, text: &str) -> String {
    let bench = Bench::with(|receiver| receiver.read_timeout = read_timeout).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    // The head is never late here, so a closed connection is due to the body.
    let limits = ConnectionLimits { max_connections: 10, read_timeout: Duration::from_secs(60) };
    let options = ListenerOptions::new("public", limits, LogLimiter::new("a test", bench.clock.clock()));
    let serving = tokio::spawn(listener::serve(listener, bench.router.clone(), options, shutdown.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    shutdown.cancel();
    serving.await.unwrap();
    answer
}

fn head(rest: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nhost: bridge.example.com\r\n{rest}\r\n\r\n")
}

#[tokio::test]
async fn a_half_sent_body_gets_408_and_closes_the_connection() {
    for start in [head("content-length: 100"), head("transfer-encoding: chunked")] {
        for sent in [start.clone(), format!("{start}5\r\ntoken\r\n")] {
            let answer = answer_to(Duration::from_millis(50), &sent).await;
            assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
            assert!(answer.contains("application/problem+json"), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_body_too_large_gets_413_and_closes_the_connection() {
    let patient = Duration::from_secs(60);
    let body = "x".repeat(5000);
    let declared = head("content-length: 5000") + &body;
    let chunked = head("transfer-encoding: chunked") + &format!("1388\r\n{body}\r\n0\r\n\r\n");
    let announced = head("content-length: 99999999");
    for sent in [declared, chunked, announced] {
        let answer = answer_to(patient, &sent).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_in_pieces_is_accepted() {
    let body = form(&token(json!({})), RETURN_URL);
    let (start, end) = body.split_at(100);
    let chunks = format!("{:x}\r\n{start}\r\n{:x}\r\n{end}\r\n0\r\n\r\n", start.len(), end.len());
    let sent = head("transfer-encoding: chunked\r\nconnection: close") + &chunks;
    let answer = answer_to(Duration::from_secs(60), &sent).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"duplicate\":false"), "{answer}");
}
