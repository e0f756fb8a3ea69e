//! Tests of `demo`, the first command that a new user runs.

use simulator::Options;

use crate::process::{Ended, Process, program, run};

fn demo(arguments: &[&str]) -> Ended {
    let mut command = program();
    command.arg("demo").args(arguments);
    run(command)
}

#[test]
fn the_demo_continues_every_bot_and_prints_a_table() {
    let ended = demo(&["--requests", "8"]).expect(0);
    assert!(ended.out.contains("8 of 8 bots continued, 4 of them after retries"), "{}", ended.out);
    let rows = ended.out.lines().filter(|line| line.contains("200 in")).count();
    assert_eq!(rows, 8, "{}", ended.out);
    assert_eq!(ended.err, "", "progress is for terminals");
    for next in ["What to do next:", " demo --keep\n", " simulate > bridge.toml\n", "README.md"] {
        assert!(ended.out.contains(next), "{next} in\n{}", ended.out);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_with_keep_prints_its_addresses_without_a_terminal() {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for json in [false, true] {
        let mut command = program();
        command.args(["demo", "--requests", "2", "--keep"]);
        if json {
            command.arg("--json");
        }
        let mut demo = Process::start(command);
        let output = if json { demo.err.clone() } else { demo.out.clone() };
        let after =
            |name: &'static str| move |line: &str| Some(line.trim().strip_prefix(name)?.trim().to_owned());
        let admin = output.wait("the admin listener", after("admin "));
        let config = output.wait("the configuration", after("config "));
        let order = output.wait("a command to try", after("curl "));
        assert!(order.contains("/simulator/bots") && order.contains("/widget_request/echo"), "{order}");
        output.wait("how to end it", |line| line.contains("until Ctrl-C").then_some(()));
        let live = client.get(format!("{admin}/health/ready")).send().await.unwrap();
        assert_eq!(live.status(), 200);
        let mut jobs = program();
        jobs.args(["jobs", "list", "--json", "--config", &config]);
        assert_eq!(run(jobs).expect(0).json()["jobs"].as_array().unwrap().len(), 2);
        demo.signal("TERM");
        let ended = demo.end().expect(0);
        assert!(!json || ended.json()["continued"] == 2, "stdout is one JSON object");
    }
}

#[test]
fn the_demo_prints_json_and_no_secret() {
    let ended = demo(&["--requests", "8", "--json", "-vv"]).expect(0);
    let result = ended.json();
    assert_eq!((&result["continued"], &result["asked"]), (&8.into(), &8.into()));
    assert_eq!(result["bots"].as_array().unwrap().len(), 8);
    let Options { client_secret, access_token, .. } = Options::default();
    for secret in [client_secret.as_str(), &access_token, "Bearer ", "eyJ"] {
        assert!(!ended.out.contains(secret), "stdout has {secret}");
        let line = ended.err.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "stderr has {secret}");
    }
}
