//! `jobs explain` and `jobs errors` beside the owner of a store.

use super::*;

#[tokio::test]
async fn a_job_is_explained_by_the_store_which_says_what_it_does_not_know() {
    let jobs = Jobs::new().await;
    let queued = jobs.make("echo", StateName::Queued).await;
    let explained = run_json(&jobs, &["explain", &queued.to_string()]).await;
    assert_eq!(explained["because"][0]["code"], "worker", "{explained}");
    assert_eq!(explained["unknown"].as_array().unwrap().len(), 2, "{explained}");
    let (text, error) = run(&jobs, false, &["explain", &queued.to_string()]).await;
    assert_eq!(error, None);
    for part in [
        "summary       queued: it waits for a free worker",
        "because       worker: it waits for a free worker (for 0 s)",
        "next          the bot gets the fallback, unless there is an answer before (in 50 s)",
        "you can       cancel it: its bot is not continued",
        &format!("              salesbot-bridge jobs cancel {queued}"),
        "unknown       whether a worker is free",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let dead = jobs.make("greet", StateName::Dead).await;
    let (text, _) = run(&jobs, false, &["explain", &dead.to_string()]).await;
    assert!(text.contains("because       refused: ") && text.contains("jobs errors 1"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("unknown "), "{text}");
}

#[tokio::test]
async fn errors_are_listed_in_groups_and_a_group_is_retried() {
    let jobs = Jobs::new().await;
    assert_eq!(run(&jobs, false, &["errors"]).await.0, "No errors.\n");
    let dead = jobs.make("echo", StateName::Dead).await;
    jobs.make_fallback("greet", FallbackReason::Failed).await;
    let listed = run_json(&jobs, &["errors"]).await;
    let groups = listed["errors"].as_array().unwrap();
    assert_eq!((groups.len(), &groups[0]["handler"]), (2, &json!("greet")), "{listed}");
    let group = groups[1]["id"].to_string();
    assert_eq!(run_json(&jobs, &["errors", &group]).await, groups[1]);
    let (text, _) = run(&jobs, false, &["errors"]).await;
    assert!(text.contains("no such lead") && text.contains("delivery"), "{text}");
    let (text, _) = run(&jobs, false, &["errors", &group]).await;
    assert!(text.contains(&format!("jobs retry --error-group {group}")), "{text}");
    let (_, error) = run(&jobs, false, &["errors", "77"]).await;
    assert!(error.unwrap().contains("error group 77 not found"));
    let (_, error) = run(&jobs, false, &["retry", "--error-group", "77"]).await;
    assert!(error.unwrap().contains("error group 77 not found"));
    let retried = run_json(&jobs, &["retry", "--error-group", &group]).await;
    assert_eq!(retried, json!({ "retried": 1, "superseded": 0 }));
    let (job, _) = jobs.store.jobs().get(dead).await.unwrap().unwrap();
    assert_eq!(job.summary().state, StateName::Delivering);
}
