//! The Kommo client of a handler. It calls the account of its job with the bridge's token, and shares the pace of the
//! continues.

use salesbot_bridge::{Completion, Context, HandlerError, Request};
use serde_json::{Value, json};
use simulator::{ApiCall, Fault, Options, Plan, Simulator};

use crate::handlers::Does;
use crate::played::{account, continued, kommo, playing};
use crate::setup::Setup;

/// Answers with the id of the bot's account.
async fn whose(_: Request<Value>, context: Context) -> Result<Completion, HandlerError> {
    let account = context.kommo().get_json("/api/v4/account").await?;
    Ok(Completion::success().data("account", &account["id"]))
}

fn bot(kommo: &Simulator) -> simulator::Bot {
    kommo.bot(Plan::with_data(json!({})))
}

#[tokio::test]
async fn a_handler_calls_the_account_of_its_own_job() {
    let (one, two) = (kommo().await, account(2).await);
    let bridge = Setup::with(&[&one, &two]).handler("whose", Does(whose)).start().await;
    for kommo in [&one, &two] {
        let bot = bot(kommo);
        bridge.ask(&bot, "whose").await;
        assert_eq!(continued(&bot).await.data["account"], kommo.options().account_id);
    }
}

#[tokio::test]
async fn api_calls_and_continues_share_one_rate() {
    let kommo = playing(Options { rate_limit: Some(7), ..Options::default() }).await;
    let setup = Setup::with(&[&kommo]).config("delivery.rate_per_account = 7").handler("whose", Does(whose));
    let bridge = setup.start().await;
    let bots: Vec<_> = (0..12).map(|_| bot(&kommo)).collect();
    for bot in &bots {
        bridge.ask(bot, "whose").await;
    }
    for bot in &bots {
        assert_eq!(continued(bot).await.data["account"], kommo.options().account_id);
    }
    let calls = kommo.api_calls();
    assert!(calls.iter().all(|call: &ApiCall| call.status.is_some_and(|status| status < 300)), "{calls:#?}");
    assert_eq!(calls.len(), 24, "one API call and one continue for each bot");
}

#[tokio::test]
async fn the_handler_decides_what_follows_from_a_failed_api_call() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).handler("whose", Does(whose)).start().await;
    kommo.queue_api_faults([Fault::Unauthorized]);
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "whose").await;
    assert_eq!(continued(&bot).await.data["status"], "fail");
    let job = bridge.in_state(&id, "delivered").await;
    let error = job["attempts"][0]["error"].as_str().unwrap();
    assert!(error.contains("401") && !error.contains(&kommo.options().access_token), "{error}");
    assert_eq!(job["handler_attempts"], 1, "a refused token is not retried");
}

#[tokio::test]
async fn an_api_call_that_would_outlast_the_attempt_fails_immediately() {
    let kommo = kommo().await;
    let setup = Setup::with(&[&kommo]).config("handlers.whose.attempt_timeout = \"8s\"");
    let bridge = setup.handler("whose", Does(whose)).start().await.leaves_jobs();
    kommo.queue_api_faults([Fault::TooManyRequests { header: Some(12), body: None }]);
    let id = bridge.ask(&bot(&kommo), "whose").await;
    let job = bridge.job_with(&id, |job| job["attempts"][0].is_object()).await;
    assert_eq!(job["attempts"][0]["result"], "retry", "the handler decided, and did not time out: {job:#}");
    assert!(job["last_error"].as_str().unwrap().contains("429"), "{job:#}");
}
