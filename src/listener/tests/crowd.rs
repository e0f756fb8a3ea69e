//! More callers than slots, over real sockets: which connections are closed, served, or never interrupted.

use std::io::Write;
use std::sync::Mutex;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::*;
use crate::problem::SendAfter;

const HELLO: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const LAST_HELLO: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// `GET /slow` reports that it started and responds when released; `POST /body` responds after the whole body.
fn busy() -> (Router, mpsc::Receiver<()>, Arc<Notify>) {
    let (began, begun) = mpsc::channel::<()>(8);
    let release = Arc::new(Notify::new());
    let slow = {
        let release = release.clone();
        get(async move || {
            began.send(()).await.unwrap();
            release.notified().await;
            "finished"
        })
    };
    (hello().route("/slow", slow).route("/body", post(async |body: String| body)), begun, release)
}

#[tokio::test]
async fn connections_that_wait_for_their_caller_give_up_their_slots() {
    let big = "x".repeat(32 << 20);
    let (router, ..) = busy();
    let router = router.route("/big", get(async move || big));
    for (what, sent) in [
        ("silent", ""),
        ("half a head", "GET / HTTP/1.1\r\nhost"),
        ("half a body", "POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc"),
        ("half a chunk", "POST /body HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc"),
        ("between requests", HELLO),
        ("does not read", "GET /big HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("sends constantly, does not read", &HELLO.repeat(2_000)),
    ] {
        let running = Running::start_with(router.clone(), options(1, LONG_TIMEOUT)).await;
        let first = running.send(sent).await;
        // The new caller gives up long before any time limit of the listener.
        let mut second = running.send(LAST_HELLO).await;
        assert!(until_closed(&mut second).await.ends_with("hello"), "{what}");
        drop(first);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_request_in_progress_is_never_closed_and_new_callers_wait_for_it() {
    let (router, mut begun, release) = busy();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (full, mut is_full) = mpsc::unbounded_channel();
    let mut options = options(1, LONG_TIMEOUT);
    options.on_full = {
        let seen = seen.clone();
        Arc::new(move |since| {
            seen.lock().unwrap().push(since.is_some());
            full.send(()).unwrap();
        })
    };
    let running = Running::start_with(router, options).await;
    let mut first = running.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    begun.recv().await.unwrap();
    let mut second = running.send(LAST_HELLO).await;
    is_full.recv().await.unwrap();
    assert_eq!(second.try_read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    release.notify_one();
    until(&mut first, "finished").await;
    // Now it is idle, and can be closed.
    assert!(until_closed(&mut second).await.ends_with("hello"));
    assert_eq!(until_closed(&mut first).await, "");
    running.stop().await;
    assert_eq!(*seen.lock().unwrap(), [true, false]);
}

/// Advances tokio's clock.
async fn pass(span: Duration) {
    tokio::time::pause();
    tokio::time::advance(span).await;
    tokio::time::resume();
}

#[tokio::test]
async fn strangers_are_closed_first_in_order_of_waiting() {
    let mut options = options(3, LONG_TIMEOUT);
    options.rules.proves = |path| path == "/proof";
    let router = hello().route("/proof", get(async || "proven"));
    let running = Running::start_with(router, options).await;
    let mut proven = running.send("GET /proof HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(&mut proven, "proven").await;
    let mut older = running.send(HELLO).await;
    until(&mut older, "hello").await;
    let mut younger = running.send(HELLO).await;
    until(&mut younger, "hello").await;
    pass(Duration::from_secs(2)).await;
    let mut new = running.send(LAST_HELLO).await;
    assert!(until_closed(&mut new).await.ends_with("hello"));
    assert_eq!(until_closed(&mut older).await, "");
    for kept in [&mut proven, &mut younger] {
        kept.write_all(HELLO.as_bytes()).await.unwrap();
        until(kept, "hello").await;
    }
    running.stop().await;
}

#[tokio::test]
async fn several_unproven_requests_without_a_good_one_close_the_connection() {
    let mut options = options(9, LONG_TIMEOUT);
    options.rules.proves = |path| path == "/";
    let router = hello().route("/anyone", get(async || "good day"));
    let running = Running::start_with(router, options).await;
    let anyone = "GET /anyone HTTP/1.1\r\nhost: a\r\n\r\n";
    let heard = until_closed(&mut running.send(&anyone.repeat(50)).await).await;
    assert_eq!(heard.matches("good day").count(), 8);
    let nothing = "GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n";
    let heard = until_closed(&mut running.send(&nothing.repeat(50)).await).await;
    assert_eq!(heard.matches("HTTP/1.1 404").count(), 8);
    assert_eq!(heard.matches("connection: close").count(), 1);
    let sometimes_good = [nothing.repeat(7), HELLO.to_owned()].concat().repeat(3) + LAST_HELLO;
    let heard = until_closed(&mut running.send(&sometimes_good).await).await;
    assert_eq!((heard.matches("HTTP/1.1 404").count(), heard.matches("hello").count()), (21, 4));
    running.stop().await;
}

#[tokio::test]
async fn a_path_with_a_smaller_share_leaves_room_for_the_others() {
    let (router, mut begun, release) = busy();
    let mut options = options(4, LONG_TIMEOUT);
    options.rules.share = |path| if path == "/" { usize::MAX } else { 2 };
    let running = Running::start_with(router, options).await;
    let slow = "GET /slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let mut working = Vec::new();
    for _ in 0..2 {
        working.push(running.send(slow).await);
        begun.recv().await.unwrap();
    }
    for _ in 0..5 {
        let refused = until_closed(&mut running.send(slow).await).await;
        assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"), "{refused}");
        assert!(until_closed(&mut running.send(LAST_HELLO).await).await.ends_with("hello"));
    }
    for stream in &mut working {
        release.notify_one();
        assert!(until_closed(stream).await.ends_with("finished"));
    }
    let mut again = running.send(slow).await;
    begun.recv().await.unwrap();
    release.notify_one();
    assert!(until_closed(&mut again).await.ends_with("finished"), "the share is free again");
    running.stop().await;
}

#[tokio::test]
async fn callers_that_send_constantly_make_room_for_a_new_one() {
    let mut options = options(2, LONG_TIMEOUT);
    options.rules.proves = |path| path == "/";
    let running = Running::start_with(hello(), options).await;
    // They send so often that the bridge never waits for any of them.
    let mut busy = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let mut stream = running.send("").await;
        busy.spawn(async move {
            while stream.write_all(HELLO.as_bytes()).await.is_ok()
                && matches!(stream.read(&mut [0; 4_096]).await, Ok(1..))
            {}
        });
    }
    assert!(until_closed(&mut running.send(LAST_HELLO).await).await.ends_with("hello"));
    busy.shutdown().await;
    running.stop().await;
}

#[tokio::test]
async fn a_delayed_response_is_sent_and_occupies_no_slot_meanwhile() {
    let late = |pause| {
        async move || {
            let mut response: Response = (StatusCode::UNAUTHORIZED, "late").into_response();
            response.extensions_mut().insert(SendAfter(pause));
            response
        }
    };
    let router = hello()
        .route("/soon", get(late(Duration::from_millis(20))))
        .route("/never", get(late(Duration::from_secs(3_600))));
    let mut options = options(1, LONG_TIMEOUT);
    options.rules.share = |path| if path == "/" { 1 } else { usize::MAX };
    let running = Running::start_with(router, options).await;
    let mut soon = running.send("GET /soon HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(until_closed(&mut soon).await.ends_with("late"));
    let mut never = running.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(until_closed(&mut running.send(LAST_HELLO).await).await.ends_with("hello"));
    assert_eq!(until_closed(&mut never).await, "");
    running.stop().await;
}

#[tokio::test]
async fn a_burst_beyond_the_limit_is_served_completely() {
    let running = Running::start_with(busy().0, options(4, LONG_TIMEOUT)).await;
    let mut burst = Vec::new();
    // The listener does not run before all of them are connected and have sent their requests.
    for number in 0..64 {
        let body = format!("number {number:02}");
        let mut stream = std::net::TcpStream::connect(running.address).unwrap();
        write!(stream, "POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{body}").unwrap();
        stream.set_nonblocking(true).unwrap();
        burst.push((TcpStream::from_std(stream).unwrap(), body));
    }
    for (stream, body) in &mut burst {
        // The callers keep the connections open, like a proxy.
        assert!(until(stream, body).await.starts_with("HTTP/1.1 200"));
    }
    running.stop().await;
}
