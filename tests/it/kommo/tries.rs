//! Which calls are retried, and which are not.

use std::time::Duration;

use salesbot_bridge::kommo::{Client, ClientOptions, Error, WidgetSettings};
use serde_json::{Value, json};
use simulator::{Fault, Options, Simulator};

use super::{calls, client, options};
use crate::played::{kommo, playing};
use crate::setup::host;

fn faults<const N: usize>(names: [&str; N]) -> [Fault; N] {
    names.map(|name| name.parse().unwrap())
}

#[tokio::test]
async fn a_read_survives_temporary_failures() {
    let kommo = kommo().await;
    for trouble in [["500", "503", "408"], ["reset", "answer-lost", "garbage"], ["504", "429", "500"]] {
        let before = calls(&kommo).len();
        kommo.queue_api_faults(faults(trouble));
        let widget = client(&kommo).widget("amo_dropbox").await;
        assert_eq!(widget.unwrap().code, "amo_dropbox", "{trouble:?}");
        assert_eq!(calls(&kommo).len() - before, 4, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_read_that_keeps_failing_reports_the_last_failure() {
    let kommo = kommo().await;
    kommo.set_outage(Some(Fault::Status(503)));
    let error = client(&kommo).widgets(1, 50).await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 503, .. }) && error.is_worth_retrying(), "{error}");
    assert_eq!(calls(&kommo).len(), 4);
    kommo.set_outage(Some(Fault::Reset));
    let error = client(&kommo).widgets(1, 50).await.unwrap_err();
    assert!(matches!(error, Error::Transport { sent: true, .. }), "{error}");
    kommo.set_outage(Some(Fault::PaymentRequired));
    let error = client(&kommo).widgets(1, 50).await.unwrap_err();
    assert!(matches!(error, Error::PaymentRequired(_)) && !error.is_worth_retrying(), "{error}");
    assert_eq!(calls(&kommo).len(), 9);
}

#[tokio::test]
async fn a_write_that_may_have_taken_effect_is_not_repeated() {
    let kommo = kommo().await;
    let settings = WidgetSettings::new().text("greeting", "Hi");
    for (name, status) in [("500", Some(500)), ("answer-lost", None), ("408", Some(408))] {
        let before = calls(&kommo).len();
        kommo.queue_api_faults(faults([name]));
        let error = client(&kommo).install_widget_unchecked("simulator_bridge", &settings).await.unwrap_err();
        match (&error, status) {
            (Error::Status { status: found, .. }, Some(status)) => assert_eq!(*found, status),
            (Error::Transport { sent: true, .. }, None) => {}
            _ => panic!("{name}: {error}"),
        }
        assert_eq!(calls(&kommo).len() - before, 1, "{name}");
    }
    assert_eq!(kommo.widget("simulator_bridge").unwrap()["settings"], json!({ "greeting": "Hi" }));
}

#[tokio::test]
async fn a_write_that_kommo_did_not_process_is_retried_after_a_wait() {
    let kommo = kommo().await;
    kommo.queue_api_faults(faults(["429"]));
    client(&kommo).uninstall_widget("amo_dropbox").await.unwrap();
    let calls = kommo.api_calls();
    assert_eq!(calls.iter().map(|call| call.status).collect::<Vec<_>>(), [Some(429), Some(204)]);
    assert!(calls[1].at - calls[0].at >= Duration::from_millis(1_000), "the wait that Kommo asked for");
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let kommo = kommo().await;
    kommo.set_outage(Some(Fault::Redirect(format!("{}/api/v4/account", kommo.base_url()))));
    // As after a connection error, a read is retried and a write is not.
    let read = client(&kommo).widget("amo_dropbox").await.unwrap_err();
    let write = client(&kommo).uninstall_widget("amo_dropbox").await.unwrap_err();
    for error in [read, write] {
        assert!(matches!(error, Error::Status { status: 307, .. }) && error.is_worth_retrying(), "{error}");
    }
    let paths: Vec<_> = calls(&kommo).into_iter().map(|(_, path, _)| path).collect();
    assert_eq!(paths, vec!["/api/v4/widgets/amo_dropbox"; 5]);
}

