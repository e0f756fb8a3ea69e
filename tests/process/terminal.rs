//! Tests of the output of commands on a terminal and in a pipe.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};
use simulator::{Fault, Options, Plan, Simulator};

use crate::home::Home;
use crate::pty::{Pty, Shown};

/// The output of `command` on a terminal with this many columns.
fn shown(mut command: Command, columns: u16) -> String {
    let Pty { person, process } = Pty::open(columns);
    command.stdin(Stdio::null()).stdout(process).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // The child must hold the last writer, so that the reader sees its end.
    drop(command);
    let reader = thread::spawn(move || {
        let mut text = String::new();
        Shown(person).read_to_string(&mut text).unwrap();
        text.replace("\r\n", "\n")
    });
    assert_eq!(child.wait().unwrap().code(), Some(0));
    reader.join().unwrap()
}

/// `command` for a terminal that shows colours, with no variable that turns them on or off.
fn in_colour(mut command: Command) -> Command {
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color");
    command
}

/// The text without colours.
fn plain(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').unwrap().1)
}

/// A home whose store holds two dead jobs and a delivered one; the ids of all, newest first.
async fn three_jobs() -> (Simulator, Home, Vec<String>) {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    for faults in [vec![], vec![Fault::Status(422); 2], vec![Fault::Status(422); 2]] {
        let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })).faults(faults));
        assert_eq!(bot.call(&serve.url("echo")).await.unwrap().status, 200);
    }
    serve.reaches("dead", 2).await;
    serve.settled().await;
    serve.stop();
    let page = home.run(&["jobs", "list", "--json"]).expect(0).json();
    let ids = page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned());
    let ids: Vec<String> = ids.collect();
    assert_eq!(ids.len(), 3);
    (simulator, home, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_gets_one_line_per_job_and_a_pipe_gets_everything() {
    let (_simulator, home, ids) = three_jobs().await;
    let list = || in_colour(home.command(&["jobs", "list"]));
    let text = shown(list(), 80);
    assert!(text.contains("\u{1b}[31mdead\u{1b}[0m"), "{text:?}");
    let text = plain(&text);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
    for (line, id) in lines[1..].iter().zip(&ids) {
        let short = line.split(' ').next().unwrap();
        assert!(short.len() >= 13 && short.len() < id.len() && id.starts_with(short), "{short} of {id}");
        let job = home.run(&["jobs", "show", short, "--json"]).expect(0).json();
        assert_eq!(job["id"], Value::from(id.as_str()));
    }

    let mut uncoloured = list();
    uncoloured.env("NO_COLOR", "1");
    let uncoloured = shown(uncoloured, 80);
    assert!(uncoloured.contains("  dead  ") && !uncoloured.contains('\u{1b}'), "{uncoloured:?}");
    let mut narrow = list();
    narrow.env("COLUMNS", "50");
    assert!(plain(&shown(narrow, 80)).lines().all(|line| line.chars().count() <= 50));
    let wide = plain(&shown(list(), 200));
    assert!(wide.contains("ACCOUNT") && wide.contains("TRIES"), "{wide}");

    let piped = home.run(&["jobs", "list"]).expect(0).out;
    assert!(ids.iter().all(|id| piped.contains(id.as_str())) && piped.contains("TRIES"), "{piped}");
    assert!(!piped.contains('…') && !piped.contains('\u{1b}'), "{piped}");
    let mut forced = list();
    forced.env("CLICOLOR_FORCE", "1").env("COLUMNS", "50");
    let forced = String::from_utf8(forced.output().unwrap().stdout).unwrap();
    assert!(forced.contains("\u{1b}[31mdead"), "{forced:?}");
    assert!(ids.iter().all(|id| forced.contains(id.as_str())), "a pipe gets every id whole: {forced:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_table_is_wider_than_the_terminal() {
    let (_simulator, home, ids) = three_jobs().await;
    for arguments in [
        &["jobs", "show", &ids[0]][..],
        &["jobs", "list", "--q", "1"],
        &["accounts", "list"],
        &["widgets", "list"],
    ] {
        let text = plain(&shown(in_colour(home.command(arguments)), 80));
        for line in
            text.lines().filter(|line| !line.starts_with("return_url") && !line.starts_with("completion"))
        {
            assert!(line.chars().count() <= 80, "{arguments:?}: {line:?} in\n{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_may_be_shortened_and_an_ambiguous_one_is_refused() {
    let (_simulator, home, ids) = three_jobs().await;
    let dead = &ids[0];
    // All three were received within minutes, so their ids begin with the same digits.
    let ambiguous = home.run(&["jobs", "retry", &dead[..4]]).expect(1);
    assert!(ambiguous.err.contains("several jobs have ids that begin with"), "{}", ambiguous.err);
    assert!(ids.iter().all(|id| ambiguous.err.contains(id.as_str())), "{}", ambiguous.err);
    let unknown = home.run(&["jobs", "show", "ffff-ffff"]).expect(1);
    assert!(
        unknown.err.contains("begins with ffffffff") && unknown.err.contains("jobs list"),
        "{}",
        unknown.err
    );
    home.run(&["jobs", "show", "018"]).expect(2);
    let short = dead[..dead.len() - 2].replace('-', "").to_uppercase();
    let retried = home.run(&["jobs", "retry", &short]).expect(0);
    assert_eq!(retried.out, format!("{dead} is now delivering"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_one_line_with_its_advice_below_at_any_width() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    simulator.set_outage(Some(Fault::PaymentRequired));
    let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })));
    assert_eq!(bot.call(&serve.url("echo")).await.unwrap().status, 200);
    let list = || home.command(&["accounts", "list"]);
    while !String::from_utf8(list().output().unwrap().stdout).unwrap().contains("402") {}
    for columns in (60..=220).step_by(20) {
        let text = plain(&shown(in_colour(list()), columns));
        let mut lines = text.lines();
        let titles = lines.next().unwrap();
        let row = lines.next().unwrap();
        assert!(titles.starts_with("ACCOUNT") && titles.ends_with("WAITING"), "{columns}\n{text}");
        assert!(row.contains("paused") && row.ends_with("  1"), "{columns}\n{text}");
        assert!(lines.next().unwrap().starts_with("  → Kommo answered 402"), "{columns}\n{text}");
        assert!(lines.all(|line| line.starts_with("    ")), "{columns}\n{text}");
    }
    serve.stop();
}

#[test]
fn an_error_about_an_argument_shows_its_control_characters() {
    for arguments in [
        &["\u{1b}[31mserv\u{7}"][..],
        &["jobs", "list", "--stat\u{1b}[2J"],
        &["simulate", "--listen=\u{1b}]0;title\u{7}"],
        &["bench", "--rate", "\u{9b}2J"],
    ] {
        let mut command = crate::process::program();
        let ended = crate::process::run({
            command.args(arguments);
            command
        })
        .expect(2);
        assert!(
            ended.err.starts_with("error: ") && ended.err.contains("\\u00"),
            "{arguments:?}: {}",
            ended.err
        );
        let steers = |letter: char| letter.is_control() && letter != '\n';
        assert!(!ended.err.contains(steers), "{:?}", ended.err);
    }
}
