//! Each fact about a database, and what `doctor` says about it.

use super::super::check::Outcome;
use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A change of the facts, the outcomes that it adds or changes, and a part of what is said.
type Case = (fn(&mut DatabaseFacts), Outcome, &'static str);

/// A healthy database on this machine.
fn facts() -> DatabaseFacts {
    DatabaseFacts {
        address: "postgres://localhost:5432/bridge".into(),
        way: Way { is_remote: false, ssl_mode: "prefer" },
        server: Ok(ServerFacts {
            major: 15,
            version: "15.4".into(),
            is_replica: false,
            encoding: "UTF8".into(),
        }),
        durability: Ok(Durability { synchronous_commit: "on".into(), fsync: true, full_page_writes: true }),
        standbys: Ok(Standbys::default()),
        shares_sessions: Ok(false),
        rights: Ok(Rights {
            user: "ann".into(),
            schema: Some("public".into()),
            may_create: true,
            foreign_table: None,
        }),
        clock_ahead_ms: Ok(-1_000),
        vacuum: Ok(Vacuum { is_on: true, tables: vec![table(100_001, 100_001)] }),
        oldest_snapshot: Ok(Some(OldestSnapshot {
            holder: "session 7 (psql)".into(),
            held: Some(LONG_SNAPSHOT),
            transactions: MANY_TRANSACTIONS,
        })),
        tls: Ok(None),
        connections: Ok(Connections { open: 20, max: 97 }),
    }
}

fn table(live: u64, dead: u64) -> TableRows {
    TableRows { table: "jobs_default".into(), live, dead, vacuumed_at: None }
}

fn remote(facts: &mut DatabaseFacts, ssl_mode: &'static str, version: Option<&str>) {
    facts.way = Way { is_remote: true, ssl_mode };
    facts.tls = Ok(version.map(str::to_owned));
}

fn said(checks: &[Check]) -> String {
    serde_json::to_value(checks).unwrap().to_string()
}

#[test]
fn a_healthy_database_has_only_good_news() {
    let checks = decide(&facts(), NOW);
    let outcomes: Vec<Outcome> = checks.iter().map(Check::outcome).collect();
    assert_eq!(outcomes, [Outcome::Ok; 3], "{}", said(&checks));
}

#[test]
fn each_trouble_of_a_database_is_reported_with_what_to_do() {
    let cases: &[Case] = &[
        (|it| it.server.as_mut().unwrap().major = 14, Outcome::Failed, "use PostgreSQL 15 or later"),
        (|it| it.server.as_mut().unwrap().is_replica = true, Outcome::Failed, "to the primary server"),
        (|it| it.server.as_mut().unwrap().encoding = "SQL_ASCII".into(), Outcome::Failed, "--encoding=UTF8"),
        (|it| it.durability.as_mut().unwrap().fsync = false, Outcome::Failed, "fsync = on"),
        (
            |it| it.durability.as_mut().unwrap().full_page_writes = false,
            Outcome::Failed,
            "full_page_writes = on",
        ),
        (
            |it| it.durability.as_mut().unwrap().synchronous_commit = "off".into(),
            Outcome::Failed,
            "SET synchronous_commit = on",
        ),
        (|it| it.standbys.as_mut().unwrap().asynchronous = 1, Outcome::Warning, "synchronous_standby_names"),
        (|it| it.standbys.as_mut().unwrap().hidden = 1, Outcome::Warning, "pg_monitor"),
        (
            |it| it.standbys = Ok(Standbys { synchronous: 1, asynchronous: 1, hidden: 0 }),
            Outcome::Ok,
            "waits for a standby",
        ),
        (|it| it.shares_sessions = Ok(true), Outcome::Failed, "pool_mode = session"),
        (|it| it.rights.as_mut().unwrap().schema = None, Outcome::Failed, "SET search_path"),
        (
            |it| it.rights.as_mut().unwrap().may_create = false,
            Outcome::Failed,
            "GRANT CREATE, USAGE ON SCHEMA public TO ann",
        ),
        (
            |it| it.rights.as_mut().unwrap().foreign_table = Some("jobs".into()),
            Outcome::Failed,
            "ALTER TABLE public.jobs OWNER TO ann",
        ),
        (|it| remote(it, "prefer", None), Outcome::Warning, "not encrypted"),
        (|it| remote(it, "require", Some("TLSv1.3")), Outcome::Warning, "sslmode is require"),
        (|it| remote(it, "verify-full", Some("TLSv1.3")), Outcome::Ok, "encrypted with TLSv1.3"),
        (|it| it.clock_ahead_ms = Ok(-1_500), Outcome::Warning, "1.5 s behind the clock of this machine"),
        (|it| it.clock_ahead_ms = Ok(600_000), Outcome::Warning, "10 min ahead of the clock"),
        (
            |it| it.connections = Ok(Connections { open: 90, max: 97 }),
            Outcome::Warning,
            "raise max_connections",
        ),
        (|it| it.connections = Ok(Connections { open: 1, max: 10 }), Outcome::Warning, "a bridge needs 11"),
        (|it| it.vacuum.as_mut().unwrap().is_on = false, Outcome::Failed, "autovacuum = on"),
        (
            |it| it.vacuum.as_mut().unwrap().tables = vec![table(1, 100_001)],
            Outcome::Warning,
            "jobs_default has 100001 dead and 1 live rows, never vacuumed",
        ),
        (
            |it| {
                it.oldest_snapshot = Ok(Some(OldestSnapshot {
                    holder: "session 7 (psql)".into(),
                    held: Some(LONG_SNAPSHOT * 2),
                    transactions: 3,
                }))
            },
            Outcome::Warning,
            "session 7 (psql) has held a snapshot for 20 min",
        ),
        (
            |it| {
                it.oldest_snapshot = Ok(Some(OldestSnapshot {
                    holder: "replication slot old".into(),
                    held: None,
                    transactions: MANY_TRANSACTIONS + 1,
                }))
            },
            Outcome::Warning,
            "for 1000001 transactions",
        ),
        (|it| it.tls = Err(StoreError::Timeout), Outcome::Warning, "a check was not possible"),
    ];
    for (change, outcome, part) in cases {
        let mut facts = facts();
        change(&mut facts);
        let checks = decide(&facts, NOW);
        let found = checks.iter().find(|check| said(std::slice::from_ref(*check)).contains(part));
        assert_eq!(found.map(Check::outcome), Some(*outcome), "{part}: {}", said(&checks));
        let worst = checks.iter().map(Check::outcome).max();
        assert_eq!(worst, Some(*outcome), "{part}: {}", said(&checks));
    }
}
