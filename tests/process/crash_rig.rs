//! Short generations of the crash rig. `just soak` plays many long ones.

use std::env;

use crate::rig;
use crate::rig::report::Report;

/// One begins with an empty store, the other with one that has to be migrated.
const GENERATIONS: u64 = 2;
/// In each.
const KILLS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kill_leaves_a_store_from_which_each_acknowledged_bot_is_continued() {
    let given = env::var_os("PROCESS_TESTS_SEED").and_then(|seed| seed.into_string().ok()?.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| fastrand::u64(..));
    println!("to see this again: PROCESS_TESTS_SEED={seed}");
    let mut report = Report::default();
    for number in 0..GENERATIONS {
        report.add(rig::play(seed.wrapping_add(number), KILLS).await);
    }
    println!("{report}");
    assert!(report.is_good(), "seed {seed}: {report}");
    assert_eq!(report.kills, KILLS * 2);
    assert!(report.acknowledged > 0, "{report}");
}
