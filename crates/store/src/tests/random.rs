//! A property test: random lives of a store, compared with a simple model. proptest reduces a failing life to the few
//! steps that matter.
//!
//! A life is a list of events ([`steps`]): operations of any kind, many in one transaction or each in its own, elapsed
//! time, changes of the clock, crashes, actions of operators in another process. [`life`] runs them on a real store and
//! on the [`model`]. After each event, everything that the store shows must match the model.
//!
//! A failure prints the shortest failing life, and a line `cc …` with its seed. To reproduce it, put that line into the
//! file that the failure names, or choose a seed: `PROPTEST_RNG_SEED=7 cargo test random`.

mod check;
mod erased;
mod filters;
mod known;
mod later;
mod life;
mod model;
mod process;
mod steps;
mod turns;

use life::Life;
use proptest::prelude::*;
use steps::Event;

/// A life takes as long as about this many cases of a test without a disk.
const CASES_PER_LIFE: u32 = 24;

fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: (default.cases / CASES_PER_LIFE).max(1), max_shrink_iters: 500, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_store_behaves_like_the_model(events in prop::collection::vec(steps::event(), 1..40)) {
        live(events);
    }
}

fn live(events: Vec<Event>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut life = Life::begin().await;
        for event in events {
            life.happen(event).await;
            life.check().await;
        }
        life.end().await;
    });
}
