//! Generator and sink against hand-written peers that send raw bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Much longer than any of these tests takes.
const TEST_TIMEOUT: Duration = Duration::from_secs(40);

async fn sink() -> Sink {
    Sink::start(([127, 0, 0, 1], 0).into(), Account::numbered(1)).await.unwrap()
}

fn batch(sinks: &[&Sink], bridge: SocketAddr, requests: usize) -> Arc<Batch> {
    Batch::sign(&Integration::default(), sinks, &Target::echo(bridge), requests)
}

/// The bytes of a continue.
fn continues(batch: &Batch, index: usize, token: &str) -> String {
    let id = batch.ledger().id(index);
    format!(
        "POST /api/v4/salesbot/1/continue/{id} HTTP/1.1\r\nauthorization: Bearer {token}\r\n\
         content-length: 2\r\n\r\n{{}}"
    )
}

async fn connect(sink: &Sink) -> TcpStream {
    let address: SocketAddr = sink.origin().strip_prefix("http://").unwrap().parse().unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// Reads `count` responses without a body and returns their statuses.
async fn statuses(stream: &mut TcpStream, count: usize) -> Vec<u16> {
    let (mut bytes, mut statuses) = (Vec::new(), Vec::new());
    while statuses.len() < count {
        while let Some(head) = http::read(&bytes).unwrap() {
            statuses.push(http::status(head.line).unwrap());
            let end = head.end;
            bytes.drain(..end);
        }
        if statuses.len() < count {
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "closed after {statuses:?}");
        }
    }
    statuses
}

#[tokio::test]
async fn sink_counts_continues_however_their_bytes_arrive() {
    let sink = sink().await;
    let batch = batch(&[&sink], ([127, 0, 0, 1], 1).into(), 3);
    let token = &sink.account().access_token;
    let mut stream = connect(&sink).await;
    // All at once, one of them twice, the last one in two pieces.
    let last = continues(&batch, 2, token);
    let (start, end) = last.split_at(90);
    let pipelined = [0, 1, 1].map(|index| continues(&batch, index, token)).concat() + start;
    stream.write_all(pipelined.as_bytes()).await.unwrap();
    assert_eq!(statuses(&mut stream, 3).await, [202, 202, 202]);
    assert_eq!(batch.ledger().count(), Count { continued: 2, continues: 3, ..Count::default() });
    stream.write_all(end.as_bytes()).await.unwrap();
    assert_eq!(statuses(&mut stream, 1).await, [202]);
    assert_eq!(batch.ledger().count(), Count { continued: 3, continues: 4, ..Count::default() });
    assert_eq!(sink.strange(), 0);
}

#[tokio::test]
async fn sink_refuses_unexpected_calls() {
    let sink = sink().await;
    let batch = batch(&[&sink], ([127, 0, 0, 1], 1).into(), 1);
    let token = &sink.account().access_token;
    let mut stream = connect(&sink).await;
    let right = continues(&batch, 0, token);
    let wrong = [
        (continues(&batch, 0, "another"), 401),
        (continues(&batch, 1, token), 404),
        (right.replace("POST", "GET"), 404),
        (right.replace("/continue/", "/stop/"), 404),
    ];
    for (request, status) in wrong {
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(statuses(&mut stream, 1).await, [status], "{request}");
    }
    assert_eq!(sink.strange(), 4);
    assert_eq!(batch.ledger().count(), Count::default());
}

#[tokio::test]
async fn sink_that_is_down_from_the_start_accepts_no_connection() {
    let sink = sink().await;
    sink.behave(Behaviour::Down);
    tokio::task::yield_now().await;
    let address = sink.origin().replace("http://", "");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn sink_that_refuses_hangs_or_is_down_counts_nothing_and_recovers() {
    let sink = sink().await;
    let batch = batch(&[&sink], ([127, 0, 0, 1], 1).into(), 1);
    let request = continues(&batch, 0, &sink.account().access_token);
    let mut stream = connect(&sink).await;

    sink.behave(Behaviour::Refuse { status: 503, retry_after: Some(7) });
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(statuses(&mut stream, 1).await, [503]);

    sink.behave(Behaviour::Hang);
    // The sink closes the old connection, and accepts a new one but never responds on it.
    assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
    let mut stream = connect(&sink).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    while sink.refused() < 2 {
        tokio::task::yield_now().await;
    }

    sink.behave(Behaviour::Down);
    assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
    let address: SocketAddr = sink.origin().strip_prefix("http://").unwrap().parse().unwrap();
    while TcpStream::connect(address).await.is_ok() {}
    assert_eq!(batch.ledger().count(), Count::default());

    sink.behave(Behaviour::ACCEPT);
    let mut stream = loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            break stream;
        }
    };
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(statuses(&mut stream, 1).await, [202]);
    assert_eq!((batch.ledger().count().continues, sink.refused()), (1, 2));
}

