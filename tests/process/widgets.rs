//! Tests of `widgets …`: its output, its calls to Kommo, and its exit statuses.

use std::fs;

use serde_json::{Value, json};
use simulator::{Fault, Options, Simulator};

use crate::connected::{connect, home, kommos};
use crate::home::Home;

async fn simulator() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

/// The method and path of each call to Kommo.
fn calls(simulator: &Simulator) -> Vec<(String, String)> {
    simulator.api_calls().into_iter().map(|call| (call.method, call.path)).collect()
}

fn call(method: &str, path: &str) -> (String, String) {
    (method.to_owned(), path.to_owned())
}

const ASTERISK: &str = "/api/v4/widgets/amo_asterisk";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn installing_without_a_mandatory_setting_names_it_and_installs_nothing() {
    let simulator = simulator().await;
    let home = Home::new(&simulator, "");
    let set = ["--set", "login=example", "--set", "phones.504141=1039", "--set", "script_path=https://x/"];
    let ended = home.run(&[&["widgets", "install", "amo_asterisk"], &set[..]].concat()).expect(2);
    assert!(ended.err.contains("`password` is mandatory and missing"), "{}", ended.err);
    for given in ["login", "phones", "script_path"] {
        assert!(!ended.err.contains(&format!("`{given}`")), "{}", ended.err);
    }
    assert_eq!(ended.out, "");
    assert_eq!(calls(&simulator), [call("GET", ASTERISK)], "only the template is read");
    assert_eq!(simulator.widget("amo_asterisk").unwrap()["is_active_in_account"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_widget_is_installed_and_uninstalled_and_its_secrets_are_masked() {
    let simulator = simulator().await;
    let home = Home::new(&simulator, "");
    fs::write(home.path("asterisk.toml"), "password = \"eXaMp1E\"\n[phones]\n504141 = \"1039\"\n").unwrap();
    let install = |more: &[&'static str]| {
        let file =
            ["--settings", "asterisk.toml", "--set", "login=example", "--set", "script_path=https://x/"];
        home.run(&[&["widgets", "install", "amo_asterisk"], &file[..], more].concat()).expect(0)
    };
    let ended = install(&[]);
    assert!(ended.out.starts_with("amo_asterisk is installed."), "{}", ended.out);
    assert!(!ended.out.contains("eXaMp1E") && ended.out.contains("********"), "{}", ended.out);
    let sent = simulator.api_calls().pop().unwrap();
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", ASTERISK));
    assert_eq!(
        serde_json::from_slice::<Value>(&sent.body).unwrap(),
        json!({ "login": "example", "password": "eXaMp1E", "phones": { "504141": "1039" }, "script_path": "https://x/" })
    );
    let shown = install(&["--json"]).json();
    assert_eq!(
        (&shown["settings"]["login"], &shown["settings"]["password"]),
        (&json!("example"), &json!("********"))
    );
    let shown = install(&["--json", "--show-secrets"]).json();
    assert_eq!(shown["settings"]["password"], "eXaMp1E");

    let listed = home.run(&["widgets", "list", "--installed", "--json"]).expect(0).json();
    let codes: Vec<_> = listed["widgets"].as_array().unwrap().iter().map(|widget| &widget["code"]).collect();
    assert_eq!(codes, ["amo_asterisk"]);
    let ended = home.run(&["widgets", "uninstall", "amo_asterisk"]).expect(0);
    assert_eq!(ended.out, "amo_asterisk is uninstalled.");
    let none = home.run(&["widgets", "list", "--installed"]).expect(0);
    assert_eq!(none.out, "No matching widgets.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn widgets_are_listed_by_pages_or_all_and_shown() {
    let simulator = Simulator::start(Options { more_widgets: 300, ..Options::default() }).await.unwrap();
    let home = Home::new(&simulator, "");
    let page = home.run(&["widgets", "list", "--account", "main", "--limit", "2"]).expect(0);
    let lines: Vec<&str> = page.out.lines().map(str::trim_end).collect();
    assert!(lines[0].starts_with("CODE"), "{}", page.out);
    assert!(lines[1].starts_with("amo_dropbox") && lines[2].starts_with("amo_mailchimp"), "{}", page.out);
    assert_eq!(lines[3], "There are more widgets: add --page 2, or --all");
    let page = home.run(&["widgets", "list", "--page", "2", "--limit", "2", "--json"]).expect(0).json();
    assert_eq!((&page["widgets"][0]["code"], &page["next_page"]), (&json!("amo_asterisk"), &json!(3)));
    let all = home.run(&["widgets", "list", "--all", "--json"]).expect(0);
    assert_eq!((all.json()["widgets"].as_array().unwrap().len(), all.err.as_str()), (304, ""));

    let shown = home.run(&["widgets", "show", "amo_asterisk"]).expect(0);
    for part in ["972", "Phone numbers", "script_path", "MANDATORY"] {
        assert!(shown.out.contains(part), "{part} in\n{}", shown.out);
    }
    let shown = home.run(&["widgets", "show", "amo_dropbox", "--json"]).expect(0).json();
    assert_eq!((&shown["id"], &shown["rating"]), (&json!(742), &json!("2,8")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_explained_and_wrong_usage_exits_with_2() {
    let simulator = simulator().await;
    let more =
        "accounts.other = { base_url = \"https://other.kommo.com\", access_token = \"another-token\" }";
    let home = Home::new(&simulator, more);
    let config = fs::read_to_string(home.config()).unwrap();
    let both = config.replace("allowed_hosts = [", "allowed_hosts = [\"other.kommo.com\", ");
    fs::write(home.config(), both).unwrap();
    let main =
        |arguments: &[&'static str]| home.run(&[&["widgets", "--account", "main"], arguments].concat());
    for (ended, part) in [
        (home.run(&["widgets", "list"]), "add --account with one of: main, other"),
        (home.run(&["widgets", "list", "--account", "unknown"]), "unknown account `unknown`"),
        (main(&["list", "--limit", "251"]), "251"),
        (main(&["list", "--all", "--page", "2"]), "--page"),
        (main(&["install", "amo_asterisk", "--set", "login"]), "write KEY=VALUE"),
        (main(&["install", "amo_asterisk", "--settings", "none.json"]), "none.json: cannot be read"),
        (
            main(&["install", "amo_dropbox", "--set", "cnof=x"]),
            "`cnof` is not a setting of this widget (expected one of: conf)",
        ),
    ] {
        let ended = ended.expect(2);
        assert!(ended.err.contains(part) && ended.out.is_empty(), "{part} in {}", ended.err);
    }
    assert_eq!(calls(&simulator), [call("GET", "/api/v4/widgets/amo_dropbox")]);

    for (fault, part) in [
        (Fault::Status(404), "not found, or not visible"),
        (Fault::Forbidden, "administrator"),
        (Fault::PaymentRequired, "owner must renew it"),
        (Fault::HtmlForbidden, "blocks this IP address"),
    ] {
        simulator.set_outage(Some(fault));
        for command in [&["show", "x"][..], &["uninstall", "x"], &["list"], &["list", "--all"]] {
            let ended = main(command).expect(1);
            assert!(ended.err.contains(part) && ended.err.contains(simulator.base_url()), "{}", ended.err);
            assert!(!ended.err.contains(&simulator.options().access_token), "{}", ended.err);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connected_account_is_called_with_its_own_token() {
    let both = kommos().await;
    let [shop, other] = &both;
    let home = home(&both, "");
    let serve = home.serve();
    connect(&home, &serve, other).await;
    serve.stop();
    let number = other.options().account_id.to_string();
    for account in [number.as_str(), other.base_url()] {
        let listed = home.run(&["widgets", "list", "--limit", "1", "--account", account]).expect(0);
        assert!(listed.out.contains("amo_dropbox"), "{}", listed.out);
    }
    // The token has expired: the first command renews it and stores it for the next.
    other.expire_access_tokens();
    for _ in 0..2 {
        home.run(&["widgets", "show", "amo_dropbox", "--account", &number]).expect(0);
    }
    assert!(calls(shop).is_empty());
    let statuses: Vec<_> = other.api_calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == Some(401)).count(), 1, "{statuses:?}");
    let several = home.run(&["widgets", "list"]).expect(2);
    assert!(several.err.contains("with one of: shop, 127.0.0.1:"), "{}", several.err);
}
