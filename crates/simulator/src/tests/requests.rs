//! The requests of bots, read with code other than the code that writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::super::{
    Algorithm, BodyStyle, CallError, Options, Plan, Simulator, TimeSource, TokenStyle, What, WidgetRequest,
};
use super::{ordinary, simulator};

const BRIDGE: &str = "http://bridge.test:8080/widget_request/echo";

fn at_a_fraction() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(1_700_000_000_250_000)
}

async fn fixed() -> Simulator {
    let options = Options { seed: Some(7), clock: TimeSource::new(at_a_fraction), ..Options::default() };
    Simulator::start(options).await.unwrap()
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn pairs(request: &WidgetRequest) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

#[tokio::test]
async fn token_has_the_claims_of_kommo() {
    let simulator = fixed().await;
    let bot = simulator.bot(ordinary());
    let request = bot.request(BRIDGE);
    assert_eq!(part(&request.token, 0), json!({ "alg": "HS512", "typ": "JWT" }));
    let options = simulator.options();
    let expected = json!({
        "iss": simulator.base_url(), "aud": "http://bridge.test:8080", "jti": request.jti,
        "iat": 1_700_000_000.25, "nbf": 1_700_000_000.25, "exp": 1_700_001_800.25,
        "account_id": options.account_id, "subdomain": options.subdomain, "client_uuid": options.client_uuid,
        "entity_type": "2", "entity_id": (bot.id() % 100_000_000).to_string(), "bot_type": "salesbot",
    });
    assert_eq!(part(&request.token, 1), expected);
    assert_eq!(URL_SAFE_NO_PAD.decode(request.token.split('.').nth(2).unwrap()).unwrap().len(), 64);
    assert_eq!(
        request.return_url,
        format!(
            "{}/api/v4/salesbot/{}/continue/{}",
            simulator.base_url(),
            bot.id(),
            request.return_url.rsplit('/').next().unwrap()
        )
    );
}

#[tokio::test]
async fn aud_omits_the_default_port() {
    let simulator = simulator().await;
    let bot = simulator.bot(ordinary());
    let rows = [
        ("https://bridge.example/widget_request/x", "https://bridge.example"),
        ("http://bridge.example:80/x", "http://bridge.example"),
    ];
    for (url, aud) in rows {
        assert_eq!(part(&bot.request(url).token, 1)["aud"], aud);
    }
}

#[tokio::test]
async fn token_style_overrides_algorithm_claims_and_header() {
    let simulator = fixed().await;
    let token = |token| simulator.bot(Plan { token, ..ordinary() }).request(BRIDGE).token;
    let hs256 = token(TokenStyle { algorithm: Algorithm::Hs256, ..TokenStyle::default() });
    assert_eq!(part(&hs256, 0)["alg"], "HS256");
    assert_eq!(URL_SAFE_NO_PAD.decode(hs256.split('.').nth(2).unwrap()).unwrap().len(), 32);
    let none = token(TokenStyle { algorithm: Algorithm::None, ..TokenStyle::default() });
    assert_eq!(part(&none, 0)["alg"], "none");
    assert!(none.ends_with('.'));

    let object = |value: Value| value.as_object().unwrap().clone();
    let changed = token(TokenStyle {
        claims: object(json!({ "exp": null, "account_id": "1" })),
        header: object(json!({ "alg": "RS256" })),
        ..TokenStyle::default()
    });
    let claims = part(&changed, 1);
    assert_eq!((claims.get("exp"), &claims["account_id"]), (None, &json!("1")));
    assert_eq!(part(&changed, 0)["alg"], "RS256");
}

#[tokio::test]
async fn another_secret_changes_only_the_signature() {
    let mut tokens = Vec::new();
    for secret in [None, Some("other".to_owned())] {
        let simulator = fixed().await;
        let claims = json!({ "iss": "same" }).as_object().unwrap().clone();
        let token = TokenStyle { secret, claims, ..TokenStyle::default() };
        tokens.push(simulator.bot(Plan { token, ..ordinary() }).request(BRIDGE).token);
    }
    let split = |index: usize| tokens[index].rsplit_once('.').unwrap();
    assert_eq!(split(0).0, split(1).0, "the same seed makes the same ids");
    assert_ne!(split(0).1, split(1).1);
}

#[tokio::test]
async fn every_body_style_carries_token_data_and_return_url() {
    let simulator = simulator().await;
    let data = json!({ "message": "a b", "lead": { "id": 7 } });
    let request = |body| simulator.bot(Plan { body, ..Plan::with_data(data.clone()) }).request(BRIDGE);
    for style in [BodyStyle::Form, BodyStyle::FormPlain] {
        let request = request(style);
        assert_eq!(request.content_type, "application/x-www-form-urlencoded");
        let expected = [
            ("token".into(), request.token.clone()),
            ("data[lead][id]".into(), "7".into()),
            ("data[message]".into(), "a b".into()),
            ("return_url".into(), request.return_url.clone()),
        ];
        assert_eq!(pairs(&request), expected);
        assert_eq!(request.body.contains(&b'['), style == BodyStyle::FormPlain);
    }
    let form = request(BodyStyle::FormJsonData);
    let sent = pairs(&form).into_iter().find(|(key, _)| key == "data").unwrap().1;
    assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), data);
    let plain = request(BodyStyle::Json);
    assert_eq!(plain.content_type, "application/json");
    let body: Value = serde_json::from_slice(&plain.body).unwrap();
    assert_eq!(body, json!({ "token": plain.token, "data": data, "return_url": plain.return_url }));
}

