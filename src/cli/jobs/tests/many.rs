//! Changes of many jobs, and the log of actions.

use super::*;

#[tokio::test]
async fn texts_are_erased_after_a_dry_run_or_with_yes() {
    let jobs = Jobs::new().await;
    let dead = jobs.make("echo", StateName::Dead).await.to_string();
    let (text, error) = run(&jobs, false, &["erase", "--lead", "7", "--dry-run"]).await;
    assert_eq!((text.lines().count(), error), (1, None), "{text}");
    let (_, error) = run(&jobs, false, &["erase", "--lead", "7"]).await;
    assert!(error.unwrap().contains("add --yes to erase"));
    assert!(run_json(&jobs, &["show", &dead]).await["data"].is_object(), "nothing was erased so far");

    let erased = run_json(&jobs, &["erase", "--lead", "7", "--yes"]).await;
    assert_eq!(
        (&erased["state"], &erased["changed"], &erased["who"]),
        (&json!("done"), &json!(1), &json!("ann"))
    );
    let job = run_json(&jobs, &["show", &dead]).await;
    assert_eq!(
        (&job["data"], &job["last_error"], &job["state"]),
        (&Value::Null, &Value::Null, &json!("dead"))
    );

    let queued = jobs.make("echo", StateName::Queued).await.to_string();
    let (text, error) = run(&jobs, false, &["erase", "--lead", "7", "--yes"]).await;
    assert!(text.starts_with("Erased the texts of 0 jobs of lead:7.\n"), "{text}");
    assert!(error.unwrap().starts_with("1 unfinished job was not erased"));
    let erased = run_json(&jobs, &["erase", "--lead", "7", "--cancel-unfinished", "--yes"]).await;
    assert_eq!((&erased["changed"], &erased["skipped"]), (&json!(1), &json!(0)));
    assert_eq!(run_json(&jobs, &["show", &queued]).await["state"], "cancelled");
}

#[tokio::test]
async fn changes_by_commands_are_in_the_log_of_actions() {
    let jobs = Jobs::new().await;
    let dead = jobs.make("echo", StateName::Dead).await;
    let queued = jobs.make("echo", StateName::Queued).await;
    run_json(&jobs, &["retry", &dead.to_string()]).await;
    run_json(&jobs, &["cancel", &queued.to_string()]).await;
    run_json(&jobs, &["retry", "--dead", "--handler", "echo"]).await;
    let log = jobs.store.actions(&store::ActionFilter::default(), None, 9).await.unwrap().actions;
    let log: Vec<_> = log.iter().map(|action| (&*action.what, action.job_id, action.by.name())).collect();
    assert_eq!(
        log,
        [
            ("jobs retry", None, "ann"),
            ("jobs cancel", Some(queued), "ann"),
            ("jobs retry", Some(dead), "ann"),
        ]
    );
}

#[tokio::test]
async fn jobs_that_match_a_filter_are_changed_after_a_dry_run() {
    let jobs = Jobs::new().await;
    let dead = jobs.make("echo", StateName::Dead).await.to_string();
    let other = jobs.make("other", StateName::Dead).await.to_string();
    let (_, error) = run(&jobs, false, &["retry", "--filter", "handler:echo"]).await;
    assert!(error.unwrap().contains("add --dry-run to see"));
    let (_, error) = run(&jobs, false, &["retry", "--filter", " ", "--yes"]).await;
    assert!(error.unwrap().contains("--filter is empty"));
    let plan = run_json(&jobs, &["retry", "--filter", "handler:echo", "--dry-run"]).await;
    let filter = "handler:echo state:dead,gone,delivering";
    assert_eq!((&plan["jobs"], &plan["filter"], &plan["token"]), (&json!(1), &json!(filter), &Value::Null));
    let (text, _) = run(&jobs, false, &["retry", "--filter", "handler:echo", "--dry-run"]).await;
    assert!(text.starts_with(&format!("1 job of {filter}\n  account 1: 1\n")), "{text}");
    assert_eq!(run_json(&jobs, &["show", &dead]).await["state"], "dead");

    let (text, error) = run(&jobs, false, &["retry", "--filter", "handler:echo", "--yes"]).await;
    assert_eq!((text, error), (format!("Retried 1 job of {filter}\n"), None));
    assert_eq!(run_json(&jobs, &["show", &dead]).await["state"], "delivering");
    assert_eq!(run_json(&jobs, &["show", &other]).await["state"], "dead");
    let done = run_json(&jobs, &["cancel", "--filter", "state:delivering", "--yes"]).await;
    assert_eq!((&done["changed"], &done["state"]), (&json!(1), &json!("done")));
    let (_, error) = run(&jobs, false, &["stop", &done["id"].to_string()]).await;
    assert!(error.unwrap().contains("has already ended"));
    let (_, error) = run(&jobs, false, &["stop", "99"]).await;
    assert!(error.unwrap().contains("bulk change 99 not found"));
    let none = run_json(&jobs, &["cancel", "--filter", "state:queued", "--yes"]).await;
    assert_eq!((&none["jobs"], &none["oldest"]), (&json!(0), &Value::Null));
}
