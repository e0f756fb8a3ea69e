//! Many operations share one transaction, and a bad one does not affect the others.

use std::sync::atomic::AtomicUsize;

use futures_util::future::join_all;
use tokio::task::unconstrained;

use super::*;
use crate::lock::lock;

/// Counts the commits of the writer's connection, starting with its own transaction.
struct CountCommits(Arc<AtomicUsize>);

impl Command for CountCommits {
    type Answer = ();

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let commits = self.0.clone();
        let count = move || {
            commits.fetch_add(1, Ordering::SeqCst);
            false
        };
        Ok(transaction.commit_hook(Some(count))?)
    }
}

async fn commits(store: &Store) -> Arc<AtomicUsize> {
    let commits = Arc::new(AtomicUsize::new(0));
    store.sqlite().execute(CountCommits(commits.clone())).await.unwrap();
    commits.store(0, Ordering::SeqCst);
    commits
}

#[tokio::test]
async fn waiting_operations_share_one_commit() {
    let home = Home::new();
    let store = home.serve().await;
    let (worker, sender) = (home.running(&store).await, home.delivering(&store).await);
    let commits = commits(&store).await;
    let open = hold(&store).await;
    let accepts = unconstrained(join_all((0..300).map(|_| home.queued(&store))));
    let release = async {
        gathered(&store, 303).await;
        assert_eq!(commits.swap(0, Ordering::SeqCst), 0);
        open.send(()).unwrap();
    };
    let (accepted, handled, sent, claimed, ()) = tokio::join!(
        accepts,
        store.jobs().handled(handled(worker, AfterHandler::HandBack)),
        store.jobs().sent(sent(sender, AfterDelivery::Delivered)),
        store.jobs().claim_work("greet".into(), 500, LEASE),
        release
    );
    assert_eq!((handled, sent), (Ok(Written::Done), Ok(Written::Done)));
    assert_eq!(
        (accepted.len(), claimed.unwrap().len()),
        (300, 301),
        "claims see the requests of their own transaction"
    );
    assert_eq!(commits.load(Ordering::SeqCst), 2, "the commit of the gate, and theirs");
}

#[tokio::test]
async fn more_operations_than_a_batch_holds_take_several_transactions() {
    let home = Home::new();
    let store = home.serve().await;
    let commits = commits(&store).await;
    let open = hold(&store).await;
    let accepts = unconstrained(join_all((0..1_100).map(|_| home.queued(&store))));
    let release = async {
        gathered(&store, 1_100).await;
        open.send(()).unwrap();
    };
    let (accepted, ()) = tokio::join!(accepts, release);
    assert_eq!(accepted.len(), 1_100);
    assert_eq!(count(&store, StateName::Queued).await, 1_100);
    assert_eq!(commits.load(Ordering::SeqCst), 1 + 3, "the commit of the gate, and theirs");
}

#[tokio::test]
async fn one_bad_operation_does_not_make_the_others_fail() {
    let home = Home::new();
    let store = home.serve().await;
    let running = home.running(&store).await;
    let (running_id, bad) = (running.id, home.request());
    // A duplicate id makes SQLite refuse the whole statement.
    let bad = NewJob { id: running_id, ..bad };
    let (good, cancelled) = (home.request(), home.queued(&store).await);
    let good_id = good.id;
    let open = hold(&store).await;
    let release = async {
        gathered(&store, 5).await;
        open.send(()).unwrap();
    };
    let (bad, good, reported, gone, broken, ()) = tokio::join!(
        store.jobs().accept(bad, COMMIT_TIMEOUT),
        store.jobs().accept(good, COMMIT_TIMEOUT),
        store.jobs().handled(handled(running, AfterHandler::Deliver(prepared("hi")))),
        store.jobs().cancel(cancelled),
        store.sqlite().sql("UPDATE nothing SET x = 1"),
        release
    );
    assert!(matches!(bad, Err(StoreError::Database(_))), "{bad:?}");
    assert!(matches!(broken, Err(StoreError::Database(_))), "{broken:?}");
    assert_eq!(good, Ok(Accepted { id: good_id, duplicate: false }));
    assert_eq!((reported, gone), (Ok(Written::Done), Ok(())));
    assert_eq!(state(&store, running_id).await, StateName::Delivering);
    assert_eq!(state(&store, cancelled).await, StateName::Cancelled);
    assert_eq!(home.number("SELECT count(*) FROM recent_keys").await, 3, "the bad one left no key");
}