#[tokio::test]
async fn plan_overrides_content_type_and_return_url() {
    let simulator = simulator().await;
    let plan = Plan {
        content_type: Some("text/plain".into()),
        return_url: Some("http://evil.example/x".into()),
        ..ordinary()
    };
    let bot = simulator.bot(plan);
    let request = bot.request(BRIDGE);
    assert_eq!(
        (request.content_type.as_str(), request.return_url.as_str()),
        ("text/plain", "http://evil.example/x")
    );
    assert!(pairs(&request).contains(&("return_url".into(), "http://evil.example/x".into())));
    assert!(bot.return_url().starts_with(simulator.base_url()));
}

#[tokio::test]
async fn two_starts_and_two_accounts_share_no_ids() {
    let (one, two) = (simulator().await, Simulator::start(Options::numbered(2)).await.unwrap());
    let jti = |simulator: &Simulator| simulator.bot(ordinary()).request(BRIDGE).jti;
    assert_ne!(jti(&one), jti(&two));
    let (one, two) = (one.options(), two.options());
    assert_ne!(
        (one.account_id, &one.access_token, &one.subdomain),
        (two.account_id, &two.access_token, &two.subdomain)
    );
    assert_eq!((&one.client_uuid, &one.client_secret), (&two.client_uuid, &two.client_secret));
}

#[tokio::test]
async fn call_returns_a_response_with_any_status() {
    let simulator = simulator().await;
    let bot = simulator.bot(ordinary());
    let ack = bot.call(&format!("{}/nowhere", simulator.base_url())).await.unwrap();
    assert_eq!((ack.status, &ack.json()["status"]), (404, &json!(404)));
}

#[tokio::test]
async fn call_without_a_response_returns_the_reason() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { answer_timeout: Duration::from_millis(50), ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let bot = simulator.bot(ordinary());
    let url = format!("http://{}/", silent.local_addr().unwrap());
    assert_eq!(bot.call(&url).await, Err(CallError::Timeout(Duration::from_millis(50))));
    let error = bot.call("http://no port:x").await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable(_)), "{error}");
    let events: Vec<_> = bot.report().events.into_iter().map(|event| event.what).collect();
    assert!(matches!(
        events[..],
        [What::Asked, What::Unanswered { .. }, What::Asked, What::Unanswered { .. }]
    ));
}
