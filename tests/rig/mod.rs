//! The crash rig: a bridge under load is killed again and again (`kill -9`), and then every request is
//! accounted for.
//!
//! It runs in generations. A generation has a store of its own, new or left by an older version, and some
//! lives: each starts the program on that store, lets bots call it, and kills it at a moment that the seed
//! decides. After each kill a copy of the files says in what the kill came and whether the database is whole;
//! the files themselves are left for the next life to recover. A last life is not killed: it drains the
//! store, and then acknowledged = continued must hold exactly.
//!
//! The seed decides kills, loads and faults, so the same seed plays the same generation. How long things take
//! on the machine is not in the seed: a second run kills at the same moment of the plan, not at the same instruction.
//!
//! `tests/process/crash_rig.rs` runs a short one, `tests/soak` a long one.

pub mod account;
pub mod handlers;
pub mod life;
pub mod load;
pub mod old_store;
pub mod plan;
pub mod report;
pub mod store_files;
pub mod wal;

use std::time::Duration;

use simulator::{Options, Simulator};

use crate::home::Home;

use life::{Lived, Rig};
use plan::{Birth, Generation};
use report::Report;

/// Kommo's answers take so long: kills then find continues in flight.
const LATENCY: Duration = Duration::from_millis(20);
/// How long the bridge waits for an answer of Kommo; what takes longer may be a second continue.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Few workers, so that jobs queue; the loads are far from Kommo's pace.
const CONFIG: &str = r#"workers.concurrency = 8
    delivery.request_timeout = "2s"
    "#;
/// The plain program has no such handler: what it finds queued for it waits for a life that has.
const OWN: &str = r#"handlers.work = { answer_within = "10m", max_attempts = 5 }
    handlers.old = { answer_within = "10m" }
    "#;

/// Plays the generation of `seed` with this many kills, and accounts for every request.
pub async fn play(seed: u64, kills: usize) -> Report {
    let Generation { birth, lives, .. } = Generation::new(seed, kills);
    let simulator = Simulator::start(Options { latency: LATENCY, ..Options::default() }).await.unwrap();
    let home = Home::new(&simulator, CONFIG);
    std::fs::rename(home.config(), home.path("plain.toml")).unwrap();
    home.configure(&simulator, &home.path("bridge.db"), &format!("{CONFIG}{OWN}"));

    let mut rig = Rig::new(&simulator, &home, seed);
    if let Birth::Old { jobs } = birth {
        rig.inherit(jobs).await;
    }
    let mut lived: Vec<Lived> = Vec::new();
    for life in lives {
        lived.push(rig.live(life).await);
    }
    let last = rig.drain().await;
    account::report(seed, &rig, &lived, &last)
}
