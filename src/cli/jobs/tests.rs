//! Tests of `jobs` beside the owner of a store.

mod explain;
mod many;

use clap::Parser;

use crate::admin::fixture::Jobs;
use model::{FallbackReason, StateName};

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn parse(arguments: &[&str]) -> Result<Command, clap::Error> {
    Cli::try_parse_from([&["jobs"], arguments].concat()).map(|cli| cli.args.command)
}

const TERMINAL: Screen = Screen { width: Some(80), colours: true };

/// Runs `jobs` with these arguments beside the owner of the store.
async fn run(jobs: &Jobs, json: bool, arguments: &[&str]) -> (String, Option<String>) {
    run_on(Screen::FILE, jobs, json, arguments).await
}

async fn run_on(screen: Screen, jobs: &Jobs, json: bool, arguments: &[&str]) -> (String, Option<String>) {
    let store = Store::open(&jobs.url, Role::Observer, jobs.clock.clock()).await.unwrap();
    let fallback = CheckedCompletion::from_json(r#"{"data":{"status":"sorry"}}"#).unwrap();
    let policy = HandlerPolicy { fallback, ..HandlerPolicy::default() };
    let configured =
        BTreeMap::from([("echo".parse().unwrap(), HandlerConfig { policy, ..HandlerConfig::default() })]);
    let mut session = Session {
        store: &store,
        configured: &configured,
        bridge: None,
        handlers: HashSet::from(["echo".to_owned()]),
        is_served: store::file::is_served(&jobs.url),
        account_names: AccountNames::default(),
        clock: jobs.clock.clock(),
        json,
        screen,
        notice: |_| {},
        ask: None,
        rates: DeliveryRates { per_account: 7, total: None },
        operator: store.operator(store::Actor::new(store::ActionSource::Cli, "ann")),
        out: Vec::new(),
    };
    let done = session.run(parse(arguments).unwrap()).await;
    let text = String::from_utf8(session.out).unwrap();
    store.close().await;
    (text, done.err().map(|error| error.to_string()))
}

async fn run_json(jobs: &Jobs, arguments: &[&str]) -> Value {
    let (text, error) = run(jobs, true, arguments).await;
    assert_eq!(error, None);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn wrong_usage_is_refused_before_the_store_is_opened() {
    let id = "018bcfe5-687b-7000-8000-000000000001";
    for good in [
        vec!["list"],
        vec!["list", "state:dead", "handler:echo", "--limit", "5"],
        vec!["list", "-state:delivered", "--state", "dead"],
        vec!["list", "--limit", "5", "-state:delivered", "lead:5"],
        vec!["list", "lead:7 -is:late", "--limit", "5"],
        vec!["list", "--q", "-is:late"],
        vec!["retry", id, id],
        vec!["retry", "--dead"],
        vec!["retry", "--dead", "--handler", "echo"],
        vec!["retry", "--dead", "--force"],
        vec!["retry", "--error-group", "7"],
        vec!["errors"],
        vec!["errors", "7"],
        vec!["explain", "018b"],
        vec!["retry", id, "--force", "--send", "handler"],
        vec!["cancel", id],
        vec!["cancel", "018b"],
        vec!["complete", "018b", "--data", r#"{"reply": "Hi"}"#],
        vec!["erase", "--lead", "7"],
        vec!["retry", "--filter", "state:dead", "--force"],
        vec!["cancel", "--filter", "-handler:echo", "--dry-run"],
        vec!["cancel", "--filter", "state:queued", "--yes"],
        vec!["stop", "12"],
        vec!["erase", "--contact", "7", "--account", "31", "--yes"],
        vec!["erase", "--account", "31", "--cancel-unfinished", "--dry-run"],
    ] {
        assert!(parse(&good).is_ok(), "{good:?}");
    }
    for bad in [
        vec!["retry"],
        vec!["retry", id, "--dead"],
        vec!["retry", id, "--error-group", "7"],
        vec!["retry", "--dead", "--error-group", "7"],
        vec!["retry", "--error-group", "7", "--send", "handler"],
        vec!["errors", "greet"],
        vec!["explain"],
        vec!["retry", id, "--handler", "echo"],
        vec!["retry", id, "--send", "both"],
        vec!["retry", "--dead", "--send", "handler"],
        vec!["cancel"],
        vec!["complete", id],
        vec!["erase"],
        vec!["retry", id, "--filter", "state:dead"],
        vec!["retry", "--dead", "--filter", "state:dead"],
        vec!["retry", "--filter", "state:dead", "--send", "handler"],
        vec!["retry", "--dead", "--yes"],
        vec!["cancel", id, "--dry-run"],
        vec!["stop", "x"],
        vec!["erase", "--cancel-unfinished"],
        vec!["erase", "--lead", "7", "--contact", "8"],
        vec!["erase", "--lead", "0"],
        vec!["erase", "--lead", "7", "--dry-run", "--yes"],
        vec!["complete", id, "--data", "{"],
        vec!["complete", id, "--data", "[]"],
        vec!["list", "--outcome", "ok"],
        vec!["show", "nonsense"],
        vec!["show", "018"],
        vec!["list", "--limit", "501"],
        vec!["list", "--state", "lost"],
        vec!["list", "--stat", "dead"],
        vec!["list", "lead:7", "-is:late"],
    ] {
        assert_eq!(parse(&bad).unwrap_err().exit_code(), 2, "{bad:?}");
    }
}

#[tokio::test]
async fn list_and_show_print_text_and_json() {
    let jobs = Jobs::new().await;
    let dead = jobs.make("echo", StateName::Dead).await.to_string();
    let queued = jobs.make("echo", StateName::Queued).await.to_string();
    let page = run_json(&jobs, &["list", "--limit", "1"]).await;
    assert_eq!((&page["jobs"][0]["id"], &page["next_cursor"]), (&json!(queued), &json!(queued)));
    let page = run_json(&jobs, &["list", "--state", "dead", "--handler", "echo", "--q", "hello"]).await;
    assert_eq!((&page["jobs"][0]["id"], &page["next_cursor"]), (&json!(dead), &Value::Null));
    assert_eq!(run_json(&jobs, &["show", &dead]).await["attempts"][1]["status"], 400);

    let (text, _) = run(&jobs, false, &["list", "--limit", "1"]).await;
    assert!(text.contains(&queued) && text.lines().count() == 2, "{text}");
    let (text, _) = run(&jobs, false, &["show", &dead]).await;
    for word in [dead.as_str(), "dead", "https://a1.kommo.com", "lead 7", "TooLong", "400", "delivery"] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "text from outside cannot control the terminal");

    let missing = "018bcfe5-687b-7000-8000-000000000001";
    let (_, error) = run(&jobs, false, &["show", missing]).await;
    let error = error.unwrap();
    assert!(error.starts_with(&format!("job {missing} not found: `jobs list lead:N`")), "{error}");
}

#[tokio::test]
async fn a_list_takes_a_filter_in_words_or_in_options() {
    let jobs = Jobs::new().await;
    let dead = jobs.make("echo", StateName::Dead).await.to_string();
    let queued = jobs.make("greet", StateName::Queued).await.to_string();
    let lead = "https://a1.kommo.com/leads/detail/7";
    for (arguments, expected) in [
        (&["state:dead"][..], vec![&dead]),
        (&["state:dead,queued", "handler:greet"], vec![&queued]),
        (&["-state:dead"], vec![&queued]),
        (&["lead:7", "--state", "dead"], vec![&dead]),
        (&[lead], vec![&dead]),
        (&["status:400"], vec![&dead]),
        (&["waiting:worker"], vec![&queued]),
        (&["--q", "handler:greet hello"], vec![&queued]),
        (&["account:1 error:TOOLONG"], vec![&dead]),
        (&[&dead], vec![&dead]),
        (&[], vec![&queued, &dead]),
    ] {
        let page = run_json(&jobs, &[&["list"], arguments].concat()).await;
        let ids: Vec<&str> =
            page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{arguments:?}");
        assert_eq!((&page["stopped"], &page["stopped_because"]), (&json!(false), &Value::Null));
    }
    let (_, error) = run(&jobs, false, &["list", "handler:greet", "stat:dead"]).await;
    let error = error.unwrap();
    let expected =
        "invalid filter `handler:greet stat:dead`: at character 15: unknown key `stat` (expected one of:";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test]
async fn a_job_is_completed_and_its_notes_are_shown() {
    let jobs = Jobs::new().await;
    let id = jobs.make("echo", StateName::AwaitingCallback).await;
    jobs.store.callbacks().note(id, "asked\u{1b}[31m Ann").await.unwrap();
    let (text, _) = run(&jobs, false, &["show", &id.to_string()]).await;
    for word in ["awaiting_callback", "handler `echo` accepted it", "accepted", "asked", "fallback in"] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "text from outside cannot control the terminal");
    let complete = ["complete", &id.to_string(), "--data", r#"{"reply": "Hi"}"#];
    assert_eq!(run(&jobs, false, &complete).await, (format!("{id} is now delivering\n"), None));
    let shown = run_json(&jobs, &["show", &id.to_string()]).await;
    assert_eq!(shown["completion"], json!({ "data": { "reply": "Hi" } }));
    assert_eq!(shown["notes"][1]["text"], "an operator gave the completion");
    let (_, error) = run(&jobs, false, &complete).await;
    assert!(error.unwrap().contains("only a job that has no completion yet can be completed"));
}

#[tokio::test]
async fn a_terminal_shows_short_ids_that_every_command_accepts() {
    let jobs = Jobs::new().await;
    let dead = jobs.make("echo", StateName::Dead).await;
    // Received in the same millisecond: only the random parts of their ids differ.
    let (one, other) = jobs.make_two("greet").await;
    let (text, _) = run_on(TERMINAL, &jobs, false, &["list"]).await;
    let text = anstream::adapter::strip_str(&text).to_string();
    let shown: Vec<&str> = text.lines().skip(1).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(shown, [other.short(32), one.short(32), dead.short(12)], "{text}");
    for (short, id) in shown.iter().zip([other, one, dead]) {
        assert_eq!(run_json(&jobs, &["show", short]).await["id"], json!(id));
    }
    let (text, error) = run(&jobs, false, &["retry", &dead.short(11).to_uppercase()]).await;
    assert_eq!((text, error), (format!("{dead} is now delivering\n"), None));
}

#[tokio::test]
async fn an_ambiguous_id_lists_the_matching_jobs_and_changes_nothing() {
    let jobs = Jobs::new().await;
    let (one, other) = jobs.make_two("greet").await;
    let short = one.short(13);
    for command in ["show", "cancel", "retry"] {
        let (_, error) = run(&jobs, false, &[command, &short]).await;
        let error = error.unwrap();
        let expected =
            format!("several jobs have ids that begin with {short}; add digits to name one of them:\n  ");
        assert!(error.contains(&expected), "{error}");
        assert!(error.contains(&one.to_string()) && error.contains(&other.to_string()), "{error}");
    }
    assert_eq!(run_json(&jobs, &["list", "--state", "queued"]).await["jobs"].as_array().unwrap().len(), 2);
    let (_, error) = run(&jobs, false, &["show", "ffff-ffff"]).await;
    assert!(error.unwrap().starts_with("no job has an id that begins with ffffffff: `jobs list"));
}

#[tokio::test]
async fn a_job_whose_bodies_were_deleted_shows_that() {
    let jobs = Jobs::new().await;
    let id = jobs.make("echo", StateName::Delivered).await.to_string();
    let list = run_json(&jobs, &["list"]).await;
    assert_eq!((list["jobs"][0].get("data"), list["jobs"][0].get("completion")), (None, None));
    jobs.store.maintenance().set_budget(model::Budget { stored: 1, ..Default::default() });
    jobs.store.maintenance().trim().await;
    let (text, _) = run(&jobs, false, &["show", &id]).await;
    assert!(text.contains("were deleted, to free space") && text.contains("handler 1"), "{text}");
    assert!(!text.contains("hello"), "{text}");
    let job = run_json(&jobs, &["show", &id]).await;
    assert_eq!((&job["bodies_dropped"], &job["data"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn jobs_that_cannot_be_changed_are_named_and_the_others_change() {
    let jobs = Jobs::new().await;
    let dead = jobs.make("echo", StateName::Dead).await.to_string();
    let delivered = jobs.make("echo", StateName::Delivered).await.to_string();
    let (text, error) = run(&jobs, false, &["retry", &delivered, &dead]).await;
    assert_eq!(text, format!("{dead} is now delivering\n"));
    let error = error.unwrap();
    assert!(error.starts_with("1 of 2 jobs could not be retried:\n"), "{error}");
    assert!(error.contains(&format!("job {delivered} is delivered: only a job that is dead")), "{error}");

    let (text, error) = run(&jobs, true, &["cancel", &dead, &delivered]).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&answer["jobs"][0]["id"], &answer["jobs"][0]["state"]), (&json!(dead), &json!("cancelled")));
    assert_eq!(answer["failed"][0]["id"], json!(delivered));
    assert!(error.unwrap().contains("1 of 2 jobs could not be cancelled"));
}

#[tokio::test]
async fn dead_jobs_are_retried_together() {
    let jobs = Jobs::new().await;
    jobs.make("echo", StateName::Dead).await;
    jobs.make("greet", StateName::Dead).await;
    assert_eq!(
        run_json(&jobs, &["retry", "--dead", "--handler", "greet"]).await,
        json!({ "retried": 1, "superseded": 0 })
    );
    let (text, error) = run(&jobs, false, &["retry", "--dead"]).await;
    assert_eq!((text.as_str(), error), ("1 dead job is being delivered again\n", None));
    let none = json!({ "retried": 0, "superseded": 0 });
    assert_eq!(run_json(&jobs, &["retry", "--dead"]).await, none);
}

#[tokio::test]
async fn fallbacks_are_listed_with_their_reasons() {
    let jobs = Jobs::new().await;
    jobs.make("echo", StateName::Delivered).await;
    let id = jobs.make_fallback("greet", FallbackReason::Failed).await.to_string();
    let page = run_json(&jobs, &["list", "--outcome", "fallback"]).await;
    assert_eq!((page["jobs"].as_array().unwrap().len(), &page["jobs"][0]["id"]), (1, &json!(id)));
    assert_eq!(page["jobs"][0]["fallback_reason"], "failed");
    let (text, _) = run(&jobs, false, &["list"]).await;
    assert!(text.contains("fallback: failed") && text.contains("1 + 1  handler"), "{text}");
    let (text, _) = run(&jobs, false, &["show", &id]).await;
    assert!(text.contains("failed: the handler failed for good"), "{text}");
}

#[tokio::test]
async fn a_retry_sends_the_completion_of_the_handler_or_the_fallback() {
    let jobs = Jobs::new().await;
    let id = jobs.refused_twice("echo").await.to_string();
    let (text, _) = run(&jobs, false, &["show", &id]).await;
    assert!(text.contains(r#"{"reply":"hi"}"#) && text.contains("--send handler"), "{text}");
    for (send, completion) in
        [("handler", json!({ "reply": "hi" })), ("fallback", json!({ "status": "sorry" }))]
    {
        let moved = run_json(&jobs, &["retry", &id, "--send", send]).await;
        assert_eq!(moved["jobs"][0]["completion"]["data"], completion, "{moved}");
    }
}

#[tokio::test]
async fn a_superseded_job_is_retried_only_with_force() {
    let jobs = Jobs::new().await;
    let older = jobs.make("echo", StateName::Dead).await.to_string();
    let newer = jobs.next_question("echo").await.to_string();
    let (_, error) = run(&jobs, false, &["retry", &older]).await;
    let error = error.unwrap();
    assert!(error.contains(&newer) && error.contains("same return_url"), "{error}");
    let (text, error) = run(&jobs, false, &["retry", "--dead"]).await;
    assert!(error.is_none() && text.contains("1 was skipped") && text.contains("--force"), "{text}");
    let (text, error) = run(&jobs, false, &["retry", &older, "--force"]).await;
    assert_eq!((text, error), (format!("{older} is now delivering\n"), None));
}
