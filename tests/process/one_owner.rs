//! Tests that only one process can own a store.

use serde_json::json;
use simulator::{Options, Plan, Simulator};

use crate::home::Home;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_serve_on_a_store_names_the_owner_and_does_not_disturb_it() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let first = home.serve();

    let second = home.run(&["serve"]).expect(2);
    let owner = format!("in use by process {}", first.process.pid());
    assert!(second.err.contains(&owner) && second.err.contains("store.url"), "{}", second.err);
    assert_eq!(second.out, "");

    // The usual second process has the same ports too. The store is the cause to report.
    let mut same = home.command(&["serve"]);
    same.env("BRIDGE_SERVER__LISTEN", first.public.to_string());
    let second = crate::process::run(same).expect(2);
    assert!(second.err.contains(&owner), "{}", second.err);

    let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })));
    assert_eq!(bot.call(&first.url("echo")).await.unwrap().status, 200);
    bot.continued().await;
    first.settled().await;
    assert_eq!(first.stop().out, "");

    // The lock ends with its owner, even if a kill gave the owner no time to release it.
    home.serve().process.kill();
    home.serve().stop();
}
