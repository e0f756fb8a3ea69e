//! Connects to a database.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};

use super::backoff::Backoff;
use super::call::within;
use super::error::of_connecting;
use super::server_checks;
use super::session::Session;
use super::url::Target;
use crate::StoreError;

/// The limit of connecting, with the checks of the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unused connection for reading stays open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Connects once, within 5 seconds.
///
/// # Errors
/// They name the database. Passing ones may be gone later; `Refused` needs an operator.
pub(crate) async fn connect(target: &Target, session: Session) -> Result<PgConnection, StoreError> {
    let options = session.named(target.options().clone());
    let connecting = async {
        let mut connection = PgConnection::connect_with(&options).await.map_err(of_connecting)?;
        if session.writes() {
            server_checks::check(&mut connection).await?;
        }
        session.prepare(&mut connection).await?;
        Ok::<_, StoreError>(connection)
    };
    let connected = within(CONNECT_TIMEOUT, connecting).await;
    connected.map_err(|error| match error {
        StoreError::Timeout => {
            let why = format!("no answer within {} seconds: check the network", CONNECT_TIMEOUT.as_secs());
            StoreError::Unavailable(why.into()).on(target.name())
        }
        other => other.on(target.name()),
    })
}

/// Connects, and retries until it succeeds, with growing delays. It passes each error to `failed`. It may be cancelled.
///
/// It retries after every error, even after `Refused`: while a bridge runs, an operator may restore the database or
/// correct its settings.
pub(crate) async fn connect_until_ok(
    target: &Target,
    session: Session,
    mut failed: impl FnMut(StoreError),
) -> PgConnection {
    let mut backoff = Backoff::new();
    loop {
        match connect(target, session).await {
            Ok(connection) => return connection,
            Err(error) => failed(error),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Returns a pool of at most `max` connections that read. It connects when a connection is needed.
pub(crate) fn readers(target: &Target, session: Session, max: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(CONNECT_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        .after_connect(move |connection, _| Box::pin(session.prepare(connection)))
        .connect_lazy_with(session.named(target.options().clone()))
}
