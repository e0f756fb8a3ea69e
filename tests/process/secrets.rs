//! Tests that no output contains a secret, at any log level and with any fault.

use http::StatusCode;
use serde_json::json;
use simulator::{Algorithm, Bot, Fault, Options, Plan, Simulator, TokenStyle};

use crate::home::Home;
use crate::serve::Serve;

const ADMIN_TOKEN: &str = "the-token-of-the-admin";
/// A text in the data of every bot. What customers write is confidential.
const CUSTOMER: &str = "the-customers-own-words";

fn plans() -> Vec<Plan> {
    let mut faults: Vec<Vec<Fault>> =
        ["500", "hang", "reset", "answer-lost", "429", "429-header", "redirect", "garbage", "408"]
            .map(|fault| vec![fault.parse().unwrap()])
            .into();
    faults.push(vec![Fault::Status(400), Fault::Status(422)]);
    faults.push(Vec::new());
    let data = || json!({ "message": CUSTOMER, "nested": { CUSTOMER: [CUSTOMER] } });
    faults.into_iter().map(|faults| Plan::with_data(data()).faults(faults)).collect()
}

/// Bots whose requests are refused, for their token or their `return_url`, with the status of each.
fn refused(simulator: &Simulator) -> Vec<(Bot, u16)> {
    let token = |token: TokenStyle| Plan { token, ..Plan::with_data(json!({ "m": CUSTOMER })) };
    let claims = |claims: serde_json::Value| TokenStyle {
        claims: claims.as_object().unwrap().clone(),
        ..TokenStyle::default()
    };
    let secret = TokenStyle { secret: Some("the-secret-of-another".into()), ..TokenStyle::default() };
    let none = TokenStyle { algorithm: Algorithm::None, ..TokenStyle::default() };
    let hostile = Some(format!("https://evil.example/{CUSTOMER}/api/v4/salesbot/1/continue/2"));
    [
        (token(secret), 401),
        (token(none), 401),
        (token(claims(json!({ "exp": 1 }))), 401),
        // The log names the integration of a genuine token, so that an operator can compare it.
        (token(claims(json!({ "client_uuid": "of-another-integration" }))), 403),
        (Plan { return_url: hostile, ..Plan::with_data(json!({ "m": CUSTOMER })) }, 422),
    ]
    .map(|(plan, status)| (simulator.bot(plan), status))
    .into()
}

async fn admin_json(serve: &Serve, path: &str) -> serde_json::Value {
    let url = format!("http://{}{path}", serve.admin);
    serve.client.get(url).bearer_auth(ADMIN_TOKEN).send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_most_verbose_log_of_a_run_with_faults_contains_no_secret() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let more = format!("admin.token = \"{ADMIN_TOKEN}\"\ndelivery.request_timeout = \"500ms\"");
    let home = Home::new(&simulator, &more);
    let serve = Serve::start(home.command(&["serve", "-vv"]));
    let url = serve.url("echo");

    let bots: Vec<Bot> = plans().into_iter().map(|plan| simulator.bot(plan)).collect();
    let mut secrets = vec![ADMIN_TOKEN.to_owned(), CUSTOMER.to_owned(), "Bearer ".to_owned()];
    let Options { client_secret, access_token, .. } = simulator.options();
    secrets.extend([client_secret.clone(), access_token.clone()]);
    for (bot, expected) in bots.iter().map(|bot| (bot.clone(), 200)).chain(refused(&simulator)) {
        secrets.extend(parts(&bot.request(&url).token));
        let answer = bot.call(&url).await.unwrap();
        assert_eq!(answer.status, expected, "{}", answer.body);
        assert!(!answer.body.contains(CUSTOMER) && !answer.body.contains("eyJ"), "{}", answer.body);
    }
    for body in [
        format!("token={CUSTOMER}&data[a]={CUSTOMER}"),
        format!("{{\"token\": \"{CUSTOMER}"),
        format!("{CUSTOMER}\0"),
    ] {
        let answer = serve.client.post(&url).body(body).send().await.unwrap();
        assert!([400, 401].contains(&answer.status().as_u16()));
        assert!(!answer.text().await.unwrap().contains(CUSTOMER));
    }
    let admin = format!("http://{}/api/v1/stats", serve.admin);
    let wrong = format!("{CUSTOMER}-no-token");
    let refused = serve.client.get(&admin).bearer_auth(&wrong).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);

    let deadline = std::time::Instant::now() + crate::TEST_TIMEOUT;
    loop {
        let stats = admin_json(&serve, "/api/v1/stats").await;
        if ["queued", "running", "delivering"].iter().all(|state| stats["jobs"][*state] == 0) {
            assert_eq!(stats["jobs"]["dead"], 1, "{stats}");
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{stats}");
    }
    // The log names the account whose token is refused, but not the token.
    simulator.set_outage(Some(Fault::Unauthorized));
    let waiting = simulator.bot(Plan::default());
    waiting.call(&url).await.unwrap();
    serve
        .process
        .err
        .wait("who must authorize", |line| line.contains("operator action required").then_some(()));

    let ended = serve.stop();
    assert!(ended.err.lines().any(|line| line.contains("\"level\":\"DEBUG\"")), "the log is verbose");
    for secret in &secrets {
        for (name, text) in [("stdout", &ended.out), ("stderr", &ended.err)] {
            let line = text.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(line, None, "{name} contains {secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_a_panic_names_its_place_but_no_customer_data() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "log.filter = \"trace\"\nhandlers.panic = { max_attempts = 1 }");
    let serve = home.serve_own();
    for data in [json!({ "quote": CUSTOMER }), json!({ "message": CUSTOMER })] {
        let bot = simulator.bot(Plan::with_data(data));
        assert_eq!(bot.call(&serve.url("panic")).await.unwrap().status, 200);
        tokio::time::timeout(crate::TEST_TIMEOUT, bot.continued()).await.unwrap();
    }
    serve.settled().await;
    let ended = serve.stop();
    let panics: Vec<&str> = ended.err.lines().filter(|line| line.contains("panicked: ")).collect();
    assert!(
        panics.iter().any(|line| line.contains("withheld") && line.contains("own_handlers.rs:")),
        "{panics:#?}"
    );
    assert!(
        panics.iter().any(|line| line.contains("a handler that panics")),
        "a literal message is shown: {panics:#?}"
    );
    let fallback = ended.err.lines().find(|line| line.contains("the bot gets the fallback")).unwrap();
    assert!(fallback.contains("own_handlers.rs:"), "{fallback}");
    assert_eq!(ended.err.lines().find(|line| line.contains(CUSTOMER)), None);
}

/// The parts of a token. Skips short ones, which would be found by accident.
fn parts(token: &str) -> impl Iterator<Item = String> {
    token.split('.').filter(|part| part.len() > 16).map(str::to_owned)
}

/// `serve` disables core dumps, which would contain secrets, even if the system allows them.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_serve_writes_no_core_dump() {
    use std::os::unix::process::ExitStatusExt;

    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let inner = home.command(&["serve"]);
    let mut command = std::process::Command::new("sh");
    // Allow the largest core dump, as a service manager may do.
    command.args(["-c", r#"ulimit -c "$(ulimit -Hc)"; exec "$0" "$@""#]).arg(inner.get_program());
    command.args(inner.get_args()).current_dir(home.path("."));
    let mut serve = Serve::start(crate::process::undisturbed(command));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", serve.process.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    serve.process.signal("ABRT");
    let status = serve.process.end().status;
    assert_eq!(status.signal(), Some(6), "{status}");
    assert!(!status.core_dumped());
}
