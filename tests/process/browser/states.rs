//! Every page in the states that are easily forgotten: before the first request, with far too much of everything, and with a
//! store that cannot be read.

use std::fs;
use std::fs::File;

use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};
use simulator::{Fault, Options, Simulator};
use tokio::net::TcpListener;

use super::{HOSTILE, SCREENSHOTS, Tools, ask};
use crate::home::Home;
use crate::serve::Serve;

/// The longest name of a handler.
const LONGEST_NAME: usize = 64;
/// A lead that occurs in no other test.
const LEAD: &str = "48213377";

/// The scenario that looks at `pages`. Screenshots get the name of the state, and are not part of the documentation.
fn scenario(serve: &Serve, state: &str, pages: &Value) -> Value {
    let named =
        pages.as_object().unwrap().iter().map(|(name, path)| (format!("{state}-{name}"), path.clone()));
    json!({
        "base": format!("http://{}", serve.admin),
        "pages": named.collect::<serde_json::Map<_, _>>(),
        "shots": "all",
        "screens": std::env::var_os(SCREENSHOTS)
            .map(|folder| {
                let folder = std::path::Path::new(&folder).join("states");
                fs::create_dir_all(&folder).unwrap();
                folder.to_string_lossy().into_owned()
            }),
    })
}

/// The pages that always exist.
fn pages() -> Value {
    json!({
        "now": "/",
        "jobs": "/jobs",
        "lead": format!("/jobs?q=lead:{LEAD}"),
        "unknown-job": "/jobs/018bcfe5-687b-7000-8000-000000000001",
        "unknown-group": "/errors/999",
        "unknown-page": "/nothing/here",
        "form-address": "/accounts/resume",
        "errors": "/errors",
        "accounts": "/accounts",
        "handlers": "/handlers",
        "handler-test": "/handlers/echo/test",
        "store": "/store",
        "settings": "/settings",
        "actions": "/actions",
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_before_the_first_request() {
    let Some(tools) = Tools::found("the dashboard before the first request") else { return };
    let kommo = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&kommo, "");
    let serve = home.serve();
    tools.run("pages.mjs", &home.path("scenario.json"), scenario(&serve, "first", &pages())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_with_a_store_that_cannot_be_read() {
    let Some(tools) = Tools::found("the dashboard of a broken store") else { return };
    let kommo = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&kommo, "");
    let serve = home.serve();
    let refused_twice = vec![Fault::Status(400), Fault::Status(400)];
    let _dead = ask(&kommo, &serve.url("echo"), LEAD, refused_twice).await;
    serve.reaches("dead", 1).await;
    let (_, page) = serve.get("/api/v1/jobs?state=dead").await;
    let mut pages = pages();
    pages["job"] = json!(format!("/jobs/{}", page["jobs"][0]["id"].as_str().unwrap()));
    pages["error"] = json!("/errors/1");
    // What another program may do to a file.
    for name in ["bridge.db", "bridge.db-wal"] {
        File::options().write(true).open(home.path(name)).unwrap().set_len(0).unwrap();
    }
    serve.becomes(503).await;
    tools.run("pages.mjs", &home.path("scenario.json"), scenario(&serve, "down", &pages)).await;
}

/// Starts a service that answers with a long text.
async fn talkative() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let text = HOSTILE.repeat(1_000);
    let app = Router::new()
        .route("/", post(move || async move { axum::Json(json!({ "data": { "text": text } })) }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_with_too_much_of_everything() {
    let Some(tools) = Tools::found("the dashboard of a large bridge") else { return };
    let kommo = Simulator::start(Options::default()).await.unwrap();
    let service = talkative().await;
    let longest = "n".repeat(LONGEST_NAME);
    let mut more = format!(
        "admin.show_data = \"full\"\nhandlers.{longest} = {{ kind = \"http\", url = \"{service}\", auth = \"Bearer x\" }}\n"
    );
    for number in 0..60 {
        more.push_str(&format!("handlers.h{number}_{} = {{ kind = \"echo\" }}\n", "x".repeat(40)));
        more.push_str(&format!(
            "accounts.\"🦀 {number} {}\" = {{ base_url = \"https://{}{number}.kommo.com\", access_token = \"x\" }}\n",
            "w".repeat(60),
            "a".repeat(50),
        ));
    }
    let home = Home::new(&kommo, &more);
    let text = fs::read_to_string(home.config()).unwrap();
    fs::write(home.config(), text.replace("allowed_hosts = [", "allowed_hosts = [\"*.kommo.com\", "))
        .unwrap();
    let serve = home.serve();
    for _ in 0..40 {
        let refused_twice = vec![Fault::Status(400), Fault::Status(400)];
        let _dead = ask(&kommo, &serve.url("echo"), LEAD, refused_twice).await;
    }
    let long = ask(&kommo, &serve.url(&longest), LEAD, Vec::new()).await;
    long.continued().await;
    for number in 0..8 {
        let url = format!("http://{}/{}{number}", serve.public, "widget/".repeat(40));
        let _missed = long.call(&url).await;
    }
    serve.reaches("dead", 40).await;
    let (_, page) = serve.get(&format!("/api/v1/jobs?handler={longest}")).await;
    let mut pages = pages();
    pages["job"] = json!(format!("/jobs/{}", page["jobs"][0]["id"].as_str().unwrap()));
    pages["filter"] = json!(format!("/jobs?q={}", "error:%22x%22+".repeat(100)));
    pages["hostile-filter"] = json!("/jobs?q=%3Cscript%3Ealert(1)%3C/script%3E%22%27");
    tools.run("pages.mjs", &home.path("scenario.json"), scenario(&serve, "huge", &pages)).await;
}
