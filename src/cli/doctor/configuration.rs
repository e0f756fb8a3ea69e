//! What is legal in a configuration, and still worth a look.

use crate::config::Config;
use model::url_below;

use super::check::Check;

/// Where Kommo's redirect reaches the bridge.
const CALLBACK: &str = "/oauth/callback";

/// Looks at a configuration that was accepted. `place` says where it came from.
pub(super) fn checks(config: &Config, place: &str) -> Vec<Check> {
    let mut checks = vec![Check::ok("configuration", format!("{place}: accepted"))];
    let mut warn = |found: &str, todo: &str| checks.push(Check::warning("configuration", found, todo));
    let connects = config.integrations.values().any(|known| known.redirect_uri.is_some());
    if config.accounts.is_empty() && !connects {
        warn(
            "there is no account, and none can be connected: nothing can be delivered",
            "add accounts.NAME with base_url and access_token, or give an integration a redirect_uri",
        );
    }
    if config.server.public_url.is_none() {
        warn(
            "server.public_url is not set: tokens that were made for another bridge of the same integration are accepted",
            "set it to the part before /widget_request/ of the URL that widget blocks call",
        );
    }
    if config.delivery.hosts.insecure {
        warn(
            "delivery.insecure is on: bearers may go over plain HTTP and to private addresses",
            "remove it, unless Kommo is played",
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
                &format!("integrations.{name}.redirect_uri has another host than server.public_url"),
                "check that this host leads to the bridge too",
            );
        }
        if let Some(public) = &config.server.public_url
            && public.host() == uri.url().host()
            && uri.url().path().ends_with(CALLBACK)
            && ![CALLBACK, url_below(public, CALLBACK).path()].contains(&uri.url().path())
        {
            warn(
                &format!(
                    "integrations.{name}.redirect_uri has another path than {}: the bridge does not answer there",
                    url_below(public, CALLBACK)
                ),
                "use that address, here and on the integration's page in Kommo, unless a proxy rewrites it",
            );
        }
        if known.previous_client_secret.is_some() {
            warn(
                &format!(
                    "integrations.{name}.previous_client_secret is set: tokens signed with it are accepted"
                ),
                "remove it once Kommo uses the new one alone",
            );
        }
    }
    if config.store.previous_encryption_key.is_some() {
        warn(
            "store.previous_encryption_key is set",
            "remove it a day after the change, when `serve` no longer says at its start that tokens are under it",
        );
    }
    if !config.admin.listen.ip().is_loopback() {
        warn(
            &format!("admin.listen is {}: others than this machine can reach it", config.admin.listen),
            "keep it away from the Internet; it asks for admin.token",
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
    fn what_is_worth_a_look_is_told_and_nothing_else() {
        assert_eq!(found(""), "[]");
        let uri = |uri: &str| format!("{KEY}integrations.main.redirect_uri = \"{uri}\"");
        assert_eq!(found(&uri("https://bots.example.com/oauth/callback")), "[]");
        for (text, expected) in [
            ("-accounts.".to_owned(), "nothing can be delivered"),
            ("-server.public_url".to_owned(), "server.public_url is not set"),
            ("delivery.insecure = true".to_owned(), "delivery.insecure is on"),
            ("admin.listen = \"0.0.0.0:9090\"\nadmin.token = \"t\"".to_owned(), "0.0.0.0:9090"),
            (uri("https://bots.example.com/oauth"), "does not end in /oauth/callback"),
            (uri("https://other.example.com/oauth/callback"), "another host than server.public_url"),
            (
                uri("https://bots.example.com/bots/oauth/callback"),
                "another path than https://bots.example.com/oauth/callback",
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
