//! Checks the PostgreSQL database of the store: whether a commit is safe there, whether the bridge may do what it has to, and
//! whether the server keeps up.

use std::time::Duration;

use crate::cli::text::{span, when};
use model::clock::Clock;
use model::{Timestamp, error_chain};
use store::database::{
    Connections, DatabaseFacts, Durability, Fact, OldestSnapshot, Rights, ServerFacts, Standbys, TableRows,
    Vacuum, Way, facts,
};
use store::{StoreError, StoreKind, StoreUrl};

use super::check::Check;

const NAME: &str = "database";
/// The oldest version that the bridge works with.
const MIN_VERSION: i32 = 15;
/// The connections that a bridge uses: 8 for reading, and 3 of its own. A command takes up to 3 for a moment.
const BRIDGE_CONNECTIONS: u64 = 11;
/// A clock that differs by more makes the time lines of jobs hard to read.
const MAX_CLOCK_MS: u64 = 1_000;
/// A table with more dead rows than this, and than live ones, is not vacuumed often enough.
const MANY_DEAD: u64 = 100_000;
/// A snapshot that is held for longer than this, or for more transactions, makes dead rows pile up.
const LONG_SNAPSHOT: Duration = Duration::from_secs(600);
const MANY_TRANSACTIONS: u64 = 1_000_000;

/// Checks the database at `url`; returns nothing if the store is a file, or if the database cannot be reached, which is the
/// result of another check.
pub(super) async fn checks(url: &StoreUrl, clock: &Clock) -> Vec<Check> {
    if url.kind() != StoreKind::Postgres {
        return Vec::new();
    }
    match facts(url, clock).await {
        Ok(facts) => decide(&facts, clock.now()),
        Err(_) => Vec::new(),
    }
}

fn decide(facts: &DatabaseFacts, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.extend(each(&facts.server, server));
    checks.extend(each(&facts.durability, durability));
    checks.extend(each(&facts.standbys, |standbys| standby(*standbys)));
    checks.extend(each(&facts.shares_sessions, |shares| pooler(*shares)));
    checks.extend(each(&facts.rights, rights));
    checks.extend(each(&facts.tls, |version| tls(&facts.way, version.as_deref())));
    checks.extend(each(&facts.clock_ahead_ms, |ahead| time(*ahead)));
    checks.extend(each(&facts.connections, |connections| room(*connections)));
    checks.extend(each(&facts.vacuum, |vacuum| bloat(vacuum, now)));
    checks.extend(each(&facts.oldest_snapshot, |oldest| oldest.as_ref().and_then(snapshot)));
    checks
}

/// Decides about a fact. One that cannot be read is a warning, because it hides a check.
fn each<T>(fact: &Fact<T>, decide: impl FnOnce(&T) -> Option<Check>) -> Option<Check> {
    match fact {
        Ok(fact) => decide(fact),
        Err(error) => Some(unknown(error)),
    }
}

fn unknown(error: &StoreError) -> Check {
    let todo = "run `doctor` again; if the user lacks a right, grant it the role pg_monitor";
    Check::warning(NAME, format!("a check was not possible: {}", error_chain(error)), todo)
}

fn server(server: &ServerFacts) -> Option<Check> {
    let found = format!("PostgreSQL {}", server.version);
    Some(if server.major < MIN_VERSION {
        let todo = format!("use PostgreSQL {MIN_VERSION} or later");
        Check::failed(NAME, format!("{found} is too old"), todo)
    } else if server.is_replica {
        Check::failed(
            NAME,
            format!("{found} is a standby, which cannot be written"),
            "set store.url to the primary server",
        )
    } else if server.encoding != "UTF8" {
        Check::failed(
            NAME,
            format!("the encoding of the database is {}", server.encoding),
            "create it with `createdb --template=template0 --encoding=UTF8`",
        )
    } else {
        Check::ok(NAME, found)
    })
}

/// The bridge sets `synchronous_commit` for its own connections. A default of `off` fails all the same: a pooler may lose that
/// setting, and another tool that writes to the store does not make it.
fn durability(found: &Durability) -> Option<Check> {
    let promise = "so the crash of the server can lose a job that the bridge has accepted";
    Some(if !found.fsync {
        Check::failed(
            NAME,
            format!("fsync is off, {promise}"),
            "set `fsync = on` in postgresql.conf, and reload",
        )
    } else if !found.full_page_writes {
        Check::failed(
            NAME,
            format!("full_page_writes is off, {promise}"),
            "set `full_page_writes = on` in postgresql.conf, unless the file system cannot tear a page",
        )
    } else if found.synchronous_commit == "off" {
        Check::failed(
            NAME,
            format!("synchronous_commit is off by default, {promise}"),
            "run `ALTER ROLE … SET synchronous_commit = on` for the bridge's user, or change postgresql.conf",
        )
    } else {
        Check::ok(NAME, "a commit is on the server's disk when it is confirmed")
    })
}

/// `None` without standbys, and if at least one is synchronous.
fn standby(standbys: Standbys) -> Option<Check> {
    let Standbys { synchronous, asynchronous, hidden } = standbys;
    if synchronous > 0 {
        return Some(Check::ok(NAME, "a commit waits for a standby"));
    }
    if asynchronous > 0 {
        return Some(Check::warning(
            NAME,
            "no standby is synchronous: if it replaces the server, the last jobs may be missing",
            "set synchronous_standby_names on the server, or accept that a failover loses what the standby has not received",
        ));
    }
    (hidden > 0).then(|| {
        Check::warning(
            NAME,
            "there are standbys, and this user may not see whether they are synchronous",
            "run `GRANT pg_monitor TO …` for the bridge's user, then `doctor` again",
        )
    })
}