/// A response after which the bridge closes the connection without announcing it.
const LAST: &str = "HTTP/1.1 200 Last\r\ncontent-length: 0\r\n\r\n";

/// A bridge that serves one connection at a time. `respond` returns the response to the request with this number; an
/// empty one closes the connection.
async fn bridge(respond: fn(usize) -> &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            'connection: loop {
                while let Some(head) = http::read(&bytes).unwrap() {
                    let end = head.end;
                    bytes.drain(..end);
                    let answer = respond(number);
                    number += 1;
                    if answer.is_empty() || stream.write_all(answer.as_bytes()).await.is_err() {
                        break 'connection;
                    }
                    if answer == LAST {
                        break 'connection;
                    }
                }
                if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                    break;
                }
            }
        }
    });
    address
}

#[tokio::test]
async fn broken_connection_loses_only_its_request() {
    let bridge = bridge(|number| match number {
        2 => "",
        4 => "HTTP/1.1 503 Unavailable\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno",
        _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    })
    .await;
    let sink = sink().await;
    for rate in [None, Some(2_000.0)] {
        let batch = batch(&[&sink], bridge, 8);
        Load { connections: 1, rate, stall_timeout: TEST_TIMEOUT }.run(&batch).await.unwrap();
        let report = Report::of(batch.ledger());
        assert_eq!((report.sent, report.answers.values().sum::<usize>()), (8, 8 - report.unanswered));
        if rate.is_none() {
            assert_eq!((report.unanswered, report.answers[&200], report.answers[&503]), (1, 6, 1));
        }
    }
}

#[tokio::test]
async fn connection_closed_while_idle_costs_no_request() {
    let bridge = bridge(|_| LAST).await;
    let sink = sink().await;
    let batch = batch(&[&sink], bridge, 4);
    Load { connections: 1, rate: Some(20.0), stall_timeout: TEST_TIMEOUT }.run(&batch).await.unwrap();
    let report = Report::of(batch.ledger());
    assert_eq!((report.unanswered, report.answers[&200]), (0, 4));
}

#[tokio::test]
async fn run_ends_if_the_bridge_does_not_respond() {
    let bridge =
        bridge(|number| if number == 0 { "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" } else { " " }).await;
    let sink = sink().await;
    let batch = batch(&[&sink], bridge, 5);
    Load { connections: 1, rate: None, stall_timeout: Duration::from_millis(50) }.run(&batch).await.unwrap();
    let report = Report::of(batch.ledger());
    assert_eq!((report.sent, report.unanswered, report.missing.len()), (2, 1, 1));
    assert!(!batch.ledger().settled(Duration::from_millis(50)).await, "it was not continued");
}

#[tokio::test]
async fn run_without_a_bridge_does_not_begin() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sink = sink().await;
    let batch = batch(&[&sink], free, 5);
    let load = Load { connections: 1, rate: None, stall_timeout: TEST_TIMEOUT };
    assert!(matches!(load.run(&batch).await, Err(LoadError::Connect(_))));
    assert_eq!(batch.ledger().count(), Count::default());
}

#[tokio::test]
async fn requests_rotate_through_the_accounts() {
    let sinks = [sink().await, sink().await];
    let batch = batch(&[&sinks[0], &sinks[1]], ([127, 0, 0, 1], 1).into(), 4);
    let mut buffer = batch::RequestBuffer::default();
    let mut written = Vec::new();
    for index in 0..4 {
        batch.write(index, &mut buffer);
        let request = &buffer.request;
        let head = http::read(request.as_bytes()).unwrap().unwrap();
        assert_eq!((head.line, head.end), ("POST /widget_request/echo HTTP/1.1", request.len()));
        let origin = sinks[index % 2].origin().replace(':', "%3A").replace('/', "%2F");
        let id = batch.ledger().id(index);
        let end = format!("&return_url={origin}%2Fapi%2Fv4%2Fsalesbot%2F6511%2Fcontinue%2F{id}");
        assert!(request.ends_with(&end), "{request}");
        written.push(request.clone());
    }
    written.dedup();
    assert_eq!(written.len(), 4);
}

#[tokio::test]
async fn absent_account_gets_requests_at_its_origin_and_no_continues() {
    let present = sink().await;
    let absent = Sink::absent("http://a.example".to_owned(), Account::numbered(2));
    let bridge = bridge(|_| LAST).await;
    let batch = batch(&[&absent, &present], bridge, 2);
    let mut buffer = batch::RequestBuffer::default();
    batch.write(0, &mut buffer);
    assert!(buffer.request.contains("&return_url=http%3A%2F%2Fa.example%2Fapi"), "{}", buffer.request);
    // Its continue is not one of the other account's, even if it has the right bearer.
    let mut stream = connect(&present).await;
    let strange = continues(&batch, 0, &absent.account().access_token);
    stream.write_all(strange.as_bytes()).await.unwrap();
    assert_eq!(statuses(&mut stream, 1).await, [401]);
    assert_eq!(batch.ledger().count().continues, 0);
}
