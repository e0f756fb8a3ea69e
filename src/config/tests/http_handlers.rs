//! The keys of handlers with `kind = "http"`.

use secrecy::{ExposeSecret, SecretString};

use super::layers::Reads;
use super::*;
use crate::config::HttpHandlerConfig;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A handler over HTTP, whose keys the variables below set.
pub(super) const TOOL: &str = "[handlers.tool]\nkind = \"http\"\nurl = \"https://a.example/\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";

fn tool(config: &Config) -> &HttpHandlerConfig {
    config.handlers["tool"].http.as_ref().unwrap()
}

fn exposed(secret: Option<&SecretString>) -> String {
    secret.map_or_else(String::new, |secret| secret.expose_secret().to_owned())
}

/// As in `layers`: each key except the secrets' files, as a variable, and its value afterwards.
pub(super) const VARIABLES: &[(&str, &str, Reads, &str)] = &[
    ("HANDLERS__TOOL__URL", "https://b.example/x", |c| tool(c).url.to_string(), "https://b.example/x"),
    (
        "HANDLERS__TOOL__SECRET",
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
        |c| exposed(tool(c).secret.as_ref()),
        "whsec_AAEC",
    ),
    (
        "HANDLERS__TOOL__PREVIOUS_SECRET",
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
        |c| exposed(tool(c).previous_secret.as_ref()),
        "whsec_AAEC",
    ),
    ("HANDLERS__TOOL__AUTH", "Bearer app-1", |c| exposed(tool(c).auth.as_ref()), "Bearer app-1"),
    ("HANDLERS__TOOL__PRESET", "n8n-chat", |c| tool(c).preset.as_str().to_owned(), "n8n-chat"),
    ("HANDLERS__TOOL__MODE", "sync", |c| tool(c).mode.as_str().to_owned(), "sync"),
    ("HANDLERS__TOOL__CONCURRENCY", "5", |c| tool(c).concurrency.to_string(), "5"),
    ("HANDLERS__TOOL__MAX_AWAITING", "7", |c| tool(c).max_awaiting.to_string(), "7"),
    (
        "HANDLERS__TOOL__PROXY",
        "socks5://10.0.0.1:1080",
        |c| tool(c).outgoing.to_string(),
        "socks5://10.0.0.1",
    ),
];

/// Loads a handler over HTTP with a secret and these further lines.
fn load(lines: &str) -> Result<Config, String> {
    let secret = if lines.contains("secret") || lines.contains("auth") {
        String::new()
    } else {
        format!("secret = \"{SECRET}\"\n")
    };
    load_with(&format!("[handlers.a]\nkind = \"http\"\n{secret}{lines}\n")).map_err(|error| error.to_string())
}

#[test]
fn urls_are_https_or_may_be_private() {
    for (url, expected) in [
        ("https://n8n.example.com/webhook/kommo?key=1", None),
        ("https://93.184.215.14/", None),
        ("http://localhost:5678/webhook", None),
        ("http://n8n:5678/webhook", None),
        ("http://127.0.0.1/", None),
        ("http://10.0.0.7:8000/", None),
        ("http://[::1]:8000/", None),
        ("http://[fd12::1]/", None),
        ("http://93.184.215.14/", Some("handlers.a.url: must begin with https://")),
        ("http://[2606:4700::1111]/", Some("handlers.a.url: must begin with https://")),
        ("https://169.254.169.254/", Some("handlers.a.url: cannot be called: it is a link-local")),
        ("http://2852039166/", Some("handlers.a.url: cannot be called")),
        ("https://[::ffff:169.254.169.254]/", Some("handlers.a.url: cannot be called")),
        ("https://[fd00:ec2::254]/", Some("handlers.a.url: cannot be called")),
        ("ftp://a.example/", Some("handlers.a.url: must be a URL like")),
        ("https://user:hidden@a.example/", Some("without a user name")),
        ("a.example", Some("handlers.a.url: must be a URL like")),
    ] {
        let loaded = load(&format!("url = \"{url}\""));
        match (loaded, expected) {
            (Ok(config), None) => assert_eq!(config.handlers["a"].http.as_ref().unwrap().url.as_str(), url),
            (Err(error), Some(part)) => {
                assert!(error.contains(part) && !error.contains("hidden"), "{url}: {error}");
            }
            (loaded, _) => panic!("{url}: {loaded:?}"),
        }
    }
}

