//! Tests of the files for every kind of handler and account.

use std::fs;

use secrecy::SecretString;

use super::super::answers::Account;
use super::super::next::Next;
use super::super::write::{Change, load, write};
use super::*;

pub(in crate::cli::init) const RANDOM: Random = Random { encryption_key: [1; 32], handler: [2; 32] };

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

/// Answers with this handler, account and public URL.
pub(in crate::cli::init) fn answers(kind: HandlerKind, access: Access, public_url: &str) -> Answers {
    Answers {
        public_url: url(public_url),
        handler: "greet".parse().unwrap(),
        kind,
        client_uuid: "11111111-0c1e-4d57-8c6e-2f6f3f1f0d11".to_owned(),
        client_secret: SecretString::from("5c1a8e"),
        access,
    }
}

pub(in crate::cli::init) fn token(base_url: &str) -> Access {
    Access::Token(Account::new(url(base_url), SecretString::from("7d2b9f")))
}

#[test]
fn every_configuration_loads_and_holds_no_secret() {
    let kinds = [
        (HandlerKind::Echo, None),
        (HandlerKind::Http(url("http://127.0.0.1:8000/")), Some("greet.whsec")),
        (HandlerKind::N8n(url("https://n8n.example.com/webhook/kommo")), Some("greet.auth")),
        (HandlerKind::N8n(url("https://n8n.example.com/webhook/1/chat")), Some("greet.auth")),
        (HandlerKind::Rust, None),
    ];
    // The account's URL; none with OAuth.
    let accesses = [
        (Some("https://shop.kommo.com"), "shop.token"),
        (Some("http://127.0.0.1:8090"), "simulator.token"),
        (None, "store.key"),
    ];
    for (kind, handler_secret) in &kinds {
        for (account, account_secret) in accesses {
            for public in ["https://bots.example.com", "https://example.com/bots", "http://127.0.0.1:8080"] {
                let answers = answers(kind.clone(), account.map_or(Access::Oauth, token), public);
                let folder = tempfile::tempdir().unwrap();
                let files = files(&answers, &RANDOM);
                let secrets: Vec<&str> =
                    files.iter().filter(|file| file.is_secret).map(|file| file.name.as_str()).collect();
                let mut expected = vec!["main.secret", account_secret];
                expected.extend(handler_secret);
                assert_eq!(secrets, expected);
                let ignored = |name: &str| GITIGNORE.contains(name.rsplit('.').next().unwrap());
                assert!(secrets.iter().all(|name| ignored(name)));
                let changes: Vec<Change> =
                    files.into_iter().map(|file| Change::of(file, folder.path()).unwrap()).collect();
                let loaded = write(folder.path(), &changes).unwrap_or_else(|error| panic!("{error:?}"));
                let text = fs::read_to_string(folder.path().join(CONFIG)).unwrap();
                for secret in ["5c1a8e", "7d2b9f", "whsec_", "Bearer", "Basic"] {
                    assert!(!text.contains(secret), "{secret} in {text}");
                }
                assert!(text.lines().all(|line| line.len() <= 120), "{text}");
                let config = loaded.config;
                assert_eq!(config.server.public_url.as_ref().map(written).as_deref(), Some(public));
                assert_eq!(config.handlers.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["greet"]);
                let oauth = matches!(answers.access, Access::Oauth);
                assert_eq!(
                    (config.accounts.len(), config.store.encryption_key.is_some()),
                    (usize::from(!oauth), oauth)
                );
                assert_eq!(config.delivery.hosts.insecure, account_secret == "simulator.token");
            }
        }
    }
}

