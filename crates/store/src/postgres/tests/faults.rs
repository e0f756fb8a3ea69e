//! A database that fails: nothing acknowledged is lost, callers get an error in time, and the store recovers without a restart.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::time::timeout;

use super::conformance::{COMMIT_TIMEOUT, Home, LEASE, accept, stored_job};
use super::proxy::{Loss, Proxy};
use crate::postgres::testing::{Database, Server, ServerOptions};
use crate::{Accepted, Role, Store, StoreError};
use model::{JobId, NewJob};

/// The time in which every caller has its answer: longer than a statement or a connection may take, on a busy machine.
const IN_TIME: Duration = Duration::from_secs(20);

/// A store on a server of its own, behind a proxy.
struct Rig {
    server: Server,
    database: Database,
    proxy: Proxy,
    home: Home,
    store: Store,
}

impl Rig {
    /// `None` without PostgreSQL.
    async fn new() -> Option<Self> {
        let server = Server::start(&ServerOptions { with_tcp: true, ..ServerOptions::default() })?;
        let database = server.database();
        let proxy = Proxy::start(server.port().unwrap()).await;
        let home = Home::new();
        let url = server.url_at(proxy.port(), database.name());
        let store = Store::open(&url, Role::Owner, home.clock.clock().clone()).await.unwrap();
        Some(Self { server, database, proxy, home, store })
    }

    /// A session beside the bridge.
    async fn session(&self) -> PgConnection {
        PgConnection::connect(self.database.url()).await.unwrap()
    }

    async fn run(&self, sql: &'static str) {
        self.session().await.execute(sql).await.unwrap();
    }

    /// Ends all sessions of the bridge, so that new settings apply.
    async fn end_sessions(&self) {
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name LIKE 'salesbot-bridge%'",
        )
        .await;
    }

    async fn accept(&self, job: NewJob) -> Result<Accepted, StoreError> {
        let within = self.store.jobs().accept(job, COMMIT_TIMEOUT);
        timeout(IN_TIME, within).await.expect("an answer in time")
    }

    /// Sends new requests until one is accepted.
    async fn recovered(&self) -> JobId {
        let again = async {
            loop {
                match self.store.jobs().accept(self.home.request(), COMMIT_TIMEOUT).await {
                    Ok(accepted) => return accepted.id,
                    Err(error) => assert!(error.is_passing(), "{error}"),
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(IN_TIME, again).await.expect("the store recovers")
    }

    async fn jobs(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM jobs").fetch_one(&mut self.session().await).await.unwrap()
    }
}

#[tokio::test]
async fn a_commit_whose_reply_is_lost_counts_once_and_its_job_runs() {
    let Some(rig) = Rig::new().await else { return };
    let job = rig.home.request();
    let id = job.id;
    rig.proxy.lose(Loss::Reply);
    assert_eq!(rig.accept(job.clone()).await.unwrap(), Accepted { id, duplicate: false });
    assert_eq!(rig.accept(job).await.unwrap(), Accepted { id, duplicate: true });
    assert_eq!(rig.jobs().await, 1);
    let claimed = rig.store.jobs().claim_work("greet".into(), 10, LEASE).await.unwrap();
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn a_commit_that_the_server_never_got_changes_nothing() {
    let Some(rig) = Rig::new().await else { return };
    let job = rig.home.request();
    rig.proxy.lose(Loss::Commit);
    let error = rig.accept(job.clone()).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
    assert_eq!(rig.jobs().await, 0);
    assert!(rig.store.jobs().claim_work("greet".into(), 10, LEASE).await.unwrap().is_empty());
    assert!(!rig.accept(job).await.unwrap().duplicate);
}

#[tokio::test]
async fn a_crash_of_the_server_loses_no_job() {
    let Some(rig) = Rig::new().await else { return };
    let before = accept(&rig.store, rig.home.request()).await;
    rig.server.abort();
    let error = rig.accept(rig.home.request()).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
    assert!(rig.store.probe().await.is_err());
    rig.server.start_again();
    let after = rig.recovered().await;
    let claimed = rig.store.jobs().claim_work("greet".into(), 10, LEASE).await.unwrap();
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [before, after]);
    rig.store.probe().await.unwrap();
}

#[tokio::test]
async fn a_frozen_server_is_an_error_in_time() {
    let Some(rig) = Rig::new().await else { return };
    rig.server.pause();
    let error = rig.accept(rig.home.request()).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
    rig.server.resume();
    rig.recovered().await;
}

#[tokio::test]
async fn a_lock_of_another_session_is_an_error_in_time() {
    let Some(rig) = Rig::new().await else { return };
    let mut other = rig.session().await;
    other.execute("BEGIN; LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let error = rig.accept(rig.home.request()).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
    other.execute("ROLLBACK").await.unwrap();
    rig.recovered().await;
}

#[tokio::test]
async fn a_database_that_refuses_writes_or_connections_is_used_again_when_it_accepts_them() {
    let Some(rig) = Rig::new().await else { return };
    let id = accept(&rig.store, rig.home.request()).await;
    let name = rig.database.name().to_owned();
    for (refuse, allow) in [
        ("SET default_transaction_read_only = on", "RESET default_transaction_read_only"),
        ("CONNECTION LIMIT 0", "CONNECTION LIMIT -1"),
        ("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true"),
    ] {
        let mut admin = PgConnection::connect(&rig.server.url("postgres")).await.unwrap();
        admin.execute(AssertSqlSafe(format!("ALTER DATABASE {name} {refuse}"))).await.unwrap();
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        admin.execute(AssertSqlSafe(end)).await.unwrap();
        let error = rig.accept(rig.home.request()).await.unwrap_err();
        // A superuser may connect beyond the limit, but not write.
        assert!(error.is_passing() || matches!(error, StoreError::Refused(_)), "{refuse}: {error}");
        admin.execute(AssertSqlSafe(format!("ALTER DATABASE {name} {allow}"))).await.unwrap();
        admin
            .execute(AssertSqlSafe(format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            )))
            .await
            .unwrap();
        rig.recovered().await;
    }
    assert_eq!(stored_job(&rig.store, id).await.id, id);
}

#[tokio::test]
async fn a_full_disk_of_the_server_is_an_error_that_passes() {
    let Some(rig) = Rig::new().await else { return };
    rig.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    .await;
    assert_eq!(rig.accept(rig.home.request()).await, Err(StoreError::Full));
    rig.run("DROP TRIGGER refuse ON jobs").await;
    rig.recovered().await;
}

#[tokio::test]
async fn only_one_process_owns_the_store() {
    let Some(rig) = Rig::new().await else { return };
    let clock = rig.home.clock.clock().clone();
    let error = Store::open(rig.database.url(), Role::Owner, clock.clone()).await.err().unwrap();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    // The former owner's lock ends with its connection, and the next owner takes over.
    rig.proxy.lose(Loss::Everything);
    rig.end_sessions().await;
    let next = Store::open(rig.database.url(), Role::Owner, clock).await.unwrap();
    let id = accept(&next, rig.home.request()).await;
    rig.proxy.lose(Loss::Nothing);
    let refused = async {
        loop {
            match rig.accept(rig.home.request()).await.unwrap_err() {
                StoreError::InUse { .. } | StoreError::Closed => break,
                error => assert!(error.is_passing(), "{error}"),
            }
        }
    };
    timeout(IN_TIME, refused).await.expect("the former owner learns of the next one");
    timeout(IN_TIME, rig.store.ended()).await.expect("the former owner ends");
    assert_eq!(rig.jobs().await, 1);
    assert_eq!(stored_job(&next, id).await.id, id);
}
