//! Responses that the real Kommo never sends: links to another host or in a circle, endless bodies, other JSON. The
//! simulator is always correct, so separate servers send these.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::Uri;
use futures_util::TryStreamExt;
use salesbot_bridge::kommo::{Client, Error, Widget};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::options;

/// A server that answers every path with `answer(path)`, and the list of requested paths.
async fn server(
    answer: impl Fn(&str, SocketAddr) -> String + Clone + Send + Sync + 'static,
) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let router = Router::new().fallback(move |uri: Uri| {
        seen.lock().unwrap().push(uri.to_string());
        std::future::ready(answer(&uri.to_string(), address))
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

fn client(address: SocketAddr) -> Client {
    let hosts = [address.to_string(), "127.0.0.1:1".to_owned()];
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    Client::new(format!("http://{address}"), "a-token".into(), options(&hosts)).unwrap()
}

fn page(code: &str, next: &str) -> String {
    json!({ "_links": { "next": { "href": next } }, "_embedded": { "widgets": [{ "id": 1, "code": code }] } })
        .to_string()
}

/// The codes in the list before its error, and the error.
async fn all(client: &Client) -> (Vec<String>, Error) {
    let (mut stream, mut codes) = (client.all_widgets(50), Vec::new());
    loop {
        match stream.try_next().await {
            Ok(Some(Widget { code, .. })) => codes.push(code),
            Ok(None) => panic!("the list ended without an error after {codes:?}"),
            Err(error) => return (codes, error),
        }
    }
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed() {
    for elsewhere in ["http://127.0.0.1:1/api/v4/widgets", "//127.0.0.1:1/x", "https://evil.example/"] {
        let (address, asked) = server(move |_, _| page("first", elsewhere)).await;
        let (codes, error) = all(&client(address)).await;
        assert_eq!(codes, ["first"], "the first page is still valid");
        assert!(matches!(&error, Error::Unexpected { why, .. } if why.contains("another host")), "{error}");
        assert_eq!(asked.lock().unwrap().len(), 1, "{elsewhere}");
    }
}

#[tokio::test]
async fn a_circle_of_links_is_an_error() {
    let answer = |path: &str, address: SocketAddr| match path.contains("x=2") {
        true => page("second", &format!("http://{address}/api/v4/widgets?limit=50&page=1")),
        false => page("first", "/api/v4/widgets?x=2"),
    };
    let (address, asked) = server(answer).await;
    let (codes, error) = all(&client(address)).await;
    assert_eq!(codes, ["first", "second"]);
    assert!(matches!(&error, Error::Unexpected { why, .. } if why.contains("leads back")), "{error}");
    assert_eq!(asked.lock().unwrap()[1], "/api/v4/widgets?x=2");
}

#[tokio::test]
async fn a_response_that_is_too_long_is_an_error_and_not_truncated() {
    let (address, _) = server(|_, _| format!("{{\"x\":\"{}\"}}", "x".repeat(9 << 20))).await;
    let error = client(address).get_json("/api/v4/account").await.unwrap_err();
    assert!(matches!(&error, Error::Unexpected { why, .. } if why.contains("longer than 8 MiB")), "{error}");
}

/// A server that sends each connection the next of these answers, byte for byte, and closes it. The last answer repeats.
async fn raw_server(answers: Vec<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.unwrap());
            }
            let answer = answers.get(number).or(answers.last()).unwrap();
            connection.write_all(answer.as_bytes()).await.unwrap();
            connection.shutdown().await.unwrap();
        }
    });
    address
}

const BROKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{\"id\": 7,";
const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"id\": 7}";

#[tokio::test]
async fn a_truncated_response_is_retried_and_never_read_in_part() {
    let address = raw_server(vec![BROKEN, BROKEN, WHOLE]).await;
    assert_eq!(client(address).get_json("/api/v4/account").await, Ok(json!({ "id": 7 })));
    let broken = client(raw_server(vec![BROKEN]).await);
    for error in [
        broken.get_json("/api/v4/account").await.unwrap_err(),
        // A write is not repeated, although its result is unknown.
        broken.post_json("/api/v4/leads", &json!([])).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Transport { sent: true, .. }), "{error}");
    }
}

#[tokio::test]
async fn an_error_about_unexpected_json_names_the_place_but_not_the_value() {
    for (body, place) in [
        (r#"{"id": "hidden", "code": "x"}"#.to_owned(), "`id` has another type"),
        (r#"{"id": 1, "code": ["hidden"]}"#.to_owned(), "`code` has another type"),
        (r#"{"id": 1, "version": "hidden"}"#.to_owned(), "`code` is missing"),
        (r#"["hidden"]"#.to_owned(), "it has another type"),
        ("hidden".to_owned(), "not JSON"),
        (r#"{"id": 1, "code": "x"} hidden"#.to_owned(), "more than one"),
    ] {
        let (address, _) = server(move |_, _| body.clone()).await;
        let error = client(address).widget("x").await.unwrap_err();
        assert!(matches!(&error, Error::Unexpected { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(place) && !text.contains("hidden"), "{place} in {text}");
    }
}
