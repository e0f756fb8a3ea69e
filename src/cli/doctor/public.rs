//! Checks from outside in that `server.public_url` leads to the bridge that runs here.
//!
//! The admin listener shows the nonce of the running bridge. The program at the public address proves that it is the same
//! process by its answer to the nonce's challenge.

use http::header::LOCATION;
use kommo::Reason;
use model::{error_chain, url_below};
use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;
use url::{Host, Url};

use crate::cli::health;
use crate::config::Config;
use crate::health::Nonce;

use super::check::Check;
use super::reach::REACH_TIMEOUT;

const NAME: &str = "public_url";
const FORWARD: &str = "configure the proxy or tunnel to forward every path below this address to server.listen, and check that `serve` runs";

/// What is known about the bridge that should be at the public address.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// It runs here, and shows its nonce.
    Running,
    /// It runs here, but does not show a nonce.
    WithoutNonce,
    /// None runs here.
    Absent,
}

/// What a call to an address found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// The process that runs here.
    Itself,
    /// A bridge, but not the process that runs here.
    Bridge,
    /// Another program, or a proxy, with this status.
    Other(u16),
    /// A redirect to this place.
    Redirect(String),
    /// The certificate is not accepted.
    Certificate(String),
    /// The name has no address.
    NoName(String),
    /// No response, for this reason.
    Nothing(String),
}

/// Calls the public address, with the nonce of the bridge that runs here.
pub(super) async fn check(client: &Client, url: &Url, config: &Config) -> Check {
    let nonce = health::nonce(config).await;
    let expected = match (&nonce, health::probe(config).await) {
        (Some(_), _) => Expected::Running,
        (None, health::Probed::Ready | health::Probed::NotReady(_)) => Expected::WithoutNonce,
        (None, _) => Expected::Absent,
    };
    let found = ask(client, url, nonce.as_ref()).await;
    // A proxy that removes the path, or does not know it, is a common mistake.
    let below = url.path() != "/" && matches!(found, Found::Other(_) | Found::Redirect(_));
    let without_path = url.join("/").ok().filter(|_| below);
    let at_root = match &without_path {
        Some(root) => Some(ask(client, root, nonce.as_ref()).await),
        None => None,
    };
    decide(url, expected, found, at_root)
}

async fn ask(client: &Client, url: &Url, nonce: Option<&Nonce>) -> Found {
    #[derive(Deserialize)]
    struct Answer {
        answer: String,
    }
    if let Some(nonce) = nonce {
        let path = format!("/health/nonce/{}", nonce.challenge());
        let Ok(response) = client.get(url_below(url, &path)).send().await else {
            return as_kommo(client, url).await;
        };
        let body = response.json::<Answer>().await;
        if body.is_ok_and(|body| nonce.answer_to(nonce.challenge()) == Some(&body.answer)) {
            return Found::Itself;
        }
    }
    as_kommo(client, url).await
}

/// Calls a handler as Kommo does, but without a token.
async fn as_kommo(client: &Client, url: &Url) -> Found {
    match client.get(url_below(url, "/widget_request/doctor")).send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            let to = response
                .headers()
                .get(LOCATION)
                .map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
            match to.filter(|_| response.status().is_redirection()) {
                Some(to) => Found::Redirect(to),
                None => recognize(status, &response.json().await.unwrap_or_default()),
            }
        }
        Err(error) => classify(causes(error)),
    }
}

/// Recognizes a bridge by its problem details for a GET where only POST is allowed.
fn recognize(status: u16, body: &Value) -> Found {
    let is_bridge =
        status == 405 && body["status"] == 405 && body["type"].is_string() && body["detail"].is_string();
    if is_bridge { Found::Bridge } else { Found::Other(status) }
}

/// Why there was no response, by the text of the error: the HTTP client does not tell certificates and names apart.
fn classify(why: String) -> Found {
    let lower = why.to_lowercase();
    if ["certificate", "tls", "handshake", "corrupt message", "alert"].iter().any(|part| lower.contains(part))
    {
        Found::Certificate(why)
    } else if lower.contains("dns") || lower.contains("lookup") {
        Found::NoName(why)
    } else {
        Found::Nothing(why)
    }
}

