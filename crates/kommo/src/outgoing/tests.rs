//! Calls through a proxy, to a server with a certificate from a private CA, and inside a private network.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::http_client::HttpClient;
use crate::outcome::{CallFailure, CallOutcome};
use crate::resolver::Lookup;
use model::{Authorities, CheckedCompletion, HostRules, Outgoing, Proxy, ProxyUrl};

/// The name in the gateway's certificate; it resolves to this machine.
const GATEWAY: &str = "gateway.kommo.com";
const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A gateway in the private network. It uses TLS with a certificate from its own CA, and answers 202.
struct Gateway {
    folder: TempDir,
    port: u16,
}

/// If this variable is set, as in `.ci/run`, a test fails instead of being skipped when a tool is missing.
const MUST_RUN: &str = "TESTS_MUST_RUN";

/// Whether `openssl` is available to create certificates. Writes a line to stderr if it is not.
fn can_make_certificates() -> bool {
    let Err(error) = Command::new("openssl").arg("version").output() else { return true };
    assert!(std::env::var_os(MUST_RUN).is_none(), "openssl is required: {error}");
    // Bypasses the captured output, so that the line is visible although the test passes.
    let line = "SKIPPED: calls to a gateway with a private CA need openssl, which was not found";
    writeln!(std::io::stderr(), "{line}").unwrap();
    false
}

impl Gateway {
    /// `None` if the certificate cannot be created.
    async fn start() -> Option<Self> {
        if !can_make_certificates() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let to = |name: &str| folder.path().join(name);
        certificate(&to("ca"), &["-subj", "/CN=a private CA"]);
        let ca = to("ca").display().to_string();
        let (ca_file, ca_key) = (format!("{ca}.pem"), format!("{ca}.key"));
        let name = format!("subjectAltName=DNS:{GATEWAY}");
        let signed = ["-subj", "/CN=gateway", "-CA", &ca_file, "-CAkey", &ca_key, "-addext", &name];
        certificate(
            &to("gateway"),
            &[&signed[..], &["-addext", "basicConstraints=critical,CA:FALSE"]].concat(),
        );
        let chain = CertificateDer::from_pem_file(to("gateway.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(to("gateway.key")).unwrap();
        let config =
            ServerConfig::builder().with_no_client_auth().with_single_cert(vec![chain], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A caller that does not trust the certificate hangs up.
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    request(&mut stream).await;
                    let _gone = stream.write_all(ACCEPTED.as_bytes()).await;
                    let _gone = stream.shutdown().await;
                }
            }
        });
        Some(Self { folder, port })
    }

    fn url(&self) -> String {
        format!("https://{GATEWAY}:{}", self.port)
    }

    /// The gateway's CA, as from `delivery.ca_file`.
    fn authorities(&self) -> Option<Authorities> {
        let file: PathBuf = self.folder.path().join("ca.pem");
        let certificates = vec![CertificateDer::from_pem_file(&file).unwrap().to_vec()];
        Some(Authorities { file, certificates })
    }
}

/// Creates `path.pem` and `path.key`.
fn certificate(path: &Path, arguments: &[&str]) {
    let path = path.display();
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]);
    command.args(["-keyout", &format!("{path}.key"), "-out", &format!("{path}.pem")]).args(arguments);
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A proxy that records the head of each call, and then opens a tunnel or sends the fixed response `instead`.
struct RecordingProxy {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl RecordingProxy {
    async fn start(instead: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = heads.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let head = request(&mut stream).await;
                let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                noted.lock().unwrap().push(head);
                if let Some(instead) = instead {
                    let _gone = stream.write_all(instead.as_bytes()).await;
                    continue;
                }
                let inside = target.replace(GATEWAY, "127.0.0.1");
                tokio::spawn(async move {
                    let mut there = TcpStream::connect(inside).await.unwrap();
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    let _ended = copy_bidirectional(&mut stream, &mut there).await;
                });
            }
        });
        Self { port, heads }
    }

    /// The proxy's name resolves to this machine.
    fn proxy(&self) -> Option<Proxy> {
        let url = ProxyUrl::read(&format!("http://user:hidden@proxy.internal:{}", self.port)).unwrap();
        Some(Proxy { url, except: None, variable: None })
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Reads a whole request, and returns its head.
async fn request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return head.to_owned();
            }
        }
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}

fn to_this_machine() -> Lookup {
    Arc::new(|_| Box::pin(async { Ok(vec!["127.0.0.1:0".parse().unwrap()]) }))
}

async fn continued(outgoing: &Outgoing, url: &str, insecure: bool) -> CallOutcome {
    let (_, host) = url.split_once("://").unwrap();
    let rules = HostRules { allowed: [host.parse().unwrap()].into(), insecure };
    let kommo = HttpClient::with_lookup(to_this_machine(), outgoing, rules, Duration::from_secs(10)).unwrap();
    let url = format!("{url}/api/v4/salesbot/1/continue/1").parse().unwrap();
    kommo.continue_bot(&url, &"a-bearer".into(), &CheckedCompletion::failed()).await
}

fn accepted(outcome: &CallOutcome) -> bool {
    *outcome == CallOutcome::Accepted { status: 202 }
}

fn not_sent(outcome: CallOutcome) -> String {
    let was_not_sent =
        matches!(outcome, CallOutcome::NoResponse(CallFailure::NotSent(_) | CallFailure::NotAllowed(_)));
    assert!(was_not_sent, "{outcome:?}");
    outcome.to_string()
}

