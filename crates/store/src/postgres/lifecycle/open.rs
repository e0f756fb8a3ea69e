//! Opens a store and starts its writer.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use sqlx::PgConnection;
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
use crate::postgres::connect::open::{connect, readers};
use crate::postgres::connect::owner_lock::OwnerLock;
use crate::postgres::connect::session::Session as Kind;
use crate::postgres::connect::url::Target;
use crate::postgres::engine::{Engine, MaintenanceState};
use crate::postgres::jobs::list;
use crate::postgres::maintenance::service_time;
use crate::postgres::schema::migrate;
use crate::postgres::schema::partition_changes::{DAYS_AHEAD, ensure};
use crate::postgres::schema::partitions::Day;
use crate::postgres::write::session::{Session, Writes};
use crate::postgres::write::writer::Writer;
use crate::time::StoreClock;
use crate::{Role, StoreError};

/// The maximum number of connections for reading.
const READERS: u32 = 8;

/// Takes the next number of an owner. The lock waits for the end of the former owner's last transaction.
const NEXT_EPOCH: &str = "WITH held AS (SELECT id FROM owner WHERE id = 1 FOR UPDATE) \
     UPDATE owner SET epoch = epoch + 1 FROM held WHERE owner.id = held.id RETURNING epoch";

impl Engine {
    /// Whether the database at `url` contains a store.
    pub(crate) async fn is_there(url: &str) -> Result<bool, StoreError> {
        let target = Target::parse(url)?;
        let mut connection = connect(&target, Kind::Reader).await?;
        Ok(migrate::version(&mut connection).await?.is_some())
    }

    /// Opens the store at `url`. An owner first frees the claims of the previous owner, so that their jobs resume at
    /// once.
    pub(crate) async fn open(url: &str, role: Role, clock: Clock) -> Result<Self, StoreError> {
        let target = Target::parse(url)?;
        let named = |error: StoreError| error.on(target.name());
        let owner_lock = match role {
            Role::Owner => Some(OwnerLock::take(&target).await?),
            Role::Observer => None,
        };
        let mut maintenance = connect(&target, Kind::Maintenance).await?;
        migrate::migrate(&mut maintenance, role, target.name()).await?;
        let writes = match role {
            Role::Owner => {
                ensure(&mut maintenance, Day::of(clock.now()), DAYS_AHEAD).await.map_err(named)?;
                let epoch = next_epoch(&mut maintenance).await.map_err(named)?;
                Writes::Owner { epoch, schedule: Box::default() }
            }
            Role::Observer => Writes::Observer { changed: Vec::new() },
        };
        let nonce = migrate::nonce(&mut maintenance).await.map_err(named)?;
        drop(maintenance);
        let connection = connect(&target, Kind::Writer).await?;
        let (work, delivery) = (Arc::new(Lanes::new()), Arc::new(Lanes::new()));
        let changes = Arc::new(Changes::default());
        let search_progress = Arc::new(SearchProgress::default());
        let budgets = Arc::new(Budgets::default());
        let awaiting = Arc::new(Awaiting::default());
        let feed = Arc::new(Feed::default());
        let time = Arc::new(StoreClock::new(clock.clone()));
        let (operations, receiver) = Operations::new(clock.clone());
        let (completion, completions) = mpsc::unbounded_channel();
        let writer = Writer {
            search_progress: search_progress.clone(),
            session: Some(Session::new(target.clone(), nonce, connection, writes)),
            budgets: budgets.clone(),
            awaiting: awaiting.clone(),
            work: work.clone(),
            delivery: delivery.clone(),
            clock: time.clone(),
            fairness: Fairness::default(),
            changes: changes.clone(),
            completion,
        };
        tokio::spawn(writer.run(receiver));
        let writer = tokio::spawn(completion::run(completions, || Ok(()), feed.clone()));
        let engine = Self {
            operations: Arc::new(operations),
            runtime: Handle::current(),
            reading: readers(&target, Kind::Reader, READERS),
            walking: readers(&target, Kind::Walker, 1),
            target,
            maintenance: MaintenanceState::default(),
            owner_lock: tokio::sync::Mutex::new(owner_lock),
            bulk_waits: AtomicBool::new(true),
            changes,
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
            is_known: OnceLock::new(),
            writer: Mutex::new(Some(writer)),
        };
        match role {
            Role::Owner => engine.recover().await?,
            Role::Observer => service_time::follow(&engine.reading, &engine.time).await?,
        }
        Ok(engine)
    }
}

async fn next_epoch(connection: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(NEXT_EPOCH).fetch_one(connection).await?)
}
