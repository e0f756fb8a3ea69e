//! `demo`: the first thing that anybody runs.

use salesbot_bridge::simulator::Options;

use crate::process::{Ended, program, run};

fn demo(arguments: &[&str]) -> Ended {
    let mut command = program();
    command.arg("demo").args(arguments);
    run(command)
}

#[test]
fn the_demo_continues_every_bot_and_shows_it_as_a_table() {
    let ended = demo(&["--requests", "8"]).expect(0);
    assert!(ended.out.contains("8 of 8 bots continued, 4 of them after retries"), "{}", ended.out);
    let rows = ended.out.lines().filter(|line| line.contains("200 in")).count();
    assert_eq!(rows, 8, "{}", ended.out);
    assert_eq!(ended.err, "", "progress is for terminals");
}

#[test]
fn the_demo_tells_the_same_as_json_and_never_a_secret() {
    let ended = demo(&["--requests", "8", "--json", "-vv"]).expect(0);
    let told = ended.json();
    assert_eq!((&told["continued"], &told["asked"]), (&8.into(), &8.into()));
    assert_eq!(told["bots"].as_array().unwrap().len(), 8);
    let Options { client_secret, access_token, .. } = Options::default();
    for secret in [client_secret.as_str(), &access_token, "Bearer ", "eyJ"] {
        assert!(!ended.out.contains(secret), "stdout has {secret}");
        let line = ended.err.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "stderr has {secret}");
    }
}
