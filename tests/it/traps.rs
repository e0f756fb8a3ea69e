//! Mistakes of fourteen public integrations, and the tests that keep the bridge from each. A test is here, or in the file
//! of its subject.
//!
//! | trap | where |
//! |---|---|
//! | HS256 only, or no verification at all | `accepts::every_valid_form_of_a_token…`, `refusals::a_token_that_proves_nothing…` |
//! | the bearer posted to any return_url | [`a_bearer_never_goes_to_a_thief_by_return_url_or_redirect`], `refusals::a_return_url_to_which_no_bearer…` |
//! | work kept in memory after the 200 and lost in a restart | [`acknowledged_work_survives_a_restart`], `restart` |
//! | no retry of the continue | [`a_continue_is_retried_until_kommo_accepts_it`], `answers` |
//! | one long `show` that Kommo refuses | [`a_show_that_is_too_long_for_kommo_is_never_sent`], `work` |
//! | JSON-only parsing | `accepts::every_body_format_is_read…` |
//! | a repeated return_url taken for a duplicate | `states::a_repeated_return_url…` |
//! | the slow work done before the 200 | `unavailable::the_answer_does_not_wait_for_handlers` |
//! | the bot left hanging on an error or an empty message | [`a_bot_that_sends_an_empty_message_is_continued`], `work` |
//! | a wrong `goto` that loops | [`a_goto_is_added_only_if_kommo_requires_it`], `answers::too_few…` |
//! | refresh races | `src/deliver/tests/connected.rs`: `parallel_401s_cause_one_renewal…` |
//! | hard-coded subdomain | [`an_account_is_called_at_its_address_not_at_its_subdomain`] |
//! | comparing signatures with `==` | `refusals::a_token_that_is_missing_or_tampered_with…`; the comparison is `verify_slice` of `hmac` |
//! | logging the token | `process::no_log_line_contains_a_token…` |
//! | empty `{{json.x}}` shown to a customer | `process::an_empty_value_is_logged…` |

