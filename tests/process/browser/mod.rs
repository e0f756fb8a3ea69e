//! Uses the dashboard in a real browser: `tests/browser/run.mjs`. Needs node, chromium, and the packages of that folder.

mod states;
mod tools;

use std::fs;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use simulator::{Bot, Fault, Options, Plan, Simulator};
use tokio::net::TcpListener;

use crate::home::Home;

pub use tools::Tools;

/// If set, the test writes its screenshots into this folder.
const SCREENSHOTS: &str = "BRIDGE_SCREENSHOTS";

const TOKEN: &str = "the-token-of-the-operator-1234567890";
const READ_TOKEN: &str = "the-token-of-the-reader-1234567890";
const LEAD: &str = "31764961";
/// What a customer may write.
const HOSTILE: &str = "<script>document.title = 'owned'</script>\"'><img src=x onerror=alert(1)> 🦀";

/// Starts a service whose `/broken` fails, and whose `/later` promises a callback.
async fn service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/broken", post(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "the model is down") }))
        .route("/later", post(|| async { StatusCode::ACCEPTED }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn ask(kommo: &Simulator, url: &str, lead: &str, faults: Vec<Fault>) -> Bot {
    let mut plan = Plan::with_data(json!({ "message": HOSTILE }));
    plan.token.claims.insert("entity_id".to_owned(), json!(lead));
    plan.token.claims.insert("entity_type".to_owned(), json!("2"));
    plan.faults = faults;
    let bot = kommo.bot(plan);
    assert_eq!(bot.call(url).await.unwrap().status, 200);
    bot
}

fn bearer(token: &str) -> Client {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    Client::builder()
        .no_proxy()
        .default_headers(HeaderMap::from_iter([(AUTHORIZATION, value)]))
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_works_in_a_browser_by_mouse_by_keyboard_and_without_javascript() {
    let Some(tools) = Tools::found("the dashboard in a browser") else { return };
    let service = service().await;
    let kommo = Simulator::start(Options::default()).await.unwrap();
    let more = format!(
        r#"server.callback_url = "{service}"
        admin.token = "{TOKEN}"
        admin.read_token = "{READ_TOKEN}"
        handlers.broken = {{ kind = "http", url = "{service}/broken", auth = "Bearer x", max_attempts = 1 }}
        handlers.later = {{ kind = "http", url = "{service}/later", auth = "Bearer x" }}"#
    );
    let home = Home::new(&kommo, &more);
    let mut text = fs::read_to_string(home.config()).unwrap();
    text = text.replace(
        "store.url",
        &format!("store.backup_folder = \"{}\"\nstore.url", home.path("backups").display()),
    );
    fs::write(home.config(), text).unwrap();
    let mut serve = home.serve();
    serve.client = bearer(TOKEN);
    for _ in 0..3 {
        let refused_twice = vec![Fault::Status(400), Fault::Status(400)];
        let _dead = ask(&kommo, &serve.url("echo"), LEAD, refused_twice).await;
    }
    serve.reaches("dead", 3).await;
    for lead in ["48213377", "77120458"] {
        ask(&kommo, &serve.url("echo"), lead, Vec::new()).await.continued().await;
    }
    ask(&kommo, &serve.url("broken"), "51830262", Vec::new()).await.continued().await;
    let _waits = ask(&kommo, &serve.url("later"), "77120533", Vec::new()).await;
    serve.reaches("awaiting_callback", 1).await;

    let (_, page) = serve.get("/api/v1/jobs?state=dead").await;
    let dead: Vec<&str> =
        page["jobs"].as_array().unwrap().iter().filter_map(|job| job["id"].as_str()).collect();
    let (_, groups) = serve.get("/api/v1/errors").await;
    let group = groups["errors"][0]["id"].clone();
    let scenario = json!({
        "base": format!("http://{}", serve.admin),
        "token": TOKEN,
        "readToken": READ_TOKEN,
        "leadUrl": format!("{}/leads/detail/{LEAD}", kommo.base_url()),
        "deadJob": dead,
        "pages": pages(&dead, &group),
        "screens": std::env::var_os(SCREENSHOTS).map(|folder| folder.to_string_lossy().into_owned()),
    });
    tools.run("run.mjs", &home.path("scenario.json"), scenario).await;
}

/// The pages, by the names of their screenshots.
fn pages(dead: &[&str], group: &Value) -> Value {
    json!({
        "now": "/",
        "jobs": "/jobs",
        "jobs-empty": "/jobs?q=lead:1",
        "jobs-wrong-filter": "/jobs?q=state:deda",
        "job": format!("/jobs/{}", dead.first().unwrap()),
        "errors": "/errors",
        "error": format!("/errors/{group}"),
        "accounts": "/accounts",
        "handlers": "/handlers",
        "store": "/store",
        "settings": "/settings",
        "actions": "/actions",
    })
}
