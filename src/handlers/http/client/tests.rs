//! Calls to servers on this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::header::HeaderMap;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::*;
use kommo::BodyEnd;
use model::{Authorities, Proxy, ProxyUrl};

const TIME: Duration = Duration::from_secs(10);
/// A self-signed certificate for `handler.internal`, valid until 2126, and its key.
const CERTIFICATE: &str = include_str!("../../../../tests/certificates/handler.internal.pem");
const KEY: &str = include_str!("../../../../tests/certificates/handler.internal.key");

fn call(url: &Url, time: Duration) -> Call {
    Call { url: url.clone(), headers: HeaderMap::new(), body: "{}".to_owned(), time }
}

async fn sent(url: &str, time: Duration) -> Result<Received, CallError> {
    let url: Url = url.parse().unwrap();
    HttpClient::new(&url, &Outgoing::default(), time).unwrap().send(call(&url, time)).await
}

/// Resolves every name to these addresses.
fn resolves_to(addresses: &[&str]) -> Lookup {
    let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Arc::new(move |_| {
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    })
}

/// Reads a whole request, with its body of two bytes. Returns `false` if the connection ended before.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n{}") {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    true
}

/// Sends `parts` of a response after each request of each connection, and closes the connection if the response says so.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, parts: Vec<Vec<u8>>) {
    while read_request(&mut stream).await {
        for part in &parts {
            if stream.write_all(part).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        if parts.concat().windows(17).any(|part| part == b"connection: close") {
            return;
        }
    }
}

/// A server that answers every request with `parts`; returns its URL and the number of its connections.
async fn server(parts: Vec<Vec<u8>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhook", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer(stream, parts.clone()));
        }
    });
    (url, connections)
}

