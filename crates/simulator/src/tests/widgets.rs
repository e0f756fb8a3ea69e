//! The five methods of the widgets API, checked against the examples in Kommo's documentation.

use serde_json::{Value, json};

use super::super::{Fault, Options, Simulator};
use super::{client, ordinary, resume, simulator};

const HAL: &str = "application/hal+json";
const PROBLEM: &str = "application/problem+json";

fn ask(simulator: &Simulator, method: &str, path: &str) -> reqwest::RequestBuilder {
    as_stranger(simulator, method, path).bearer_auth(&simulator.options().access_token)
}

fn as_stranger(simulator: &Simulator, method: &str, path: &str) -> reqwest::RequestBuilder {
    client().request(method.parse().unwrap(), format!("{}/api/v4/{path}", simulator.base_url()))
}

/// Status, media type and body.
async fn send(request: reqwest::RequestBuilder) -> (u16, String, Value) {
    let response = request.send().await.unwrap();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    (
        status,
        kind.unwrap_or_default(),
        serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default(),
    )
}

fn asterisk() -> Value {
    json!({ "login": "example", "password": "eXaMp1E", "phones": { "504141": "1039" },
        "script_path": "https://example.com/" })
}

#[tokio::test]
async fn list_matches_the_documented_example() {
    let kommo = simulator().await;
    let base = kommo.base_url();
    let (status, kind, body) = send(ask(&kommo, "GET", "widgets?page=1&limit=2")).await;
    assert_eq!((status, kind.as_str()), (200, HAL));
    let widget = |id, code: &str, version, rating, key| {
        json!({
            "id": id, "code": code, "version": version, "rating": rating,
            "settings_template": [{ "key": key, "name": "custom", "type": "custom", "is_required": false }],
            "is_lead_source": false, "is_work_with_dp": false, "is_crm_template": false,
            "client_uuid": null, "is_active_in_account": false, "pipeline_id": null,
            "_links": { "self": { "href": format!("{base}/api/v4/widgets/{code}") } },
        })
    };
    let expected = json!({
        "_page": 1,
        "_links": {
            "self": { "href": format!("{base}/api/v4/widgets?limit=2&page=1") },
            "next": { "href": format!("{base}/api/v4/widgets?limit=2&page=2") },
        },
        "_embedded": { "widgets": [
            widget(742, "amo_dropbox", "0.0.13", "2,8", "conf"),
            widget(796, "amo_mailchimp", "1.1.12", "3,4", "api"),
        ] },
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn following_the_next_links_visits_every_widget_once() {
    let kommo = Simulator::start(Options { more_widgets: 8, ..Options::default() }).await.unwrap();
    let (mut next, mut codes, mut pages) =
        (Some(format!("{}/api/v4/widgets?limit=4", kommo.base_url())), vec![], 0);
    while let Some(url) = next {
        let (status, _, body) = send(client().get(url).bearer_auth(&kommo.options().access_token)).await;
        assert_eq!(status, 200);
        codes.extend(
            body["_embedded"]["widgets"].as_array().unwrap().iter().map(|widget| widget["code"].clone()),
        );
        next = body["_links"]["next"]["href"].as_str().map(str::to_owned);
        pages += 1;
    }
    assert_eq!((pages, codes.len()), (3, 12), "a full last page has no next link");
    assert_eq!(codes[..4], ["amo_dropbox", "amo_mailchimp", "amo_asterisk", "simulator_bridge"]);
    codes.dedup();
    assert_eq!(codes.len(), 12);
    let past = ask(&kommo, "GET", "widgets?limit=4&page=4").send().await.unwrap();
    assert_eq!((past.status().as_u16(), past.text().await.unwrap().as_str()), (204, ""));
    let (_, _, whole) = send(ask(&kommo, "GET", "widgets")).await;
    assert_eq!(whole["_embedded"]["widgets"].as_array().unwrap().len(), 12);
    assert_eq!(
        whole["_links"]["self"]["href"],
        format!("{}/api/v4/widgets?limit=50&page=1", kommo.base_url())
    );
}

#[tokio::test]
async fn page_or_limit_out_of_range_is_400() {
    let kommo = simulator().await;
    for (query, path) in
        [("limit=251", "limit"), ("limit=0", "limit"), ("page=0", "page"), ("page=x", "page")]
    {
        let (status, kind, body) = send(ask(&kommo, "GET", &format!("widgets?{query}"))).await;
        assert_eq!((status, kind.as_str()), (400, PROBLEM), "{query}");
        assert_eq!(body["validation-errors"][0]["errors"][0]["path"], path, "{query}");
    }
    let both = send(ask(&kommo, "GET", "widgets?limit=251&page=0")).await.2;
    assert_eq!(both["validation-errors"][0]["errors"].as_array().unwrap().len(), 2);
    assert_eq!(send(ask(&kommo, "GET", "widgets?limit=250")).await.0, 200);
}

#[tokio::test]
async fn widget_is_shown_by_its_code() {
    let kommo = simulator().await;
    let (status, kind, body) = send(ask(&kommo, "GET", "widgets/amo_dropbox")).await;
    assert_eq!((status, kind.as_str(), &body["id"]), (200, HAL, &json!(742)));
    assert!(body.get("settings").is_none());
    assert!(body.get("_page").is_none());
}

#[tokio::test]
async fn install_returns_the_documented_example() {
    let kommo = simulator().await;
    let (status, kind, body) = send(ask(&kommo, "POST", "widgets/amo_asterisk").json(&asterisk())).await;
    assert_eq!((status, kind.as_str()), (200, HAL));
    let field = |key, name, kind| json!({ "key": key, "name": name, "type": kind, "is_required": true });
    let expected = json!({
        "id": 972, "code": "amo_asterisk", "version": "1.1.6", "rating": "2,7",
        "settings_template": [
            field("login", "Login", "text"),
            field("password", "Password", "pass"),
            field("phones", "Phone numbers", "users"),
            field("script_path", "Script path", "text"),
        ],
        "is_lead_source": false, "is_work_with_dp": false, "is_crm_template": false, "client_uuid": null,
        "is_active_in_account": true, "pipeline_id": null, "settings": asterisk(),
        "_links": { "self": { "href": format!("{}/api/v4/widgets/amo_asterisk", kommo.base_url()) } },
    });
    assert_eq!(body, expected);

    let shown = send(ask(&kommo, "GET", "widgets/amo_asterisk")).await.2;
    assert_eq!(shown["is_active_in_account"], true);
    assert!(shown.get("settings").is_none(), "it belongs to another integration");
    assert_eq!(kommo.widget("amo_asterisk").unwrap()["settings"], asterisk());
}

#[tokio::test]
async fn only_the_owning_integration_sees_the_settings() {
    let kommo = simulator().await;
    let settings = json!({ "greeting": "hi", "agents": { "7": { "login": "l", "password": "p" } } });
    assert_eq!(send(ask(&kommo, "POST", "widgets/simulator_bridge").json(&settings)).await.0, 200);
    let shown = send(ask(&kommo, "GET", "widgets/simulator_bridge")).await.2;
    assert_eq!((&shown["settings"], &shown["client_uuid"]), (&settings, &json!(kommo.options().client_uuid)));
    let listed = send(ask(&kommo, "GET", "widgets")).await.2;
    assert!(!listed.to_string().contains(r#""settings":"#));
}

#[tokio::test]
async fn invalid_install_reports_every_error_and_changes_nothing() {
    let kommo = simulator().await;
    let sent = json!({ "login": 5, "phones": { "504141": "1039" } });
    let (status, kind, body) = send(ask(&kommo, "POST", "widgets/amo_asterisk").json(&sent)).await;
    assert_eq!((status, kind.as_str(), &body["status"]), (400, PROBLEM, &json!(400)));
    let errors = body["validation-errors"][0]["errors"].as_array().unwrap();
    let found: Vec<_> = errors
        .iter()
        .map(|error| (error["code"].as_str().unwrap(), error["path"].as_str().unwrap()))
        .collect();
    assert_eq!(
        found,
        [("InvalidType", "login"), ("FieldMissing", "password"), ("FieldMissing", "script_path")]
    );
    assert_eq!(kommo.widget("amo_asterisk").unwrap()["is_active_in_account"], false);
}

#[tokio::test]
async fn uninstall_returns_204_without_a_body() {
    let kommo = simulator().await;
    assert_eq!(send(ask(&kommo, "POST", "widgets/amo_asterisk").json(&asterisk())).await.0, 200);
    let response = ask(&kommo, "DELETE", "widgets/amo_asterisk").send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.text().await.unwrap().as_str()), (204, ""));
    assert_eq!(kommo.widget("amo_asterisk").unwrap()["is_active_in_account"], false);
}

#[tokio::test]
async fn each_method_refuses_unknown_bearers_and_unknown_resources() {
    let kommo = simulator().await;
    let bot = kommo.bot(ordinary());
    let own = bot.return_url().rsplit_once("/api/v4/").unwrap().1.to_owned();
    let rows = [
        ("GET", "widgets", None),
        ("GET", "account", None),
        ("GET", "widgets/amo_dropbox", Some("widgets/none")),
        ("POST", "widgets/amo_dropbox", Some("widgets/none")),
        ("DELETE", "widgets/amo_dropbox", Some("widgets/none")),
        ("POST", &own, Some("salesbot/1/continue/2")),
    ];
    for (method, path, absent) in rows {
        let stranger = || as_stranger(&kommo, method, path);
        for request in [stranger(), stranger().bearer_auth("stale")] {
            let (status, kind, body) = send(request).await;
            assert_eq!(
                (status, kind.as_str(), &body["status"]),
                (401, PROBLEM, &json!(401)),
                "{method} {path}"
            );
        }
        if let Some(absent) = absent {
            let (status, kind, _) = send(ask(&kommo, method, absent)).await;
            assert_eq!((status, kind.as_str()), (404, PROBLEM), "{method} {absent}");
        }
    }
    for (method, path, allow) in [("PUT", "widgets/x", "GET, POST, DELETE"), ("POST", "widgets", "GET")] {
        let response = ask(&kommo, method, path).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, allow));
    }
}

#[tokio::test]
async fn user_without_administrator_rights_can_only_read() {
    let kommo = Simulator::start(Options { administrator: false, ..Options::default() }).await.unwrap();
    let bot = kommo.bot(ordinary());
    for (method, path) in [("POST", "widgets/amo_dropbox"), ("DELETE", "widgets/amo_dropbox")] {
        let (status, kind, _) = send(ask(&kommo, method, path)).await;
        assert_eq!((status, kind.as_str()), (403, PROBLEM), "{method}");
    }
    assert_eq!(resume(&kommo, &bot, json!({ "data": {} })).await.0, 403);
    for path in ["widgets", "widgets/amo_dropbox", "account"] {
        assert_eq!(send(ask(&kommo, "GET", path)).await.0, 200, "{path}");
    }
    kommo.set_administrator(true);
    assert_eq!(send(ask(&kommo, "POST", "widgets/amo_dropbox")).await.0, 200);
    assert_eq!(resume(&kommo, &bot, json!({ "data": {} })).await.0, 202);
}

#[tokio::test]
async fn account_returns_its_id_and_subdomain() {
    let kommo = simulator().await;
    let (status, kind, body) = send(ask(&kommo, "GET", "account")).await;
    assert_eq!((status, kind.as_str()), (200, HAL));
    let options = kommo.options();
    assert_eq!((&body["id"], &body["subdomain"]), (&json!(options.account_id), &json!(options.subdomain)));
    assert!(body["name"].is_string());
}

#[tokio::test]
async fn outage_rate_limit_and_queued_faults_apply_to_recorded_api_calls() {
    let kommo = Simulator::start(Options { rate_limit: Some(4), ..Options::default() }).await.unwrap();
    kommo.set_outage(Some(Fault::Status(503)));
    assert_eq!(send(ask(&kommo, "GET", "account")).await.0, 503);
    kommo.set_outage(None);
    kommo.queue_api_faults([Fault::Status(500), Fault::AnswerLost]);
    let bot = kommo.bot(ordinary());
    assert_eq!(
        resume(&kommo, &bot, json!({ "data": {} })).await.0,
        202,
        "continues do not take queued faults"
    );
    assert_eq!(send(ask(&kommo, "GET", "widgets?limit=1")).await.0, 500);
    let lost = ask(&kommo, "POST", "widgets/amo_asterisk").json(&asterisk()).send().await;
    assert!(lost.unwrap_err().is_request());
    assert_eq!(
        kommo.widget("amo_asterisk").unwrap()["is_active_in_account"],
        true,
        "the widget was installed although the response was lost"
    );
    assert_eq!(send(as_stranger(&kommo, "GET", "account")).await.0, 401);
    let (status, _, body) = send(ask(&kommo, "GET", "account")).await;
    assert_eq!((status, &body["retry_after"]), (429, &json!(1)));

    let calls = kommo.api_calls();
    let seen: Vec<_> =
        calls.iter().map(|call| (call.method.as_str(), call.authorized, call.status)).collect();
    assert_eq!(
        seen,
        [
            ("GET", true, Some(503)),
            ("POST", true, Some(202)),
            ("GET", true, Some(500)),
            ("POST", true, None),
            ("GET", false, Some(401)),
            ("GET", true, Some(429)),
        ]
    );
    assert_eq!(calls[2].path, "/api/v4/widgets?limit=1");
    assert_eq!(serde_json::from_slice::<Value>(&calls[3].body).unwrap(), asterisk());
    assert_eq!(kommo.calls().len(), 1, "only continues");
}
