//! Tests of `accounts …` beside a running bridge, and without one.

use std::time::Instant;

use serde_json::{Value, json};
use simulator::{Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::connected::{REDIRECT_URI, accounts, at, connect, home, installable, kommos};
use crate::home::Home;
use crate::serve::Serve;

fn host(kommo: &Simulator) -> &str {
    kommo.base_url().strip_prefix("http://").unwrap()
}

/// The account at the address of `kommo`, from `accounts list --json`.
fn listed(home: &Home, kommo: &Simulator) -> Value {
    let all = accounts(home, &["list", "--json"]).expect(0).json();
    let all = all["accounts"].as_array().unwrap();
    all.iter().find(|one| one["host"] == host(kommo)).cloned().unwrap_or_default()
}

async fn metrics(serve: &Serve) -> String {
    let answer = serve.client.get(format!("http://{}/metrics", serve.admin)).send().await.unwrap();
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_listed_connected_and_removed_beside_a_running_bridge() {
    let both = kommos().await;
    let [shop, other] = &both;
    let home = home(&both, "");
    let serve = home.serve();
    let bot = other.bot(Plan::default());
    bot.call(&serve.url("echo")).await.unwrap();
    serve.reaches("delivering", 1).await;
    let waits = listed(&home, other);
    assert_eq!((&waits["state"], &waits["waiting"]), (&json!("needs_authorization"), &json!(1)), "{waits}");
    let never = accounts(&home, &["remove", host(other)]).expect(1);
    assert!(never.err.contains("was never connected"), "{}", never.err);

    let page = connect(&home, &serve, other).await;
    assert_eq!(page.status(), 200);
    bot.continued().await;
    serve.settled().await;
    let active = listed(&home, other);
    let number = other.options().account_id;
    let found = (&active["account_id"], &active["integration"], &active["state"], &active["waiting"]);
    assert_eq!(found, (&json!(number), &json!("main"), &json!("active"), &json!(0)), "{active}");
    assert_eq!(listed(&home, shop)["name"], "shop");
    let table = accounts(&home, &["list"]).expect(0).out;
    for word in ["TOKEN UNTIL", "(accounts.shop)", "long-lived", host(other), "in 2", &number.to_string()] {
        assert!(table.contains(word), "{word} in\n{table}");
    }

    let removed = accounts(&home, &["remove", &number.to_string()]).expect(0).out;
    assert!(removed.contains(host(other)) && removed.contains("Kommo still lists"), "{removed}");
    assert_eq!(listed(&home, other), Value::Null);
    let gone = accounts(&home, &["remove", host(other)]).expect(1);
    assert!(gone.err.contains("unknown account"), "{}", gone.err);
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !metrics(&serve).await.contains("bridge_accounts{state=\"active\"} 0") {
        assert!(Instant::now() < deadline, "the bridge never noticed");
    }
    let bot = other.bot(Plan::default());
    bot.call(&serve.url("echo")).await.unwrap();
    serve.reaches("delivering", 1).await;
    let removed = accounts(&home, &["remove", "shop", "--json"]).expect(2);
    assert!(removed.err.contains("accounts.shop is in the configuration"), "{}", removed.err);

    let page = connect(&home, &serve, other).await;
    assert!(page.text().await.unwrap().contains("The account is connected"));
    bot.continued().await;
    serve.settled().await;
    serve.stop();
    let removed =
        accounts(&home, &["remove", host(other), "--integration", "main", "--json"]).expect(0).json();
    assert_eq!(removed["removed"]["account_id"], json!(number), "{removed}");
    assert_eq!(listed(&home, other), Value::Null, "also without a bridge");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_list_and_authorize_work_before_the_store_exists() {
    let both = kommos().await;
    let home = home(&both, "");
    let all = accounts(&home, &["list", "--json"]).expect(0).json();
    assert_eq!(all["accounts"].as_array().unwrap().len(), 1, "{all}");
    let link = accounts(&home, &["authorize", "--json"]).expect(0).json();
    let start = format!("https://www.kommo.com/oauth?client_id={}&state=", both[0].options().client_uuid);
    assert!(link["link"].as_str().unwrap().starts_with(&start), "{link}");
    assert_eq!((&link["integration"], &link["redirect_uri"]), (&json!("main"), &json!(REDIRECT_URI)));
    assert!(link["expires_at"].as_str().unwrap().ends_with('Z'), "{link}");
    let text = accounts(&home, &["authorize", "--site", "https://www.amocrm.ru"]).expect(0).out;
    for word in ["https://www.amocrm.ru/oauth?client_id=", "within an hour", REDIRECT_URI, "administrator"] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    assert!(!home.path("bridge.db").exists(), "reading creates no store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_oauth_setting_is_named_with_exit_status_2() {
    let both = kommos().await;
    let good = home(&both, "");
    for (arguments, expected) in [
        (&["authorize", "--integration", "third"][..], "unknown integration `third` (expected one of: main)"),
        (&["authorize", "--site", "https://www.kommo.com/x"], "--site must be a URL like"),
        (&["authorize", "--site", "http://"], "--site"),
    ] {
        let refused = accounts(&good, arguments).expect(2);
        assert!(refused.out.is_empty() && refused.err.contains(expected), "{}", refused.err);
    }
    let text = std::fs::read_to_string(good.config()).unwrap();
    std::fs::write(good.config(), text.replace("store.encryption_key", "#")).unwrap();
    let refused = accounts(&good, &["authorize"]).expect(2);
    assert!(refused.err.contains("store.encryption_key"), "{}", refused.err);

    let simulator = Simulator::start(Options::default()).await.unwrap();
    let refused = accounts(&Home::new(&simulator, ""), &["authorize"]).expect(2);
    assert!(refused.err.contains("integrations.main.redirect_uri is missing"), "{}", refused.err);
}

/// Calls the installation callback, as anyone can: the code may be invented.
async fn install(serve: &Serve, callback: &str) -> (u16, Value) {
    let answer = serve.client.get(at(serve, callback)).send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_without_a_link_waits_for_an_operator_beside_a_running_bridge() {
    let both = kommos().await;
    let other = &both[1];
    let home = installable(&both);
    let serve = home.serve();
    let genuine = other.install_callback_url().unwrap();
    let junk = genuine.replace("code=", "code=junk");
    for callback in [&genuine, &junk] {
        let (status, body) = install(&serve, callback).await;
        assert_eq!((status, &body["state"]), (202, &json!("unconfirmed")), "{body}");
    }
    assert!(other.oauth_calls().is_empty(), "the secret is sent nowhere");

    let waiting = accounts(&home, &["list", "--json"]).expect(0).json();
    let waiting = waiting["installations"].as_array().unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((&waiting[0]["host"], &waiting[0]["codes"]), (&json!(host(other)), &json!(2)), "{waiting:?}");
    let table = accounts(&home, &["list"]).expect(0).out;
    assert!(table.contains(&format!("accounts confirm {}", host(other))), "{table}");

    let nowhere = accounts(&home, &["confirm", "a.kommo.com", "--yes"]).expect(1);
    assert!(nowhere.err.contains("no installation waits"), "{}", nowhere.err);
    let unasked = accounts(&home, &["confirm", host(other)]).expect(2);
    assert!(unasked.err.contains("--account NUMBER"), "{}", unasked.err);
    assert!(other.oauth_calls().is_empty(), "the secret is not sent before the operator names the account");

    let number = other.options().account_id.to_string();
    let output = accounts(&home, &["confirm", host(other), "--account", &number]).expect(0).out;
    assert!(output.contains(&number) && output.contains(host(other)), "{output}");
    let bot = other.bot(Plan::default());
    bot.call(&serve.url("echo")).await.unwrap();
    bot.continued().await;

    let (status, body) = install(&serve, &other.install_callback_url().unwrap()).await;
    assert_eq!((status, &body["state"]), (200, &json!("active")), "a bot has shown the account: {body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_not_the_expected_one_is_not_connected() {
    let both = kommos().await;
    let other = &both[1];
    let home = installable(&both);
    let serve = home.serve();
    install(&serve, &other.install_callback_url().unwrap()).await;
    let refused = accounts(&home, &["confirm", host(other), "--account", "7"]).expect(1);
    assert!(refused.err.contains("was not confirmed"), "{}", refused.err);
    assert_eq!(listed(&home, other), Value::Null);
}
