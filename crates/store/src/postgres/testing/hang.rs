//! For tests: a database that does not answer.
#![allow(clippy::unwrap_used, reason = "only tests use this")]

use std::sync::Mutex;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::sync::oneshot;

use crate::StoreError;
use crate::commit::message::Message;
use crate::lock::lock;
use crate::postgres::engine::Engine;
use crate::postgres::write::command::{Command, Queued};
use crate::postgres::write::transaction::Transaction;

impl Engine {
    pub(crate) async fn hang(&self) -> Hang {
        let mut readers = Vec::new();
        for _ in 0..self.reading.options().get_max_connections() {
            readers.push(self.reading.acquire().await.unwrap());
        }
        Hang { _readers: readers, _writer: self.hold().await }
    }

    /// Holds the writer until a `send` on the returned sender. Operations sent in the meantime then share one
    /// transaction.
    pub(crate) async fn hold(&self) -> oneshot::Sender<()> {
        let (reached, is_reached) = oneshot::channel();
        let (open, is_open) = oneshot::channel();
        let gate = Gate(Mutex::new(Some((reached, is_open))));
        let (command, _) = Queued::new(gate);
        self.operations.send(Message::Command(command)).await.unwrap();
        is_reached.await.unwrap();
        open
    }
}

/// All connections for reading, and a writer that waits, until this is dropped.
pub(crate) struct Hang {
    _readers: Vec<PoolConnection<Postgres>>,
    _writer: oneshot::Sender<()>,
}

/// Holds the writer inside a transaction, so that operations gather behind it.
struct Gate(Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>);

impl Command for Gate {
    type Answer = ();

    async fn apply(&self, _: &mut Transaction) -> Result<(), StoreError> {
        let gate = lock(&self.0).take();
        if let Some((reached, open)) = gate {
            let _ = reached.send(());
            let _ = open.await;
        }
        Ok(())
    }
}