#[test]
fn mistakes_are_named() {
    let url = "url = \"https://a.example/\"\n";
    for (lines, part) in [
        (String::new(), "handlers.a.url: is required"),
        (format!("{url}secret_file = \"no\""), "handlers.a.secret_file: no cannot be read"),
        (format!("{url}secret = \"hidden\""), "handlers.a.secret: must be `whsec_` followed by"),
        (format!("{url}auth = \"Authorization: hidden\""), "handlers.a.auth: begins with `Authorization:`"),
        (
            format!("{url}previous_secret = \"{SECRET}\"\nauth = \"x\""),
            "handlers.a.previous_secret: needs `secret` too",
        ),
        (format!("{url}preset = \"botpress\""), "handlers.a.preset: must be one of `bridge`, `data`,"),
        (format!("{url}mode = \"later\""), "handlers.a.mode: must be one of `auto`, `sync`, `async`"),
        (format!("{url}mode = \"async\""), "handlers.a.mode: \"async\" needs server.callback_url"),
        (format!("{url}mode = \"async\"\npreset = \"data\""), "\"async\" needs the preset \"bridge\""),
        (format!("{url}preset = \"typebot\""), "handlers.a.url: must end with /typebots/PUBLIC_ID/startChat"),
        (format!("{url}concurrency = 0"), "handlers.a.concurrency: must be a whole number from 1 to 100000"),
        (format!("{url}max_awaiting = 0"), "handlers.a.max_awaiting: must be a whole number from 1 to"),
        (format!("{url}proxy = \"hidden\""), "handlers.a.proxy: must be a URL of scheme, host and port"),
        (
            format!("{url}ca_file = \"bridge.toml\""),
            "handlers.a.ca_file: bridge.toml: contains no certificate",
        ),
        (
            "url = \"http://n8n:5678/\"\nproxy = \"http://p:3128\"".to_owned(),
            "handlers.a.url: must begin with https://, or have an IP address",
        ),
    ] {
        let folder = Folder::with(&format!("{MINIMAL}[handlers.a]\nkind = \"http\"\n{lines}\n"));
        let refusal = folder.refusal(&[]);
        assert!(refusal.contains(part) && !refusal.contains("hidden"), "{lines}: {refusal}");
    }
}

#[test]
fn either_a_secret_or_auth_is_required() {
    let url = "url = \"https://a.example/\"\n";
    let refusal = Folder::with(&format!("{MINIMAL}[handlers.a]\nkind = \"http\"\n{url}")).refusal(&[]);
    assert!(
        refusal.contains("handlers.a.secret: is required: ") && refusal.contains("auth_file"),
        "{refusal}"
    );
    for lines in [format!("secret = \"{SECRET}\""), "auth = \"Bearer x\"".to_owned()] {
        assert!(load(&format!("{url}{lines}")).is_ok(), "{lines}");
    }
}

#[test]
fn answers_may_come_later_if_the_bridge_has_an_address() {
    let handler = format!(
        "[handlers.a]\nkind = \"http\"\nurl = \"https://a.example/\"\nsecret = \"{SECRET}\"\nmode = \"async\"\n"
    );
    for key in ["public_url", "callback_url"] {
        let server = format!("[server]\n{key} = \"https://bots.example.com\"\n");
        assert!(load_with(&format!("{server}{handler}")).is_ok(), "{key}");
    }
}

#[test]
fn other_kinds_have_none_of_the_keys() {
    for (line, key) in [
        ("url = \"https://a.example/\"", "url"),
        ("secret_file = \"no\"", "secret_file"),
        ("auth = \"hidden\"", "auth"),
        ("preset = \"data\"", "preset"),
        ("concurrency = 5", "concurrency"),
        ("ca_file = \"no\"", "ca_file"),
    ] {
        for kind in ["kind = \"echo\"\n", ""] {
            let refusal = Folder::with(&format!("{MINIMAL}[handlers.a]\n{kind}{line}\n")).refusal(&[]);
            let wanted = format!("handlers.a.{key}: is only for a handler with kind = \"http\"");
            assert!(refusal.contains(&wanted) && !refusal.contains("hidden"), "{line}: {refusal}");
        }
    }
    let refusal =
        Folder::with(&format!("{MINIMAL}[handlers.a]\nkind = \"htpp\"\nurl = \"https://a/\"\n")).refusal(&[]);
    assert!(
        refusal.contains("handlers.a.kind: must be one of") && !refusal.contains("handlers.a.url"),
        "{refusal}"
    );
}
