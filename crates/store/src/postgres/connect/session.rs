//! The settings of each kind of connection.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

/// Settings of every connection. The server ends a connection to a machine that has disappeared after about 20 seconds, so
/// that its locks become free. A server may end idle connections; ours stay.
const COMMON: &str = "SET client_min_messages = 'warning'; SET jit = off; SET idle_session_timeout = 0; \
     SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3; \
     SET tcp_user_timeout = '20s'; ";
/// Every statement has one plan, whatever the statistics say: a plan that is chosen while a table is empty is a disaster
/// when the table has grown. Tests check the plan of each statement.
const PLANS: &str = "SET plan_cache_mode = 'force_generic_plan'; SET enable_seqscan = off; SET enable_hashjoin = off; \
     SET enable_mergejoin = off; ";
/// A commit is on the disk when its reply arrives, whatever the server's default is.
const WRITES: &str = "SET synchronous_commit = on; SET default_transaction_isolation = 'read committed'; \
     SET idle_in_transaction_session_timeout = '10s'; ";
/// A walk along an index reads a few rows in the order of the index. PostgreSQL must never read all rows to sort them, however
/// few it expects. (An incremental sort is another setting.)
const WALKS: &str = "SET enable_sort = off; SET enable_bitmapscan = off; ";
/// A connection for reading cannot write by mistake.
const READS: &str =
    "SET default_transaction_read_only = on; SET idle_in_transaction_session_timeout = '10s'; ";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    /// Writes in groups. Each transaction sets shorter limits of its own.
    Writer,
    /// Reads.
    Reader,
    /// Reads for maintenance, along an index.
    Walker,
    /// Holds the owner's lock and does nothing else.
    Owner,
    /// Migrates, and creates and drops partitions.
    Maintenance,
}

impl Session {
    /// The time after which the server cancels a statement, if a transaction sets no other.
    pub(crate) const fn statement_timeout(self) -> Duration {
        match self {
            Self::Writer | Self::Reader | Self::Walker | Self::Owner => Duration::from_secs(5),
            Self::Maintenance => Duration::from_secs(60),
        }
    }

    /// Whether the connection must lead to a server that can write.
    pub(crate) const fn writes(self) -> bool {
        !matches!(self, Self::Reader | Self::Walker)
    }

    /// Adds the name that `pg_stat_activity` shows. Operators find the process by it.
    pub(crate) fn named(self, options: PgConnectOptions) -> PgConnectOptions {
        let kind = match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::Walker => "walker",
            Self::Owner => "owner",
            Self::Maintenance => "maintenance",
        };
        options.application_name(&format!("salesbot-bridge process {} ({kind})", std::process::id()))
    }

    /// Makes the settings on a new connection.
    pub(crate) async fn prepare(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let limit = format!("SET statement_timeout = {}; ", self.statement_timeout().as_millis());
        let settings = match self {
            Self::Reader => [COMMON, PLANS, READS, &limit, ""],
            Self::Walker => [COMMON, PLANS, WALKS, READS, &limit],
            Self::Writer => [COMMON, PLANS, WRITES, &limit, ""],
            Self::Owner | Self::Maintenance => [COMMON, WRITES, &limit, "", ""],
        };
        connection.execute(AssertSqlSafe(settings.concat())).await?;
        Ok(())
    }
}
