//! The incident drills of `docs/drills.md`: each test causes an incident, runs the commands of the page as they are written
//! there, follows the steps in the dashboard, and looks for the text that names the cause.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use axum::Router;
use axum::http::StatusCode;
use serde_json::json;
use simulator::{Bot, Fault, Options, Plan, Simulator};
use tokio::net::TcpListener;

use crate::TEST_TIMEOUT;
use crate::browser::Tools;
use crate::connected;
use crate::disk_full::Disk;
use crate::home::Home;
use crate::process::{Ended, run, undisturbed};
use crate::serve::Serve;

const PAGE: &str = include_str!("../../docs/drills.md");
const LEAD: &str = "31764961";
/// The most commands, or steps in the dashboard, from the customer to the cause.
const MAX_STEPS: usize = 3;

/// The incidents of this file, in the order of the page.
const INCIDENTS: [&str; 6] = [
    "Wrong token",
    "429 storm",
    "Failing handler",
    "Disconnected account",
    "Full disk",
    "Wrong path in the widget",
];

#[test]
fn each_incident_of_the_page_has_a_drill_and_at_most_three_commands() {
    let headings: Vec<&str> = PAGE.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(headings, INCIDENTS);
    for incident in headings {
        let steps = block(incident, "sh").len();
        assert!((1..=MAX_STEPS).contains(&steps), "{incident}: {steps} commands");
        let steps = block(incident, "dashboard").len();
        assert!((1..=MAX_STEPS).contains(&steps), "{incident}: {steps} steps in the dashboard");
        assert!(section(incident).contains("**Fix:**"), "{incident}: no fix");
    }
}

fn section(incident: &str) -> &'static str {
    let section = PAGE.split("\n## ").find(|section| section.lines().next() == Some(incident));
    section.unwrap_or_else(|| panic!("no section {incident}"))
}

/// The blocks of the page below the heading `incident` that begin with this fence.
fn block(incident: &str, fence: &str) -> Vec<&'static str> {
    let block =
        section(incident).split(&format!("```{fence}\n")).nth(1).and_then(|rest| rest.split("\n```").next());
    block.unwrap_or_else(|| panic!("no block {fence} in {incident}")).lines().collect()
}

