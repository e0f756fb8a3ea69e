//! Every response other than 200, and the order of the checks.

use std::convert::Infallible;

use futures_util::stream;

use super::*;
use model::{Budget, RequestRate};

#[tokio::test]
async fn each_refusal_is_a_problem_and_stores_nothing() {
    let bench = Bench::new().await;
    let good = form(&token(json!({})), RETURN_URL);
    let with = |changes: Value| form(&token(changes), RETURN_URL);
    let to = |url: &str| form(&token(json!({})), url);
    let urn = |slug: &str| format!("urn:salesbot-bridge:problem:{slug}");
    let blank = "about:blank".to_owned();
    for (method, path, body, status, kind) in [
        (Method::POST, "/widget_request/other", good.clone(), 404, urn("no-handler")),
        (Method::POST, "/widget_request/%ff", good.clone(), 404, urn("no-handler")),
        (Method::POST, "/widget_request/", good.clone(), 404, blank.clone()),
        (Method::POST, "/nowhere", good.clone(), 404, blank.clone()),
        (Method::GET, PATH, String::new(), 405, blank.clone()),
        (Method::PUT, PATH, good.clone(), 405, blank),
        (Method::POST, PATH, "x".repeat(4097), 413, urn("body-too-large")),
        (Method::POST, PATH, "x".repeat(100_000), 413, urn("body-too-large")),
        (Method::POST, PATH, String::new(), 400, urn("no-widget-request")),
        (Method::POST, PATH, "{".to_owned(), 400, urn("no-widget-request")),
        (Method::POST, PATH, format!("token={}", token(json!({}))), 400, urn("no-widget-request")),
        (Method::POST, PATH, format!("return_url={RETURN_URL}"), 401, urn("token-missing")),
        (Method::POST, PATH, form("nonsense", RETURN_URL), 401, urn("token-malformed")),
        (
            Method::POST,
            PATH,
            form(&hs512(&claims(json!({})), "guess"), RETURN_URL),
            401,
            urn("token-signature"),
        ),
        (Method::POST, PATH, with(json!({"exp": null})), 401, urn("token-malformed")),
        (Method::POST, PATH, with(json!({"exp": 1_699_999_000})), 401, urn("token-expired")),
        (Method::POST, PATH, with(json!({"nbf": 1_700_000_100})), 401, urn("token-not-yet-valid")),
        (Method::POST, PATH, with(json!({"client_uuid": "?"})), 403, urn("token-of-other-integration")),
        (Method::POST, PATH, with(json!({"aud": "https://a.b"})), 403, urn("token-for-other-host")),
        (
            Method::POST,
            PATH,
            to("https://evil.com/api/v4/salesbot/1/continue/2"),
            422,
            urn("return-url-refused"),
        ),
        (
            Method::POST,
            PATH,
            to("https://b.kommo.com/api/v4/salesbot/1/continue/2"),
            422,
            urn("return-url-refused"),
        ),
        (Method::POST, PATH, to("https://example.kommo.com/api/v4/leads"), 422, urn("return-url-refused")),
    ] {
        let answer = bench.send(method, path, body).await;
        assert_eq!((answer.status.as_u16(), &answer.body["type"]), (status, &json!(kind)));
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.body["status"], status);
        assert!(answer.body["title"].is_string() && answer.body["detail"].is_string());
    }
    assert_eq!(bench.jobs().await, 0);
}

#[tokio::test]
async fn the_first_failed_check_is_reported() {
    let bench = Bench::new().await;
    let status = async |path: &str, body: &str| bench.send(Method::POST, path, body.to_owned()).await.status;
    assert_eq!(status("/widget_request/other", "{").await, 404);
    assert_eq!(status(PATH, "token=nonsense").await, 400);
    assert_eq!(status(PATH, "token=nonsense&return_url=nonsense").await, 401);
    let for_others = token(json!({"aud": "https://a.b"}));
    assert_eq!(status(PATH, &form(&for_others, "nonsense")).await, 403);
    bench.store.close().await;
    assert_eq!(status(PATH, &form(&token(json!({})), "nonsense")).await, 422);
    assert_eq!(status(PATH, &form(&token(json!({})), RETURN_URL)).await, 503);
}

#[tokio::test]
async fn requests_of_a_disconnected_account_are_refused() {
    let bench = Bench::with(|receiver| {
        receiver.is_disabled = Arc::new(|account_id, client_uuid| {
            account_id == AccountId(31_764_961) && client_uuid.eq_ignore_ascii_case("aa-bb")
        });
    })
    .await;
    let answer = bench.post(form(&token(json!({})), RETURN_URL)).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body["type"], "urn:salesbot-bridge:problem:account-disabled");
    let other = token(json!({"account_id": 1}));
    assert_eq!(bench.post(form(&other, RETURN_URL)).await.status, 200);
    assert_eq!(bench.jobs().await, 1);
}

