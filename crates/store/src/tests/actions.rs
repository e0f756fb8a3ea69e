//! The log of actions: which actions are in it, and how many.

use super::*;

fn ann() -> Actor {
    Actor::new(ActionSource::Api, "admin.token")
}

/// Returns the log, newest first: what was done, to what, to how many jobs, and by whom.
async fn log(store: &Store) -> Vec<(String, Option<JobId>, Option<String>, u64, String)> {
    let page = store.actions(None, 100).await.unwrap();
    let row = |action: Action| {
        let by = format!("{} {}", action.by.source().as_str(), action.by.name());
        (action.what, action.job_id, action.target, action.jobs, by)
    };
    page.actions.into_iter().map(row).collect()
}

#[tokio::test]
async fn each_change_by_an_operator_is_in_the_log_with_its_actor() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    let cancelled = home.queued(&store).await;
    let completed = home.queued(&store).await;
    let by = store.operator(ann());
    by.retry_with(dead, RetryOptions::default()).await.unwrap();
    by.cancel(cancelled).await.unwrap();
    by.complete(completed, CheckedCompletion::failed()).await.unwrap();
    home.dead(&store).await;
    home.dead(&store).await;
    by.retry_dead(Some(handler("greet")), false).await.unwrap();
    by.ask_resume(ORIGIN.into()).await.unwrap();
    by.record("backup", "/var/backups/a.db", ActionResult::Done).await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    let who = "api admin.token".to_owned();
    let expected = [
        ("backup", None, text("/var/backups/a.db"), 0),
        ("accounts resume", None, text("one.kommo.com"), 0),
        ("jobs retry", None, text("state:dead handler:greet"), 2),
        ("jobs complete", Some(completed), None, 1),
        ("jobs cancel", Some(cancelled), None, 1),
        ("jobs retry", Some(dead), None, 1),
    ];
    let expected: Vec<_> =
        expected.map(|(what, id, target, jobs)| (what.to_owned(), id, target, jobs, who.clone())).into();
    assert_eq!(log(&store).await, expected);
}

#[tokio::test]
async fn a_refused_change_is_not_in_the_log() {
    let home = Home::new();
    let store = home.serve().await;
    let dead = home.dead(&store).await;
    let by = store.operator(ann());
    by.cancel(dead).await.unwrap_err();
    by.retry_with(home.queued(&store).await, RetryOptions::default()).await.unwrap_err();
    by.complete(dead, CheckedCompletion::failed()).await.unwrap_err();
    assert!(!by.remove_account(AccountKey::new(AccountId(7), "none")).await.unwrap());
    assert_eq!(log(&store).await, []);
}

#[tokio::test]
async fn the_log_is_read_in_pages() {
    let home = Home::new();
    let store = home.serve().await;
    let by = store.operator(ann());
    for number in 1..=5 {
        by.record("backup", number.to_string(), ActionResult::Done).await.unwrap();
    }
    let (mut before, mut pages) = (None, Vec::new());
    loop {
        let page = store.actions(before, 2).await.unwrap();
        pages.push(page.actions.iter().map(|action| action.target.clone().unwrap()).collect::<Vec<_>>());
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec!["5", "4"], vec!["3", "2"], vec!["1"]]);
}