#[test]
fn made_secrets_have_the_form_that_the_handler_needs() {
    let text = |kind: HandlerKind| {
        let files = files(&answers(kind, Access::Oauth, "https://bots.example.com"), &RANDOM);
        let named = |ending: &str| files.iter().find(|file| file.name.ends_with(ending)).cloned();
        let file = named(".whsec").or_else(|| named(".auth")).unwrap();
        assert!(file.is_secret && file.keeps_existing);
        String::from_utf8(file.bytes).unwrap()
    };
    let half = "02".repeat(32);
    let basic = STANDARD.encode(format!("{CHAT_USER}:{half}"));
    let whsec = STANDARD.encode([2; 32]);
    assert_eq!(text(HandlerKind::Http(url("http://127.0.0.1:1/"))), format!("whsec_{whsec}\n"));
    assert_eq!(text(HandlerKind::N8n(url("http://127.0.0.1:1/a"))), format!("Bearer {half}\n"));
    assert_eq!(text(HandlerKind::N8n(url("http://127.0.0.1:1/chat"))), format!("Basic {basic}\n"));
}

#[test]
fn the_rust_program_is_the_one_in_the_readme() {
    let main = RUST_MAIN.replace("GREET", "greet");
    let (_, program) = main.split_once("\n\n").unwrap();
    assert!(include_str!("../../../../README.md").contains(program), "{program}");
    let manifest: toml::Table = RUST_CARGO.parse().unwrap();
    let tested: toml::Table = include_str!("../../../../examples/docker/Cargo.toml").parse().unwrap();
    for (name, wanted) in tested["dependencies"].as_table().unwrap() {
        assert_eq!(manifest["dependencies"][name].get("features"), wanted.get("features"), "{name}");
    }
    assert_eq!(manifest["package"]["edition"], tested["package"]["edition"]);
}

#[test]
fn the_steps_fit_the_answers() {
    let steps = |kind, access, public: &str, widget| {
        let next = Next::after(&answers(kind, access, public), widget, Some("my bots"));
        (format!("{:?} {:?}", next.handler, next.kommo), next.commands)
    };
    let (text, commands) =
        steps(HandlerKind::Echo, token("https://shop.kommo.com"), "https://bots.example.com", Some("Greet"));
    assert!(text.contains("Upload widget.zip") && text.contains("Add the block Greet"), "{text}");
    assert!(!text.contains("redirect URL") && !text.contains("accounts authorize"), "{text}");
    assert_eq!(commands, ["cd 'my bots'", "salesbot-bridge doctor", "salesbot-bridge serve"]);
    let (text, commands) = steps(HandlerKind::Rust, Access::Oauth, "https://example.com/bots", None);
    assert!(text.contains("https://example.com/bots/oauth/callback as its redirect URL"), "{text}");
    assert!(text.contains("accounts authorize") && text.contains("`widget-package` writes one"), "{text}");
    assert_eq!(commands[1..], ["cargo run -- doctor", "cargo run -- serve"]);
    let (text, _) = steps(
        HandlerKind::Http(url("http://127.0.0.1:8000/")),
        token("http://127.0.0.1:8090"),
        "http://127.0.0.1:8080",
        None,
    );
    assert!(text.contains("handlers test greet") && text.contains("Kommo cannot call"), "{text}");
}

#[test]
fn a_configuration_that_init_wrote_is_rendered_the_same_again() {
    use super::super::answers::Earlier;
    use super::super::questions::{Given, answers as collect};

    for kind in [HandlerKind::Echo, HandlerKind::Http(url("http://127.0.0.1:8000/")), HandlerKind::Rust] {
        for access in [token("https://shop.kommo.com"), Access::Oauth] {
            let folder = tempfile::tempdir().unwrap();
            let first = files(&answers(kind.clone(), access, "https://example.com/bots"), &RANDOM);
            let changes: Vec<Change> =
                first.into_iter().map(|file| Change::of(file, folder.path()).unwrap()).collect();
            write(folder.path(), &changes).unwrap_or_else(|error| panic!("{error:?}"));
            let loaded = load(&folder.path().join(CONFIG)).unwrap();
            let again = collect(&Given::default(), &Earlier::of(&loaded.config), None, false).ok().unwrap();
            for file in files(&again, &Random { encryption_key: [3; 32], handler: [4; 32] }) {
                let name = file.name.clone();
                let keeps = file.keeps_existing;
                let status = Change::of(file, folder.path()).unwrap().status.as_str();
                assert!(status == "unchanged" || keeps && status == "kept", "{name}: {status}");
            }
        }
    }
}
