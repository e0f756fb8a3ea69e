//! Opens a store and starts its writer.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use model::clock::Clock;

use crate::awaiting::Awaiting;
use crate::budget::Budgets;
use crate::commit::changes::Changes;
use crate::commit::completion;
use crate::commit::fairness::Fairness;
use crate::commit::operations::Operations;
use crate::feed::Feed;
use crate::jobs::search::progress::SearchProgress;
use crate::lanes::Lanes;
use crate::sqlite::engine::Engine;
use crate::sqlite::file::identity::FileIdentity;
use crate::sqlite::file::{open, path};
use crate::sqlite::group_commit::writer::Writer;
use crate::sqlite::jobs::list;
use crate::sqlite::maintenance::service_time;
use crate::sqlite::write::known_keys::Keys;
use crate::time::StoreClock;
use crate::{Cause, Role, StoreError};

impl Engine {
    /// Whether a store exists at `url`.
    pub(crate) fn is_there(url: &str) -> Result<bool, StoreError> {
        path::is_there(url)
    }

    /// Opens the store at `url`. An owner first frees the claims of the previous owner, so that their jobs resume at
    /// once.
    pub(crate) async fn open(url: &str, role: Role, clock: Clock) -> Result<Self, StoreError> {
        let opened = open::open(url, role).await?;
        let (work, delivery) = (Arc::new(Lanes::new()), Arc::new(Lanes::new()));
        let keys = Arc::new(Keys::default());
        let search_progress = Arc::new(SearchProgress::default());
        let changes = Arc::new(Changes::default());
        let budgets = Arc::new(Budgets::default());
        let awaiting = Arc::new(Awaiting::default());
        let feed = Arc::new(Feed::default());
        let time = Arc::new(StoreClock::new(clock.clone()));
        let (operations, receiver) = Operations::new(clock.clone());
        let (completion, completions) = mpsc::unbounded_channel();
        let file = opened.writing.file.clone();
        let writer = Writer {
            writing: opened.writing,
            keys: keys.clone(),
            search_progress: search_progress.clone(),
            budgets: budgets.clone(),
            awaiting: awaiting.clone(),
            work: work.clone(),
            delivery: delivery.clone(),
            clock: time.clone(),
            fairness: Fairness::default(),
            changes: changes.clone(),
            completion,
        };
        writer.start(receiver).map_err(|error| StoreError::Database(Cause::of(error)))?;
        let writer = tokio::spawn(completion::run(completions, check(file.clone()), feed.clone()));
        let engine = Self {
            operations: Arc::new(operations),
            runtime: Handle::current(),
            bulk_waits: AtomicBool::new(true),
            reading: opened.reading,
            checkpoints: Mutex::new(Some(opened.checkpoints)),
            changes,
            keys,
            search_progress,
            budgets,
            awaiting,
            feed,
            lists: Semaphore::new(list::MAX_CONCURRENT_LISTS),
            work,
            delivery,
            clock,
            time,
            role,
            file,
            is_known: OnceLock::new(),
            writer: Mutex::new(Some(writer)),
        };
        let begun = match role {
            Role::Owner => engine.recover().await,
            Role::Observer => service_time::follow(&engine.reading, &engine.time).await,
        };
        match begun {
            Ok(()) => Ok(engine),
            Err(error) => Err(error.while_opening(&path::file_of(url)?)),
        }
    }
}

/// Returns the check after a commit: the next start finds the new requests only if the file is still at its path.
fn check(file: Option<Arc<FileIdentity>>) -> impl Fn() -> Result<(), StoreError> + Send {
    move || file.as_ref().map_or(Ok(()), |file| file.check())
}