/// `None` if each connection has a session of its own.
fn pooler(shares_sessions: bool) -> Option<Check> {
    shares_sessions.then(|| {
        Check::failed(
            NAME,
            "store.url leads to a pooler that gives each transaction another session, such as PgBouncer with \
             `pool_mode = transaction`: the owner's lock and the settings of the bridge do not survive there",
            "set store.url to the server itself, or to a pool with `pool_mode = session`",
        )
    })
}

/// `None` if the user may do everything that the bridge has to.
fn rights(rights: &Rights) -> Option<Check> {
    let user = &rights.user;
    let Some(schema) = &rights.schema else {
        return Some(Check::failed(
            NAME,
            format!("the search path of user {user} leads to no schema"),
            format!("run `ALTER ROLE {user} SET search_path = public`"),
        ));
    };
    if let Some(table) = &rights.foreign_table {
        return Some(Check::failed(
            NAME,
            format!("table {table} in schema {schema} belongs to another user than {user}"),
            format!(
                "run `ALTER TABLE {schema}.{table} OWNER TO {user}`, and the same for the other tables of the store"
            ),
        ));
    }
    (!rights.may_create).then(|| {
        Check::failed(
            NAME,
            format!("user {user} may not create tables in schema {schema}; the store needs one for each day"),
            format!("run `GRANT CREATE, USAGE ON SCHEMA {schema} TO {user}`"),
        )
    })
}

fn tls(way: &Way, version: Option<&str>) -> Option<Check> {
    if !way.is_remote {
        return None;
    }
    let Some(version) = version else {
        return Some(Check::warning(
            NAME,
            "the connection is not encrypted: the network sees the password's hash and what customers wrote",
            "set sslmode=verify-full in store.url, and `ssl = on` on the server; not needed inside a private network or tunnel",
        ));
    };
    Some(match way.ssl_mode {
        "verify-full" => {
            Check::ok(NAME, format!("the connection is encrypted with {version}, and the server is verified"))
        }
        mode => Check::warning(
            NAME,
            format!(
                "the connection is encrypted with {version}, but sslmode is {mode}, so another server could pose as this one"
            ),
            "set sslmode=verify-full in store.url, and sslrootcert if the server's certificate has a CA of its own",
        ),
    })
}

fn time(ahead_ms: i64) -> Option<Check> {
    let distance = ahead_ms.unsigned_abs();
    (distance > MAX_CLOCK_MS).then(|| {
        let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
        let distance = Duration::from_millis(distance);
        let distance = if distance.as_secs() < 120 {
            format!("{:.1} s", distance.as_secs_f64())
        } else {
            span(distance)
        };
        Check::warning(
            NAME,
            format!("the clock of the server is {distance} {side} the clock of this machine"),
            "let both follow a time server (chrony or systemd-timesyncd)",
        )
    })
}

fn room(Connections { open, max }: Connections) -> Option<Check> {
    let free = max.saturating_sub(open);
    let found = format!("{open} of {max} connections are open");
    Some(if free < BRIDGE_CONNECTIONS && open.saturating_mul(10) >= max.saturating_mul(8) {
        Check::warning(
            NAME,
            found,
            format!("raise max_connections, or close other clients: a bridge needs {BRIDGE_CONNECTIONS}"),
        )
    } else if max < BRIDGE_CONNECTIONS {
        Check::warning(NAME, found, format!("raise the limit: a bridge needs {BRIDGE_CONNECTIONS}"))
    } else {
        Check::ok(NAME, found)
    })
}

fn bloat(vacuum: &Vacuum, now: Timestamp) -> Option<Check> {
    if !vacuum.is_on {
        return Some(Check::failed(
            NAME,
            "autovacuum is off: the tables grow without limit",
            "set `autovacuum = on` and `track_counts = on` in postgresql.conf, and reload",
        ));
    }
    let is_bloated = |table: &&TableRows| table.dead > MANY_DEAD && table.dead > table.live;
    let tables: Vec<String> = vacuum.tables.iter().filter(is_bloated).map(|table| rows(table, now)).collect();
    (!tables.is_empty()).then(|| {
        Check::warning(
            NAME,
            format!("dead rows pile up: {}", tables.join("; ")),
            "end old transactions if there are any; if not, run `VACUUM` once and raise autovacuum_vacuum_cost_limit",
        )
    })
}

fn rows(table: &TableRows, now: Timestamp) -> String {
    let vacuumed = table
        .vacuumed_at
        .map_or_else(|| "never vacuumed".to_owned(), |at| format!("vacuumed {}", when(at, now)));
    format!("{} has {} dead and {} live rows, {vacuumed}", table.table, table.dead, table.live)
}

/// `None` unless the snapshot is old.
fn snapshot(oldest: &OldestSnapshot) -> Option<Check> {
    let is_old =
        oldest.held.is_some_and(|held| held > LONG_SNAPSHOT) || oldest.transactions > MANY_TRANSACTIONS;
    is_old.then(|| {
        let age = match oldest.held {
            Some(held) => format!("for {}", span(held)),
            None => format!("for {} transactions", oldest.transactions),
        };
        Check::warning(
            NAME,
            format!(
                "{} has held a snapshot {age}, so no vacuum can remove the dead rows since then",
                oldest.holder
            ),
            "end it: pg_terminate_backend for a session, ROLLBACK PREPARED for a prepared transaction, \
             pg_drop_replication_slot for a slot that no one reads",
        )
    })
}

#[cfg(test)]
mod tests;
