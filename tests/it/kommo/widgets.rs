//! The four methods of the Widgets API: each documented status, with the documented examples.

use futures_util::TryStreamExt;
use salesbot_bridge::kommo::{Error, Rating, SettingType, Widget, WidgetSettings};
use serde_json::{Value, json};
use simulator::Simulator;

use super::{call, calls, client, with_token};
use crate::played::kommo;

/// The settings in the documented request.
fn documented() -> WidgetSettings {
    WidgetSettings::new()
        .text("login", "example")
        .text("password", "eXaMp1E")
        .user("phones", 504_141, "1039")
        .text("script_path", "https://example.com/")
}

/// The widget in the documented list, as this simulator's account shows it.
fn dropbox(simulator: &Simulator) -> Value {
    json!({
        "id": 742, "code": "amo_dropbox", "version": "0.0.13", "rating": "2,8",
        "settings_template": [{ "key": "conf", "name": "custom", "type": "custom", "is_required": false }],
        "is_lead_source": false, "is_work_with_dp": false, "is_crm_template": false, "client_uuid": null,
        "is_active_in_account": false, "pipeline_id": null,
        "_links": { "self": { "href": format!("{}/api/v4/widgets/amo_dropbox", simulator.base_url()) } }
    })
}

fn codes(widgets: &[Widget]) -> Vec<&str> {
    widgets.iter().map(|widget| widget.code.as_str()).collect()
}

#[tokio::test]
async fn a_page_of_the_list_has_the_documented_widgets_and_a_link() {
    let kommo = kommo().await;
    let page = client(&kommo).widgets(1, 2).await.unwrap();
    assert_eq!(codes(&page.widgets), ["amo_dropbox", "amo_mailchimp"]);
    assert_eq!(json!(page.widgets[0]), dropbox(&kommo));
    assert_eq!(page.next, Some(format!("{}/api/v4/widgets?limit=2&page=2", kommo.base_url())));
    assert_eq!(calls(&kommo), [call("GET", "/api/v4/widgets?limit=2&page=1", 200)]);
}

#[tokio::test]
async fn a_page_past_the_end_is_empty() {
    let kommo = kommo().await;
    let page = client(&kommo).widgets(9, 250).await.unwrap();
    assert_eq!((page.page, page.widgets, page.next), (9, vec![], None));
    assert_eq!(calls(&kommo), [call("GET", "/api/v4/widgets?limit=250&page=9", 204)]);
}

#[tokio::test]
async fn an_invalid_page_or_limit_is_refused_without_a_call() {
    let kommo = kommo().await;
    for (page, limit) in [(0, 50), (1, 0), (1, 251)] {
        let error = client(&kommo).widgets(page, limit).await.unwrap_err();
        assert!(matches!(error, Error::Refused(_)) && error.to_string().contains("250"), "{error}");
    }
    let all: Result<Vec<Widget>, _> = client(&kommo).all_widgets(251).try_collect().await;
    assert!(matches!(all, Err(Error::Refused(_))));
    assert_eq!(calls(&kommo), []);
}

#[tokio::test]
async fn the_whole_list_follows_the_links() {
    let kommo = kommo().await;
    let all: Vec<Widget> = client(&kommo).all_widgets(3).try_collect().await.unwrap();
    let expected = [
        "amo_dropbox",
        "amo_mailchimp",
        "amo_asterisk",
        "simulator_bridge",
        "made_up_1",
        "made_up_2",
        "made_up_3",
    ];
    assert_eq!(codes(&all), expected);
    assert_eq!((all[4].pipeline_id, all[5].pipeline_id), (None, Some(100_200)));
    assert!(matches!((&all[0].rating, &all[3].rating), (Some(Rating::Text(_)), Some(Rating::Number(_)))));
    assert_eq!(calls(&kommo).len(), 3);
    let mut pages = client(&kommo).widget_pages(3);
    assert_eq!(pages.try_next().await.unwrap().unwrap().widgets.len(), 3);
    assert_eq!(calls(&kommo).len(), 4, "a page is read only when it is polled");
}

#[tokio::test]
async fn a_widget_has_the_documented_form() {
    let kommo = kommo().await;
    assert_eq!(json!(client(&kommo).widget("amo_dropbox").await.unwrap()), dropbox(&kommo));
    assert_eq!(calls(&kommo), [call("GET", "/api/v4/widgets/amo_dropbox", 200)]);
}

