//! `store.url` of a PostgreSQL database, which contains a password.

use super::*;

const URL: &str = "postgres://ann:s3cret-of-ann@db.example:5432/bridge?sslmode=require";
const SHOWN: &str = "postgres://db.example:5432/bridge";

#[test]
fn the_address_of_a_database_is_shown_without_its_password() {
    let folder = Folder::with(&format!("{MINIMAL}[store]\nurl = \"{URL}\"\n"));
    let read = Effective::load(&folder.sources(&[])).unwrap();
    assert_eq!(read.config.store.url, URL);
    let listed = read.config.settings.iter().find(|one| one.key == "store.url").unwrap();
    assert_eq!(listed.value, format!("\"{SHOWN}\""));
    assert!(read.show().contains(&format!("url = \"{SHOWN}\"  # ")), "{}", read.show());
    assert_eq!(read.show_json()["config"]["store"]["url"], SHOWN);
    for text in [
        read.show(),
        read.show_json().to_string(),
        format!("{read:?}"),
        format!("{:?}", read.config.settings),
    ] {
        assert!(!text.contains("s3cret"), "{text}");
    }
    assert_eq!(read.secret_files().into_iter().collect::<Vec<_>>(), [folder.path("bridge.toml")]);
}

#[test]
fn the_address_can_come_from_a_file_in_place_of_the_default() {
    let folder = Folder::with(&format!("{MINIMAL}[store]\nurl_file = \"the.url\"\n"));
    folder.write("the.url", &format!("{URL}\n"));
    let read = Effective::load(&folder.sources(&[])).unwrap();
    assert_eq!(read.config.store.url, URL);
    assert!(!read.show().contains("sqlite:"), "{}", read.show());
    assert!(read.secret_files().contains(&folder.path("the.url")), "{:?}", read.secret_files());
    assert_eq!(read.config.secret_files[0].file_key(), "store.url_file");

    for (text, expected) in [
        ("postgres://ann:s3cret@h", "bridge.toml:5: store.url_file: it names no database"),
        ("\"postgres://ann:s3cret@h/x\"", "store.url_file: the.url begins or ends with a quote"),
        ("", "store.url_file: the.url is empty"),
        ("s3cret", "store.url_file: must be `sqlite:` and the path of a file"),
    ] {
        folder.write("the.url", text);
        let refusal = folder.refusal(&[]);
        assert!(refusal.contains(expected) && !refusal.contains("s3cret@"), "{text}: {refusal}");
    }
}

#[test]
fn a_file_of_the_address_in_a_later_layer_replaces_the_address() {
    let folder = Folder::with(&format!("{MINIMAL}[store]\nurl = \"sqlite:a.db\"\n"));
    folder.write("the.url", "sqlite:b.db");
    let file = folder.path("the.url").display().to_string();
    let config = folder.load(&[("BRIDGE_STORE__URL_FILE", &file)]).unwrap();
    assert!(config.store.url.ends_with("b.db"), "{}", config.store.url);
}
