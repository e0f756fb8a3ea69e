//! A full disk, before and after it has room again.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::tests::handled::handled_then;

/// Fails with a given error, and counts the attempts.
struct Fails(StoreError, Arc<AtomicUsize>);

impl Command for Fails {
    type Answer = ();

    fn apply(&self, _: &mut Transaction<'_>) -> Result<(), StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Err(self.0.clone())
    }
}

/// Prevents the file from growing.
async fn fill(store: &Store) {
    // SQLite raises a number that is too small to the current size.
    store.sqlite().sql("PRAGMA max_page_count = 1").await.unwrap();
}

async fn make_room(store: &Store) {
    // A retried report may share this transaction; the command then runs a second time.
    while store.sqlite().sql("PRAGMA max_page_count = 1000000").await == Err(StoreError::Full) {}
}

fn big(home: &Home) -> NewJob {
    let mut request = home.request();
    request.request.data = "x".repeat(100_000).into();
    request
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_writes_resume_when_it_has_room() {
    let home = Home::new();
    let store = home.serve().await;
    let request = big(&home);
    fill(&store).await;
    for _ in 0..3 {
        assert_eq!(store.jobs().accept(request.clone(), COMMIT_TIMEOUT).await, Err(StoreError::Full));
    }
    assert_eq!(store.jobs().get(request.id).await, Ok(None));
    make_room(&store).await;
    accept(&store, request).await;
    assert_eq!(count(&store, StateName::Queued).await, 1);
}

#[tokio::test]
async fn a_full_disk_refuses_the_whole_batch_at_once() {
    let home = Home::new();
    let store = home.serve().await;
    fill(&store).await;
    let open = hold(&store).await;
    let release = async {
        gathered(&store, 3).await;
        open.send(()).unwrap();
    };
    let (first, second, probe, ()) = tokio::join!(
        store.jobs().accept(big(&home), COMMIT_TIMEOUT),
        store.jobs().accept(big(&home), COMMIT_TIMEOUT),
        store.probe(),
        release
    );
    assert_eq!((first, second, probe), (Err(StoreError::Full), Err(StoreError::Full), Err(StoreError::Full)));
}

#[tokio::test]
async fn reports_are_retried_until_the_disk_has_room() {
    for waits in [true, false] {
        let home = Home::new();
        let store = home.serve().await;
        let job = home.running(&store).await;
        let id = job.id;
        fill(&store).await;
        let report = handled(job, AfterHandler::Deliver(prepared(&"x".repeat(100_000))));
        let writing = tokio::spawn({
            let store = store.clone();
            async move {
                if waits { store.jobs().handled(report).await } else { handled_then(&store, report).await }
            }
        });
        for _ in 0..5 {
            assert_eq!(store.jobs().accept(big(&home), COMMIT_TIMEOUT).await, Err(StoreError::Full));
            home.pass(crate::commit::operations::REPORT_RETRY_DELAY);
        }
        assert!(!writing.is_finished());
        assert_eq!(state(&store, id).await, StateName::Running);
        make_room(&store).await;
        while !writing.is_finished() {
            home.pass(crate::commit::operations::REPORT_RETRY_DELAY);
            store.probe().await.unwrap();
        }
        assert_eq!(writing.await.unwrap(), Ok(Written::Done));
        assert_eq!(state(&store, id).await, StateName::Delivering);
    }
}

#[tokio::test]
async fn operations_are_not_tried_one_by_one_on_a_full_disk() {
    let home = Home::new();
    let store = home.serve().await;
    let tries = Arc::new(AtomicUsize::new(0));
    let fails = |error| store.sqlite().execute(Fails(error, tries.clone()));
    let broken = StoreError::Database("broken".into());
    let open = hold(&store).await;
    let release = async {
        gathered(&store, 3).await;
        open.send(()).unwrap();
    };
    let (first, second, third, ()) =
        tokio::join!(fails(broken.clone()), fails(StoreError::Full), fails(StoreError::Full), release);
    assert_eq!((first, second, third), (Err(broken), Err(StoreError::Full), Err(StoreError::Full)));
    assert_eq!(
        tries.load(Ordering::SeqCst),
        3,
        "the batch, the failing one alone, the first one on the full disk"
    );
}

#[tokio::test]
async fn the_free_space_of_the_disk_is_known_to_the_owner() {
    let home = Home::new();
    let store = home.serve().await;
    assert!(store.maintenance().free_bytes().unwrap() > 0);
}
