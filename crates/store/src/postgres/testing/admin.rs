//! Creates and drops databases, on a thread with a runtime of its own: tests create them in constructors and drop them in
//! destructors, which cannot await.

use std::sync::mpsc;
use std::thread;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use model::Timestamp;

use crate::postgres::connect::open::connect;
use crate::postgres::connect::session::Session;
use crate::postgres::connect::url::Target;
use crate::postgres::schema::migrate::migrate;
use crate::postgres::schema::partition_changes::{DAYS_AHEAD, ensure};
use crate::postgres::schema::{migrations, partitions::Day};
use crate::{Role, StoreError};

/// When the clock of most tests starts.
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Databases of several test processes on one server have names of their own.
const PREFIX: &str = "bridge_test";
/// Serializes the processes that make the template.
const TEMPLATE_LOCK: i64 = 0x5342_4247_7465_7374;

/// A wish of a test.
enum Request {
    Create { name: String, is_empty: bool, done: mpsc::Sender<Result<(), String>> },
    Drop { name: String, done: Option<mpsc::Sender<Result<(), String>>> },
}

/// The thread's queue.
#[derive(Clone, Debug)]
pub(super) struct Admin(mpsc::Sender<Request>);

impl Admin {
    /// Starts the thread. `url` returns the address of a database on the server.
    pub(super) fn start(url: impl Fn(&str) -> String + Send + 'static) -> std::io::Result<Self> {
        let (sender, requests) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("test databases".into()).spawn(move || {
            let mut worker = Worker { url, connection: None, template: None };
            for request in requests {
                match request {
                    Request::Create { name, is_empty, done } => {
                        let _ = done.send(runtime.block_on(worker.create(&name, is_empty)));
                    }
                    Request::Drop { name, done } => {
                        let dropped = runtime
                            .block_on(worker.run(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")));
                        if let Some(done) = done {
                            let _ = done.send(dropped);
                        }
                    }
                }
            }
        })?;
        Ok(Self(sender))
    }

    /// Creates a database.
    pub(super) fn create(&self, name: &str, is_empty: bool) -> Result<(), String> {
        let (done, created) = mpsc::channel();
        let _ = self.0.send(Request::Create { name: name.into(), is_empty, done });
        created.recv().unwrap_or_else(|_| Err("the thread has ended".into()))
    }

    /// Drops a database, and waits for it if `waits`.
    pub(super) fn drop(&self, name: &str, waits: bool) {
        let (done, dropped) = mpsc::channel();
        let _ = self.0.send(Request::Drop { name: name.into(), done: waits.then_some(done) });
        if waits {
            let _ = dropped.recv();
        }
    }
}

struct Worker<U> {
    url: U,
    connection: Option<PgConnection>,
    template: Option<String>,
}

impl<U: Fn(&str) -> String> Worker<U> {
    async fn create(&mut self, name: &str, is_empty: bool) -> Result<(), String> {
        let template = if is_empty { "template0".to_owned() } else { self.template().await? };
        self.run(format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log")).await
    }

    async fn run(&mut self, sql: String) -> Result<(), String> {
        // The server may have been restarted since the last statement.
        let mut connection = match self.connection.take() {
            Some(mut connection) => match connection.ping().await {
                Ok(()) => connection,
                Err(_) => self.connect().await?,
            },
            None => self.connect().await?,
        };
        let result = connection.execute(AssertSqlSafe(sql.clone())).await;
        self.connection = Some(connection);
        result.map(|_| ()).map_err(|error| format!("{sql}: {error}"))
    }

    async fn connect(&self) -> Result<PgConnection, String> {
        let options: PgConnectOptions = (self.url)("postgres").parse().map_err(text)?;
        PgConnection::connect_with(&options).await.map_err(text)
    }

    /// Returns the name of a database with the tables of a store, which this makes if it does not exist.
    async fn template(&mut self) -> Result<String, String> {
        if let Some(template) = &self.template {
            return Ok(template.clone());
        }
        // Another program makes another one, so a server can serve several versions.
        let name = format!("{PREFIX}_template_{:016x}", migrations::fingerprint());
        let mut connection = self.connect().await?;
        let lock = format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})");
        connection.execute(AssertSqlSafe(lock)).await.map_err(text)?;
        let finished: Option<bool> =
            sqlx::query_scalar("SELECT datistemplate FROM pg_database WHERE datname = $1")
                .bind(&name)
                .fetch_optional(&mut connection)
                .await
                .map_err(text)?;
        if finished != Some(true) {
            for sql in [
                format!("DROP DATABASE IF EXISTS {name}"),
                format!("CREATE DATABASE {name} TEMPLATE template0"),
            ] {
                connection.execute(AssertSqlSafe(sql)).await.map_err(text)?;
            }
            fill(&(self.url)(&name)).await.map_err(text)?;
            let mark = format!("ALTER DATABASE {name} IS_TEMPLATE true");
            connection.execute(AssertSqlSafe(mark)).await.map_err(text)?;
        }
        // Ending the connection releases the lock.
        connection.close().await.map_err(text)?;
        self.template = Some(name.clone());
        Ok(name)
    }
}

/// Creates the tables and the partitions for the days of most tests.
async fn fill(url: &str) -> Result<(), StoreError> {
    let target = Target::parse(url)?;
    let mut connection = connect(&target, Session::Maintenance).await?;
    migrate(&mut connection, Role::Owner, target.name()).await?;
    ensure(&mut connection, Day::of(START), DAYS_AHEAD).await?;
    // PostgreSQL copies a template only if no one is connected to it.
    Ok(connection.close().await?)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
