//! Random lives of a store, held against a simple model of it: a property test, so that a life that goes
//! wrong is cut down to the few steps that matter.
//!
//! A life is a list of events ([`steps`]): operations of any kind, many in one transaction or each in its own, time that
//! passes, a clock that is set, crashes, people at another process. [`life`] carries them out on a real store and on
//! the [`model`], and after each event everything that the store shows has to be what the model says.
//!
//! A failure prints the shortest life that fails, and a line `cc …` with its seed. To live it again, put that line into
//! the file that the failure names, or begin at a seed of one's own: `PROPTEST_RNG_SEED=7 cargo test random`.

mod check;
mod known;
mod life;
mod model;
mod process;
mod steps;

use life::Life;
use proptest::prelude::*;
use steps::Event;

/// Each life is worth so many cases of a test without a disk.
const CASES_A_LIFE: u32 = 24;

fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: (default.cases / CASES_A_LIFE).max(1), max_shrink_iters: 500, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_store_does_what_the_model_does(events in prop::collection::vec(steps::event(), 1..40)) {
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
