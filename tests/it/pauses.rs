//! Accounts that refuse calls for a while (401, 402, 403, 429), and accounts without a bearer.

use std::time::Duration;

use salesbot_bridge::ManualClock;
use serde_json::json;
use simulator::{Fault, Options};

use crate::played::{
    account, bot, calls_for, continued, gaps, kommo, manual_clock, one_more_continued, playing, with_faults,
};
use crate::setup::{Setup, host};

fn advance(clock: &ManualClock, seconds: u64) {
    clock.advance(Duration::from_secs(seconds));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_account_that_refuses_its_bearer_waits_and_ready_shows_it() {
    let rows = [
        (Fault::Unauthorized, 30, "401", "accounts.kommo1.access_token"),
        (Fault::PaymentRequired, 30, "402", "renew"),
        (Fault::Forbidden, 60, "403", "administrator"),
    ];
    for (fault, pause, status, advice) in rows {
        let (kommo, other, clock) = (kommo().await, account(2).await, manual_clock());
        let bridge = Setup::with(&[&kommo, &other]).clock(clock.clock()).start().await;
        kommo.set_outage(Some(fault.clone()));
        let first = bot(&kommo);
        let id = bridge.ask(&first, "echo").await;
        let why = bridge.waiting(host(&kommo)).await;
        assert!(why.contains(status) && why.contains(advice), "{fault}: {why}");
        let job = bridge.job_with(&id, |job| job["last_error"].is_string()).await;
        let error = job["last_error"].as_str().unwrap();
        assert!(error.contains(status) && !error.contains(advice), "{fault}: {error}");
        let (_, explained) = bridge.get(&format!("/api/v1/jobs/{id}/explain")).await;
        assert!(explained["you_can"].to_string().contains(advice), "{fault}: {explained}");

        // Another bot of the account waits without a call; bots of other accounts do not wait.
        let second = bot(&kommo);
        let waiting = bridge.ask(&second, "echo").await;
        bridge.in_state(&waiting, "delivering").await;
        let elsewhere = bot(&other);
        bridge.ask(&elsewhere, "echo").await;
        continued(&elsewhere).await;
        bridge.waiting(host(&kommo)).await;
        assert_eq!(bridge.ready().await.0, 200, "requests are still accepted");

        // The sender probes once after the pause, and later again. Probes are not charged.
        advance(&clock, pause - 1);
        one_more_continued(&bridge, &other).await;
        assert_eq!(kommo.calls().len(), 1, "{fault}");
        assert_eq!(
            bridge.job(&waiting).await["last_error"],
            json!(null),
            "{fault}: the second was not tried"
        );
        advance(&clock, 1);
        // Each of the two bots is refused at most once more. The first refusal of the second bot makes the pause grow.
        bridge.job_with(&waiting, |job| job["last_error"].is_string()).await;
        let probes = kommo.calls().len();
        assert!((2..=3).contains(&probes), "{fault}: {probes}");
        advance(&clock, pause);
        one_more_continued(&bridge, &other).await;
        assert_eq!(kommo.calls().len(), probes, "{fault}: the pause does not grow");
        let job = bridge.job(&id).await;
        assert_eq!((&job["state"], &job["delivery_attempts"]), (&json!("delivering"), &json!(0)), "{fault}");

        kommo.set_outage(None);
        advance(&clock, pause);
        for bot in [&first, &second] {
            continued(bot).await;
        }
        for id in [&id, &waiting] {
            assert_eq!(bridge.in_state(id, "delivered").await["delivery_attempts"], 1, "{fault}");
        }
        assert_eq!(bridge.ready().await.1["waiting"], json!([]), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_403_without_json_pauses_its_account_and_all_accounts_if_two_in_a_row_get_it() {
    let (one, two, three) = (kommo().await, account(2).await, account(3).await);
    let clock = manual_clock();
    let bridge = Setup::with(&[&one, &two, &three]).clock(clock.clock()).start().await;
    let mut refused = Vec::new();
    for account in [&one, &two] {
        assert_eq!(bridge.ready().await.1["everybody_waits"], json!(null));
        let bot = with_faults(account, [Fault::HtmlForbidden]);
        let id = bridge.ask(&bot, "echo").await;
        let why = bridge.waiting(host(account)).await;
        assert!(why.contains("403") && why.contains("blocks the bridge's IP address"), "{why}");
        refused.push((id, bot));
    }
    bridge.until("all to wait", || async { !bridge.ready().await.1["everybody_waits"].is_null() }).await;
    let waits = bridge.ready().await.1["everybody_waits"].clone();
    let why = waits["why"].as_str().unwrap();
    assert!(
        why.contains(host(&one))
            && why.contains(host(&two))
            && why.contains("blocks the bridge's IP address"),
        "{why}"
    );
    assert!(waits["until"].is_string(), "{waits}");

    let good = bot(&three);
    let waiting = bridge.ask(&good, "echo").await;
    bridge.in_state(&waiting, "delivering").await;
    advance(&clock, 59);
    let another = bot(&three);
    let waiting = bridge.ask(&another, "echo").await;
    // The commit of its completion asks for a call at once.
    bridge.in_state(&waiting, "delivering").await;
    assert!(three.calls().is_empty(), "a call to another account while the address is blocked");
    advance(&clock, 1);
    continued(&good).await;
    continued(&another).await;
    // The first call ended the pause of all accounts. Each of the other two accounts is probed separately.
    for (id, bot) in &refused {
        continued(bot).await;
        assert_eq!(bridge.in_state(id, "delivered").await["delivery_attempts"], 1);
    }
    bridge.until("the end of all waits", || async { bridge.ready().await.1["waiting"] == json!([]) }).await;
    assert_eq!(bridge.ready().await.1["everybody_waits"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_pauses_its_account_for_as_long_as_kommo_says() {
    let (in_header, in_body) = (kommo().await, account(2).await);
    let (in_both, in_neither) = (account(3).await, account(4).await);
    let bridge = Setup::with(&[&in_header, &in_body, &in_both, &in_neither]).start().await;
    let too_many = |header, body| Fault::TooManyRequests { header, body };
    let rows = [
        (&in_header, too_many(Some(2), None), 2_000),
        (&in_body, too_many(None, Some(2)), 2_000),
        // The header has priority over the body.
        (&in_both, too_many(Some(2), Some(1)), 2_000),
        // One second if Kommo names no time.
        (&in_neither, too_many(None, None), 1_000),
    ];
    let mut asked = Vec::new();
    for (kommo, fault, least) in rows {
        let first = with_faults(kommo, [fault.clone()]);
        let id = bridge.ask(&first, "echo").await;
        bridge.until("the refusal", || async { calls_for(kommo, &first).len() == 1 }).await;
        bridge.job_with(&id, |job| !job["last_error"].is_null()).await;
        let second = bot(kommo);
        bridge.ask(&second, "echo").await;
        asked.push((kommo, fault, least, id, first, second));
    }
    for (kommo, fault, least, id, first, second) in asked {
        continued(&first).await;
        continued(&second).await;
        let least = Duration::from_millis(least);
        let gaps = gaps(&kommo.calls());
        // The next call, for either bot, waited for the end of the pause, and not much longer: a busy machine is seconds late.
        assert!(gaps[0] >= least && gaps[0] < least + Duration::from_secs(15), "{fault}: {gaps:?}");
        assert_eq!(kommo.calls().len(), 3, "{fault}");
        assert_eq!(bridge.in_state(&id, "delivered").await["delivery_attempts"], 1, "{fault}");
    }
    bridge.settled().await;
    assert_eq!(bridge.ready().await.1["waiting"], json!([]), "no one has to act because of a 429");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_a_bearer_waits_until_it_has_one() {
    let (kommo, unknown) = (kommo().await, account(2).await);
    let bridge = Setup::with(&[&kommo, &unknown]).without_token(&unknown).start().await.leaves_jobs();
    let bot = bot(&unknown);
    let id = bridge.ask(&bot, "echo").await;
    let why = bridge.waiting(host(&unknown)).await;
    assert!(why.contains("no account") && why.contains("accounts.NAME"), "{why}");
    let job = bridge.in_state(&id, "delivering").await;
    assert_eq!(job["delivery_attempts"], 0);
    assert!(unknown.calls().is_empty(), "a call without a bearer, or with a wrong one");

    let folder = bridge.stop().await;
    let bridge = Setup::with(&[&kommo, &unknown]).folder(&folder).start().await;
    continued(&bot).await;
    bridge.in_state(&id, "delivered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bearer_goes_to_its_own_account() {
    let (kommo, other) = (kommo().await, account(2).await);
    let bridge = Setup::with(&[&kommo, &other]).start().await;
    assert_ne!(kommo.options().access_token, other.options().access_token);
    for account in [&kommo, &other, &kommo] {
        let bot = bot(account);
        bridge.ask(&bot, "echo").await;
        continued(&bot).await;
    }
    let calls = [kommo.calls(), other.calls()];
    assert_eq!(calls.each_ref().map(Vec::len), [2, 1]);
    assert!(calls.iter().flatten().all(|call| call.authorized), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_bearer_is_not_tried_on_every_bot() {
    let wrong = playing(Options { access_token: "mistyped".into(), ..Options::default() }).await;
    let (other, clock) = (account(2).await, manual_clock());
    let bridge = Setup::with(&[&wrong, &other])
        .config(r#"accounts.kommo1.access_token = "another""#)
        .clock(clock.clock())
        .start()
        .await
        .leaves_jobs();
    bridge.ask(&bot(&wrong), "echo").await;
    bridge.waiting(host(&wrong)).await;
    for _ in 0..10 {
        bridge.ask(&bot(&wrong), "echo").await;
    }
    bridge
        .until("all to wait", || async { bridge.get("/api/v1/stats").await.1["jobs"]["delivering"] == 11 })
        .await;
    one_more_continued(&bridge, &other).await;
    assert_eq!(wrong.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_above_kommos_limit_only_costs_time() {
    let kommo = playing(Options { rate_limit: Some(5), ..Options::default() }).await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let bots: Vec<_> = (0..14).map(|_| bot(&kommo)).collect();
    for bot in &bots {
        bridge.ask(bot, "echo").await;
    }
    for bot in &bots {
        continued(bot).await;
    }
    bridge.settled().await;
    assert!(
        kommo.calls().iter().any(|call| call.status == Some(429)),
        "Kommo refused nothing, so this tests nothing"
    );
    for job in bridge.jobs().await {
        assert_eq!((&job["state"], &job["delivery_attempts"]), (&json!("delivered"), &json!(1)), "{job:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_of_all_accounts_ends_after_its_time_if_no_delivery_waits() {
    let (one, two, clock) = (kommo().await, account(2).await, manual_clock());
    let bridge = Setup::with(&[&one, &two]).clock(clock.clock()).start().await;
    let mut refused = Vec::new();
    for account in [&one, &two] {
        refused.push(bridge.ask(&with_faults(account, [Fault::HtmlForbidden]), "echo").await);
        bridge.waiting(host(account)).await;
    }
    bridge.until("all to wait", || async { !bridge.ready().await.1["everybody_waits"].is_null() }).await;
    for id in &refused {
        assert_eq!(bridge.operator(id, "cancel").await.0, 200);
    }
    advance(&clock, 70);
    let is_quiet =
        |ready: serde_json::Value| ready["waiting"] == json!([]) && ready["everybody_waits"].is_null();
    bridge.until("no warning", || async { is_quiet(bridge.ready().await.1) }).await;
}
