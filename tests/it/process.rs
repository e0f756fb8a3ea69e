//! Programs of this package, run as processes: their logs, and the example.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::{Value, json};
use simulator::{Plan, Simulator};
use tokio::sync::mpsc;

use crate::bridge::TEST_TIMEOUT;
use crate::played::{continued, kommo};
use crate::setup::Setup;

/// A bridge in its own process, with a log in JSON. Dropping it kills the process.
pub struct Process {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    log: Vec<Value>,
    public: String,
    /// Keeps the folder alive.
    _setup: Setup,
}

impl Process {
    /// Starts `program` with the configuration of `setup`, and waits until it is ready.
    pub async fn start(program: &Path, arguments: &[&str], setup: Setup) -> Self {
        let setup = setup.config(r#"log.format = "json""#);
        let file = setup.sources().file.unwrap();
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("BRIDGE_CONFIG", file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::unbounded_channel();
        // The thread ends when the process closes its stderr.
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut process = Self { child, lines, log: Vec::new(), public: String::new(), _setup: setup };
        let ready = process.line("ready").await;
        process.public = ready["server.listen"].as_str().unwrap().to_owned();
        process
    }

    pub fn url(&self, handler: &str) -> String {
        format!("http://{}/widget_request/{handler}", self.public)
    }

    /// Reads the log up to a line with this message.
    pub async fn line(&mut self, message: &str) -> Value {
        loop {
            let line =
                self.next().await.unwrap_or_else(|| panic!("`{message}` was never logged: {:#?}", self.log));
            if line["message"].as_str().is_some_and(|text| text.contains(message)) {
                return line;
            }
        }
    }

    async fn next(&mut self) -> Option<Value> {
        let line = tokio::time::timeout(TEST_TIMEOUT, self.lines.recv())
            .await
            .expect("the process logs nothing more")?;
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "message": line }));
        self.log.push(line.clone());
        Some(line)
    }

    /// Sends SIGTERM as an orchestrator does. Returns the exit status and the whole log.
    pub async fn terminate(mut self) -> (ExitStatus, Vec<Value>) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        while self.next().await.is_some() {}
        (self.child.wait().unwrap(), std::mem::take(&mut self.log))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killing a process that has ended fails, which is fine.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The example with this name, which `cargo test` builds beside the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let example = profile.join("examples").join(name);
    assert!(example.exists(), "{} is not built: run `cargo build --examples`", example.display());
    example
}

fn serve() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_salesbot-bridge"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_greeter_example_works() {
    let kommo = kommo().await;
    let process = Process::start(&example("greeter"), &[], Setup::with(&[&kommo])).await;
    let ann = kommo.bot(Plan::with_data(json!({ "name": "Ann" })));
    let nameless = kommo.bot(Plan::with_data(json!({ "title": "Dr" })));
    for bot in [&ann, &nameless] {
        assert_eq!(bot.call(&process.url("greet")).await.unwrap().status, 200);
    }
    let greeted = continued(&ann).await;
    assert_eq!(greeted.data, json!({ "status": "success", "reply": "Hi Ann" }));
    let goto = json!({ "handler": "goto", "params": { "type": "question", "step": 1 } });
    assert_eq!(greeted.execute_handlers, Some(vec![goto]));
    assert_eq!(continued(&nameless).await.data, json!({ "status": "fail" }));
    let (status, log) = process.terminate().await;
    assert!(status.success(), "{status}: {log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_line_contains_a_token_a_secret_or_a_customers_words() {
    let (kommo, other) = (kommo().await, crate::played::account(2).await);
    let setup = Setup::with(&[&kommo, &other])
        .without_token(&other)
        .config("log.filter = \"trace\"\ndelivery.request_timeout = \"300ms\"");
    let process = Process::start(serve(), &["serve"], setup).await;
    let url = process.url("echo");
    let mut secrets = vec![kommo.options().client_secret.clone(), kommo.options().access_token.clone()];
    for plan in every_kind() {
        let bot = kommo.bot(plan);
        secrets.extend(bot.request(&url).token.split('.').map(str::to_owned));
        assert_ne!(bot.call(&url).await.unwrap().status, 500);
    }
    wait_for_accepted_bots(&kommo).await;
    let (status, log) = process.terminate().await;
    assert!(status.success(), "{status}");
    assert!(log.iter().any(|line| line["level"] == "TRACE"), "the log has no TRACE lines");
    let text = log.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    secrets.push("my card number is".to_owned());
    // The headers of all JWTs are alike; the other parts are not.
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        assert!(!text.contains(secret.as_str()), "`{secret}` is in the log:\n{}", line_with(&log, secret));
    }
}

fn line_with(log: &[Value], text: &str) -> String {
    log.iter().map(Value::to_string).find(|line| line.contains(text)).unwrap_or_default()
}

/// Requests that are accepted or refused in various ways, and continues that fail.
fn every_kind() -> Vec<Plan> {
    use simulator::{BodyStyle, Fault, TokenStyle};
    let said = || Plan::with_data(json!({ "message": "my card number is 4111" }));
    let claims =
        |claims: Value| TokenStyle { claims: claims.as_object().unwrap().clone(), ..TokenStyle::default() };
    vec![
        said(),
        Plan { body: BodyStyle::Json, ..said() },
        said().faults([Fault::Status(500), Fault::Reset, Fault::Hang]),
        said().faults([Fault::Status(400)]),
        said().faults([Fault::TooManyRequests { header: None, body: Some(1) }]),
        Plan { return_url: Some("https://evil.example/api/v4/salesbot/1/continue/2".into()), ..said() },
        Plan { token: claims(json!({ "exp": 1 })), ..said() },
        Plan { token: claims(json!({ "client_uuid": "another" })), ..said() },
        Plan { token: TokenStyle { secret: Some("another".into()), ..TokenStyle::default() }, ..said() },
    ]
}

/// Waits until the bots that were not refused are continued.
async fn wait_for_accepted_bots(kommo: &Simulator) {
    let limit = std::time::Instant::now() + TEST_TIMEOUT;
    let client = crate::bridge::client();
    while kommo.bots().iter().take(5).any(|bot| bot.continued == 0) {
        assert!(std::time::Instant::now() < limit, "{:#?}", kommo.bots());
        client.get(format!("{}/simulator/bots", kommo.base_url())).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_value_is_logged_because_the_customer_would_see_a_placeholder() {
    let kommo = kommo().await;
    let mut process = Process::start(serve(), &["serve"], Setup::with(&[&kommo])).await;
    let bot = kommo.bot(Plan::with_data(json!({ "reply": "", "lead": { "name": "" } })));
    bot.call(&process.url("echo")).await.unwrap();
    // An empty value is still legal.
    assert_eq!(continued(&bot).await.data["reply"], "");
    let warning = process.line("empty values").await;
    assert_eq!((&warning["level"], &warning["keys"]), (&json!("WARN"), &json!("lead.name, reply")));
    assert!(process.terminate().await.0.success());
}
