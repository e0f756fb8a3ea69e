//! Requests that the public listener accepts, in every form that Kommo sends.

use std::time::Duration;

use futures_util::future::join_all;
use salesbot_bridge::Clock;
use serde_json::{Value, json};
use simulator::{Algorithm, BodyStyle, BotType, Plan, Simulator, TokenStyle};

use crate::bridge::TestBridge;
use crate::played::{account, bot, calls_for, continued, kommo, plan};
use crate::setup::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_job_is_answered_200_with_its_id() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let bot = kommo.bot(Plan { bot_type: BotType::Marketingbot, ..plan() });
    let ack = bridge.call(&bot, "echo").await;
    assert_eq!(ack.status, 200);
    let id = ack.json()["job_id"].as_str().unwrap().to_owned();
    assert_eq!(ack.json(), json!({ "job_id": id, "duplicate": false }));

    let job = bridge.in_state(&id, "delivered").await;
    for (key, expected) in [
        ("id", json!(id)),
        ("handler", json!("echo")),
        ("account_id", json!(kommo.options().account_id)),
        ("bot_type", json!("marketingbot")),
        ("bot_id", json!(bot.id())),
        ("entity_type", json!(2)),
        ("return_url", json!(bot.return_url())),
        ("data", json!({ "message": "hi" })),
        ("outcome", json!("handler")),
        ("handler_attempts", json!(1)),
        ("delivery_attempts", json!(1)),
        ("last_error", json!(null)),
    ] {
        assert_eq!(job[key], expected, "{key} of {job:#}");
    }
    assert_eq!(id.as_bytes()[14], b'7', "not a UUIDv7: {id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_same_id_and_one_continue() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "echo").await;
    continued(&bot).await;
    bridge.in_state(&id, "delivered").await;
    for _ in 0..2 {
        let again = bridge.call(&bot, "echo").await;
        assert_eq!((again.status, again.json()), (200, json!({ "job_id": id, "duplicate": true })));
    }
    bridge.settled().await;
    assert_eq!(calls_for(&kommo, &bot).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_repetitions_of_a_request_create_one_job() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    for _ in 0..5 {
        let bot = bot(&kommo);
        let acks = join_all((0..16).map(|_| bridge.call(&bot, "echo"))).await;
        let first = acks[0].json()["job_id"].clone();
        assert!(acks.iter().all(|ack| ack.status == 200 && ack.json()["job_id"] == first), "{acks:?}");
        assert_eq!(acks.iter().filter(|ack| ack.json()["duplicate"] == false).count(), 1, "{acks:?}");
        continued(&bot).await;
        bridge.settled().await;
        assert_eq!(calls_for(&kommo, &bot).len(), 1);
    }
    assert_eq!(bridge.jobs().await.len(), 5);
}

/// Sends the request of a bot with `plan`. Returns the job that the bridge stored.
async fn stored(bridge: &TestBridge, kommo: &Simulator, plan: Plan) -> Value {
    let bot = kommo.bot(plan);
    let id = bridge.ask(&bot, "echo").await;
    continued(&bot).await;
    bridge.job(&id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_format_is_read_regardless_of_the_content_type() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let sent = json!({
        "message": "2 + 2 = 4 & [so on]?", "lead": { "id": "31764961", "tags": ["a", "b c"] },
        "absent": "{{lead.name}}", "empty": "", "emoji": "🙂",
    });
    let styles = [BodyStyle::Form, BodyStyle::FormPlain, BodyStyle::FormJsonData, BodyStyle::Json];
    let types =
        ["application/json", "application/x-www-form-urlencoded", "text/plain", "", "multipart/form-data"];
    for body in styles {
        for content_type in types {
            let plan =
                Plan { body, content_type: Some(content_type.into()), ..Plan::with_data(sent.clone()) };
            assert_eq!(stored(&bridge, &kommo, plan).await["data"], sent, "{body:?} as {content_type:?}");
        }
        // Data may be absent altogether.
        let plan = Plan { body, ..Plan::with_data(Value::Null) };
        assert_eq!(stored(&bridge, &kommo, plan).await["data"], Value::Null, "{body:?} without data");
    }
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_valid_form_of_a_token_is_accepted() {
    let kommo = kommo().await;
    let uuid = kommo.options().client_uuid.clone();
    let bridge = Setup::with(&[&kommo])
        .config(r#"integrations.main.previous_client_secret = "the-one-before""#)
        .start()
        .await;
    let (account, now) = (kommo.options().account_id, now());
    let claims =
        |claims: Value| TokenStyle { claims: claims.as_object().unwrap().clone(), ..TokenStyle::default() };
    let rows = [
        ("HS512", TokenStyle::default()),
        ("HS256", TokenStyle { algorithm: Algorithm::Hs256, ..TokenStyle::default() }),
        (
            "the previous secret",
            TokenStyle { secret: Some("the-one-before".into()), ..TokenStyle::default() },
        ),
        ("client_uid", claims(json!({ "client_uuid": null, "client_uid": uuid }))),
        ("an upper-case client_uuid", claims(json!({ "client_uuid": uuid.to_uppercase() }))),
        ("a list of aud", claims(json!({ "aud": ["https://a.example", "https://b.example"] }))),
        ("no aud, where no public_url is set", claims(json!({ "aud": null }))),
        ("ids as strings", claims(json!({ "account_id": account.to_string(), "entity_id": "77" }))),
        ("ids as numbers", claims(json!({ "account_id": account, "entity_id": 77, "entity_type": 2 }))),
        ("times with a fraction", claims(json!({ "exp": now + 600.123_456, "nbf": now - 0.5 }))),
        ("times as strings", claims(json!({ "exp": format!("{}", now + 600.5) }))),
        ("a clock 50 s behind", claims(json!({ "nbf": now + 50.0, "iat": now + 50.0 }))),
        ("a clock 50 s ahead", claims(json!({ "exp": now - 50.0 }))),
        ("no nbf, no iat", claims(json!({ "nbf": null, "iat": null }))),
        ("no jti", claims(json!({ "jti": null }))),
    ];
    for (what, token) in rows {
        let bot = kommo.bot(Plan { token, ..plan() });
        let ack = bridge.call(&bot, "echo").await;
        assert_eq!(ack.status, 200, "{what}: {}", ack.body);
        assert_eq!(bridge.job(ack.json()["job_id"].as_str().unwrap()).await["account_id"], account, "{what}");
        continued(&bot).await;
    }
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_jti_the_same_token_is_the_same_request() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let claims = json!({ "jti": null }).as_object().unwrap().clone();
    let token = TokenStyle { claims, ..TokenStyle::default() };
    let (one, other) =
        (kommo.bot(Plan { token: token.clone(), ..plan() }), kommo.bot(Plan { token, ..plan() }));
    let first = bridge.ask(&one, "echo").await;
    assert_ne!(bridge.ask(&other, "echo").await, first);
    assert_eq!(bridge.call(&one, "echo").await.json(), json!({ "job_id": first, "duplicate": true }));
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jti_identifies_a_request_only_within_its_account() {
    let (kommo, other) = (kommo().await, account(2).await);
    let bridge = Setup::with(&[&kommo, &other]).start().await;
    let claims = json!({ "jti": "the-same" }).as_object().unwrap().clone();
    let token = TokenStyle { claims, ..TokenStyle::default() };
    for account in [&kommo, &other] {
        let bot = account.bot(Plan { token: token.clone(), ..plan() });
        bridge.ask(&bot, "echo").await;
        continued(&bot).await;
    }
    bridge.settled().await;
}

/// Seconds since 1970.
fn now() -> f64 {
    let millis = u64::try_from(Clock::system().now().as_millis()).unwrap();
    Duration::from_millis(millis).as_secs_f64()
}
