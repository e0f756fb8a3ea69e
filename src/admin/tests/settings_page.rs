//! The page of settings.

use std::sync::Arc;

use super::error_pages::page;
use super::*;
use crate::admin::{Settings, SettingsSource};
use crate::listed_setting::{ListedSetting, SecretFileUse, SettingOrigin};

fn setting(key: &str, value: &str, default: Option<&str>, line: Option<usize>) -> ListedSetting {
    ListedSetting {
        section: key.split('.').next().unwrap().into(),
        key: key.to_owned(),
        value: value.to_owned(),
        default: default.map(str::to_owned),
        origin: line
            .map_or(SettingOrigin::Default, |line| SettingOrigin::File(format!("/etc/bridge.toml:{line}"))),
        about: Some("What it means. From 1ms to 30d.".into()),
        secret_file: None,
    }
}

async fn fixture(values: Vec<ListedSetting>) -> Fixture {
    let source = SettingsSource::Read("/etc/bridge.toml".to_owned());
    let settings = Settings { source, values: values.into() };
    Fixture::with(|admin| admin.settings = settings).await
}

#[tokio::test]
async fn what_is_set_is_shown_and_defaults_are_a_link_away() {
    let token = ListedSetting {
        secret_file: Some(SecretFileUse::StartAndSignal),
        ..setting("admin.token_file", "\"t\"", None, Some(3))
    };
    let by_variable = ListedSetting {
        origin: SettingOrigin::Environment("BRIDGE_LOG__FILTER".to_owned()),
        ..setting("log.filter", "\"<b>\"", Some("\"info\""), None)
    };
    let it = fixture(vec![
        token,
        by_variable,
        setting("server.listen", "\"0.0.0.0:1\"", Some("\"127.0.0.1:8080\""), Some(5)),
        setting("store.backup_keep", "7", Some("7"), None),
        setting("store.retention", "\"14d\"", Some("\"14d\""), None),
    ])
    .await;
    let html = page(&it, "/settings").await;
    for part in [
        "<h1>2 values are set in /etc/bridge.toml, 1 by an environment variable</h1>",
        "2 values differ from their defaults.",
        "SIGHUP reads 1 file of a secret again.",
        "2 defaults are hidden.",
        "href=\"/settings?all\"",
        "/etc/bridge.toml:5",
        "environment variable <code class=\"wrap\">BRIDGE_LOG__FILTER",
        "&lt;b&gt;",
        "changed",
        "What it means.",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert!(!html.contains("backup_keep"), "{html}");
    let all = page(&it, "/settings?all").await;
    assert!(all.contains("store.backup_keep") && !all.contains("hidden."), "{all}");
    let store = page(&it, "/settings?section=store").await;
    assert!(store.contains("No value is set here.") && store.contains("2 defaults are hidden."), "{store}");
}

#[tokio::test]
async fn a_hundred_handlers_and_accounts_stay_small_and_reachable() {
    let mut values = Vec::new();
    for number in 0..100 {
        for key in ["url", "kind", "auth", "mode", "max_attempts", "answer_within", "ordering", "coalesce"] {
            values.push(setting(&format!("handlers.h{number:02}.{key}"), "\"a value\"", None, Some(number)));
        }
        for key in ["base_url", "access_token"] {
            values.push(setting(&format!("accounts.a{number:02}.{key}"), "***", None, Some(number)));
        }
    }
    let it = fixture(values).await;
    assert!(page(&it, "/settings").await.contains("Next page"));
    let mut path = "/settings?section=accounts".to_owned();
    let mut seen = 0;
    for _ in 0..10 {
        let html = page(&it, &path).await;
        seen += html.matches(".base_url").count();
        let next = html.split("Next page").next().filter(|before| before.len() < html.len());
        let Some(next) = next.and_then(|before| before.rsplit("href=\"").next()) else { break };
        path = next.split('"').next().unwrap().replace("&amp;", "&");
    }
    assert_eq!(seen, 100);
}

#[tokio::test]
async fn the_page_of_a_real_configuration_has_no_secret() {
    let config = crate::Config::from_toml(
        "admin.token = \"s3cret-1\"\n[integrations.main]\nclient_uuid = \"9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11\"\n\
         client_secret = \"s3cret-2\"\n[accounts.a]\nbase_url = \"https://a.kommo.com\"\naccess_token = \"s3cret-3\"\n\
         [delivery]\nproxy = \"http://user:s3cret-4@proxy:1\"\n\
         [handlers.h]\nkind = \"http\"\nurl = \"http://127.0.0.1:1\"\nauth = \"s3cret-5\"\nproxy = \"http://user:s3cret-6@proxy:1\"\n",
    )
    .unwrap();
    let source = SettingsSource::Read(config.read_from());
    let settings = Settings { source, values: Arc::clone(&config.settings) };
    let it = Fixture::with(|admin| admin.settings = settings).await;
    for path in ["/settings", "/settings?all"] {
        let html = page(&it, path).await;
        assert_eq!(html.matches("<code class=\"wrap\">***</code>").count(), 6, "{html}");
        assert!(!html.contains("s3cret"), "{html}");
    }
    let html = page(&it, "/settings").await;
    assert!(html.contains("10 values are set in the given TOML"), "{html}");
}
