//! Tests of `doctor` beside a running bridge, without one, and with problems.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use simulator::{Options, Simulator};

use crate::home::Home;
use crate::serve::Serve;

/// The outcome, the finding and the advice of each check with this name.
fn checks(report: &Value, name: &str) -> Vec<(String, String, String)> {
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let all = report["checks"].as_array().unwrap().iter().filter(|check| check["name"] == name);
    all.map(|check| (text(check, "outcome"), text(check, "found"), text(check, "todo"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_check_fails_beside_a_running_bridge() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    let text = fs::read_to_string(home.config()).unwrap();
    let here = text
        .replace("admin.listen = \"127.0.0.1:0\"", &format!("admin.listen = \"{}\"", serve.admin))
        .replace("server.listen", &format!("server.public_url = \"http://{}\"\nserver.listen", serve.public));
    fs::write(home.config(), here).unwrap();
    fs::set_permissions(home.config(), fs::Permissions::from_mode(0o600)).unwrap();
    let ended = home.run(&["doctor", "--json"]).expect(0);
    let account = format!("account {}", simulator.base_url().trim_start_matches("http://"));
    for (name, found) in [
        ("secrets", "no file with secrets is readable by every user"),
        ("store", "0 unfinished jobs"),
        ("disk", "MB free"),
        ("clock", ""),
        (account.as_str(), "Kommo accepts its token"),
        ("bridge", "is ready"),
        ("public_url", "leads to the bridge that runs here"),
    ] {
        let check = &checks(&ended.json(), name)[0];
        assert!(check.0 == "ok" && check.1.contains(found), "{name}: {check:?}");
    }
    let ended = home.run(&["doctor"]).expect(0);
    assert!(
        ended.out.contains("It works, with 1 thing to look at."),
        "delivery.insecure is on: {}",
        ended.out
    );
    let text = fs::read_to_string(home.config()).unwrap();
    let elsewhere = text.replace(&format!("\"http://{}\"", serve.public), "\"http://127.0.0.1:1\"");
    fs::write(home.config(), elsewhere).unwrap();
    let report = home.run(&["doctor", "--json"]).expect(1);
    assert_eq!(checks(&report.json(), "public_url")[0].0, "failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_address_that_leads_elsewhere_is_reported() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (home, other_home) = (Home::new(&simulator, ""), Home::new(&simulator, ""));
    let (here, other) = (home.serve(), other_home.serve());
    let found = |admin: SocketAddr, public_url: &str| {
        let mut command = home.command(&["doctor", "--json"]);
        command.env("BRIDGE_ADMIN__LISTEN", admin.to_string());
        command.env("BRIDGE_SERVER__PUBLIC_URL", public_url);
        checks(&crate::process::run(command).json(), "public_url").remove(0)
    };
    let url = |address: SocketAddr| format!("http://{address}");
    for (public_url, outcome, part) in [
        (url(here.public), "ok", "leads to the bridge that runs here"),
        (format!("{}/bots", url(here.public)), "failed", "but not below its path /bots"),
        (url(other.public), "failed", "leads to another bridge than the one that runs here"),
        (url(here.admin), "failed", "something other than a bridge returned 404"),
        (simulator.base_url().to_owned(), "failed", "something other than a bridge"),
        (url(here.public).replace("http:", "https:"), "failed", "TLS fails"),
        ("https://bridge.invalid".to_owned(), "failed", "cannot find the host"),
        ("http://127.0.0.1:1".to_owned(), "failed", "cannot reach"),
    ] {
        let (was, found, todo) = found(here.admin, &public_url);
        assert!(was == outcome && found.contains(part), "{public_url}: {was}: {found}");
        assert_eq!(todo.is_empty(), outcome == "ok", "{public_url}: {todo}");
    }
    let stopped = here.admin;
    here.stop();
    let (was, found, todo) = found(stopped, &url(other.public));
    assert!(was == "warning" && found.contains("none runs here"), "{was}: {found}");
    assert!(todo.contains("run `serve`"), "{todo}");
    other.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_and_serve_name_the_configuration_file_and_the_route_of_calls() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    // Neither an option nor a variable names the file: it is in the working directory.
    let here = |arguments: &[&str]| {
        let mut command = crate::process::program();
        command.args(arguments).current_dir(home.config().parent().unwrap());
        command.env("HTTPS_PROXY", "http://user:hidden@127.0.0.1:1");
        command
    };
    let file = home.config().display().to_string();
    let checked = crate::process::run(here(&["config", "check"])).expect(0);
    assert_eq!(checked.out, format!("configuration is valid: {file}"));
    let report = crate::process::run(here(&["doctor", "--json"])).expect(0);
    assert_eq!(checks(&report.json(), "configuration")[0].1, format!("{file}: accepted"));
    let (outcome, found, todo) = checks(&report.json(), "outgoing").remove(0);
    assert_eq!(outcome, "warning");
    assert!(
        found.starts_with("calls to Kommo go directly, without a proxy; private addresses are allowed"),
        "{found}"
    );
    assert!(
        found.ends_with("; HTTPS_PROXY is set but not used") && todo.contains("delivery.proxy"),
        "{found} {todo}"
    );
    let mut used = here(&["doctor", "--json"]);
    used.env("BRIDGE_DELIVERY__PROXY", "env");
    let report = crate::process::run(used).expect(1);
    let (outcome, found, _) = checks(&report.json(), "outgoing").remove(0);
    assert!(
        outcome == "ok" && found.contains("go through the proxy http://127.0.0.1:1 from HTTPS_PROXY"),
        "{found}"
    );
    let account = format!("account {}", simulator.base_url().trim_start_matches("http://"));
    let failed = &checks(&report.json(), &account)[0].1;
    assert!(failed.contains("through the proxy http://127.0.0.1:1 (delivery.proxy)"), "{failed}");
    let ended = Serve::start(here(&["serve"])).stop();
    for part in [&format!("\"file\":\"{file}\""), "\"variable\":\"HTTPS_PROXY\"", "directly, without a proxy"]
    {
        assert!(ended.err.contains(part), "{part}: {}", ended.err);
    }
    assert!(!report.out.contains("hidden") && !ended.err.contains("hidden"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn problems_are_reported_with_advice_and_without_secrets() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "server.public_url = \"http://127.0.0.1:1\"");
    let token = &simulator.options().access_token;
    let text = fs::read_to_string(home.config()).unwrap();
    fs::write(home.config(), text.replace(token.as_str(), "a-token-that-is-wrong")).unwrap();
    let ended = home.run(&["doctor", "--json"]).expect(1);
    let report = ended.json();
    assert_eq!(checks(&report, "store")[0].0, "ok", "`serve` creates it");
    assert_eq!(checks(&report, "bridge")[0].2, "run `serve`");
    assert_eq!(checks(&report, "public_url")[0].0, "warning", "it cannot lead to a bridge that does not run");
    let account = format!("account {}", simulator.base_url().trim_start_matches("http://"));
    let (outcome, _, todo) = checks(&report, &account).remove(0);
    assert!(outcome == "failed" && todo.contains("accounts.main.access_token"), "{report}");
    for text in [&ended.out, &ended.err] {
        assert!(
            !text.contains("a-token-that-is-wrong") && !text.contains(&simulator.options().client_secret)
        );
    }
}

#[tokio::test]
async fn each_mistake_in_a_refused_configuration_is_a_separate_check() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "workers.concurrency = \"many\"\nlog.filter = 5");
    let ended = home.run(&["doctor", "--json"]).expect(2);
    let found = checks(&ended.json(), "configuration");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|(outcome, _, todo)| outcome == "failed" && todo.contains("config check")));
    assert!(found.iter().any(|(_, found, _)| found.contains("workers.concurrency")), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_others_can_open_are_reported_with_the_command_that_closes_them() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    home.serve().stop();
    let report = home.run(&["doctor", "--json"]);
    assert_eq!(checks(&report.json(), "permissions")[0].0, "ok");
    let store = home.path("bridge.db");
    fs::set_permissions(&store, fs::Permissions::from_mode(0o644)).unwrap();
    let report = home.run(&["doctor", "--json"]);
    let (outcome, found, todo) = checks(&report.json(), "permissions").remove(0);
    assert_eq!(outcome, "warning", "{found}");
    assert!(todo.contains(&format!("chmod 600 {}", store.display())), "{todo}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_with_another_store_is_not_taken_for_ours() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (home, other_home) = (Home::new(&simulator, ""), Home::new(&simulator, ""));
    let other = other_home.serve();
    let with_its_port = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("BRIDGE_ADMIN__LISTEN", other.admin.to_string());
        command.env("BRIDGE_SERVER__PUBLIC_URL", format!("http://{}", other.public));
        crate::process::run(command)
    };
    let report = with_its_port(&["doctor", "--json"]).expect(1).json();
    let (outcome, found, todo) = checks(&report, "bridge").remove(0);
    assert!(outcome == "failed" && found.contains("serves another store than store.url"), "{found}");
    assert!(todo.contains("admin.listen") && todo.contains("store.url"), "{todo}");
    assert!(checks(&report, "requests").is_empty(), "its requests are not ours: {report}");
    let (outcome, found, _) = checks(&report, "public_url").remove(0);
    assert!(outcome == "warning" && found.contains("none runs here"), "{found}");
    let ended = with_its_port(&["health"]).expect(1);
    assert!(ended.err.contains("serves another store than store.url"), "{}", ended.err);
    other.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relative_paths_in_the_file_do_not_depend_on_the_working_directory() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "store.backup_folder = \"backups\"");
    let text = fs::read_to_string(home.config()).unwrap();
    let store = format!("sqlite:{}", home.path("bridge.db").display());
    fs::write(home.config(), text.replace(&store, "sqlite:data/bridge.db")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = home.command(&["serve"]);
    command.current_dir(elsewhere.path());
    let serve = Serve::start(command);
    assert!(home.path("data/bridge.db").is_file());
    let mut command = home.command(&["doctor", "--json"]);
    command.current_dir("/").env("BRIDGE_ADMIN__LISTEN", serve.admin.to_string());
    let report = crate::process::run(command).json();
    assert_eq!(checks(&report, "bridge")[0].0, "ok", "{report}");
    serve.stop();
    let mut command = home.command(&["serve"]);
    command.current_dir(elsewhere.path()).env("BRIDGE_STORE__URL", "sqlite:other.db");
    Serve::start(command).stop();
    assert!(elsewhere.path().join("other.db").is_file(), "a variable is relative to the working directory");
    assert!(!elsewhere.path().join("data").exists() && !elsewhere.path().join("backups").exists());
    assert!(home.path("backups").is_dir());
}