fn decide(url: &Url, expected: Expected, found: Found, at_root: Option<Found>) -> Check {
    let failed = |found: String, todo: &str| Check::failed(NAME, found, todo);
    if let Some(Found::Itself | Found::Bridge) = at_root {
        return failed(
            format!("a bridge responds at the host of {url}, but not below its path {}", url.path()),
            "write server.public_url as the proxy publishes it: with the path only if the proxy forwards that path",
        );
    }
    match (found, expected) {
        (Found::Other(502..=504), Expected::Absent) => not_running(url),
        (Found::Nothing(_), Expected::Absent) if is_loopback(url) => not_running(url),
        (Found::Itself, _) => Check::ok(NAME, format!("{url} leads to the bridge that runs here")),
        (Found::Bridge, Expected::Running) => failed(
            format!("{url} leads to another bridge than the one that runs here"),
            "if bots should reach this bridge, forward the address to its server.listen; otherwise correct server.public_url, \
             or run `doctor` where the other bridge runs",
        ),
        (Found::Bridge, Expected::WithoutNonce) => Check::warning(
            NAME,
            format!("{url} leads to a bridge; the one that runs here cannot prove that it is this one"),
            "restart the bridge, if it is older than this program",
        ),
        (Found::Bridge, Expected::Absent) => Check::warning(
            NAME,
            format!("{url} leads to a bridge, but none runs here, so it was not checked which one"),
            "run `serve`, then `doctor` again",
        ),
        (Found::Other(status @ 502..=504), _) => {
            failed(format!("the proxy at {url} returned {status}: it cannot reach the bridge"), FORWARD)
        }
        (Found::Other(status), _) => {
            failed(format!("something other than a bridge returned {status} at {url}"), FORWARD)
        }
        (Found::Redirect(to), _) => failed(
            format!("{url} redirects to {to}"),
            "set server.public_url to the address that responds without a redirect, and use it in the widget block",
        ),
        (Found::Certificate(why), _) => failed(
            format!("TLS fails at {url}: {why}"),
            "check that the port speaks https, and that its certificate is for this name, from a public authority, and has its whole \
             chain",
        ),
        (Found::NoName(why), _) => failed(
            format!("cannot find the host of {url}: {why}"),
            "create the DNS record, or correct server.public_url; the address of a tunnel may have changed",
        ),
        (Found::Nothing(why), _) => failed(
            format!("cannot reach {url} from here: {why}"),
            "check that the proxy or tunnel runs, and its port; if this machine cannot call its own public address, try \
             from another machine",
        ),
    }
}

/// Without a bridge, only the way to it can be checked.
fn not_running(url: &Url) -> Check {
    let todo = "run `serve`, then check again";
    Check::warning(NAME, format!("{url} does not lead to a bridge, because none runs here"), todo)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn causes(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no response within {} s", REACH_TIMEOUT.as_secs());
    }
    error_chain(&Reason::from(error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn each_finding_has_its_own_advice() {
        let url: Url = "https://bots.example.com/bots".parse().unwrap();
        let running = Expected::Running;
        let why = || "because".to_owned();
        for (expected, found, at_root, outcome, part) in [
            (running, Found::Itself, None, Outcome::Ok, "the bridge that runs here"),
            (running, Found::Bridge, None, Outcome::Failed, "leads to another bridge"),
            (Expected::WithoutNonce, Found::Bridge, None, Outcome::Warning, "restart the bridge"),
            (Expected::Absent, Found::Bridge, None, Outcome::Warning, "none runs here"),
            (running, Found::Other(404), Some(Found::Itself), Outcome::Failed, "not below its path /bots"),
            (running, Found::Other(404), Some(Found::Other(404)), Outcome::Failed, "something other"),
            (running, Found::Other(502), None, Outcome::Failed, "cannot reach the bridge"),
            (Expected::Absent, Found::Other(502), None, Outcome::Warning, "none runs here"),
            (Expected::Absent, Found::Nothing(why()), None, Outcome::Failed, "from here: because"),
            (
                running,
                Found::Redirect("https://x/".to_owned()),
                None,
                Outcome::Failed,
                "redirects to https://x/",
            ),
            (running, Found::Certificate(why()), None, Outcome::Failed, "TLS fails"),
            (running, Found::NoName(why()), None, Outcome::Failed, "DNS record"),
            (running, Found::Nothing(why()), None, Outcome::Failed, "from here: because"),
        ] {
            let shown = format!("{expected:?} {found:?} {at_root:?}");
            let check = decide(&url, expected, found, at_root);
            let text = serde_json::to_string(&check).unwrap();
            assert_eq!(check.outcome(), outcome, "{shown}: {text}");
            assert!(text.contains(part), "{shown}: {text}");
        }
    }

    #[test]
    fn only_the_response_of_a_bridge_is_recognized() {
        let ours = json!({ "type": "about:blank", "title": "x", "status": 405, "detail": "y" });
        for (status, body, expected) in [
            (405, &ours, Found::Bridge),
            (405, &json!(null), Found::Other(405)),
            (404, &ours, Found::Other(404)),
            (200, &json!("hello"), Found::Other(200)),
        ] {
            assert_eq!(recognize(status, body), expected);
        }
    }

    #[test]
    fn errors_of_tls_and_of_names_are_recognized() {
        for (why, expected) in [
            ("invalid peer certificate: UnknownIssuer", Found::Certificate as fn(_) -> _),
            ("received fatal alert: HandshakeFailure", Found::Certificate),
            ("received corrupt message of type InvalidContentType", Found::Certificate),
            ("dns error: failed to lookup address information", Found::NoName),
            ("Connection refused (os error 111)", Found::Nothing),
            ("no response within 5 s", Found::Nothing),
        ] {
            assert_eq!(classify(why.to_owned()), expected(why.to_owned()));
        }
    }
}
