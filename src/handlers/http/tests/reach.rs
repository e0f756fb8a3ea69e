//! A tool that cannot be reached, and the circuit breaker.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use super::*;

/// Answers each connection with 204.
async fn answer(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut head = vec![0; 16];
        stream.read_exact(&mut head).await.unwrap();
        let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn jobs_wait_while_the_tool_cannot_be_reached() {
    // Connections are refused until the socket listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let fixture = Fixture::new(&config(&format!("http://{}/", socket.local_addr().unwrap())));
    let log = test_log::collect(tracing::Level::INFO);
    for _ in 0..5 {
        assert_eq!(fixture.handler.admission(), Admission::All);
        let error = fixture.run().await.unwrap_err();
        assert!(error.is_retryable() && error.to_string().contains("cannot be reached"), "{error}");
    }
    assert_eq!(fixture.handler.admission(), Admission::After(Duration::from_secs(1)));
    fixture.time.advance(Duration::from_secs(1));
    assert_eq!(fixture.handler.admission(), Admission::Probe);
    assert_eq!(fixture.handler.admission(), Admission::After(Duration::from_secs(1)));
    fixture.run().await.unwrap_err();
    assert_eq!(fixture.handler.admission(), Admission::After(Duration::from_secs(1)));
    tokio::spawn(answer(socket.listen(16).unwrap()));
    fixture.time.advance(Duration::from_secs(1));
    assert_eq!(fixture.handler.admission(), Admission::Probe);
    fixture.run().await.unwrap();
    assert_eq!(fixture.handler.admission(), Admission::All);
    fixture.run().await.unwrap();
    for line in ["handler unreachable", "handler reachable again"] {
        assert_eq!(log.with(line).len(), 1, "{}", log.text());
    }
    assert!(log.with("handler unreachable")[0].contains("cannot be reached: "), "{}", log.text());
}

#[tokio::test]
async fn a_tool_that_closes_connections_does_not_open_the_breaker() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fixture = Fixture::new(&config(&format!("http://{}/", listener.local_addr().unwrap())));
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    for _ in 0..6 {
        let error = fixture.run().await.unwrap_err();
        assert!(error.is_retryable() && error.to_string().contains("closed the connection"), "{error}");
    }
    assert_eq!(fixture.handler.admission(), Admission::All);
}

#[tokio::test]
async fn a_slow_tool_does_not_open_the_breaker() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fixture = Fixture::new(&config(&format!("http://{}/", listener.local_addr().unwrap())));
    for _ in 0..6 {
        let mut context = fixture.context(1);
        context.remaining = Duration::from_millis(20);
        let request = request(json!({}));
        let result = fixture.handler.run(&request, ReceivedAt(fixture.time.now()), context).await;
        let error = result.unwrap_err();
        assert!(error.is_retryable() && error.to_string().contains("did not answer within"), "{error}");
    }
    assert_eq!(fixture.handler.admission(), Admission::All);
}

#[tokio::test]
async fn a_refused_address_fails_at_once() {
    let fixture = Fixture::new(&config("http://169.254.169.254/latest/meta-data"));
    let error = fixture.run().await.unwrap_err();
    assert!(!error.is_retryable() && error.to_string().contains("metadata service"), "{error}");
    assert!(!error.to_string().contains("latest"), "{error}");
}

#[tokio::test]
async fn a_call_runs_on_the_given_runtime_and_ends_with_its_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(&format!("http://{}/", listener.local_addr().unwrap()));
    let time = ManualClock::new(Timestamp::default());
    let (secrets, policy) = (HttpSecrets::new(&config), HandlerPolicy::default());
    let name = "assistant".parse().unwrap();
    let runtime = Some(Handle::current());
    let handler = HttpHandler::new(name, &config, secrets, &policy, time.clock(), runtime, None).unwrap();
    let request = request(json!({}));
    let mut attempt = handler.run(&request, ReceivedAt(time.now()), TestContext::new().build());
    let mut stream = tokio::select! {
        _ = &mut attempt => panic!("ended without a response"),
        stream = listener.accept() => stream.unwrap().0,
    };
    drop(attempt);
    // The connection closes, because the call was dropped with the attempt.
    let mut rest = Vec::new();
    let _request_or_reset = stream.read_to_end(&mut rest).await;
}
