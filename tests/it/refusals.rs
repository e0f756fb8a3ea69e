//! What the public listener refuses, over real connections: every status except 200.

use std::fmt::Write as _;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use simulator::{Algorithm, Bot, Plan, Simulator, TokenStyle};

use crate::bridge::TestBridge;
use crate::played::{account, bot, kommo, plan};
use crate::setup::Setup;

/// Checks that the response is a problem with this status. Returns the problem.
async fn problem(response: Response, status: u16, what: &str) -> Value {
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(
        (response.status().as_u16(), content_type.as_str()),
        (status, "application/problem+json"),
        "{what}"
    );
    let text = response.text().await.unwrap();
    // Every JWT begins like this.
    assert!(!text.contains("eyJ"), "{what}: the response contains a token: {text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["status"], status, "{what}: {problem}");
    for key in ["type", "title", "detail"] {
        assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "{what}: {problem}");
    }
    problem
}

/// Posts the bot's request.
async fn post(bridge: &TestBridge, bot: &Bot) -> Response {
    let request = bot.request(&bridge.url("echo"));
    bridge.post("echo", &request.content_type, request.body).await
}

fn claims(kommo: &Simulator, claims: Value) -> Bot {
    let claims = claims.as_object().unwrap().clone();
    kommo.bot(Plan { token: TokenStyle { claims, ..TokenStyle::default() }, ..plan() })
}

