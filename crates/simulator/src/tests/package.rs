//! A hand-made package, and variants that Kommo would refuse.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use super::simulator;

pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The head of a PNG image, enough to read its size.
fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0DIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes
}

fn manifest(url: &str) -> Value {
    let setting = |name: &str, kind: &str, default: &str| json!({ "name": format!("fields.{name}"), "type": kind, "default_value": default, "manual": true });
    json!({
        "widget": {
            "name": "widget.name", "description": "widget.description",
            "short_description": "widget.short_description", "version": "1.0.0", "interface_version": 2,
            "init_once": false, "locale": ["en", "pt"], "installation": true,
            "support": { "link": "https://example.com", "email": "help@example.com" },
        },
        "locations": ["settings", "salesbot_designer"],
        "settings": { "note": { "name": "settings.note", "type": "text", "required": false } },
        "salesbot_designer": { "ask": { "name": "designer.ask", "settings": {
            "url": setting("url", "url", url), "message": setting("message", "text", "{{message_text}}"),
        } } },
    })
}

/// A valid package; its bot calls `url`.
pub(super) fn files(url: &str) -> Files {
    let texts = json!({
        "widget": { "name": "Echo", "description": "Says it again", "short_description": "Echo" },
        "settings": { "note": "Note" }, "designer": { "ask": "Ask" },
        "fields": { "url": "Address", "message": "Message" }, "exits": { "success": "Done", "fail": "Failed" },
    });
    let mut files = Files::from([
        ("manifest.json".into(), manifest(url).to_string().into_bytes()),
        ("script.js".into(), include_bytes!("hand_made.js").to_vec()),
        ("i18n/en.json".into(), texts.to_string().into_bytes()),
        ("i18n/pt.json".into(), texts.to_string().into_bytes()),
    ]);
    let logos = [
        ("logo", 130, 100),
        ("logo_main", 400, 272),
        ("logo_small", 108, 108),
        ("logo_medium", 240, 84),
        ("logo_min", 84, 84),
        ("logo_dp", 174, 109),
    ];
    files.extend(logos.map(|(name, width, height)| (format!("images/{name}.png"), picture(width, height))));
    files
}

pub(super) fn zipped(files: &Files) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Applies changes to the manifest, addressed by JSON pointers; `null` removes a key.
pub(super) fn with_manifest(files: &Files, changes: &[(&str, Value)]) -> Files {
    let mut manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = manifest.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            parent.remove(key);
        } else {
            parent.insert(key.to_owned(), value.clone());
        }
    }
    let mut files = files.clone();
    files.insert("manifest.json".into(), manifest.to_string().into_bytes());
    files
}

fn script_with(files: &Files, from: &str, to: &str) -> Files {
    let script = String::from_utf8(files["script.js"].clone()).unwrap();
    assert!(script.contains(from), "{from}");
    with(files, "script.js", script.replace(from, to).into_bytes())
}

fn with(files: &Files, name: &str, content: impl Into<Vec<u8>>) -> Files {
    let mut files = files.clone();
    files.insert(name.into(), content.into());
    files
}

fn without(files: &Files, name: &str) -> Files {
    let mut files = files.clone();
    files.remove(name).unwrap();
    files
}

#[tokio::test]
async fn every_broken_rule_of_files_and_manifest_is_reported() {
    let kommo = simulator().await;
    let good = files("http://127.0.0.1:1/");
    kommo.upload_widget(&zipped(&good)).unwrap();
    let m = |pointer: &str, value: Value| with_manifest(&good, &[(pointer, value)]);
    let setting = "/salesbot_designer/ask/settings/message";
    let rows = [
        (without(&good, "manifest.json"), "manifest.json: It is missing"),
        (without(&good, "script.js"), "script.js: It is missing"),
        (without(&good, "i18n/pt.json"), "i18n/pt.json: It is missing"),
        (without(&good, "images/logo_dp.png"), "images/logo_dp.png: It is missing"),
        (with(&good, "images/logo.png", picture(130, 101)), "It is 130×101 and must be 130×100"),
        (with(&good, "images/logo.png", "GIF89a"), "images/logo.png: It is not a PNG"),
        (
            with(&good, "images/more.png", vec![0; 300 * 1024 + 1]),
            "images/more.png: It is larger than 300 KB",
        ),
        (with(&good, ".DS_Store", "x"), ".DS_Store: The package must not contain names that begin"),
        (with(&good, "a\\b.png", "x"), "forward slashes"),
        (with(&good, "/script.js", "x"), "/script.js: Its path must not begin with a slash"),
        (with(&good, "widget/manifest.json", "{}"), "at the root of the zip"),
        (with(&good, "i18n/en.json", "\u{feff}{}"), "i18n/en.json: It begins with a byte order mark"),
        (with(&good, "i18n/en.json", "{"), "i18n/en.json: It is not valid JSON"),
        (with(&good, "script.js", vec![0xff]), "script.js: It is not UTF-8"),
        (m("/widget/name", json!("Echo")), "widget.name: It must be a key"),
        (m("/widget/description", json!("no.text")), "i18n/en.json: no.text: The manifest uses this key"),
        (m("/widget/version", json!("1.x")), "widget.version"),
        (m("/widget/interface_version", json!(1)), "widget.interface_version: It must be 2"),
        (m("/widget/init_once", json!(true)), "widget.init_once: It must be false"),
        (m("/widget/installation", json!(null)), "widget.installation: It must be true"),
        (m("/widget/locale", json!([])), "widget.locale: It must list"),
        (m("/widget/locale", json!(["en", "pt", "xx"])), "Unknown locale `xx`"),
        (m("/widget/support", json!({})), "widget.support"),
        (m("/widget/code", json!("mine")), "widget.code: It must be absent"),
        (m("/widget/secret_key", json!("x")), "widget.secret_key: It must be absent"),
        (m("/locations", json!(["settings"])), "locations: It must contain `salesbot_designer`"),
        (m("/settings", json!({})), "settings: It must be an object with at least one setting"),
        (m("/settings/note/type", json!("colour")), "settings.note.type: It must be one of"),
        (m("/settings/note/name", json!("Note")), "settings.note.name"),
        (m("/salesbot_designer", json!({})), "salesbot_designer: It must have at least one handler"),
        (m("/salesbot_designer/ask/name", json!("x")), "salesbot_designer.ask.name"),
        (m(&format!("{setting}/type"), json!("date")), "settings.message.type: It must be one of text"),
        (m(&format!("{setting}/manual"), json!(1)), "settings.message.manual"),
        (m(&format!("{setting}/default_value"), json!(1)), "settings.message.default_value"),
        (m("/tour", json!({ "is_tour": false })), "tour.is_tour: It must be true"),
        (m("/tour", json!({ "is_tour": true })), "tour.tour_images.pt"),
    ];
    for (files, expected) in rows {
        let error = kommo.upload_widget(&zipped(&files)).unwrap_err();
        assert!(error.mistakes.iter().any(|mistake| mistake.contains(expected)), "{expected}: {error}");
    }
    assert!(kommo.upload_widget(b"no zip").unwrap_err().to_string().contains("not a zip file"));
    // The zip writer refuses duplicate names, so the test patches one of the same length afterwards.
    let mut twice = zipped(&with(&good, "script.jx", "x"));
    for at in 0..twice.len() - 9 {
        if twice[at..].starts_with(b"script.jx") {
            twice[at + 8] = b's';
        }
    }
    assert!(kommo.upload_widget(&twice).unwrap_err().to_string().contains("the same name"));
}

