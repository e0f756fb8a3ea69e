//! `config show` and `config schema`.

use super::*;

const TEXT: &str = "[server]\nlisten = \"127.0.0.1:1\"\n[handlers.greet]\nmax_attempts = 5\n";

#[test]
fn each_shown_value_has_the_place_where_it_was_written() {
    let shown = effective(&format!("{MINIMAL}{TEXT}"), &[("BRIDGE_LOG__FILTER", "warn")]).show();
    for line in [
        "[server]\n",
        "concurrency = 64  # built-in default\n",
        "bridge.toml:5\n",
        "filter = \"warn\"  # environment variable BRIDGE_LOG__FILTER\n",
        "[integrations.main]\nclient_secret = \"***\"  # ",
        "answer_within = \"50s\"  # built-in default\n",
        "[handlers.greet.fallback.data]\nstatus = \"fail\"  # built-in default\n",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
}

#[test]
fn the_configuration_file_is_named_first() {
    let folder = Folder::with(MINIMAL);
    let read = Effective::load(&folder.sources(&[])).unwrap();
    let file = folder.path("bridge.toml");
    assert!(read.show().starts_with(&format!("# {}\n", file.display())));
    assert_eq!(read.show_json()["file"], file.display().to_string());
    assert_eq!(read.config.file, Some(file));
    let env = [("BRIDGE_INTEGRATIONS__A__CLIENT_UUID", ID), ("BRIDGE_INTEGRATIONS__A__CLIENT_SECRET", "s")];
    let none = Effective::load(&Sources { file: None, env: owned(&env) }).unwrap();
    assert!(none.show().starts_with("# no configuration file was read: no --config"), "{}", none.show());
    assert!(none.show_json()["file"].is_null() && none.config.file.is_none());
}

#[test]
fn the_shown_text_is_a_valid_configuration() {
    let first = effective(&format!("{MINIMAL}{TEXT}"), &[]);
    let second = effective(&first.show(), &[]);
    let values = |effective: &Effective| effective.show_json()["config"].clone();
    assert_eq!(values(&first), values(&second));
    assert_eq!(values(&first)["handlers"]["greet"]["max_attempts"], 5);
    assert_eq!(first.show_json()["origins"]["server.max_body"], "built-in default");
}

#[test]
fn the_schema_is_closed_and_describes_every_key_including_secret_files() {
    let schema = Config::schema().unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let integration = &schema["properties"]["integrations"]["additionalProperties"];
    assert_eq!(integration["additionalProperties"], false);
    assert_eq!(integration["properties"]["client_secret"]["writeOnly"], true);
    assert_eq!(integration["properties"]["client_secret_file"]["type"], "string");
    assert_eq!(schema["properties"]["workers"]["properties"]["concurrency"]["default"], 64);
    assert_eq!(schema["properties"]["server"]["properties"]["listen"]["type"], "string");
    for (section, key) in defaults::keys_of(&schema) {
        let section = &schema["properties"][section.as_str()];
        let table = section.get("properties").unwrap_or(&section["additionalProperties"]["properties"]);
        assert!(table[key.as_str()]["description"].is_string(), "{key}");
    }
    assert!(!schema.to_string().contains("null"));
}

#[test]
fn the_list_has_every_value_with_its_default_and_its_origin_and_no_secret() {
    use crate::listed_setting::SettingOrigin::{Default, Environment, File};
    let folder = Folder::with(&format!(
        "{MINIMAL}[store]\nretention = \"14d\"\n[admin]\ntoken_file = \"t\"\n\
         [handlers.greet]\nkind = \"http\"\nurl = \"http://127.0.0.1:1/x\"\nauth = \"s3cret-of-greet\"\nmode = \"sync\"\n"
    ));
    folder.write("t", "s3cret-of-admin");
    let read = Effective::load(&folder.sources(&[("BRIDGE_LOG__FILTER", "warn")])).unwrap();
    let list = &read.config.settings;
    let of = |key: &str| list.iter().find(|one| one.key == key).unwrap_or_else(|| panic!("{key}"));
    let line = |number| File(format!("{}:{number}", folder.path("bridge.toml").display()));
    for (key, value, default, origin) in [
        ("integrations.main.client_secret", "***", None, line(3)),
        ("store.retention", "\"14d\"", Some("\"14d\""), line(5)),
        ("store.backup_keep", "7", Some("7"), Default),
        ("admin.token_file", "\"t\"", None, line(7)),
        ("handlers.greet.auth", "***", None, line(11)),
        ("handlers.greet.mode", "\"sync\"", Some("\"auto\""), line(12)),
        ("handlers.greet.max_attempts", "10", Some("10"), Default),
        ("handlers.greet.fallback.data.status", "\"fail\"", Some("\"fail\""), Default),
        ("log.filter", "\"warn\"", Some("\"info\""), Environment("BRIDGE_LOG__FILTER".to_owned())),
    ] {
        let one = of(key);
        assert_eq!((&*one.value, one.default.as_deref(), &one.origin), (value, default, &origin), "{key}");
        assert_eq!(Some(&*one.section), key.split('.').next());
    }
    assert!(of("store.retention").about.as_ref().unwrap().contains("older than this are deleted"));
    let shown = read.show_json();
    assert_eq!(list.len(), shown["origins"].as_object().unwrap().len(), "the same values as `config show`");
    assert!(!format!("{list:?} {:?}", read.config).contains("s3cret"), "{list:?}");
}