fn response(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn shown(error: &CallError) -> String {
    error_chain(error)
}

#[tokio::test]
async fn status_headers_and_body_are_read() {
    let head = "422 No\r\nContent-Type: application/problem+json; charset=utf-8\r\nBridge-Retry: 5\r\nRetry-After: 7";
    let (url, _) = server(vec![response(head, "{\"title\":\"x\"}")]).await;
    let Received { response, bridge_retry, is_problem } = sent(&url, TIME).await.unwrap();
    assert_eq!((response.status, response.body_end), (422, BodyEnd::Complete));
    assert_eq!(response.body, b"{\"title\":\"x\"}");
    assert_eq!(response.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(bridge_retry, Some(BridgeRetry::After(Duration::from_secs(5))));
    assert!(is_problem && response.says_json);
}

#[tokio::test]
async fn a_response_may_come_byte_by_byte() {
    let bytes = response("200 OK", "{\"data\":{}}").into_iter().map(|byte| vec![byte]).collect();
    let (url, _) = server(bytes).await;
    let received = sent(&url, TIME).await.unwrap();
    assert_eq!((received.response.body_end, received.response.body.len()), (BodyEnd::Complete, 11));
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_to_its_end() {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).into_bytes();
    // Endless, for a client that reads to the end.
    let mut parts = vec![head];
    parts.extend(std::iter::repeat_n(chunk, 64));
    let (url, _) = server(parts).await;
    let received = sent(&url, TIME).await.unwrap();
    assert_eq!(received.response.body_end, BodyEnd::TooLong);
    assert!(received.response.body.len() <= MAX_BODY_BYTES + (1 << 20));
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_recognized() {
    let cut = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{\"data\":{}}".to_vec();
    let (url, _) = server(vec![cut]).await;
    let received = sent(&url, TIME).await.unwrap();
    assert_eq!((received.response.status, received.response.body_end), (200, BodyEnd::BrokeOff));
}

#[tokio::test]
async fn a_call_ends_when_its_time_is_over() {
    let (silent, _) = server(vec![]).await;
    let short = Duration::from_millis(50);
    let error = sent(&silent, short).await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut(_)), "{error:?}");
    assert_eq!(error.to_string(), "the handler did not answer within 0.05 s");
    let (stuck, _) = server(vec![b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec()]).await;
    let error = sent(&stuck, short).await.unwrap_err();
    assert!(matches!(error, CallError::Slow(_)), "{error:?}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (inside, reached) = server(vec![response("200 OK", "{}")]).await;
    let (url, _) = server(vec![response(&format!("307 Go\r\nlocation: {inside}"), "")]).await;
    assert_eq!(sent(&url, TIME).await.unwrap().response.status, 307);
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    let (url, connections) = server(vec![response("200 OK", "{}")]).await;
    let url: Url = url.parse().unwrap();
    let client = HttpClient::new(&url, &Outgoing::default(), TIME).unwrap();
    for _ in 0..5 {
        assert_eq!(client.send(call(&url, TIME)).await.unwrap().response.status, 200);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    let calls = (0..8).map(|_| client.send(call(&url, TIME)));
    for result in futures_util::future::join_all(calls).await {
        assert_eq!(result.unwrap().response.status, 200);
    }
    assert!(connections.load(Ordering::SeqCst) <= 8, "calls at the same time reuse connections too");
}

#[tokio::test]
async fn connections_that_cannot_be_made_are_recognized() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let hangs_up = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs_up_at = hangs_up.local_addr().unwrap();
    tokio::spawn(async move { while hangs_up.accept().await.is_ok() {} });
    for (url, has_connected) in [
        (format!("http://{closed}/secret-path"), false),
        (format!("http://{hangs_up_at}/secret-path"), true),
        (format!("https://{hangs_up_at}/secret-path"), false),
        ("https://handler.invalid/secret-path".to_owned(), false),
    ] {
        let error = sent(&url, TIME).await.unwrap_err();
        assert_eq!(matches!(error, CallError::Broken(_)), has_connected, "{url}: {error:?}");
        assert_eq!(matches!(error, CallError::NoConnection(_)), !has_connected, "{url}: {error:?}");
        assert!(!shown(&error).contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn refused_addresses_are_not_called() {
    for (url, addresses, expected) in [
        ("http://handler.internal/", &["169.254.169.254:0"][..], AddressRefusal::Metadata),
        ("https://handler.internal/", &["100.100.100.200:0"], AddressRefusal::Metadata),
        ("https://handler.internal/", &["[fd00:ec2::254]:0"], AddressRefusal::Metadata),
        (
            "https://handler.internal/",
            &["[fe80::1]:0", "[::ffff:169.254.169.254]:0"],
            AddressRefusal::Metadata,
        ),
        ("http://handler.internal/", &["93.184.215.14:0"], AddressRefusal::Unencrypted),
        ("http://169.254.169.254/", &[], AddressRefusal::Metadata),
        ("https://[::ffff:169.254.169.254]/", &[], AddressRefusal::Metadata),
        ("http://2852039166/", &[], AddressRefusal::Metadata),
        ("http://0xa9.0xfe.0xa9.0xfe/", &[], AddressRefusal::Metadata),
        ("http://93.184.215.14/", &[], AddressRefusal::Unencrypted),
    ] {
        let url: Url = url.parse().unwrap();
        let lookup = resolves_to(addresses);
        let client = HttpClient::with_lookup(lookup, &url, &Outgoing::default(), TIME).unwrap();
        let error = client.send(call(&url, TIME)).await.unwrap_err();
        assert!(matches!(error, CallError::Refused(found) if found == expected), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_name_with_a_refused_address_is_called_at_its_other_address() {
    let (url, _) = server(vec![response("204 No Content", "")]).await;
    let port = url.parse::<Url>().unwrap().port().unwrap();
    let url: Url = format!("http://handler.internal:{port}/").parse().unwrap();
    let lookup = resolves_to(&["169.254.169.254:0", "127.0.0.1:0"]);
    let client = HttpClient::with_lookup(lookup, &url, &Outgoing::default(), TIME).unwrap();
    assert_eq!(client.send(call(&url, TIME)).await.unwrap().response.status, 204);
}

/// A server with the certificate; returns its port.
async fn tls_server() -> u16 {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(answer(stream, vec![response("200 OK", "{}")]));
            }
        }
    });
    port
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_fit_the_name() {
    let port = tls_server().await;
    let der = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap().to_vec();
    let trusted = Outgoing {
        authorities: Some(Authorities { file: "handler.pem".into(), certificates: vec![der] }),
        ..Outgoing::default()
    };
    for (name, outgoing, reached) in [
        ("handler.internal", &trusted, true),
        ("other.internal", &trusted, false),
        ("handler.internal", &Outgoing::default(), false),
    ] {
        let url: Url = format!("https://{name}:{port}/").parse().unwrap();
        let client = HttpClient::with_lookup(resolves_to(&["127.0.0.1:0"]), &url, outgoing, TIME).unwrap();
        match client.send(call(&url, TIME)).await {
            Ok(received) => assert!(reached && received.response.status == 200, "{name}"),
            Err(error) => {
                assert!(!reached && shown(&error).contains("certificate"), "{name}: {}", shown(&error));
                assert!(matches!(error, CallError::NoConnection(_)));
            }
        }
    }
}

#[tokio::test]
async fn the_proxy_may_have_any_address_and_is_named_in_errors() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let text = format!("http://user:hidden@proxy.internal:{port}");
    let proxy = Proxy { url: ProxyUrl::read(&text).unwrap(), except: None, variable: None };
    let outgoing = Outgoing { proxy: Some(proxy), ..Outgoing::default() };
    let url: Url = "https://handler.example/".parse().unwrap();
    let client = HttpClient::with_lookup(resolves_to(&["127.0.0.1:0"]), &url, &outgoing, TIME).unwrap();
    let error = client.send(call(&url, TIME)).await.unwrap_err();
    let shown = shown(&error);
    assert!(shown.contains(&format!("through the proxy http://proxy.internal:{port}")), "{shown}");
    assert!(!shown.contains("hidden"), "{shown}");
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn a_check_connects_and_sends_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let direct = Outgoing::default();
    let (reached, read) = tokio::join!(HttpClient::reach(&url, &direct), async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut bytes).await.unwrap();
        bytes
    });
    assert_eq!((reached, read.len()), (Ok(()), 0));
    drop(listener);
    let refused = HttpClient::reach(&url, &direct).await.unwrap_err();
    assert!(refused.contains("Connection refused"), "{refused}");
    let metadata: Url = "http://169.254.169.254/".parse().unwrap();
    let refused = HttpClient::reach(&metadata, &direct).await.unwrap_err();
    assert!(refused.contains("refused"), "{refused}");
}