#[tokio::test]
async fn logo_and_conditions_of_the_designer_are_not_handlers() {
    let kommo = simulator().await;
    let beside = [
        ("/salesbot_designer/conditions", json!({})),
        ("/salesbot_designer/logo", json!("/images/logo.png")),
    ];
    let widget =
        kommo.upload_widget(&zipped(&with_manifest(&files("http://127.0.0.1:1/"), &beside))).unwrap();
    assert_eq!(widget.handlers, ["ask"]);
    let alone = [("/salesbot_designer", json!({ "logo": "/images/logo.png" }))];
    let error =
        kommo.upload_widget(&zipped(&with_manifest(&files("http://127.0.0.1:1/"), &alone))).unwrap_err();
    assert!(error.to_string().contains("at least one handler"), "{error}");
}

#[tokio::test]
async fn tour_needs_each_of_its_images() {
    let kommo = simulator().await;
    let tour = json!({ "is_tour": true, "tour_description": "widget.description",
        "tour_images": { "en": ["/images/tour.png"], "pt": ["/images/tour.png"] } });
    let files = with_manifest(&files("http://127.0.0.1:1/"), &[("/tour", tour)]);
    let error = kommo.upload_widget(&zipped(&files)).unwrap_err();
    assert_eq!(error.mistakes.len(), 2, "{error}");
    assert!(error.mistakes[0].starts_with("images/tour.png: "));
    kommo.upload_widget(&zipped(&with(&files, "images/tour.png", picture(10, 10)))).unwrap();
}

#[tokio::test]
async fn script_that_breaks_the_rules_is_refused() {
    let kommo = simulator().await;
    let good = files("http://127.0.0.1:1/");
    let rows = [
        (
            "init: function () { return true; }",
            "init: function () { return 1; }",
            "callbacks.init: It must return true",
        ),
        ("onSave: function", "on_save: function", "callbacks.onSave: It must be a function"),
        ("destroy: function () {}", "destroy: 1", "callbacks.destroy: It must be a function"),
        ("title: self.i18n('exits.fail')", "title: ''", "callbacks.salesbotDesignerSettings: It must return"),
        ("var self = this;", "var self = missing;", "missing"),
        ("this.callbacks", "this.calls", "does not set this.callbacks"),
        ("define([", "void([", "returns no constructor"),
        ("var self = this;", "while (true) {}", "for more than 2 seconds"),
        ("var self = this;", "(function f() { f(); f(); })();", "script.js: The script fails"),
        ("var self = this;", "'x'.repeat(1e9);", "script.js: The script fails"),
        ("var self = this;", "require('fs');", "require"),
    ];
    for (from, to, expected) in rows {
        let error = kommo.upload_widget(&zipped(&script_with(&good, from, to))).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

#[tokio::test]
async fn newer_package_needs_a_higher_version() {
    let kommo = simulator().await;
    let files = files("http://127.0.0.1:1/");
    let code = kommo.upload_widget(&zipped(&files)).unwrap().code;
    for (version, refused) in [("1.0.0", true), ("0.9.9", true), ("1.0.10", false), ("1.0.9", true)] {
        let changes = [("/widget/version", json!(version)), ("/widget/code", json!(code))];
        let result = kommo.update_widget(&code, &zipped(&with_manifest(&files, &changes)));
        assert_eq!(result.is_err(), refused, "{version}: {result:?}");
    }
    let error = kommo.update_widget("other", &zipped(&files)).unwrap_err();
    assert!(error.to_string().contains("Unknown widget `other`"), "{error}");
    assert_eq!(kommo.widget(&code).unwrap()["version"], "1.0.10");
}
