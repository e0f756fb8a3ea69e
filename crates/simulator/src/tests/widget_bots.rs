//! Bots of an uploaded widget. There is no bridge: the test itself continues the bots.

use serde_json::{Map, Value, json};

use super::super::{Bot, Simulator, WidgetOrder};
use super::package::{files, with_manifest, zipped};
use super::{client, resume, simulator};

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A simulator with a widget. Its bots call a second simulator, which responds with 404; they wait nevertheless.
async fn with_widget() -> (Simulator, Simulator, String) {
    let (kommo, bridge) = (simulator().await, simulator().await);
    let url = format!("{}/widget_request/echo", bridge.base_url());
    let code = kommo.upload_widget(&zipped(&files(&url))).unwrap().code;
    (kommo, bridge, code)
}

fn variables() -> Map<String, Value> {
    map(json!({ "message_text": "hi" }))
}

/// The form that the bot sent, read from a repeat of its request.
fn asked(bot: &Bot) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&bot.request("http://b.test/").body).into_owned().collect()
}

fn has(pairs: &[(String, String)], key: &str, value: &str) -> bool {
    pairs.contains(&(key.to_owned(), value.to_owned()))
}

#[tokio::test]
async fn widget_bot_asks_and_leaves_by_the_exit_that_matches_the_continue() {
    let (kommo, bridge, widget) = with_widget().await;
    for (data, said, exit) in [
        (json!({ "status": "success", "reply": "Hello" }), vec!["Hello"], "success"),
        (json!({ "status": "fail" }), vec![], "fail"),
    ] {
        let order = WidgetOrder { widget: widget.clone(), variables: variables(), ..WidgetOrder::default() };
        let bot = kommo.widget_bot(order).unwrap();
        let pairs = asked(&bot);
        assert!(has(&pairs, "data[message]", "hi") && has(&pairs, "data[from]", "ask"), "{pairs:?}");
        assert!(has(&pairs, "data[lead][id]", "{{lead.id}}"), "an unknown placeholder stays");
        assert_eq!(resume(&kommo, &bot, json!({ "data": data })).await.0, 202);
        let report = bot.ended().await;
        assert_eq!((report.exit.as_deref(), report.stuck), (Some(exit), None));
        assert_eq!(report.said, said);
        assert_eq!((report.waits, report.continued), (1, 1));
    }
    drop(bridge);
}

#[tokio::test]
async fn order_overrides_settings_and_unknown_names_are_refused() {
    let (kommo, bridge, widget) = with_widget().await;
    let settings = map(json!({ "message": "about {{lead.id}}" }));
    let variables = map(json!({ "lead.id": 5 }));
    let order = WidgetOrder { widget: widget.clone(), settings, variables, ..WidgetOrder::default() };
    let pairs = asked(&kommo.widget_bot(order).unwrap());
    assert!(has(&pairs, "data[message]", "about 5") && has(&pairs, "data[lead][id]", "5"), "{pairs:?}");

    let rows = [
        (json!({ "widget": "other" }), "unknown widget `other`"),
        (json!({ "widget": widget, "handler": "other" }), "no handler `other`"),
        (json!({ "widget": widget, "settings": { "other": 1 } }), "no setting `other`"),
    ];
    for (order, reason) in rows {
        let order = WidgetOrder {
            widget: order["widget"].as_str().unwrap().to_owned(),
            handler: order["handler"].as_str().map(str::to_owned),
            settings: order["settings"].as_object().cloned().unwrap_or_default(),
            ..WidgetOrder::default()
        };
        let error = kommo.widget_bot(order).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    drop(bridge);
}

#[tokio::test]
async fn handlers_of_the_continue_run_and_goto_an_earlier_step_asks_again() {
    let (kommo, bridge, widget) = with_widget().await;
    let order = WidgetOrder { widget, variables: variables(), ..WidgetOrder::default() };
    let bot = kommo.widget_bot(order).unwrap();
    let again = json!({ "data": { "name": "Ann" }, "execute_handlers": [
        { "handler": "show", "params": { "type": "text", "value": "Wait, {{json.name}}" } },
        { "handler": "goto", "params": { "type": "question", "step": 0 } },
    ] });
    assert_eq!(resume(&kommo, &bot, again).await.0, 202);
    while bot.report().waits < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        resume(&kommo, &bot, json!({ "data": { "status": "success", "reply": "Done" } })).await.0,
        202
    );
    let report = bot.ended().await;
    assert_eq!(
        (report.said, report.exit),
        (vec!["Wait, Ann".to_owned(), "Done".to_owned()], Some("success".into()))
    );

    let lost = json!({ "data": {}, "execute_handlers": [
        { "handler": "goto", "params": { "type": "question", "step": 9 } },
    ] });
    let bot =
        kommo.widget_bot(WidgetOrder { widget: last_widget(&kommo), ..WidgetOrder::default() }).unwrap();
    assert_eq!(resume(&kommo, &bot, lost).await.0, 202);
    let report = bot.ended().await;
    assert_eq!((report.exit, report.stuck.as_deref()), (None, Some("goto: unknown step 9")));
    drop(bridge);
}

