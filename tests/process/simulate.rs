//! Tests of `simulate`: its configuration, hostile web pages, and scripts that never end.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::Value;
use simulator::FAULTS;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::process::{Process, program, run};
use crate::serve::Serve;

fn simulate() -> (Process, String) {
    let mut command = program();
    command.args(["simulate", "--listen", "127.0.0.1:0", "--long-lived"]);
    let simulator = Process::start(command);
    let base_url = simulator
        .out
        .wait("its address", |line| Some(line.split_once("listens on ")?.1.split(' ').next()?.to_owned()));
    (simulator, base_url)
}

/// A package from `widget-package` whose script begins with `first`.
fn package(first: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args(["widget-package", "--url", "http://127.0.0.1:1/widget_request/echo", "--insecure"]);
    command.current_dir(folder.path());
    run(command).expect(0);
    let bytes = fs::read(folder.path().join("widget.zip")).unwrap();
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut changed = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if name == "script.js" {
            content.splice(0..0, first.bytes());
        }
        changed.start_file(name, SimpleFileOptions::default()).unwrap();
        changed.write_all(&content).unwrap();
    }
    changed.finish().unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_configuration_is_valid_and_listens_at_the_address_of_bridge() {
    // No other test uses this address, so the port stays free.
    let bridge = std::net::TcpListener::bind("127.0.77.1:0").unwrap().local_addr().unwrap();
    for form in ["toml", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program();
        command
            .args(["simulate", "--listen", "127.0.0.1:0", "--long-lived", "--bridge"])
            .arg(format!("http://{bridge}"));
        if form == "json" {
            command.arg("--json");
        }
        let simulator = Process::start(command);
        let config = if form == "json" {
            let printed: Value = simulator.out.wait("all", |line| serde_json::from_str(line).ok());
            toml::to_string(&printed["config"]).unwrap()
        } else {
            simulator.out.wait("its last line", |line| (line == "kind = \"echo\"").then_some(()));
            simulator.out.so_far()
        };
        fs::write(folder.path().join("bridge.toml"), config).unwrap();
        let with = |command: &[&str]| {
            let mut program = program();
            program.args(command).args(["--config", "bridge.toml"]).current_dir(folder.path());
            // Another test may use the default.
            program.env("BRIDGE_ADMIN__LISTEN", "127.0.0.1:0");
            program
        };
        run(with(&["config", "check"])).expect(0);
        let serve = Serve::start(with(&["serve"]));
        assert_eq!(serve.public, bridge);
        serve.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_request_is_played_again_with_exact_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let data = r#"{"message":"hi","table_id":9007199254740993,"deposit":0.1}"#;
    let job = format!(r#"{{"handler":"greet","entity_type":2,"entity_id":51830262,"data":{data}}}"#);
    fs::write(folder.path().join("job.json"), job).unwrap();
    // No other test uses this address, so the port stays free.
    let bridge = std::net::TcpListener::bind("127.0.77.2:0").unwrap().local_addr().unwrap();
    let mut command = program();
    command.args(["simulate", "--json", "--listen", "127.0.0.1:0", "--replay", "job.json", "--bridge"]);
    command.arg(format!("http://{bridge}")).current_dir(folder.path());
    let mut simulator = Process::start(command);
    let printed: Value = simulator.out.wait("the configuration", |line| serde_json::from_str(line).ok());
    fs::write(folder.path().join("replay.toml"), toml::to_string(&printed["config"]).unwrap()).unwrap();
    let mut command = program();
    command.args(["serve", "--config", "replay.toml"]).current_dir(folder.path());
    command.env("BRIDGE_ADMIN__LISTEN", "127.0.0.1:0");
    let serve = Serve::start(command);
    let mut expected: Value = serde_json::from_str(data).unwrap();
    // The built-in handler adds it.
    expected["status"] = "success".into();
    let played = simulator.out.wait("the continue", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        line.get("replayed").cloned()
    });
    assert_eq!(played["data"], expected);
    serve.stop();
    simulator.signal("TERM");
    simulator.end().expect(0);
}

#[test]
fn a_job_that_cannot_be_replayed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let replay = |what: &str| {
        let mut command = program();
        command.args(["simulate", "--listen", "127.0.0.1:0", "--replay", what]).current_dir(folder.path());
        run(command)
    };
    let refused = replay("none.json").expect(2);
    assert!(refused.err.contains("none.json cannot be read: there is no such file"), "{}", refused.err);
}

#[test]
fn a_wrong_bridge_url_is_wrong_usage_and_help_names_the_faults() {
    let simulate = |arguments: &[&str]| {
        let mut command = program();
        command.arg("simulate").args(arguments);
        run(command)
    };
    for (url, why) in [
        ("http://127.0.0.1:8090", "choose another port"),
        ("http://127.0.0.1:8080/bots", "consist of scheme, host and port"),
    ] {
        let refused = simulate(&["--bridge", url]).expect(2);
        assert!(refused.err.contains(why), "{}", refused.err);
    }
    assert!(simulate(&["--language", "xx"]).expect(2).err.contains("expected one of: en, ru"));
    let help = simulate(&["--help"]).expect(0).out;
    for (name, what) in FAULTS {
        assert!(help.contains(name) && help.contains(what), "{name} in\n{help}");
    }
    assert!(help.contains("/simulator/"), "{help}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_page_whose_host_name_leads_to_the_simulator_is_refused() {
    let (mut simulator, base_url) = simulate();
    let client = Client::builder().no_proxy().build().unwrap();
    for (host, status) in [("127.0.0.1", 200), ("localhost", 200), ("evil.example", 403)] {
        let answer = client.get(format!("{base_url}/simulator/bots")).header("host", host).send();
        assert_eq!(answer.await.unwrap().status().as_u16(), status, "{host}");
    }
    simulator.signal("TERM");
    simulator.end().expect(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_never_ends_is_stopped() {
    let (mut simulator, base_url) = simulate();
    let client = Client::builder().no_proxy().build().unwrap();
    let upload = async |first: &str| {
        let request = client.post(format!("{base_url}/simulator/widgets")).body(package(first));
        let answer = request.header("content-type", "application/zip").send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let (status, body) = upload("").await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    // The second one is in a function of the engine that never checks for an interrupt.
    for first in ["while (true) {}\n", "Array.prototype.indexOf.call({ length: Math.pow(2, 53) - 1 }, 1);\n"]
    {
        let begun = Instant::now();
        let (status, body) = upload(first).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(body.contains("more than 2 seconds"), "{body}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
    #[cfg(target_os = "linux")]
    {
        let pid = simulator.pid();
        let threads =
            || fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|thread| thread.unwrap().path());
        for thread in threads() {
            let children = fs::read_to_string(thread.join("children")).unwrap_or_default();
            assert_eq!(children, "", "a script is still running");
        }
        // A thread that has just answered may run for a moment. One that runs a script is running at every check.
        let works = |thread: &std::path::PathBuf| {
            fs::read_to_string(thread.join("stat")).is_ok_and(|stat| stat.contains(") R "))
        };
        let begun = Instant::now();
        while let Some(thread) = threads().find(works) {
            assert!(
                begun.elapsed() < crate::TEST_TIMEOUT,
                "the thread {} is still running",
                thread.display()
            );
        }
    }
    simulator.signal("TERM");
    simulator.end().expect(0);
}
