//! A store's PostgreSQL database, seen from outside.

use std::time::Duration;

use model::Timestamp;

use crate::StoreError;

/// The sizes of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseSizes {
    /// The address, without user and password.
    pub address: String,
    /// The size of the database on the server's disk, in bytes, without its write-ahead log.
    pub database_bytes: u64,
    /// The number of dead rows that a vacuum has not removed yet, as the server estimates it.
    pub dead_rows: u64,
    /// The oldest snapshot of another session; `None` if there is none.
    pub oldest_snapshot: Option<OldestSnapshot>,
}

/// What keeps a vacuum from removing dead rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldestSnapshot {
    /// What holds the snapshot, for people.
    pub holder: String,
    /// How long it has been held; `None` if the server does not tell.
    pub held: Option<Duration>,
    /// The number of transactions that the server has begun since then.
    pub transactions: u64,
}

/// A fact, or why it could not be read.
pub type Fact<T> = Result<T, StoreError>;

/// What `doctor` has to know about a database. Each fact is read by a statement of its own.
#[derive(Clone, Debug)]
pub struct DatabaseFacts {
    /// The address, without user and password.
    pub address: String,
    /// How the connection reaches the server.
    pub way: Way,
    /// The server itself.
    pub server: Fact<ServerFacts>,
    /// What a commit guarantees.
    pub durability: Fact<Durability>,
    /// The replicas that follow the server.
    pub standbys: Fact<Standbys>,
    /// Whether a pooler gives the same session of the server to several clients.
    pub shares_sessions: Fact<bool>,
    /// What the user may do.
    pub rights: Fact<Rights>,
    /// The time of the server minus the time of this machine, in milliseconds, to within half of the call's duration.
    pub clock_ahead_ms: Fact<i64>,
    /// Whether the server vacuums on its own, and what it has left over.
    pub vacuum: Fact<Vacuum>,
    /// The oldest snapshot of another session; `None` if there is none.
    pub oldest_snapshot: Fact<Option<OldestSnapshot>>,
    /// The version of TLS that the connection uses; `None` if it is not encrypted.
    pub tls: Fact<Option<String>>,
    /// How many connections there are.
    pub connections: Fact<Connections>,
}

/// How a connection reaches the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Whether it leaves this machine.
    pub is_remote: bool,
    /// `sslmode`
    pub ssl_mode: &'static str,
}

/// The server itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its version as a number: 15 for 15.4.
    pub major: i32,
    /// Its version as a text: `15.4`.
    pub version: String,
    /// Whether it is a replica, which cannot be written.
    pub is_replica: bool,
    /// The encoding of the database: `UTF8`.
    pub encoding: String,
}

/// What a commit guarantees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durability {
    /// `synchronous_commit` of a new session of this user in this database.
    pub synchronous_commit: String,
    /// `fsync`
    pub fsync: bool,
    /// `full_page_writes`
    pub full_page_writes: bool,
}

/// The replicas that follow a server at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standbys {
    /// Those that a commit waits for.
    pub synchronous: u64,
    /// Those that a commit does not wait for.
    pub asynchronous: u64,
    /// Those about which the server does not tell this user.
    pub hidden: u64,
}

/// What the user may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The name of the user.
    pub user: String,
    /// The schema of the store; `None` if the search path leads to none.
    pub schema: Option<String>,
    /// Whether the user may create tables in that schema: the store needs one for each day.
    pub may_create: bool,
    /// A table of the store that belongs to another user, so that this user cannot change it.
    pub foreign_table: Option<String>,
}

/// Whether the server vacuums on its own, and what it has left over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vacuum {
    /// `autovacuum`
    pub is_on: bool,
    /// The tables with the most dead rows, most first.
    pub tables: Vec<TableRows>,
}

/// The rows of a table, as the server estimates them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRows {
    /// Its name.
    pub table: String,
    /// The rows in it.
    pub live: u64,
    /// The rows that a vacuum has to remove.
    pub dead: u64,
    /// When a vacuum last ended; `None` if none has.
    pub vacuumed_at: Option<Timestamp>,
}

/// How many connections there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Those that are open, of all clients of the server.
    pub open: u64,
    /// How many there may be, of users without special rights: the lowest of the limits of the server, of the database and of the
    /// user.
    pub max: u64,
}