#[tokio::test]
async fn an_unknown_widget_is_not_found() {
    let kommo = kommo().await;
    // The code is one segment of the path, whatever it contains.
    for code in ["no_such", "../account", "a/b?c"] {
        let error = client(&kommo).widget(code).await.unwrap_err();
        assert!(matches!(error, Error::NotFound(_)), "{code}: {error}");
    }
    assert_eq!(calls(&kommo)[1], call("GET", "/api/v4/widgets/..%2Faccount", 404));
    let error = client(&kommo).uninstall_widget("no_such").await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    let error = client(&kommo).install_widget("no_such", &documented()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    let error = client(&kommo).install_widget_unchecked("no_such", &documented()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
}

#[tokio::test]
async fn only_widgets_of_the_same_integration_show_their_settings() {
    let kommo = kommo().await;
    let settings = WidgetSettings::new().text("greeting", "Hi").user_login("agents", 504_141, "me", "s3cret");
    let installed = client(&kommo).install_widget("simulator_bridge", &settings).await.unwrap();
    assert_eq!(installed.settings, Some(settings.clone()));
    let shown = client(&kommo).widget("simulator_bridge").await.unwrap();
    assert_eq!(
        (shown.settings, shown.client_uuid),
        (Some(settings), Some(kommo.options().client_uuid.clone()))
    );
    let kinds = shown.settings_template.iter().map(|field| field.kind.clone()).collect::<Vec<_>>();
    assert_eq!(kinds, [SettingType::Text, SettingType::Pass, SettingType::UsersLp, SettingType::Custom]);
    assert_eq!(client(&kommo).widget("amo_dropbox").await.unwrap().settings, None);
}

#[tokio::test]
async fn an_install_sends_the_documented_body_and_returns_the_documented_widget() {
    let kommo = kommo().await;
    let installed = client(&kommo).install_widget("amo_asterisk", &documented()).await.unwrap();
    assert!(installed.is_active_in_account);
    let body = json!({ "login": "example", "password": "eXaMp1E", "phones": { "504141": "1039" },
        "script_path": "https://example.com/" });
    let post = kommo.api_calls().pop().unwrap();
    assert_eq!((post.method.as_str(), post.path.as_str()), ("POST", "/api/v4/widgets/amo_asterisk"));
    assert_eq!(serde_json::from_slice::<Value>(&post.body).unwrap(), body);
    let expected = json!({
        "id": 972, "code": "amo_asterisk", "version": "1.1.6", "rating": "2,7",
        "settings_template": [
            { "key": "login", "name": "Login", "type": "text", "is_required": true },
            { "key": "password", "name": "Password", "type": "pass", "is_required": true },
            { "key": "phones", "name": "Phone numbers", "type": "users", "is_required": true },
            { "key": "script_path", "name": "Script path", "type": "text", "is_required": true }
        ],
        "is_lead_source": false, "is_work_with_dp": false, "is_crm_template": false, "client_uuid": null,
        "is_active_in_account": true, "pipeline_id": null, "settings": body,
        "_links": { "self": { "href": format!("{}/api/v4/widgets/amo_asterisk", kommo.base_url()) } }
    });
    assert_eq!(json!(installed), expected);
}

#[tokio::test]
async fn an_install_with_a_missing_setting_names_it_and_sends_nothing() {
    let kommo = kommo().await;
    let settings = WidgetSettings::new().text("login", "example").user("phones", 504_141, "1039");
    let error = client(&kommo).install_widget("amo_asterisk", &settings).await.unwrap_err();
    let Error::Settings { code, mistakes } = &error else { panic!("{error}") };
    let missing: Vec<_> = mistakes.iter().filter(|mistake| mistake.is_missing()).map(|m| m.path()).collect();
    assert_eq!((code.as_str(), missing), ("amo_asterisk", vec!["password", "script_path"]));
    assert_eq!(calls(&kommo), [call("GET", "/api/v4/widgets/amo_asterisk", 200)]);
}

#[tokio::test]
async fn an_error_about_settings_names_each_refused_field() {
    let kommo = kommo().await;
    let settings = WidgetSettings::new().text("login", "").value("phones", json!({ "x": "1" }));
    let error = client(&kommo).install_widget_unchecked("amo_asterisk", &settings).await.unwrap_err();
    let Error::Invalid { status: 400, errors, .. } = &error else { panic!("{error}") };
    let places: Vec<_> = errors.iter().map(|error| (error.code.as_str(), error.path.as_str())).collect();
    for place in [("NotBlank", "login"), ("FieldMissing", "password"), ("InvalidType", "phones.x")] {
        assert!(places.contains(&place), "{place:?} in {places:?}");
    }
    assert!(error.to_string().contains("FieldMissing at password"), "{error}");
    assert_eq!(calls(&kommo).len(), 1);
}

#[tokio::test]
async fn an_uninstalled_widget_is_no_longer_active() {
    let kommo = kommo().await;
    client(&kommo).install_widget("amo_asterisk", &documented()).await.unwrap();
    assert!(client(&kommo).widget("amo_asterisk").await.unwrap().is_active_in_account);
    client(&kommo).uninstall_widget("amo_asterisk").await.unwrap();
    assert!(!client(&kommo).widget("amo_asterisk").await.unwrap().is_active_in_account);
    assert!(calls(&kommo).contains(&call("DELETE", "/api/v4/widgets/amo_asterisk", 204)));
}

#[tokio::test]
async fn only_administrators_can_install_and_uninstall() {
    let kommo = kommo().await;
    kommo.set_administrator(false);
    let error = client(&kommo).install_widget("amo_asterisk", &documented()).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)) && error.to_string().contains("administrator"), "{error}");
    let error = client(&kommo).uninstall_widget("amo_asterisk").await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)), "{error}");
    client(&kommo).widget("amo_asterisk").await.unwrap();
    client(&kommo).widgets(1, 250).await.unwrap();
}

#[tokio::test]
async fn a_refused_token_is_an_error_that_names_who_must_act() {
    let kommo = kommo().await;
    let stranger = with_token(&kommo, "the-token-of-a-stranger");
    let errors = [
        stranger.widgets(1, 50).await.unwrap_err(),
        stranger.widget("amo_dropbox").await.unwrap_err(),
        stranger.install_widget("amo_asterisk", &documented()).await.unwrap_err(),
        stranger.install_widget_unchecked("amo_asterisk", &documented()).await.unwrap_err(),
        stranger.uninstall_widget("amo_asterisk").await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Unauthorized(_)) && !error.is_worth_retrying(), "{error:?}");
        assert!(error.to_string().contains("administrator of the account must create a new one"), "{error}");
        assert!(!error.to_string().contains("stranger"), "{error}");
    }
    assert!(calls(&kommo).iter().all(|(_, _, status)| *status == Some(401)));
    assert_eq!(calls(&kommo).len(), 5);
}
