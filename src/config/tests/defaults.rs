//! `config/default.toml` contains every key, with the documented defaults.

use std::time::Duration;

use serde_json::Value as Json;

use super::*;
use crate::config::load::DEFAULTS;
use crate::config::{Mode, Preset};
use model::{Budget, HandlerPolicy, ShowData};

/// Returns all (section, key) pairs of the schema.
pub(super) fn keys_of(schema: &Json) -> Vec<(String, String)> {
    let sections = schema["properties"].as_object().unwrap();
    let keys = sections.iter().flat_map(|(section, schema)| {
        let table = schema.get("properties").unwrap_or_else(|| &schema["additionalProperties"]["properties"]);
        table.as_object().unwrap().keys().map(|key| (section.clone(), key.clone()))
    });
    keys.collect()
}

#[test]
fn the_defaults_have_the_documented_values() {
    let folder = Folder::with(MINIMAL);
    let config = folder.load(&[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.public_url, None);
    assert_eq!(config.server.max_body, 256 * 1024);
    assert_eq!(config.server.ack_deadline, Duration::from_millis(1_800));
    assert_eq!(config.server.max_connections, 1_024);
    assert_eq!(config.server.read_timeout, Duration::from_secs(10));
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9090");
    assert!(config.admin.token.is_none() && config.admin.read_token.is_none());
    assert_eq!(config.admin.show_data, ShowData::Masked);
    assert_eq!(config.store.url, format!("sqlite:{}", folder.path("data/bridge.db").display()));
    assert!(config.store.encryption_key.is_none());
    assert_eq!(config.store.retention, Duration::from_secs(14 * 24 * 60 * 60));
    assert_eq!(config.store.body_retention, config.store.retention);
    assert_eq!((config.store.backup_folder, config.store.backup_keep), (None, 7));
    assert_eq!(config.store.backup_every, Duration::from_secs(24 * 60 * 60));
    assert_eq!(config.budget, Budget { unfinished: 1 << 30, stored: 4 << 30, requests: None });
    assert_eq!(config.budget, Budget::default());
    assert_eq!(config.workers.concurrency, 64);
    assert_eq!(config.workers.grace, Duration::from_secs(20));
    let hosts: Vec<String> = config.delivery.hosts.allowed.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["*.kommo.com", "*.amocrm.ru", "*.amocrm.com"]);
    assert!(!config.delivery.hosts.insecure);
    assert_eq!(config.delivery.request_timeout, Duration::from_secs(20));
    assert_eq!(config.delivery.give_up_after, Duration::from_secs(60 * 60));
    assert_eq!(config.delivery.concurrency, 512);
    assert_eq!(config.delivery.rate_per_account, 7);
    assert_eq!(config.delivery.rate_total, None);
    assert_eq!(config.log.format, None);
    assert_eq!(config.log.filter, "info");
    assert!(config.accounts.is_empty() && config.handlers.is_empty());
    let integration = &config.integrations["main"];
    assert!(integration.previous_client_secret.is_none() && integration.redirect_uri.is_none());
    assert!(!integration.install_without_link);
}

#[test]
fn a_handler_without_keys_gets_the_standard_policy() {
    let config = load_with("[handlers.greet]\n").unwrap();
    assert_eq!(config.handlers["greet"].policy, HandlerPolicy::default());
    assert_eq!(config.handlers["greet"].kind, None);
}

#[test]
fn a_handler_over_http_gets_the_documented_defaults() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let text =
        format!("[handlers.a]\nkind = \"http\"\nurl = \"http://127.0.0.1:1/\"\nsecret = \"{secret}\"\n");
    let config = load_with(&text).unwrap();
    let http = config.handlers["a"].http.as_ref().unwrap();
    assert_eq!((http.preset, http.mode), (Preset::Bridge, Mode::Auto));
    assert_eq!((http.concurrency, http.max_awaiting), (64, 10_000));
    assert!(http.secret.is_some() && http.previous_secret.is_none() && http.auth.is_none());
    assert!(http.outgoing.proxy.is_none() && http.outgoing.authorities.is_none());
    assert!(load_with("[handlers.a]\nkind = \"echo\"\n").unwrap().handlers["a"].http.is_none());
}