/// Runs a command as an operator does: in a shell that has the program on its PATH, in the folder of the configuration.
fn in_shell(command: &str, folder: &Path) -> Ended {
    let program = Path::new(env!("CARGO_BIN_EXE_salesbot-bridge"));
    let mut shell = undisturbed(Command::new("sh"));
    shell.args(["-c", r#"PATH="$0:$PATH"; eval "$1""#]).arg(program.parent().unwrap()).arg(command);
    shell.current_dir(folder);
    run(shell)
}

/// Runs the commands of an incident, then its steps in the dashboard, and expects the texts that `docs/drills.md` shows.
async fn drill(incident: &str, home: &Home, serve: &Serve, host: &str) {
    in_terminal(incident, home, host);
    let Some(tools) = Tools::found("a drill in the dashboard") else { return };
    let texts: Vec<String> = block(incident, "page").iter().map(|text| text.replace("HOST", host)).collect();
    let scenario = json!({
        "base": format!("http://{}", serve.admin),
        "steps": block(incident, "dashboard"),
        "texts": texts,
    });
    tools.run("drill.mjs", &home.path("scenario.json"), scenario).await;
}

fn in_terminal(incident: &str, home: &Home, host: &str) {
    let folder = home.config().parent().unwrap().to_owned();
    assert!(INCIDENTS.contains(&incident));
    let commands = block(incident, "sh");
    let (mut id, mut output) = (String::new(), String::new());
    for command in commands {
        let ended = in_shell(&command.replace("ID", &id), &folder);
        let first_job = ended.out.lines().nth(1).and_then(|line| line.split_whitespace().next());
        if command.contains("jobs list") {
            id = first_job.unwrap_or_default().to_owned();
        }
        output.push_str(&format!("$ {command}\n{}\n{}\n", ended.out, ended.err));
    }
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let found = words(&output);
    for text in block(incident, "text") {
        let text = words(&text.replace("HOST", host));
        assert!(found.contains(&text), "{incident}: no `{text}` in\n{output}");
    }
}

/// Starts the bridge, and writes the address of its admin listener into the configuration, as an operator has it there.
fn serve(home: &Home) -> Serve {
    let serve = home.serve();
    let text = fs::read_to_string(home.config()).unwrap();
    let here = format!("admin.listen = \"{}\"", serve.admin);
    fs::write(home.config(), text.replace("admin.listen = \"127.0.0.1:0\"", &here)).unwrap();
    serve
}

/// A bot that talks about the lead with this number.
fn bot(kommo: &Simulator, lead: &str) -> Bot {
    let mut plan = Plan::with_data(json!({ "message": "x".repeat(2_000) }));
    plan.token.claims.insert("entity_id".to_owned(), json!(lead));
    kommo.bot(plan)
}

async fn ask(kommo: &Simulator, url: &str) -> Bot {
    let bot = bot(kommo, LEAD);
    assert_eq!(bot.call(url).await.unwrap().status, 200);
    bot
}

fn host(kommo: &Simulator) -> &str {
    kommo.base_url().trim_start_matches("http://")
}

/// Polls until the bridge explains the newest job with this code.
async fn explained(serve: &Serve, code: &str) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        let (_, page) = serve.get("/api/v1/jobs?limit=1").await;
        let id = page["jobs"][0]["id"].as_str().unwrap().to_owned();
        let (_, explained) = serve.get(&format!("/api/v1/jobs/{id}/explain")).await;
        if explained["because"][0]["code"] == code {
            return;
        }
        assert!(Instant::now() < deadline, "never {code}: {explained}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drill_wrong_token() {
    let kommo = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&kommo, "");
    let text = fs::read_to_string(home.config()).unwrap();
    fs::write(home.config(), text.replace(&kommo.options().access_token, "a-token-that-is-wrong")).unwrap();
    let serve = serve(&home);
    ask(&kommo, &serve.url("echo")).await;
    explained(&serve, "unauthorized").await;
    drill("Wrong token", &home, &serve, host(&kommo)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drill_429_storm() {
    let kommo = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&kommo, "");
    let serve = serve(&home);
    kommo.set_outage(Some(Fault::TooManyRequests { header: Some(300), body: None }));
    ask(&kommo, &serve.url("echo")).await;
    explained(&serve, "too_many").await;
    drill("429 storm", &home, &serve, host(&kommo)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drill_failing_handler() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let tool = Router::new().fallback(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "the model is down") });
    tokio::spawn(async move { axum::serve(listener, tool).await });
    let kommo = Simulator::start(Options::default()).await.unwrap();
    let more = format!(
        "handlers.tool = {{ kind = \"http\", url = \"{url}\", auth = \"Bearer x\", max_attempts = 1 }}"
    );
    let home = Home::new(&kommo, &more);
    let serve = serve(&home);
    ask(&kommo, &serve.url("tool")).await.continued().await;
    serve.settled().await;
    drill("Failing handler", &home, &serve, host(&kommo)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drill_disconnected_account() {
    let both = connected::kommos().await;
    let home = connected::home(&both, "");
    let serve = serve(&home);
    ask(&both[1], &serve.url("echo")).await;
    explained(&serve, "not_connected").await;
    drill("Disconnected account", &home, &serve, host(&both[1])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drill_full_disk() {
    let kommo = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&kommo, "");
    let disk = match Disk::mount(&home.path("disk"), "8m") {
        Ok(disk) => disk,
        Err(reason) => {
            return println!(
                "SKIPPED the drill of the full disk: no file system can be mounted here: {reason}"
            );
        }
    };
    home.configure(&kommo, &disk.0.join("bridge.db"), "");
    let serve = serve(&home);
    disk.fill();
    let deadline = Instant::now() + TEST_TIMEOUT;
    // The files still have some free pages.
    let url = serve.url("echo");
    while bot(&kommo, "5").call(&url).await.is_ok_and(|ack| ack.status == 200)
        || serve.get("/health/ready").await.0 == 200
    {
        assert!(Instant::now() < deadline, "the disk is not full");
    }
    assert_eq!(bot(&kommo, LEAD).call(&url).await.unwrap().status, 503);
    drill("Full disk", &home, &serve, host(&kommo)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drill_wrong_path_in_the_widget() {
    let kommo = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&kommo, "");
    let serve = serve(&home);
    let wrong = serve.url("echo").replace("widget_request", "widget_reqest");
    assert_eq!(bot(&kommo, LEAD).call(&wrong).await.unwrap().status, 404);
    drill("Wrong path in the widget", &home, &serve, host(&kommo)).await;
}