#[tokio::test]
async fn a_failed_batch_changes_no_lanes() {
    let home = Home::new();
    let store = home.serve().await;
    store
        .sqlite()
        .sql("CREATE TEMP TRIGGER no BEFORE UPDATE ON main.job_counts BEGIN SELECT raise(ABORT, 'no'); END")
        .await
        .unwrap();
    let refused = store.jobs().accept(home.request(), COMMIT_TIMEOUT).await;
    assert_eq!(refused, Err(StoreError::Database("no".into())));
    assert_eq!(store.work().due(home.now()).len(), 0);
    assert_eq!((store.work().deadline(), home.number("SELECT count(*) FROM jobs").await), (None, 0));
}

#[tokio::test]
async fn restarting_the_log_does_not_wait_for_readers() {
    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    let mut reader = home.raw().await;
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    sqlx::query("SELECT count(*) FROM jobs").fetch_one(&mut reader).await.unwrap();
    home.queued(&store).await;
    store
        .sqlite()
        .operations
        .send(crate::commit::message::Message::Between(crate::sqlite::file::log::LogStep::Restart))
        .await
        .unwrap();
    store.sqlite().operations.taken().await;
    // This is shorter than the time for which the writer would wait for a reader.
    let accepted = store.jobs().accept(home.request(), Duration::from_secs(4)).await;
    assert!(accepted.is_ok(), "{accepted:?}");
}

/// Reads a setting of the writer's connection.
struct Setting(&'static str);

impl Command for Setting {
    type Answer = String;

    fn apply(&self, transaction: &mut Transaction<'_>) -> Result<String, StoreError> {
        let sql = format!("SELECT CAST({0} AS TEXT) FROM pragma_{0}", self.0);
        Ok(transaction.query_one(&sql, (), |row| row.get(0))?)
    }
}

#[tokio::test]
async fn a_commit_is_synced_before_it_is_acknowledged() {
    let home = Home::new();
    let store = home.serve().await;
    for (setting, expected) in [("synchronous", "2"), ("journal_mode", "wal")] {
        assert_eq!(store.sqlite().execute(Setting(setting)).await.unwrap(), expected, "{setting}: 2 is FULL");
    }
    // A checkpoint must sync the database before the log starts over.
    let mut checkpoints = lock(&store.sqlite().checkpoints).take().unwrap();
    let synchronous = sqlx::query_scalar::<_, i64>("PRAGMA synchronous").fetch_one(&mut checkpoints).await;
    assert_eq!(synchronous.unwrap(), 2, "on the connection for checkpoints");
}

/// Moves the store's file away inside the transaction.
struct MoveAway {
    from: std::path::PathBuf,
    to: std::path::PathBuf,
}

impl Command for MoveAway {
    type Answer = ();

    fn apply(&self, _: &mut Transaction<'_>) -> Result<(), StoreError> {
        std::fs::rename(&self.from, &self.to).unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn a_commit_is_not_acknowledged_if_the_file_was_moved_during_it() {
    let home = Home::new();
    let store = home.serve().await;
    home.queued(&store).await;
    let request = home.request();
    let (from, to) = (home.file(), home.folder.path().join("elsewhere.db"));
    let open = hold(&store).await;
    let release = async {
        gathered(&store, 2).await;
        open.send(()).unwrap();
    };
    // The file is in its place when the transaction begins, but not after the commit.
    let moved = MoveAway { from: from.clone(), to: to.clone() };
    let (accepted, moved, ()) = tokio::join!(
        store.jobs().accept(request.clone(), COMMIT_TIMEOUT),
        store.sqlite().execute(moved),
        release
    );
    assert_eq!(moved, Ok(()));
    assert!(matches!(accepted, Err(StoreError::Moved { .. })), "{accepted:?}");
    std::fs::rename(to, from).unwrap();
    let again = store.jobs().accept(request.clone(), COMMIT_TIMEOUT).await;
    assert_eq!(again, Ok(Accepted { id: request.id, duplicate: true }), "the caller repeats the request");
}

/// `.cargo/config.toml` has the flags. SQLite lists all of them but HAVE_FDATASYNC.
#[test]
fn sqlite_has_the_build_flags_that_make_commits_cheap() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    let mut statement = connection.prepare("PRAGMA compile_options").unwrap();
    let options = statement.query_map((), |row| row.get::<_, String>(0)).unwrap();
    let options: Vec<String> = options.collect::<Result<_, _>>().unwrap();
    let has = |option: &str| options.iter().any(|one| one == option);
    assert!(has("DEFAULT_MEMSTATUS=0"), "{options:?}");
    assert!(!has("ENABLE_MEMORY_MANAGEMENT") && !has("ENABLE_API_ARMOR"), "{options:?}");
}
