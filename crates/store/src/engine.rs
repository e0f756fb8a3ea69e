//! The engine behind an open store.

use std::sync::Arc;

use model::clock::Clock;

use crate::postgres::connect::url::is_postgres;
use crate::{Role, StoreError, postgres, sqlite};

/// One of the database engines. All have the same methods, which [`on!`] calls.
#[derive(Clone)]
pub(crate) enum Engine {
    /// One SQLite file.
    Sqlite(Arc<sqlite::engine::Engine>),
    /// A PostgreSQL database.
    Postgres(Arc<postgres::engine::Engine>),
}

impl Engine {
    /// Opens the store at `url`.
    pub(crate) async fn open(url: &str, role: Role, clock: Clock) -> Result<Self, StoreError> {
        if is_postgres(url) {
            let engine = postgres::engine::Engine::open(url, role, clock).await?;
            return Ok(Self::Postgres(Arc::new(engine)));
        }
        let engine = sqlite::engine::Engine::open(url, role, clock).await?;
        Ok(Self::Sqlite(Arc::new(engine)))
    }

    /// Whether a store exists at `url`.
    pub(crate) async fn is_there(url: &str) -> Result<bool, StoreError> {
        if is_postgres(url) {
            postgres::engine::Engine::is_there(url).await
        } else {
            sqlite::engine::Engine::is_there(url)
        }
    }
}

/// Evaluates an expression with the engine behind a store: `on!(self.0, engine => engine.accept(job, within).await)`.
macro_rules! on {
    ($engine:expr, $name:ident => $call:expr) => {
        match &$engine {
            $crate::engine::Engine::Sqlite($name) => $call,
            $crate::engine::Engine::Postgres($name) => $call,
        }
    };
}
pub(crate) use on;