#[tokio::test]
async fn a_handler_accepts_only_tokens_of_its_integrations() {
    let bench = Bench::with(|receiver| {
        for (name, integrations) in [("shop", &["other"][..]), ("both", &["main", "other"])] {
            receiver.handlers.insert(name.parse().unwrap(), route(Some(integrations)));
        }
    })
    .await;
    // `main` and `twin` share a secret; the token's `client_uuid` decides between them.
    for (handler, client, secret, status) in [
        ("greet", "aa-bb", "new", 200),
        ("greet", "other-id", "other", 200),
        ("shop", "other-id", "other", 200),
        ("shop", "aa-bb", "new", 403),
        ("shop", "twin-id", "new", 403),
        ("both", "aa-bb", "old", 200),
        ("both", "other-id", "other", 200),
        ("both", "twin-id", "new", 403),
    ] {
        let jti = format!("{handler} {client}");
        let token = hs512(&claims(json!({"client_uuid": client, "jti": jti})), secret);
        let answer =
            bench.send(Method::POST, &format!("/widget_request/{handler}"), form(&token, RETURN_URL)).await;
        assert_eq!(answer.status, status, "{jti}");
        if status == 403 {
            assert_eq!(answer.body["type"], "urn:salesbot-bridge:problem:handler-not-for-integration");
            let text = answer.body.to_string();
            assert!(["main", "other-id", "twin", "aa-bb"].iter().all(|name| !text.contains(name)), "{text}");
        }
    }
    assert_eq!(bench.jobs().await, 5);
}

#[tokio::test]
async fn a_token_without_jti_creates_one_job_however_it_is_padded() {
    let bench = Bench::new().await;
    let token = token(json!({"jti": null}));
    let mut ids = Vec::new();
    for padding in ["", "%3D", "%3D%3D", ""] {
        let answer = bench.post(form(&format!("{token}{padding}"), RETURN_URL)).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["duplicate"]),
            (200, &json!(!ids.is_empty())),
            "{padding}"
        );
        ids.push(answer.body["job_id"].clone());
    }
    ids.dedup();
    assert_eq!((ids.len(), bench.jobs().await), (1, 1));
}

#[tokio::test]
async fn without_a_public_url_any_audience_is_accepted() {
    let bench = Bench::with(|receiver| receiver.public_url = None).await;
    let answer = bench.post(form(&token(json!({"aud": "https://a.b"})), RETURN_URL)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_request_that_was_not_stored_may_be_sent_again() {
    let bench = Bench::new().await;
    bench.store.close().await;
    let answer = bench.post(form(&token(json!({})), RETURN_URL)).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.body["type"], "urn:salesbot-bridge:problem:not-stored");
}

#[tokio::test]
async fn after_the_deadline_nothing_is_stored() {
    let bench = Bench::new().await;
    let (clock, body) = (bench.clock.clone(), form(&token(json!({})), RETURN_URL));
    let slow = Body::from_stream(stream::once(async move {
        clock.advance(Duration::from_secs(61));
        Ok::<_, Infallible>(body)
    }));
    let answer = bench.post(slow).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(bench.jobs().await, 0);
}

#[tokio::test]
async fn only_new_requests_of_an_account_over_its_budget_are_refused() {
    let bench = Bench::new().await;
    bench.store.maintenance().set_budget(Budget { unfinished: 20, ..Budget::default() });
    let send = async |account: i64, jti: &str| {
        let claims = token(json!({ "account_id": account, "jti": jti }));
        bench.post(form(&claims, RETURN_URL)).await
    };
    let first = send(1, "a").await;
    assert_eq!(first.status, 200, "one request is within the budget");
    let refused = send(1, "b").await;
    assert_eq!((refused.status.as_u16(), &refused.headers["retry-after"]), (429, &"5".parse().unwrap()));
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert_eq!(refused.body["type"], "urn:salesbot-bridge:problem:over-budget");
    assert!(refused.body["detail"].as_str().unwrap().contains("budget.unfinished"), "{}", refused.body);
    let again = send(1, "a").await;
    assert_eq!((again.status.as_u16(), &again.body["duplicate"]), (200, &json!(true)));
    assert_eq!(again.body["job_id"], first.body["job_id"]);
    assert_eq!(send(2, "c").await.status, 200, "another account has its own budget");
    bench.store.jobs().cancel(first.body["job_id"].as_str().unwrap().parse().unwrap()).await.unwrap();
    assert_eq!(send(1, "b").await.status, 200, "the refused request may be sent again");
    assert_eq!(bench.jobs().await, 3);
}

#[tokio::test]
async fn an_account_over_its_rate_gets_retry_after() {
    let bench = Bench::new().await;
    let rate = RequestRate { requests: 2, span: Duration::from_secs(60) };
    bench.store.maintenance().set_budget(Budget { requests: Some(rate), ..Budget::default() });
    let send = async |jti: &str| bench.post(form(&token(json!({ "jti": jti })), RETURN_URL)).await;
    for jti in ["a", "b", "a"] {
        assert_eq!(send(jti).await.status, 200);
    }
    bench.clock.advance(Duration::from_millis(20_500));
    let refused = send("c").await;
    assert_eq!((refused.status.as_u16(), &refused.headers["retry-after"]), (429, &"40".parse().unwrap()));
    assert!(refused.body["detail"].as_str().unwrap().contains("budget.requests"), "{}", refused.body);
    bench.clock.advance(Duration::from_millis(39_500));
    assert_eq!(send("c").await.status, 200);
}

#[tokio::test]
async fn while_draining_every_request_is_refused() {
    let bench = Bench::new().await;
    bench.draining.cancel();
    let answer = bench.post(form(&token(json!({})), RETURN_URL)).await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(answer.headers["connection"], "close");
    assert_eq!(answer.body["type"], "urn:salesbot-bridge:problem:stopping");
    assert_eq!(bench.jobs().await, 0);
}
