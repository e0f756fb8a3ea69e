//! Tests that the jobs of a conversation run one at a time and in order, that messages are joined, and that a kill of the
//! bridge changes neither.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use simulator::{Bot, Options, Plan, Simulator, TokenStyle};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::serve::Serve;

/// Messages of each conversation.
const MESSAGES: usize = 10;
/// Conversations beside the one whose handler hangs.
const CONVERSATIONS: usize = 10;

/// What the service has got, by conversation: the messages of each call, in order of the calls.
type Calls = BTreeMap<String, Vec<Vec<String>>>;

#[derive(Clone)]
struct Service {
    calls: Arc<Mutex<Calls>>,
    /// The number of calls of each conversation that run now, and the highest number so far.
    running: Arc<Mutex<BTreeMap<String, (usize, usize)>>>,
    /// Calls with the message `hang` end when this becomes true.
    released: watch::Sender<bool>,
    url: String,
}

impl Service {
    async fn start() -> (Self, AbortOnDropHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (calls, running) = (Arc::default(), Arc::default());
        let service = Self { calls, running, released: watch::channel(false).0, url };
        let router = Router::new().route("/", post(answer)).with_state(service.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (service, AbortOnDropHandle::new(server))
    }

    fn calls(&self, lead: usize) -> Vec<Vec<String>> {
        let calls = self.calls.lock().unwrap();
        calls.get(&lead.to_string()).cloned().unwrap_or_default()
    }

    fn most_at_once(&self) -> usize {
        self.running.lock().unwrap().values().map(|(_, most)| *most).max().unwrap_or(0)
    }
}

/// Ends a call, even if the bridge hung up.
struct Running<'s>(&'s Service, String);

impl<'s> Running<'s> {
    fn begin(service: &'s Service, lead: &str) -> Self {
        let mut running = service.running.lock().unwrap();
        let (now, most) = running.entry(lead.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        drop(running);
        Self(service, lead.to_owned())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some((now, _)) = self.0.running.lock().unwrap().get_mut(&self.1) {
            *now -= 1;
        }
    }
}

async fn answer(State(service): State<Service>, Json(event): Json<Value>) -> Json<Value> {
    let data = &event["data"];
    let text = |input: &Value| input["message"].as_str().unwrap().to_owned();
    let messages: Vec<String> = match data["inputs"].as_array() {
        Some(inputs) => inputs.iter().map(text).collect(),
        None => vec![text(&data["input"])],
    };
    let lead = data["entity"]["id"].to_string();
    let _running = Running::begin(&service, &lead);
    service.calls.lock().unwrap().entry(lead).or_default().push(messages.clone());
    if messages.iter().any(|message| message == "hang") {
        service.released.subscribe().wait_for(|released| *released).await.unwrap();
    }
    Json(json!({ "data": { "reply": messages.join("+") } }))
}

async fn setup(more: &str) -> (Simulator, Service, AbortOnDropHandle<()>, Home) {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (service, server) = Service::start().await;
    let secret = format!("whsec_{}=", "A".repeat(43));
    let home = Home::new(
        &simulator,
        &format!(
            r#"[handlers.talk]
            kind = "http"
            url = "{}"
            secret = "{secret}"
            ordering = "conversation"
            answer_within = "10m"
            attempt_timeout = "5m"
            {more}"#,
            service.url
        ),
    );
    (simulator, service, server, home)
}

/// A bot that talks about this lead.
fn bot(simulator: &Simulator, lead: usize, message: &str) -> Bot {
    let claims = [("entity_type", json!(2)), ("entity_id", json!(lead))];
    let claims: Map<String, Value> = claims.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let token = TokenStyle { claims, ..TokenStyle::default() };
    simulator.bot(Plan { token, ..Plan::with_data(json!({ "message": message })) })
}

async fn call(serve: &Serve, bot: &Bot) {
    assert_eq!(bot.call(&serve.url("talk")).await.unwrap().status, 200);
}

async fn data(bot: &Bot) -> Value {
    tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await.expect("a bot was not continued").data
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_are_in_order_and_do_not_delay_each_other_through_a_kill() {
    let (simulator, service, _server, home) = setup("").await;
    let serve = home.serve();
    let hanging = [bot(&simulator, 99, "hang"), bot(&simulator, 99, "after")];
    for bot in &hanging {
        call(&serve, bot).await;
    }
    let mut bots = Vec::new();
    for message in 0..MESSAGES {
        for lead in 1..=CONVERSATIONS {
            let bot = bot(&simulator, lead, &message.to_string());
            call(&serve, &bot).await;
            bots.push((message, bot));
        }
        if message == MESSAGES / 2 {
            serve.process.kill();
            break;
        }
    }
    let serve = home.serve();
    for message in MESSAGES / 2 + 1..MESSAGES {
        for lead in 1..=CONVERSATIONS {
            let bot = bot(&simulator, lead, &message.to_string());
            call(&serve, &bot).await;
            bots.push((message, bot));
        }
    }
    for (message, bot) in &bots {
        assert_eq!(data(bot).await, json!({ "reply": message.to_string() }));
    }
    for lead in 1..=CONVERSATIONS {
        let mut calls = service.calls(lead).concat();
        // The message that ran when the bridge was killed runs again, before the next one.
        calls.dedup();
        let expected: Vec<String> = (0..MESSAGES).map(|message| message.to_string()).collect();
        assert_eq!(calls, expected, "lead {lead}");
    }
    assert_eq!(service.calls(99).concat().last().unwrap(), "hang", "the message after it waits for its turn");
    let (_, jobs) = serve.get("/api/v1/jobs?state=queued").await;
    let id = jobs["jobs"][0]["id"].as_str().unwrap();
    let (_, job) = serve.get(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!((&job["waits_for"]["cause"], &job["due_at"]), (&json!("conversation"), &Value::Null));
    service.released.send(true).unwrap();
    for (bot, message) in hanging.iter().zip(["hang", "after"]) {
        assert_eq!(data(bot).await, json!({ "reply": message }));
    }
    serve.settled().await;
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_conversation_has_one_call_at_a_time() {
    let (simulator, service, _server, home) = setup("").await;
    let serve = home.serve();
    let bots: Vec<Bot> = (0..MESSAGES).map(|_| bot(&simulator, 1, "hi")).collect();
    futures_util::future::join_all(bots.iter().map(|bot| call(&serve, bot))).await;
    for bot in &bots {
        data(bot).await;
    }
    assert_eq!((service.most_at_once(), service.calls(1).len()), (1, MESSAGES));
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_pause_become_one_turn_through_a_kill() {
    let (simulator, service, _server, home) = setup("coalesce = \"2s\"").await;
    let serve = home.serve();
    let bots: Vec<Bot> = (0..MESSAGES).map(|message| bot(&simulator, 1, &message.to_string())).collect();
    for bot in &bots {
        call(&serve, bot).await;
    }
    serve.process.kill();
    let serve = home.serve();
    let (last, others) = bots.split_last().unwrap();
    let all: Vec<String> = (0..MESSAGES).map(|message| message.to_string()).collect();
    assert_eq!(data(last).await, json!({ "reply": all.join("+") }));
    for bot in others {
        assert_eq!(data(bot).await, json!({ "status": "superseded" }));
    }
    assert_eq!(service.calls(1), [all]);
    serve.settled().await;
    let metrics = serve.client.get(format!("http://{}/metrics", serve.admin)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let joined = format!("bridge_joined_messages_total{{handler=\"talk\"}} {}", MESSAGES - 1);
    assert!(metrics.contains(&joined), "{metrics}");
    serve.stop();
}
