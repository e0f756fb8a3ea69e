//! What the tool gets.

use super::*;

#[tokio::test]
async fn a_request_is_signed_and_names_its_job() {
    let tool = Tool::start().await;
    let secret = Some(SECRET.into());
    let fixture = Fixture::new(&HttpHandlerConfig { secret, ..config(&tool.url) });
    fixture.run().await.unwrap();
    let got = tool.got().remove(0);
    let id = fixture.context(1).job_id().to_string();
    assert_eq!(got.header("content-type"), "application/json");
    assert_eq!((got.header("webhook-id"), got.header("idempotency-key")), (id.as_str(), id.as_str()));
    assert_eq!(got.header("webhook-timestamp"), "1796000000");
    let expected = signature::signatures([&SECRET.into()], &id, 1_796_000_000, &got.body);
    assert_eq!(got.header("webhook-signature"), expected);
    assert_eq!(got.header("traceparent"), payload::traceparent(fixture.context(1).job_id(), 1));
    assert_eq!(got.header("authorization"), "");
    let body = got.json();
    assert_eq!(body["type"], "widget_request");
    assert_eq!(body["data"]["job_id"], id);
    assert_eq!(body["data"]["max_attempts"], HandlerPolicy::default().max_attempts);
    assert_eq!(body["data"]["deadline"], "2026-11-30T00:53:40.500Z");
    let callback = body["data"]["callback"]["url"].as_str().unwrap();
    assert!(callback.starts_with(&format!("https://bots.example.com/bridge/callback/{id}/")), "{callback}");
}

#[tokio::test]
async fn all_attempts_have_the_same_id_and_their_own_number() {
    let tool = Tool::start().await;
    let fixture = Fixture::of(&tool);
    for number in [1, 2] {
        fixture.attempt(number).await.unwrap();
    }
    let [first, second] = <[tool::Got; 2]>::try_from(tool.got()).unwrap();
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_ne!(first.header("traceparent"), second.header("traceparent"));
    assert_eq!((&first.json()["data"]["attempt"], &second.json()["data"]["attempt"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn without_a_secret_a_request_is_not_signed() {
    let tool = Tool::start().await;
    let auth = Some("Bearer app-1".into());
    let fixture = Fixture::new(&HttpHandlerConfig { auth, ..config(&tool.url) });
    fixture.run().await.unwrap();
    let got = tool.got().remove(0);
    assert!(!got.headers.contains_key("webhook-signature"));
    assert_eq!(got.header("authorization"), "Bearer app-1");
}

#[tokio::test]
async fn replaced_secrets_take_effect_with_the_next_request() {
    let tool = Tool::start().await;
    let new = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let (secret, previous_secret) = (Some(SECRET.into()), Some(SECRET.into()));
    let auth = Some("old".into());
    let fixture = Fixture::new(&HttpHandlerConfig { secret, previous_secret, auth, ..config(&tool.url) });
    assert_eq!(fixture.secrets.exchange("secret", SECRET.into()), Some(false));
    assert_eq!(fixture.secrets.exchange("secret", new.into()), Some(true));
    assert_eq!(fixture.secrets.exchange("auth", "new".into()), Some(true));
    assert_eq!(fixture.secrets.exchange("proxy", "new".into()), None);
    fixture.run().await.unwrap();
    let got = tool.got().remove(0);
    let id = got.header("webhook-id").to_owned();
    let both = signature::signatures([&new.into(), &SECRET.into()], &id, 1_796_000_000, &got.body);
    assert_eq!((got.header("webhook-signature"), got.header("authorization")), (both.as_str(), "new"));
}

#[tokio::test]
async fn only_the_bridges_own_request_has_a_callback_url() {
    for preset in [Preset::Data, Preset::N8nChat, Preset::Flowise, Preset::Dify, Preset::Typebot] {
        let tool = Tool::start().await;
        tool.answers(202, "");
        let fixture = Fixture::with_preset(&tool, preset);
        let error = fixture.run().await.unwrap_err();
        assert!(!error.is_retryable() && error.to_string().contains("the preset \"bridge\""), "{error}");
        assert!(!tool.got()[0].body.contains("callback"), "{preset:?}");
    }
}

#[tokio::test]
async fn a_request_without_a_message_is_not_sent() {
    let tool = Tool::start().await;
    let fixture = Fixture::with_preset(&tool, Preset::Dify);
    let request = request(json!({ "a": "x", "b": "y" }));
    let result = fixture.handler.run(&request, ReceivedAt(fixture.time.now()), fixture.context(1)).await;
    let error = result.unwrap_err();
    assert!(!error.is_retryable() && error.to_string().contains("no text `message`"), "{error}");
    assert!(tool.got().is_empty());
}

#[tokio::test]
async fn a_watch_gets_each_call_without_secrets() {
    let tool = Tool::start().await;
    let reports = Arc::<Mutex<Vec<CallReport>>>::default();
    let watch: CallWatch = {
        let reports = reports.clone();
        Arc::new(move |report| reports.lock().unwrap().push(report))
    };
    let fixture = Fixture::watched(&config(&tool.url), Some(watch.clone()));
    fixture.attempt(3).await.unwrap();
    let unreachable = Fixture::watched(&config("http://127.0.0.1:1/"), Some(watch));
    unreachable.run().await.unwrap_err();
    let [answered, failed] = <[CallReport; 2]>::try_from(reports.lock().unwrap().clone()).unwrap();
    assert_eq!((answered.job, answered.attempt), (fixture.context(3).job_id(), 3));
    assert_eq!((answered.status, failed.status), (Some(204), None));
    let sent = tool.got().remove(0).json();
    let token = sent["data"]["callback"]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert!(answered.request.contains("\"message\":\"Hi\"") && !answered.request.contains(&token));
}