use salesbot_bridge::{Completion, Show};
use serde_json::{Value, json};
use simulator::{Fault, Options, Plan};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::handlers::Does;
use crate::played::{bot, continued, kommo, plan, playing, with_faults};
use crate::setup::{Setup, host};

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_never_goes_to_a_thief_by_return_url_or_redirect() {
    let thief = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = thief.local_addr().unwrap();
    let kommo = kommo().await;
    // The thief's host is even on the allow-list, but the token belongs to a different account.
    let allowed = [host(&kommo).to_owned(), address.to_string()];
    let bridge =
        Setup::with(&[&kommo]).config(&format!("delivery.allowed_hosts = {allowed:?}")).start().await;
    let stolen = async {
        let (mut stream, _) = thief.accept().await.unwrap();
        let mut heard = [0; 1_000];
        let length = stream.read(&mut heard).await.unwrap();
        String::from_utf8_lossy(&heard[..length]).into_owned()
    };
    let played = async {
        let hostile = format!("http://{address}/api/v4/salesbot/1/continue/2");
        let evil = kommo.bot(Plan { return_url: Some(hostile), ..plan() });
        assert_eq!(bridge.call(&evil, "echo").await.status, 422);
        // A redirect does not lead the bearer to the thief either.
        let honest = with_faults(&kommo, [Fault::Redirect(format!("http://{address}/"))]);
        let id = bridge.ask(&honest, "echo").await;
        continued(&honest).await;
        bridge.in_state(&id, "delivered").await;
    };
    tokio::select! {
        heard = stolen => panic!("the thief heard: {heard}"),
        () = played => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_work_survives_a_restart() {
    let kommo = kommo().await;
    let hangs = Does(|_, _| std::future::pending());
    let works = Does(|_, _| async { Ok(Completion::success()) });
    let grace = "workers.grace = \"0s\"";
    let bridge = Setup::with(&[&kommo]).config(grace).handler("works", hangs).start().await.leaves_jobs();
    // More than there are workers, so that some are only stored.
    let bots: Vec<_> = (0..100).map(|_| bot(&kommo)).collect();
    for bot in &bots {
        bridge.ask(bot, "works").await;
    }
    let folder = bridge.stop().await;
    assert!(kommo.calls().is_empty());
    let bridge = Setup::with(&[&kommo]).folder(&folder).handler("works", works).start().await;
    for bot in &bots {
        assert_eq!(continued(bot).await.data["status"], "success");
    }
    bridge.settled().await;
    assert_eq!(kommo.calls().len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_continue_is_retried_until_kommo_accepts_it() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).config("delivery.request_timeout = \"300ms\"").start().await;
    let faults = [Fault::Status(502), Fault::Hang, Fault::Reset, Fault::Status(503)];
    let bot = with_faults(&kommo, faults);
    let id = bridge.ask(&bot, "echo").await;
    continued(&bot).await;
    assert_eq!(bridge.in_state(&id, "delivered").await["delivery_attempts"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_show_that_is_too_long_for_kommo_is_never_sent() {
    let kommo = kommo().await;
    let shows = |text: String| {
        Does(move |_, _| {
            let text = text.clone();
            async { Ok(Completion::success().show(Show::text(text))) }
        })
    };
    let bridge = Setup::with(&[&kommo])
        .handler("just-fits", shows("🙂".repeat(40)))
        .handler("too-long", shows("🙂".repeat(41)))
        .start()
        .await;
    let rows = [("just-fits", "handler", "success"), ("too-long", "fallback", "fail")];
    for (handler, outcome, status) in rows {
        let bot = bot(&kommo);
        let id = bridge.ask(&bot, handler).await;
        assert_eq!(continued(&bot).await.data["status"], status, "{handler}");
        let job = bridge.in_state(&id, "delivered").await;
        // The bridge refuses it before it is sent: Kommo gets one continue, and accepts it.
        assert_eq!((&job["outcome"], &job["delivery_attempts"]), (&json!(outcome), &json!(1)), "{handler}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_sends_an_empty_message_is_continued() {
    let kommo = kommo().await;
    let bridge = Setup::with(&[&kommo]).start().await;
    let unresolved = json!({ "message": "{{message_text}}", "lead": { "id": "{{lead.id}}" } });
    for data in [json!({ "message": "" }), unresolved, json!({}), Value::Null] {
        let bot = kommo.bot(Plan::with_data(data.clone()));
        let id = bridge.ask(&bot, "echo").await;
        assert_eq!(continued(&bot).await.data["status"], "success", "{data}");
        bridge.in_state(&id, "delivered").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goto_is_added_only_if_kommo_requires_it() {
    let kommo = kommo().await;
    let goto = r#"handlers.echo.goto = { type = "question", step = 1 }"#;
    let bridge = Setup::with(&[&kommo]).config(goto).start().await;
    // Data alone is sent without a goto, even if one is configured, unless Kommo requires it. The same holds for retries
    // and fallbacks.
    for fault in [None, Some(Fault::Status(500)), Some(Fault::Status(400)), Some(Fault::Status(422))] {
        let bot = with_faults(&kommo, fault.clone());
        let id = bridge.ask(&bot, "echo").await;
        assert_eq!(continued(&bot).await.execute_handlers, None, "{fault:?}");
        bridge.in_state(&id, "delivered").await;
    }
    assert!(
        kommo.calls().iter().all(|call| !String::from_utf8_lossy(&call.body).contains("execute_handlers"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_called_at_its_address_not_at_its_subdomain() {
    // `iss` and return_url give the account's address; the name in `subdomain` is outdated.
    let moved = Options { subdomain: "formerly".to_owned(), ..Options::numbered(2) };
    let (kommo, moved) = (kommo().await, playing(moved).await);
    let bridge = Setup::with(&[&kommo, &moved]).start().await;
    for account in [&moved, &kommo] {
        let bot = bot(account);
        let id = bridge.ask(&bot, "echo").await;
        continued(&bot).await;
        bridge.in_state(&id, "delivered").await;
    }
    assert_eq!((kommo.calls().len(), moved.calls().len()), (1, 1));
}
