//! Opens a store and starts its writer.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use model::clock::Clock;

use crate::awaiting::Awaiting;
use crate::budget::Budgets;
use crate::feed::Feed;
use crate::lanes::Lanes;
use crate::sqlite::engine::Engine;
use crate::sqlite::file::{open, path};
use crate::sqlite::group_commit::completion;
use crate::sqlite::group_commit::fairness::Fairness;
use crate::sqlite::group_commit::writer::Writer;
use crate::sqlite::jobs::list;
use crate::sqlite::maintenance::service_time;
use crate::sqlite::write::changes::Changes;
use crate::sqlite::write::known_keys::Keys;
use crate::sqlite::write::search_progress::SearchProgress;
use crate::time::StoreClock;
use crate::{Cause, Role, StoreError};

/// The maximum number of operations in the writer's channel. Further senders wait.
const MAX_QUEUED_MESSAGES: usize = 4_096;

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
        let (sender, receiver) = mpsc::channel(MAX_QUEUED_MESSAGES);
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
        let writer = tokio::spawn(completion::run(completions, file.clone(), feed.clone()));
        let engine = Self {
            operations: Mutex::new(Some(sender)),
            runtime: Handle::current(),
            was_used: AtomicBool::new(false),
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