#[tokio::test]
async fn private_gateway_needs_its_ca_and_private_addresses_to_be_configured() {
    let Some(gateway) = Gateway::start().await else { return };
    let trusted = Outgoing { authorities: gateway.authorities(), ..Outgoing::default() };
    let inside = Outgoing { allow_private_addresses: true, ..Outgoing::default() };
    let both = Outgoing { allow_private_addresses: true, ..trusted.clone() };
    let why = not_sent(continued(&trusted, &gateway.url(), false).await);
    assert!(why.contains("private addresses only") && why.contains("allow_private_addresses"), "{why}");
    let why = not_sent(continued(&inside, &gateway.url(), false).await);
    assert!(why.contains("certificate"), "{why}");
    let answer = continued(&both, &gateway.url(), false).await;
    assert!(accepted(&answer), "{answer:?}");
}

#[tokio::test]
async fn call_goes_through_the_proxy_even_at_a_private_address() {
    let Some(gateway) = Gateway::start().await else { return };
    let proxy = RecordingProxy::start(None).await;
    let outgoing =
        Outgoing { proxy: proxy.proxy(), authorities: gateway.authorities(), allow_private_addresses: false };
    let answer = continued(&outgoing, &gateway.url(), false).await;
    assert!(accepted(&answer), "{answer:?}");
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1);
    assert!(heads[0].starts_with(&format!("CONNECT {GATEWAY}:{} HTTP/1.1\r\n", gateway.port)), "{heads:?}");
    assert!(heads[0].to_lowercase().contains("proxy-authorization: basic dxnlcjpoawrkzw4="), "{heads:?}");
    assert!(!heads[0].contains("a-bearer"), "the bearer goes into the tunnel");
}

#[tokio::test]
async fn excepted_hosts_are_called_without_the_proxy() {
    let Some(gateway) = Gateway::start().await else { return };
    let proxy = RecordingProxy::start(None).await;
    let except = Some(format!("other.example, {GATEWAY}"));
    let outgoing = Outgoing {
        proxy: proxy.proxy().map(|proxy| Proxy { except, ..proxy }),
        authorities: gateway.authorities(),
        allow_private_addresses: false,
    };
    let why = not_sent(continued(&outgoing, &gateway.url(), false).await);
    assert!(
        why.contains("private addresses only") && !why.contains("proxy"),
        "the filter for private addresses applies: {why}"
    );
    let outgoing = Outgoing { allow_private_addresses: true, ..outgoing };
    assert!(accepted(&continued(&outgoing, &gateway.url(), false).await));
    assert!(proxy.heads().is_empty());
}

#[tokio::test]
async fn failure_of_the_proxy_counts_as_not_sent_and_names_the_proxy() {
    let Some(gateway) = Gateway::start().await else { return };
    for instead in [
        "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
        "",
    ] {
        let proxy = RecordingProxy::start(Some(instead)).await;
        let outgoing = Outgoing { proxy: proxy.proxy(), ..Outgoing::default() };
        let why = not_sent(continued(&outgoing, &gateway.url(), false).await);
        let named = format!("through the proxy http://proxy.internal:{} (delivery.proxy): ", proxy.port);
        assert!(why.starts_with(&named) && !why.contains("hidden"), "{why}");
        assert_eq!(proxy.heads().len(), 1);
    }
    // With `insecure`, the proxy gets the whole call, and a 407 still comes from the proxy.
    let proxy = RecordingProxy::start(Some("HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")).await;
    let outgoing = Outgoing { proxy: proxy.proxy(), ..Outgoing::default() };
    let why = not_sent(continued(&outgoing, "http://plain.kommo.com:80", true).await);
    assert!(why.contains("proxy authentication required (407)") && !why.contains("hidden"), "{why}");
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let url = ProxyUrl::read(&format!("socks5h://user:hidden@proxy.internal:{gone}")).unwrap();
    let outgoing =
        Outgoing { proxy: Some(Proxy { url, except: None, variable: None }), ..Outgoing::default() };
    let why = not_sent(continued(&outgoing, &gateway.url(), false).await);
    assert!(
        why.starts_with("through the proxy socks5h://proxy.internal:") && !why.contains("hidden"),
        "{why}"
    );
}

#[tokio::test]
async fn allow_list_and_https_apply_through_a_proxy_too() {
    let proxy = RecordingProxy::start(None).await;
    let outgoing = Outgoing { proxy: proxy.proxy(), allow_private_addresses: true, ..Outgoing::default() };
    let rules = HostRules { allowed: ["*.kommo.com".parse().unwrap()].into(), insecure: false };
    let kommo = HttpClient::new(&outgoing, rules, Duration::from_secs(5)).unwrap();
    for url in ["https://example.org", "http://a.kommo.com", "https://127.0.0.1"] {
        let url = format!("{url}/api/v4/salesbot/1/continue/1").parse().unwrap();
        let outcome = kommo.continue_bot(&url, &"a-bearer".into(), &CheckedCompletion::failed()).await;
        assert!(matches!(outcome, CallOutcome::NoResponse(CallFailure::NotAllowed(_))), "{outcome:?}");
    }
    assert!(proxy.heads().is_empty(), "the proxy does not see these calls");
}