fn styled(kommo: &Simulator, token: TokenStyle) -> Bot {
    kommo.bot(Plan { token, ..plan() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_a_widget_request_is_400() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let deep = format!("token=t&return_url=u&data{}=x", "[a]".repeat(40));
    let wide = (0..1_100).fold("token=t&return_url=u".to_owned(), |mut form, number| {
        write!(form, "&data[{number}]=x").unwrap();
        form
    });
    let rows: [(&str, Vec<u8>); 9] = [
        ("nothing", Vec::new()),
        ("invalid JSON", b"{".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a form without return_url", b"token=t&data[message]=hi".to_vec()),
        ("JSON without return_url", br#"{"token":"t"}"#.to_vec()),
        ("a token that is a number", br#"{"token":1,"return_url":"u"}"#.to_vec()),
        ("invalid UTF-8", b"token=\xff\xfe&return_url=u".to_vec()),
        ("data nested too deeply", deep.into_bytes()),
        ("too many fields", wide.into_bytes()),
    ];
    for (what, body) in rows {
        for content_type in ["application/json", "application/x-www-form-urlencoded"] {
            problem(bridge.post("echo", content_type, body.clone()).await, 400, what).await;
        }
    }
    assert!(bridge.jobs().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_proves_nothing_is_401() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let secret = |secret: &str| TokenStyle { secret: Some(secret.to_owned()), ..TokenStyle::default() };
    let algorithm = |algorithm| TokenStyle { algorithm, ..TokenStyle::default() };
    let header =
        |header: Value| TokenStyle { header: header.as_object().unwrap().clone(), ..TokenStyle::default() };
    // By the simulator's clock; the times below are an hour before and after it.
    let issued = bot(&kommo).request("http://bridge").token;
    let now = decoded(&issued)["iat"].as_f64().unwrap();
    let rows = [
        ("another secret", styled(&kommo, secret("another")), "token-signature"),
        ("an empty secret", styled(&kommo, secret("")), "token-signature"),
        ("no signature", styled(&kommo, algorithm(Algorithm::None)), "token-malformed"),
        ("HS512 signed as HS256", styled(&kommo, header(json!({ "alg": "HS256" }))), "token-signature"),
        ("HS384", styled(&kommo, header(json!({ "alg": "HS384" }))), "token-malformed"),
        ("RS256", styled(&kommo, header(json!({ "alg": "RS256" }))), "token-malformed"),
        ("no algorithm", styled(&kommo, header(json!({ "alg": null }))), "token-malformed"),
        ("an extension", styled(&kommo, header(json!({ "crit": ["b64"] }))), "token-malformed"),
        ("expired", claims(&kommo, json!({ "exp": now - 3600.5 })), "token-expired"),
        ("expired, just past the skew", claims(&kommo, json!({ "exp": now - 61.0 })), "token-expired"),
        ("no exp", claims(&kommo, json!({ "exp": null })), "token-malformed"),
        ("an exp that is not a time", claims(&kommo, json!({ "exp": "soon" })), "token-malformed"),
        ("not yet valid", claims(&kommo, json!({ "nbf": now + 3600.5 })), "token-not-yet-valid"),
        ("no iss", claims(&kommo, json!({ "iss": null })), "token-malformed"),
        ("no account", claims(&kommo, json!({ "account_id": null })), "token-malformed"),
    ];
    for (what, bot, slug) in rows {
        let problem = problem(post(&bridge, &bot).await, 401, what).await;
        assert_eq!(problem["type"], format!("urn:salesbot-bridge:problem:{slug}"), "{what}");
    }
    assert!(bridge.jobs().await.is_empty());
}

fn decoded(token: &str) -> Value {
    use base64::prelude::*;
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_missing_or_tampered_with_is_401() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let good = bot(&kommo).request(&bridge.url("echo"));
    let [header, payload, signature] = good.token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let other = bot(&kommo).request(&bridge.url("echo")).token;
    let others_payload = other.split('.').nth(1).unwrap();
    let flip = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let rows = [
        ("missing", String::new()),
        ("not a JWT", "token".to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{}.x", good.token)),
        ("an empty signature", format!("{header}.{payload}.")),
        ("a signature cut short", format!("{header}.{payload}.{}", &signature[..signature.len() - 4])),
        ("a signature with another first letter", format!("{header}.{payload}.{}", flip(signature, 0))),
        ("a signature with another late letter", format!("{header}.{payload}.{}", flip(signature, 80))),
        ("the claims of another token", format!("{header}.{others_payload}.{signature}")),
        ("too long", format!("{header}.{}.{signature}", "A".repeat(9_000))),
    ];
    for (what, token) in rows {
        let body = json!({ "token": token, "return_url": good.return_url }).to_string();
        problem(bridge.post("echo", "application/json", body).await, 401, what).await;
    }
    assert!(bridge.jobs().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_token_for_another_audience_or_integration_is_403() {
    let kommo = kommo().await;
    let public = r#"server.public_url = "https://bots.example.com""#;
    let bridge = Setup::with(&[&kommo]).config(public).start().await;
    let rows = [
        ("another host", json!({ "aud": "https://other.example.com" }), 403),
        ("another scheme", json!({ "aud": "http://bots.example.com" }), 403),
        ("no audience", json!({ "aud": null }), 403),
        ("a host that begins alike", json!({ "aud": "https://bots.example.com.evil.org" }), 403),
        ("another integration", json!({ "client_uuid": "00000000-0000-4000-8000-000000000000" }), 403),
        ("no integration", json!({ "client_uuid": null }), 403),
        ("this host", json!({}), 200),
        ("this host with its port", json!({ "aud": "https://bots.example.com:443" }), 200),
        ("this host among others", json!({ "aud": ["https://a.example", "https://bots.example.com"] }), 200),
    ];
    for (what, changes, expected) in rows {
        let mut all = json!({ "aud": "https://bots.example.com" });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let response = post(&bridge, &claims(&kommo, all)).await;
        match expected {
            200 => assert_eq!(response.status(), 200, "{what}"),
            status => drop(problem(response, status, what).await),
        }
    }
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_served_with_and_without_the_path_of_the_public_url() {
    let kommo = kommo().await;
    let public = r#"server.public_url = "https://bots.example.com/my/bots/""#;
    let bridge = Setup::with(&[&kommo]).config(public).start().await;
    let plain = bridge.url("echo");
    let prefixed = plain.replace("/widget_request/", "/my/bots/widget_request/");
    for (url, expected) in [
        (plain.clone(), 200),
        (format!("{plain}/"), 200),
        (prefixed.clone(), 200),
        (format!("{prefixed}/"), 200),
        (plain.replace("/widget_request/", "/bots/widget_request/"), 404),
    ] {
        let bot = claims(&kommo, json!({ "aud": "https://bots.example.com" }));
        let ack = bot.call(&url).await.unwrap();
        assert_eq!(ack.status, expected, "{url}: {}", ack.body);
        assert_eq!(ack.body.contains("POST /my/bots/widget_request/NAME"), expected == 404, "{}", ack.body);
    }
    bridge.settled().await;
}

/// The simulator signs for the integration `main`.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_is_not_for_the_integration_is_403() {
    let kommo = kommo().await;
    let config = r#"
        integrations.shop = { client_uuid = "22222222-0c1e-4d57-8c6e-2f6f3f1f0d11", client_secret = "shop-secret" }
        handlers.theirs = { kind = "echo", integrations = ["shop"] }
        handlers.ours = { kind = "echo", integrations = ["main", "shop"] }
        handlers.rust.integrations = ["shop"]
    "#;
    let setup = Setup::with(&[&kommo]).config(config);
    let bridge =
        setup.handler("rust", salesbot_bridge::Echo).handler("open", salesbot_bridge::Echo).start().await;
    let shop = TokenStyle {
        secret: Some("shop-secret".to_owned()),
        claims: json!({ "client_uuid": "22222222-0c1e-4d57-8c6e-2f6f3f1f0d11" }).as_object().unwrap().clone(),
        ..TokenStyle::default()
    };
    for (handler, of_main) in [("echo", 200), ("ours", 200), ("open", 200), ("theirs", 403), ("rust", 403)] {
        for (integration, bot, status) in
            [("main", bot(&kommo), of_main), ("shop", styled(&kommo, shop.clone()), 200)]
        {
            let request = bot.request(&bridge.url(handler));
            let response = bridge.post(handler, &request.content_type, request.body).await;
            let what = format!("{integration} to {handler}");
            if status == 200 {
                assert_eq!(response.status(), 200, "{what}");
            } else {
                let problem = problem(response, 403, &what).await;
                assert_eq!(
                    problem["type"], "urn:salesbot-bridge:problem:handler-not-for-integration",
                    "{what}"
                );
            }
        }
    }
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_are_404_and_other_methods_are_405() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let rows = [
        (Method::POST, bridge.url("unknown"), 404),
        (Method::POST, bridge.url("ECHO"), 404),
        (Method::POST, bridge.url("echo/more"), 404),
        (Method::POST, bridge.url(""), 404),
        (Method::POST, bridge.url("%ff"), 404),
        (Method::GET, bridge.url("../health/ready"), 404),
        (Method::GET, bridge.url("echo"), 405),
        (Method::PUT, bridge.url("echo"), 405),
        (Method::DELETE, bridge.url("echo"), 405),
    ];
    for (method, url, status) in rows {
        let what = format!("{method} {url}");
        let request = bot(&kommo).request(&url);
        let sent = bridge.client.request(method, url).body(request.body).send().await.unwrap();
        problem(sent, status, &what).await;
    }
    assert!(bridge.jobs().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_above_the_limit_is_413() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).config(r#"server.max_body = "4KiB""#).start().await;
    let sized = |text: usize| kommo.bot(Plan::with_data(json!({ "text": "x".repeat(text) })));
    for text in [4_096, 8_000, 100_000] {
        problem(post(&bridge, &sized(text)).await, 413, &format!("{text} bytes")).await;
    }
    assert_eq!(post(&bridge, &sized(1_000)).await.status(), 200);
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_url_to_which_no_bearer_may_go_is_422() {
    let (kommo, other) = (kommo().await, account(2).await);
    let bridge = Setup::with(&[&kommo, &other]).start().await;
    let home = kommo.base_url().to_owned();
    let port = home.rsplit(':').next().unwrap().to_owned();
    let path = "/api/v4/salesbot/1/continue/2";
    let rows = [
        // Not on the allow-list, or not the account of the token.
        format!("https://evil.example{path}"),
        format!("http://evil.example:{port}{path}"),
        format!("{}{path}", other.base_url()),
        format!("http://127.0.0.1{path}"),
        format!("http://localhost:{port}{path}"),
        format!("http://[::1]:{port}{path}"),
        format!("http://127.0.0.1:{port}.evil.example{path}"),
        format!("http://127.0.0.1:{port}@evil.example{path}"),
        format!("http://user:password@127.0.0.1:{port}{path}"),
        format!("http://evil.example\\@127.0.0.1:{port}{path}"),
        format!("https://127.0.0.1:{port}{path}"),
        format!("ftp://127.0.0.1:{port}{path}"),
        format!("//127.0.0.1:{port}{path}"),
        path.to_owned(),
        "nonsense".to_owned(),
        // Not a continue.
        home.clone(),
        format!("{home}/api/v4/leads"),
        format!("{home}/api/v4/salesbot/1/continue/"),
        format!("{home}/api/v4/otherbot/1/continue/2"),
        format!("{home}/api/v4/salesbot/x/continue/2"),
        format!("{home}/api/v4/salesbot/1/continue/2/more"),
        format!("{home}/api/v4/salesbot/1/continue/2?next=https://evil.example"),
        format!("{home}/api/v4/salesbot/1/continue/2#more"),
        format!("{home}/api/v4/salesbot/1/continue/..%2f..%2fleads"),
        format!("{home}/api/v4/salesbot/1/../../oauth2/continue/2"),
    ];
    for return_url in rows {
        let bot = kommo.bot(Plan { return_url: Some(return_url.clone()), ..plan() });
        let problem = problem(post(&bridge, &bot).await, 422, &return_url).await;
        assert!(!problem.to_string().contains("evil"), "{return_url} is repeated: {problem}");
    }
    assert!(bridge.jobs().await.is_empty());
    assert!(kommo.calls().is_empty() && other.calls().is_empty());
}
