//! The states of a job as an operator sees them through the admin API.

use serde_json::{Value, json};
use simulator::{Fault, Plan};

use crate::handlers::held;
use crate::played::{account, bot, continued, kommo, one_more_continued, plan, with_faults};
use crate::setup::{Setup, host};

/// `STAGE NUMBER RESULT STATUS` of each attempt.
fn attempts(job: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let line =
        |attempt: &Value| ["stage", "number", "result", "status"].map(|key| text(&attempt[key])).join(" ");
    job["attempts"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_from_queued_to_delivered() {
    let kommo = kommo().await;
    let (handler, mut held) = held();
    let bridge =
        Setup::with(&[&kommo]).config("workers.concurrency = 1").handler("held", handler).start().await;
    let first = bridge.ask(&bot(&kommo), "held").await;
    held.entered().await;
    let second = bot(&kommo);
    let id = bridge.ask(&second, "held").await;

    let queued = bridge.job(&id).await;
    assert_eq!((&queued["state"], &queued["completion"]), (&json!("queued"), &Value::Null));
    assert!(queued["due_at"].is_string() && queued["finished_at"].is_null(), "{queued:#}");
    assert_eq!(bridge.get("/api/v1/stats").await.1["jobs"]["queued"], 1);

    held.let_go(1);
    held.entered().await;
    let running = bridge.in_state(&id, "running").await;
    assert_eq!((&running["due_at"], &running["handler_attempts"]), (&Value::Null, &json!(0)));
    bridge.in_state(&first, "delivered").await;

    kommo.set_outage(Some(Fault::Status(503)));
    held.let_go(1);
    let delivering = bridge.job_with(&id, |job| job["delivery_attempts"] == 1).await;
    assert_eq!(delivering["state"], "delivering");
    assert_eq!(delivering["completion"], json!({ "data": { "status": "success" } }));
    assert_eq!((&delivering["outcome"], &delivering["handler_attempts"]), (&json!("handler"), &json!(1)));
    assert!(delivering["last_error"].as_str().unwrap().contains("503"), "{delivering:#}");

    kommo.set_outage(None);
    continued(&second).await;
    let delivered = bridge.in_state(&id, "delivered").await;
    assert!(delivered["finished_at"].is_string() && delivered["due_at"].is_null(), "{delivered:#}");
    let attempts = attempts(&delivered);
    assert_eq!(attempts[0], "handler 1 ok null");
    assert_eq!(attempts[1], "delivery 1 retry 503");
    assert!(attempts.last().unwrap().ends_with("ok 202"), "{attempts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_job_can_be_cancelled_in_every_state() {
    let (kommo, gone) = (kommo().await, account(2).await);
    let (handler, mut held) = held();
    let bridge = Setup::with(&[&kommo, &gone])
        .config("workers.concurrency = 1")
        .handler("held", handler)
        .start()
        .await;
    let bots = [with_faults(&gone, [Fault::PaymentRequired]), bot(&kommo), bot(&kommo)];
    // The first is delivering, because its account must pay first. The second is running, because its handler is held.
    // The third is queued behind it.
    let delivering = bridge.ask(&bots[0], "echo").await;
    bridge.waiting(host(&gone)).await;
    let running = bridge.ask(&bots[1], "held").await;
    held.entered().await;
    let queued = bridge.ask(&bots[2], "held").await;
    for (id, state) in [(&queued, "queued"), (&running, "running"), (&delivering, "delivering")] {
        bridge.in_state(id, state).await;
        let (status, job) = bridge.operator(id, "cancel").await;
        assert_eq!((status, &job["state"]), (200, &json!("cancelled")), "{state}");
        assert!(job["finished_at"].is_string(), "{state}: {job:#}");
        let (status, problem) = bridge.operator(id, "cancel").await;
        assert_eq!((status, &problem["status"]), (409, &json!(409)), "{state}: {problem}");
        assert_eq!(bridge.operator(id, "retry").await.0, 409, "{state}");
    }
    // The handler's result comes too late and has no effect.
    held.let_go(2);
    // The only worker is free for another job after it has reported that result.
    one_more_continued(&bridge, &kommo).await;
    for id in [&queued, &running, &delivering] {
        assert_eq!(bridge.job(id).await["state"], "cancelled");
    }
    assert!(bots.iter().all(|bot| bot.continues().is_empty()));
    assert!(held.is_idle(), "the queued job ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_delivered_when_an_operator_retries_it() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    // Both the completion and the fallback are refused.
    let refused = || with_faults(&kommo, [Fault::Status(400), Fault::Status(400)]);
    let bots = [refused(), refused(), refused()];
    let mut ids = Vec::new();
    for bot in &bots {
        ids.push(bridge.ask(bot, "echo").await);
    }
    for id in &ids {
        let dead = bridge.in_state(id, "dead").await;
        assert_eq!((&dead["outcome"], &dead["delivery_attempts"]), (&json!("fallback"), &json!(2)));
        assert!(dead["last_error"].as_str().unwrap().contains("InvalidRequest"), "{dead:#}");
    }
    assert_eq!(bridge.get("/api/v1/jobs?state=dead").await.1["jobs"].as_array().unwrap().len(), 3);
    assert_eq!(bridge.operator(&ids[0], "retry").await.0, 200);
    let delivered = bridge.in_state(&ids[0], "delivered").await;
    assert_eq!(attempts(&delivered)[3], "delivery 3 ok 202", "{delivered:#}");
    assert_eq!(bridge.operator(&ids[0], "retry").await.0, 409);

    let many = json!({ "state": "dead", "handler": "echo" });
    let other = json!({ "state": "dead", "handler": "other" });
    assert_eq!(
        bridge.admin_post("/api/v1/jobs/retry", &other).await,
        (200, json!({ "retried": 0, "superseded": 0 }))
    );
    assert_eq!(
        bridge.admin_post("/api/v1/jobs/retry", &many).await,
        (200, json!({ "retried": 2, "superseded": 0 }))
    );
    for (id, bot) in ids.iter().zip(&bots) {
        continued(bot).await;
        bridge.in_state(id, "delivered").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_return_url_creates_a_second_job() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let bot = kommo.bot(Plan::with_data(json!({ "turn": "1" })));
    let first = bridge.ask(&bot, "echo").await;
    assert_eq!(continued(&bot).await.data["turn"], "1");
    bot.next_wait(json!({ "turn": "2" }));
    let second = bridge.ask(&bot, "echo").await;
    assert_ne!(first, second);
    assert_eq!(continued(&bot).await.data["turn"], "2");
    // The same while the earlier job is unfinished: its late answer must not go to the new question.
    kommo.set_outage(Some(Fault::Status(500)));
    bot.next_wait(json!({ "turn": "3" }));
    let third = bridge.ask(&bot, "echo").await;
    bridge.job_with(&third, |job| job["delivery_attempts"] != 0).await;
    let waits_again = json!({ "turn": "4" });
    bot.next_wait(waits_again.clone());
    let fourth = bridge.ask(&bot, "echo").await;
    kommo.set_outage(None);
    let gone = bridge.in_state(&third, "gone").await;
    let error = gone["last_error"].as_str().unwrap();
    assert!(error.contains("superseded") && error.contains(&fourth), "{error}");
    for id in [&first, &second, &fourth] {
        let job = bridge.in_state(id, "delivered").await;
        assert_eq!(job["return_url"], bot.return_url());
    }
    let continues = bot.continues();
    assert_eq!((continues.len(), &continues[2].data["turn"]), (3, &waits_again["turn"]));

    let (status, problem) = bridge.operator(&third, "retry").await;
    assert_eq!((status, problem["detail"].as_str().unwrap().contains(&fourth)), (409, true), "{problem}");
    let forced = bridge.admin_post(&format!("/api/v1/jobs/{third}/retry"), &json!({ "force": true })).await;
    assert_eq!(forced.0, 200, "{}", forced.1);
    bridge.in_state(&third, "delivered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_never_shows_its_token() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let bot = kommo.bot(plan());
    let token = bot.request(&bridge.url("echo")).token;
    let id = bridge.ask(&bot, "echo").await;
    bridge.in_state(&id, "delivered").await;
    let shown = format!("{}{}", bridge.job(&id).await, json!(bridge.jobs().await));
    let secrets = [&kommo.options().access_token, &kommo.options().client_secret];
    for secret in token.split('.').chain(secrets.into_iter().map(String::as_str)) {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    // The store does not contain it either: the bridge verifies a token at receipt and does not keep it.
    let folder = bridge.stop().await;
    let file = std::fs::read(folder.path().join("bridge.db")).unwrap();
    assert!(!file.windows(token.len()).any(|part| part == token.as_bytes()));
}