#[tokio::test]
async fn a_response_that_is_not_kommos_is_retried_and_never_read() {
    let kommo = kommo().await;
    for (name, is_sent) in [("html-404", false), ("html-200", true)] {
        let before = calls(&kommo).len();
        kommo.queue_api_faults(faults([name]));
        let widget = client(&kommo).widget("amo_dropbox").await;
        assert_eq!(widget.unwrap().code, "amo_dropbox", "{name}");
        assert_eq!(calls(&kommo).len() - before, 2, "{name}");

        kommo.set_outage(Some(name.parse().unwrap()));
        let error = client(&kommo).widget("amo_dropbox").await.unwrap_err();
        assert!(matches!(error, Error::Transport { sent, .. } if sent == is_sent), "{name}: {error}");
        assert!(error.is_worth_retrying(), "{name}");
        kommo.set_outage(None);
        // A write is sent once.
        let before = calls(&kommo).len();
        kommo.queue_api_faults(faults([name]));
        let error = client(&kommo).uninstall_widget("amo_dropbox").await.unwrap_err();
        assert!(matches!(error, Error::Transport { sent, .. } if sent == is_sent), "{name}: {error}");
        assert_eq!(calls(&kommo).len() - before, 1, "{name}");
    }
}

#[tokio::test]
async fn a_refused_connection_means_that_nothing_was_sent() {
    let kommo = kommo().await;
    let client = client(&kommo);
    drop(kommo);
    let error = client.uninstall_widget("amo_dropbox").await.unwrap_err();
    assert!(matches!(error, Error::Transport { sent: false, .. }), "{error}");
}

#[tokio::test]
async fn simultaneous_calls_keep_the_rate() {
    let kommo = playing(Options { rate_limit: Some(7), ..Options::default() }).await;
    let options = ClientOptions { rate_per_second: 7, ..options(&[host(&kommo)]) };
    let token = kommo.options().access_token.as_str();
    let client = Client::new(kommo.base_url(), token.into(), options).unwrap();
    let all = futures_util::future::join_all((0..16).map(|_| client.widget("amo_dropbox"))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    let statuses: Vec<_> = calls(&kommo).into_iter().map(|(_, _, status)| status).collect();
    assert_eq!(statuses, vec![Some(200); 16], "Kommo never had to refuse one");
}

/// Kommo's description of the account.
async fn account(kommo: &Simulator) -> Result<Value, Error> {
    client(kommo).get_json("/api/v4/account").await
}

#[tokio::test]
async fn any_other_path_can_be_called_as_json() {
    let kommo = kommo().await;
    assert_eq!(account(&kommo).await.unwrap()["id"], kommo.options().account_id);
    let error = client(&kommo).get::<Vec<u32>>("/api/v4/account").await.unwrap_err();
    assert!(matches!(&error, Error::Unexpected { expected, .. } if expected.contains("Vec<u32>")), "{error}");
    // A response without a body is `null`.
    let nothing = "/api/v4/widgets?page=99";
    assert_eq!(client(&kommo).get_json(nothing).await, Ok(Value::Null));
    assert_eq!(client(&kommo).get::<Option<Value>>(nothing).await, Ok(None));
    for path in ["api/v4/account", "//127.0.0.1:1/x", "https://example.org/", "/\\example.org"] {
        let refused = client(&kommo).get_json(path).await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{path}: {refused:?}");
    }
    let posted = client(&kommo)
        .post_json("/api/v4/widgets/simulator_bridge", &json!({ "greeting": "Hi" }))
        .await
        .unwrap();
    assert_eq!(posted["is_active_in_account"], true);
    let patched = client(&kommo).patch_json("/api/v4/widgets/simulator_bridge", &json!({})).await;
    assert!(matches!(patched, Err(Error::Status { status: 405, .. })), "{patched:?}");
    assert_eq!(kommo.api_calls().last().unwrap().method, "PATCH");
    #[derive(Debug, serde::Deserialize)]
    struct Installed {
        code: String,
    }
    let path = "/api/v4/widgets/simulator_bridge";
    let posted: Installed = client(&kommo).post(path, &json!({ "greeting": "Hi" })).await.unwrap();
    assert_eq!(posted.code, "simulator_bridge");
    assert!(client(&kommo).patch::<Installed>(path, &json!({})).await.is_err());
}