#[test]
fn the_defaults_list_every_key_of_the_schema_in_its_section() {
    let mut present = Vec::new();
    let mut section = "";
    for line in DEFAULTS.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(header) = line.strip_prefix('[') {
            section = header.split(['.', ']']).next().unwrap();
        }
        // The comment of a secret names its file.
        present.extend(line.split_whitespace().map(|word| (section.to_owned(), word.to_owned())));
    }
    for key in keys_of(&Config::schema().unwrap()) {
        assert!(present.contains(&key), "{key:?}");
    }
}

/// Returns the file with the `#` removed from each key that has no default.
fn with_examples() -> String {
    let is_key = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let lines = DEFAULTS.lines().map(|line| if is_key(&line) { &line[1..] } else { line });
    let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let text = lines.collect::<Vec<_>>().join("\n").replace("32-BYTES-IN-BASE64", key);
    let text = text.replace("another-long-random-text", "s3cret-for-readers");
    // The examples of secrets are refused as placeholders.
    let secrets = ["a-long-random-text", "the-previous-secret-key", "the-secret-key", "the-long-lived-token"];
    let text = secrets.iter().fold(text, |text, secret| text.replace(&format!("\"{secret}\""), "\"s3cret\""));
    text.replace("24-to-64-bytes-in-base64", key).replace("Bearer the-key-of-the-tool", "Bearer s3cret")
}

#[test]
fn the_examples_are_valid_and_show_the_handlers_defaults() {
    let folder = Folder::with(&with_examples());
    folder.write("company-ca.pem", include_str!("ca.pem"));
    let config = folder.load(&[]).unwrap();
    let example = &config.handlers["example"].policy;
    let goto = example.goto;
    assert_eq!(*example, HandlerPolicy { goto, ..HandlerPolicy::default() });
    let assistant = config.handlers["assistant"].http.as_ref().unwrap();
    assert_eq!((assistant.concurrency, assistant.max_awaiting), (64, 10_000));
    assert_eq!((assistant.preset, assistant.mode), (Preset::Bridge, Mode::Auto));
    assert!(goto.is_some() && config.delivery.rate_total.is_some() && config.admin.token.is_some());
}

#[test]
fn the_container_configuration_is_valid_once_it_has_an_integration() {
    let text = include_str!("../../../config/docker.toml");
    let folder = Folder::with(text);
    assert!(folder.refusal(&[]).starts_with("bridge.toml: integrations: at least one is needed"));
    folder.write("secret", "s");
    let secret = folder.path("secret").display().to_string();
    let env = [
        ("BRIDGE_INTEGRATIONS__MAIN__CLIENT_UUID", ID),
        ("BRIDGE_INTEGRATIONS__MAIN__CLIENT_SECRET_FILE", secret.as_str()),
    ];
    let config = folder.load(&env).unwrap();
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.store.url, "sqlite:/data/bridge.db");
    assert_eq!(config.log.format, Some(crate::config::LogFormat::Json));
}

#[test]
fn the_described_ranges_are_enforced() {
    let schema = Config::schema().unwrap();
    let mut ranges = 0;
    for (section, key) in keys_of(&schema) {
        let section_schema = &schema["properties"][section.as_str()];
        let named = section_schema.get("properties").is_none();
        let table = if named { &section_schema["additionalProperties"] } else { section_schema };
        let schema = &table["properties"][key.as_str()];
        if schema["pattern"].is_null() {
            continue;
        }
        let description = schema["description"].as_str().unwrap().replace('\n', " ");
        let range = description.trim_end_matches('.').rsplit(" From ").next().unwrap();
        assert!(DEFAULTS.contains(&format!("From {range}.")), "{section}.{key}: {range}");
        let name = if named { "EXAMPLE__" } else { "" };
        let variable = format!("BRIDGE_{section}__{name}{key}").to_uppercase();
        let too_much = if range.contains('B') { "99999GiB" } else { "99999d" };
        let refusal = Folder::with(MINIMAL).refusal(&[(&variable, too_much)]);
        assert!(refusal.ends_with(&format!("from {range}")), "{range}: {refusal}");
        ranges += 1;
    }
    assert_eq!(ranges, 14, "a key with a range has no test");
}