/// The code of the last uploaded widget.
fn last_widget(kommo: &Simulator) -> String {
    kommo.uploaded_widgets().last().unwrap().code.clone()
}

#[tokio::test]
async fn bots_without_a_widget_report_the_messages_of_their_continues() {
    let kommo = simulator().await;
    let bot = kommo.bot(super::ordinary());
    let shows = json!({ "data": { "name": "Ann" }, "execute_handlers": [
        { "handler": "show", "params": { "type": "text", "value": "Hi {{json.name}}" } },
    ] });
    assert_eq!(resume(&kommo, &bot, shows).await.0, 202);
    assert_eq!(bot.report().said, ["Hi Ann"]);
}

#[tokio::test]
async fn packages_and_bots_can_be_ordered_over_http() {
    let (kommo, bridge) = (simulator().await, simulator().await);
    let [widgets, bots] = ["widgets", "bots"].map(|name| format!("{}/simulator/{name}", kommo.base_url()));
    let files = files(&format!("{}/widget_request/echo", bridge.base_url()));
    let upload =
        |url: &str, zip: Vec<u8>| client().post(url).header("content-type", "application/zip").body(zip);

    let response = upload(&widgets, zipped(&files)).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let widget: Value = response.json().await.unwrap();
    assert_eq!((&widget["code"], &widget["handler"]), (&json!("widget_1"), &json!("ask")));
    let listed: Value = client().get(&widgets).send().await.unwrap().json().await.unwrap();
    assert_eq!(listed, json!({ "widgets": [widget] }));
    let newer = with_manifest(&files, &[("/widget/version", json!("1.1.0"))]);
    let response = upload(&format!("{widgets}/{}", widget["code"].as_str().unwrap()), zipped(&newer));
    assert_eq!(response.send().await.unwrap().status(), 201);
    let shown = kommo.widget(widget["code"].as_str().unwrap()).unwrap();
    assert_eq!((&shown["is_active_in_account"], &shown["version"]), (&json!(true), &json!("1.1.0")));

    let broken = with_manifest(&files, &[("/widget/version", json!(1)), ("/settings", json!({}))]);
    let response = upload(&widgets, zipped(&broken)).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (400, &"application/problem+json".parse().unwrap())
    );
    let problem: Value = response.json().await.unwrap();
    let errors = problem["validation-errors"][0]["errors"].as_array().unwrap();
    let paths: Vec<_> = errors.iter().map(|error| error["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["manifest.json: widget.version", "manifest.json: settings"]);
    assert_eq!(client().post(&widgets).body("x").send().await.unwrap().status(), 415);

    let order = json!({ "widget": widget["code"], "variables": { "message_text": "hi" }, "count": 2 });
    let response = client().post(&bots).json(&order).send().await.unwrap();
    assert_eq!(response.status(), 202);
    let ids = response.json::<Value>().await.unwrap()["bots"].as_array().unwrap().clone();
    assert_eq!(ids.len(), 2);
    for (order, reason) in [
        (json!({ "widget": "other" }), "unknown widget"),
        (json!({ "widget": widget["code"], "url": "http://b.test/" }), "cannot be combined"),
        (json!({ "url": "http://b.test/", "variables": { "a": "b" } }), "require `widget`"),
        (json!({ "widget": widget["code"], "wat": 1 }), "wat"),
    ] {
        let response = client().post(&bots).json(&order).send().await.unwrap();
        assert_eq!(response.status(), 400, "{order}");
        let problem: Value = response.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{problem}");
    }
    let report: Value =
        client().get(format!("{bots}/{}", ids[0])).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&report["said"], &report["exit"], &report["stuck"]),
        (&json!([]), &json!(null), &json!(null))
    );
}
