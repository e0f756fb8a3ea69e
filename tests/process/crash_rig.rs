//! Runs short generations of the crash rig. `just soak` runs many long ones.

use std::env;

use simulator::{Fault, Options, Plan, Simulator};

use crate::rig::plan::{BotHandler, BotPlan, Generation, HttpAnswer};
use crate::rig::report::{Doubles, Report};
use crate::rig::{self, account, wal};

/// The first generation starts with an empty store, the second with a store that needs migration.
const GENERATIONS: u64 = 2;
/// The kills in each generation.
const KILLS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_bot_is_continued_after_every_kill() {
    let given = env::var_os("PROCESS_TESTS_SEED").and_then(|seed| seed.into_string().ok()?.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| fastrand::u64(..));
    println!("to repeat this run: PROCESS_TESTS_SEED={seed}");
    let mut report = Report::default();
    for number in 0..GENERATIONS {
        report.add(rig::play(seed.wrapping_add(number), KILLS).await);
    }
    println!("{report}");
    assert!(report.is_good(), "seed {seed}: {report}");
    assert_eq!(report.kills, KILLS * 2);
    assert!(report.acknowledged > 0, "{report}");
}

#[test]
fn the_same_seed_gives_the_same_plan() {
    assert_eq!(Generation::new(7, 30), Generation::new(7, 30));
    assert_ne!(Generation::new(7, 30), Generation::new(9, 30));
}

#[test]
fn a_plan_has_every_answer_of_a_handler_over_http() {
    let lives = Generation::new(7, 30).lives;
    for answer in HttpAnswer::ALL {
        let bots = lives.iter().flat_map(|life| &life.bots);
        assert!(bots.into_iter().any(|bot| bot.handler == BotHandler::Http(answer)), "{answer:?}");
        assert_eq!(HttpAnswer::named(answer.name()), Some(answer));
    }
}

#[tokio::test]
async fn repeated_continues_are_counted_by_their_cause() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let bot = simulator.bot(Plan::default());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..3 {
        let post = client.post(bot.return_url()).bearer_auth(&simulator.options().access_token);
        post.body(r#"{"data":{"status":"success"}}"#).send().await.unwrap();
    }
    let (bot_report, calls) = (bot.report(), simulator.calls());
    let plan = |faults| BotPlan {
        handler: BotHandler::Echo,
        ms: 0,
        fails: 0,
        faults,
        persists: false,
        repeats: false,
    };
    let doubles = |faults, in_flight| account::doubles(&plan(faults), &bot_report, &calls, in_flight);
    assert_eq!(doubles(vec![], 0), Doubles { unexplained: 2, ..Doubles::default() });
    assert_eq!(doubles(vec![], 2), Doubles { crash: 2, ..Doubles::default() });
    let one_each = Doubles { crash: 1, answer_lost: 1, ..Doubles::default() };
    assert_eq!(doubles(vec![Fault::AnswerLost], 1), one_each);
}

#[test]
fn a_log_that_ends_inside_a_transaction_is_recognized() {
    let (page, salt) = (512_u32, [7_u8; 8]);
    let mut log = [&[0; 8][..], &page.to_be_bytes(), &[0; 4], &salt, &[0; 8]].concat();
    let frame =
        |size: u32, salt: [u8; 8]| [&[0; 4][..], &size.to_be_bytes(), &salt, &[0; 8], &[0; 512]].concat();
    assert!(!wal::ends_inside_a_transaction(&log) && !wal::ends_inside_a_transaction(&[]));
    log.extend(frame(0, salt));
    assert!(wal::ends_inside_a_transaction(&log));
    log.extend(frame(3, salt));
    assert!(!wal::ends_inside_a_transaction(&log));
    log.extend(frame(0, [8; 8]));
    assert!(!wal::ends_inside_a_transaction(&log), "a frame with another salt is left from an older run");
}
