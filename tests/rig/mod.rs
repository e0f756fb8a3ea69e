//! The crash rig: kills a bridge under load repeatedly (`kill -9`), and then accounts for every request.
//!
//! It runs in generations. A generation has its own store, either new or left by an older version, and several lives.
//! Each life starts the program on that store, lets bots call it, and kills it at a moment that the seed decides. After
//! each kill, a copy of the files shows what the kill interrupted, and whether the database is intact. The next life
//! recovers the original files. The last life is not killed: it drains the store, and then acknowledged = continued
//! must hold exactly.
//!
//! One handler is a service over HTTP in this process, which outlives the kills. It repeats each callback until a life of
//! the bridge has answered it, and its record must agree with what the bots got.
//!
//! The seed decides kills, loads and faults, so the same seed gives the same plan. It does not decide how long things
//! take on the machine: a second run kills at the same point of the plan, but not at the same instruction.
//!
//! `tests/process/crash_rig.rs` runs a short generation, `tests/soak` many long ones.

pub mod account;
pub mod handlers;
pub mod life;
pub mod load;
pub mod old_store;
pub mod plan;
pub mod report;
pub mod service;
pub mod store_files;
pub mod wal;

use std::time::Duration;

use simulator::{Options, Simulator};

use crate::home::Home;

use life::{Lived, Rig};
use plan::{Birth, Generation};
use report::Report;
use service::Service;

/// The latency of Kommo's responses, so that kills find continues in flight.
const LATENCY: Duration = Duration::from_millis(20);
/// How long the bridge waits for a response of Kommo. A slower response may cause a second continue.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Few workers, so that jobs queue. The loads stay far below Kommo's rate limit.
const CONFIG: &str = r#"workers.concurrency = 8
    delivery.request_timeout = "2s"
    "#;
/// The plain program does not have these handlers: their queued jobs wait for a life that does.
const OWN: &str = r#"handlers.work = { answer_within = "10m", max_attempts = 5 }
    handlers.old = { answer_within = "10m" }
    "#;

/// Runs the generation of `seed` with `kills` kills, and accounts for every request.
pub async fn play(seed: u64, kills: usize) -> Report {
    let Generation { birth, lives, .. } = Generation::new(seed, kills);
    let simulator = Simulator::start(Options { latency: LATENCY, ..Options::default() }).await.unwrap();
    let service = Service::start().await;
    let config = format!("{CONFIG}{}", service.config());
    let home = Home::new(&simulator, &config);
    std::fs::rename(home.config(), home.path("plain.toml")).unwrap();
    home.configure(&simulator, &home.path("bridge.db"), &format!("{config}{OWN}"));

    let mut rig = Rig::new(&simulator, &service, &home, seed);
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
