//! The log of actions: which actions are in it, and how many.

use super::accounts::{connect, connection, key};
use super::*;

fn ann() -> Actor {
    Actor::new(ActionSource::Api, "admin.token")
}

/// Returns the log, newest first: what was done, to what, to how many jobs, and by whom.
async fn log(store: &Store) -> Vec<(String, Option<JobId>, Option<String>, u64, String)> {
    let page = store.actions(&ActionFilter::default(), None, 100).await.unwrap();
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
    by.record(ActionKind::Backup, "/var/backups/a.db", ActionResult::Done).await.unwrap();
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

/// Does what `kind` stands for.
async fn perform(kind: ActionKind, home: &Home, store: &Store) {
    let by = store.operator(ann());
    match kind {
        ActionKind::JobsRetry => {
            by.retry_with(home.dead(store).await, RetryOptions::default()).await.unwrap();
        }
        ActionKind::JobsCancel => by.cancel(home.queued(store).await).await.unwrap(),
        ActionKind::JobsComplete => {
            by.complete(home.queued(store).await, CheckedCompletion::failed()).await.unwrap();
        }
        ActionKind::JobsReveal => by.record_reveal(home.queued(store).await).await.unwrap(),
        ActionKind::JobsErase => {
            by.begin_erasure(Erasure::new(None, Some(AccountId(7))).unwrap(), false).await.unwrap();
        }
        ActionKind::JobsStop => {
            let id = by.begin_erasure(Erasure::new(None, Some(AccountId(7))).unwrap(), false).await.unwrap();
            assert!(by.stop_bulk(id).await.unwrap());
        }
        ActionKind::AccountsConfirm => {
            let new = NewConnection { by: Some(ann()), ..connection(7, ORIGIN, 1) };
            store.accounts().connect(new).await.unwrap();
        }
        ActionKind::AccountsResume => by.ask_resume(ORIGIN.into()).await.unwrap(),
        ActionKind::AccountsRemove => {
            connect(store, 7, ORIGIN, 1).await;
            assert!(by.remove_account(key(7)).await.unwrap());
        }
        // They change nothing in the store, or replace it as a whole. `tests/process/actions.rs` tests that the commands
        // record them.
        ActionKind::AccountsAuthorize
        | ActionKind::WidgetsInstall
        | ActionKind::WidgetsUninstall
        | ActionKind::Backup
        | ActionKind::Restore
        | ActionKind::StoreVacuum => by.record(kind, "", ActionResult::Done).await.unwrap(),
    }
}

#[tokio::test]
async fn each_kind_of_action_is_in_the_log_under_its_name() {
    for kind in ActionKind::ALL {
        let home = Home::new();
        let store = home.serve().await;
        perform(kind, &home, &store).await;
        let action = store.actions(&ActionFilter::default(), None, 1).await.unwrap().actions.pop();
        let action = action.unwrap_or_else(|| panic!("{kind:?} is not in the log"));
        assert_eq!(
            (action.what.as_str(), action.by, action.at),
            (kind.as_str(), ann(), home.now()),
            "{kind:?}"
        );
    }
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
        by.record(ActionKind::Backup, number.to_string(), ActionResult::Done).await.unwrap();
    }
    let (mut before, mut pages) = (None, Vec::new());
    loop {
        let page = store.actions(&ActionFilter::default(), before, 2).await.unwrap();
        pages.push(page.actions.iter().map(|action| action.target.clone().unwrap()).collect::<Vec<_>>());
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec!["5", "4"], vec!["3", "2"], vec!["1"]]);
}

#[tokio::test]
async fn the_log_is_filtered_by_job_kind_source_and_actor_page_by_page() {
    let home = Home::new();
    let store = home.serve().await;
    let (first, second) = (home.queued(&store).await, home.queued(&store).await);
    let bob = Actor::new(ActionSource::Cli, "bob");
    store.operator(ann()).record_reveal(first).await.unwrap();
    store.operator(bob.clone()).cancel(first).await.unwrap();
    store.operator(ann()).cancel(second).await.unwrap();
    store.operator(bob).record(ActionKind::Backup, "/a.db", ActionResult::Done).await.unwrap();
    let any = ActionFilter::default;
    for (filter, expected) in [
        (any(), vec![4, 3, 2, 1]),
        (ActionFilter::on_job(first), vec![2, 1]),
        (ActionFilter { kind: Some(ActionKind::JobsCancel), ..any() }, vec![3, 2]),
        (ActionFilter { source: Some(ActionSource::Cli), ..any() }, vec![4, 2]),
        (ActionFilter { source: Some(ActionSource::Page), ..any() }, vec![]),
        (ActionFilter { who: Some("bob".to_owned()), ..any() }, vec![4, 2]),
        (ActionFilter { who: Some("bo".to_owned()), ..any() }, vec![]),
        (ActionFilter { who: Some("bob".to_owned()), ..ActionFilter::on_job(first) }, vec![2]),
    ] {
        let (mut before, mut found) = (None, Vec::new());
        loop {
            let page = store.actions(&filter, before, 1).await.unwrap();
            found.extend(page.actions.iter().map(|action| action.id));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{filter:?}");
    }
}
