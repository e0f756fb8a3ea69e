//! Checks a valid configuration for values that an operator should look at.

use crate::config::Config;
use model::url_below;

use super::check::Check;

/// The path at which Kommo's redirect reaches the bridge.
const CALLBACK: &str = "/oauth/callback";

/// Checks an accepted configuration, which was read from `place`.
pub(super) fn checks(config: &Config, place: &str) -> Vec<Check> {
    let mut checks = vec![Check::ok("configuration", format!("{place}: accepted"))];
    let mut warn = |found: &str, todo: &str| checks.push(Check::warning("configuration", found, todo));
    let connects = config.integrations.values().any(|known| known.redirect_uri.is_some());
    if config.accounts.is_empty() && !connects {
        warn(
            "no account is configured, and none can be connected: the bridge cannot deliver anything",
            "add accounts.NAME with base_url and access_token, or give an integration a redirect_uri",
        );
    }
    if config.server.public_url.is_none() {
        warn(
            "server.public_url is not set: the bridge accepts tokens for other bridges of the same integration",
            "set it to the part of the widget blocks' URL before /widget_request/",
        );
    }
    if config.delivery.hosts.insecure {
        warn(
            "delivery.insecure is on: bearer tokens may go over plain HTTP and to private addresses",
            "remove it, unless this bridge works with a simulator",
        );
    }
    for (name, known) in &config.integrations {
        let Some(uri) = &known.redirect_uri else { continue };
        if !uri.url().path().ends_with(CALLBACK) {
            warn(
                &format!(
                    "integrations.{name}.redirect_uri does not end in {CALLBACK}: unless a proxy rewrites it, no account can be connected"
                ),
                "set it to https://HOST/oauth/callback, here and on the integration's page in Kommo",
            );
        }
        if config.server.public_url.as_ref().is_some_and(|public| public.host() != uri.url().host()) {
            warn(
                &format!("the hosts of integrations.{name}.redirect_uri and server.public_url differ"),
                "check that both hosts lead to the bridge",
            );
        }
        if let Some(public) = &config.server.public_url
            && public.host() == uri.url().host()
            && uri.url().path().ends_with(CALLBACK)
            && ![CALLBACK, url_below(public, CALLBACK).path()].contains(&uri.url().path())
        {
            warn(
                &format!(
                    "integrations.{name}.redirect_uri has a path where the bridge does not listen: it listens at {}",
                    url_below(public, CALLBACK)
                ),
                "use that address, here and on the integration's page in Kommo, unless a proxy rewrites the path",
            );
        }
        if known.previous_client_secret.is_some() {
            warn(
                &format!(
                    "integrations.{name}.previous_client_secret is set: the bridge still accepts tokens signed with it"
                ),
                "remove it once Kommo signs only with the new secret",
            );
        }
    }
    if config.store.previous_encryption_key.is_some() {
        warn(
            "store.previous_encryption_key is set",
            "remove it a day after the change, once `serve` no longer logs at its start that tokens are encrypted with it",
        );
    }
    if !config.admin.listen.ip().is_loopback() {
        warn(
            &format!("admin.listen is {}: other machines can reach it", config.admin.listen),
            "keep it off the Internet; it requires admin.token",
        );
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn found(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bridge.toml");
        let good = "server.public_url = \"https://bots.example.com\"\naccounts.a.base_url = \"https://a.kommo.com\"\n\
                    accounts.a.access_token = \"t\"\nintegrations.main.client_uuid = \"11111111-0c1e-4d57-8c6e-2f6f3f1f0d11\"\nintegrations.main.client_secret = \"s\"\n";
        let replaced = ["accounts.", "server.public_url"].iter().find(|key| text == format!("-{key}"));
        let text = match replaced {
            Some(key) => good.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n"),
            None => format!("{good}{text}"),
        };
        std::fs::write(&file, text).unwrap();
        let config = Config::load(&Sources { file: Some(file), env: Vec::new() }).unwrap();
        serde_json::to_string(&checks(&config, "here")[1..]).unwrap()
    }

    const KEY: &str = "store.encryption_key = \"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"\n";

    #[test]
    fn only_questionable_values_are_warnings() {
        assert_eq!(found(""), "[]");
        let uri = |uri: &str| format!("{KEY}integrations.main.redirect_uri = \"{uri}\"");
        assert_eq!(found(&uri("https://bots.example.com/oauth/callback")), "[]");
        for (text, expected) in [
            ("-accounts.".to_owned(), "cannot deliver anything"),
            ("-server.public_url".to_owned(), "server.public_url is not set"),
            ("delivery.insecure = true".to_owned(), "delivery.insecure is on"),
            ("admin.listen = \"0.0.0.0:9090\"\nadmin.token = \"t\"".to_owned(), "0.0.0.0:9090"),
            (uri("https://bots.example.com/oauth"), "does not end in /oauth/callback"),
            (uri("https://other.example.com/oauth/callback"), "server.public_url differ"),
            (
                uri("https://bots.example.com/bots/oauth/callback"),
                "it listens at https://bots.example.com/oauth/callback",
            ),
            (
                format!("store.previous_encryption_key = {}", KEY.split_once(" = ").unwrap().1),
                "store.previous_encryption_key is set",
            ),
            (
                format!(
                    "{}\nintegrations.main.previous_client_secret = \"old\"",
                    uri("https://bots.example.com/oauth/callback")
                ),
                "previous_client_secret is set",
            ),
        ] {
            let found = found(&text);
            assert!(found.contains(expected) && found.matches("\"outcome\"").count() == 1, "{text}: {found}");
        }
    }
}
