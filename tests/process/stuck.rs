//! Tests that an operator can find out by command line why a lead got no answer, and how to fix it.

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};
use simulator::{Bot, Fault, Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::connected::{accounts, connect, home as two_accounts, kommos};
use crate::home::Home;
use crate::serve::Serve;

async fn ask(simulator: &Simulator, serve: &Serve) -> (Bot, String) {
    let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })));
    let answer = bot.call(&serve.url("echo")).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let id = answer.json()["job_id"].as_str().unwrap().to_owned();
    (bot, id)
}

fn show(home: &Home, id: &str) -> Value {
    home.run(&["jobs", "show", id, "--json"]).expect(0).json()
}

/// Polls until the job waits for this cause. Returns its `waits_for`.
fn waits_for(home: &Home, id: &str, cause: &str) -> Value {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        let job = show(home, id);
        if job["waits_for"]["cause"] == cause {
            return job["waits_for"].clone();
        }
        assert!(Instant::now() < deadline, "never {cause}: {job:#}");
    }
}

/// Polls until `/health/ready` names this many accounts that wait for an operator.
async fn waiting(serve: &Serve, accounts: usize) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        let (_, ready) = serve.get("/health/ready").await;
        if ready["waiting"].as_array().map(Vec::len) == Some(accounts) {
            return;
        }
        assert!(Instant::now() < deadline, "never {accounts}: {ready}");
    }
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_reported_by_its_jobs_and_its_account_with_advice() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let token = &simulator.options().access_token;
    let text = fs::read_to_string(home.config()).unwrap();
    let text = text.replace(&format!("access_token = \"{token}\""), "access_token_file = \"account.token\"");
    fs::write(home.config(), text).unwrap();
    fs::write(home.path("account.token"), "mistyped").unwrap();
    let serve = home.serve();
    let (first, _) = ask(&simulator, &serve).await;
    waiting(&serve, 1).await;
    let (second, id) = ask(&simulator, &serve).await;
    serve.reaches("delivering", 2).await;

    // The second delivery was never sent, and still reports the cause.
    let waits = waits_for(&home, &id, "unauthorized");
    has(waits["why"].as_str().unwrap(), &["401"]);
    has(waits["advice"].as_str().unwrap(), &["accounts.main.access_token", "SIGHUP"]);
    assert!(waits["since"].is_string() && waits["until"].is_string(), "{waits}");
    assert_eq!(show(&home, &id)["last_error"], Value::Null);
    has(
        &home.run(&["jobs", "show", &id]).expect(0).out,
        &["waits for", "401", "what to do", "accounts.main.access_token"],
    );
    let (_, job) = serve.get(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!(job["waits_for"]["cause"], "unauthorized");
    has(&home.run(&["accounts", "list"]).expect(0).out, &["paused", "401", "accounts.main.access_token"]);
    let listed = home.run(&["accounts", "list", "--json"]).expect(0).json();
    assert_eq!(listed["accounts"][0]["waits_for"]["cause"], "unauthorized", "{listed}");
    has(&home.run(&["doctor"]).expect(1).out, &["accounts.main.access_token"]);
    // A lead has no job if its request was refused or never reached the bridge.
    let nothing = home.run(&["jobs", "list", "--q", "777002"]).expect(0);
    assert_eq!(nothing.out, "No matching jobs.");
    has(&nothing.err, &["refused", "wrong path", "the log"]);

    fs::write(home.path("account.token"), token).unwrap();
    serve.process.signal("HUP");
    for bot in [first, second] {
        bot.continued().await;
    }
    serve.settled().await;
    waiting(&serve, 0).await;
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !home.run(&["accounts", "list", "--json"]).expect(0).json()["accounts"][0]["waits_for"].is_null() {
        assert!(Instant::now() < deadline, "the account still waits");
    }
    assert_eq!(show(&home, &id)["waits_for"], Value::Null);
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_account_continues_before_its_pause_ends() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    simulator.set_outage(Some(Fault::Forbidden));
    let (first, id) = ask(&simulator, &serve).await;
    waiting(&serve, 1).await;
    let (second, _) = ask(&simulator, &serve).await;
    let waits = waits_for(&home, &id, "forbidden");
    has(waits["advice"].as_str().unwrap(), &["administrator", "accounts resume main"]);

    simulator.set_outage(None);
    let resumed = home.run(&["accounts", "resume", "main"]).expect(0).out;
    has(&resumed, &["within five seconds", "2 deliveries wait", "accounts list"]);
    for bot in [first, second] {
        bot.continued().await;
    }
    serve.settled().await;
    let delivered = show(&home, &id);
    assert_eq!(delivered["state"], "delivered");
    // Both times are RFC 3339 in UTC with milliseconds, so they compare as text.
    let (finished_at, until) = (delivered["finished_at"].as_str().unwrap(), waits["until"].as_str().unwrap());
    assert!(finished_at < until, "the job still waited until {until}: {delivered:#}");
    has(&home.run(&["jobs", "show", &id]).expect(0).out, &["earlier error", "403"]);

    let unknown = home.run(&["accounts", "resume", "nowhere.kommo.com"]).expect(1);
    has(&unknown.err, &["unknown account nowhere.kommo.com"]);
    serve.stop();
    let resumed = home.run(&["accounts", "resume", "main", "--json"]).expect(0).json();
    assert_eq!((&resumed["bridge_runs"], &resumed["resumed"]["name"]), (&json!(false), &json!("main")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_warning_about_an_account_ends_with_its_last_waiting_job() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    simulator.set_outage(Some(Fault::PaymentRequired));
    let (_, id) = ask(&simulator, &serve).await;
    waiting(&serve, 1).await;
    // Cancel one job by another process, and one by the API.
    home.run(&["jobs", "cancel", &id]).expect(0);
    waiting(&serve, 0).await;
    let (_, id) = ask(&simulator, &serve).await;
    waiting(&serve, 1).await;
    let cancel = format!("http://{}/api/v1/jobs/{id}/cancel", serve.admin);
    assert_eq!(serve.client.post(cancel).send().await.unwrap().status(), 200);
    waiting(&serve, 0).await;

    // The bridge tries the next delivery at once.
    simulator.set_outage(None);
    let (bot, _) = ask(&simulator, &serve).await;
    bot.continued().await;
    serve.settled().await;

    simulator.set_outage(Some(Fault::PaymentRequired));
    let (_, id) = ask(&simulator, &serve).await;
    waits_for(&home, &id, "payment_required");
    serve.process.kill();
    let waits = waits_for(&home, &id, "bridge");
    has(waits["why"].as_str().unwrap(), &["no bridge serves this store", "402"]);
    has(waits["advice"].as_str().unwrap(), &["salesbot-bridge serve"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_reports_that_its_account_was_never_connected_or_was_disconnected() {
    let both = kommos().await;
    let other = &both[1];
    let home = two_accounts(&both, "");
    let serve = home.serve();
    let (bot, id) = ask(other, &serve).await;
    let waits = waits_for(&home, &id, "not_connected");
    has(waits["advice"].as_str().unwrap(), &["accounts authorize", "accounts.NAME"]);
    let host = other.base_url().strip_prefix("http://").unwrap();
    let refused = accounts(&home, &["resume", host]).expect(1);
    has(&refused.err, &["cannot resume", "never connected", "accounts authorize"]);
    connect(&home, &serve, other).await;
    bot.continued().await;

    other.set_outage(Some(Fault::PaymentRequired));
    let (_, id) = ask(other, &serve).await;
    waits_for(&home, &id, "payment_required");
    other.set_outage(None);
    other.revoke_tokens();
    let hook = other.revoke_url(&format!("http://{}", serve.public));
    assert!(serve.client.get(hook).send().await.unwrap().status().is_success());
    let deadline = Instant::now() + TEST_TIMEOUT;
    while show(&home, &id)["state"] != "cancelled" {
        assert!(Instant::now() < deadline, "never cancelled");
    }
    let job = show(&home, &id);
    has(job["last_error"].as_str().unwrap(), &["disconnected the integration", "accounts authorize"]);
    assert_eq!(job["waits_for"], Value::Null);
    has(&accounts(&home, &["list"]).expect(0).out, &["revoked", "disconnected", "accounts authorize"]);
    waiting(&serve, 0).await;
    serve.stop();
}
