//! Breaks each rule of a package: the check must report it with the file.

use super::*;
use crate::check;

/// What the check finds in a package after `change`.
fn broken(change: impl FnOnce(&mut Files)) -> Vec<String> {
    let mut files = plain();
    change(&mut files);
    check(&packed(&files)).iter().map(ToString::to_string).collect()
}

fn assert_found(name: &str, found: &[String], said: &str) {
    assert!(found.iter().any(|finding| finding.contains(said)), "{name}: no `{said}` in {found:#?}");
}

#[test]
fn good_package_has_no_findings_even_if_repacked_with_other_files() {
    assert_eq!(broken(|_| {}), Vec::<String>::new());
    let more = broken(|files| {
        files.insert("style.css".to_owned(), b"p {}".to_vec());
        files.insert("i18n/de.json".to_owned(), b"{}".to_vec());
    });
    assert_eq!(more, Vec::<String>::new(), "other files are allowed");
}

#[test]
fn each_rule_of_the_manifest_is_checked() {
    let cases: &[(&str, Json, &str)] = &[
        ("/widget", json!(null), "`widget` must be an object"),
        ("/widget/name", json!("Greet"), "`widget.name` must be the key of a text"),
        ("/widget/description", json!(null), "`widget.description` must be the key of a text"),
        ("/widget/short_description", json!(1), "`widget.short_description` must be the key of a text"),
        ("/widget/version", json!("1.0"), "`widget.version`"),
        ("/widget/interface_version", json!(1), "`widget.interface_version` must be 2"),
        ("/widget/interface_version", json!("2"), "`widget.interface_version` must be 2"),
        ("/widget/init_once", json!(true), "`widget.init_once` must be false"),
        ("/widget/installation", json!(false), "`widget.installation` must be true"),
        ("/widget/support", json!({}), "`widget.support`"),
        ("/widget/support/link", json!(""), "`widget.support`"),
        ("/widget/locale", json!([]), "`widget.locale` must list"),
        ("/widget/locale", json!(["en", "xx"]), "`widget.locale` lists the unknown language \"xx\""),
        ("/widget/locale", json!(["en", "en"]), "`widget.locale` lists en twice"),
        ("/widget/locale", json!(["en", "ru"]), "i18n/ru.json: is missing"),
        ("/locations", json!(["settings"]), "`locations` must list salesbot_designer"),
        ("/locations", json!("settings"), "`locations` must list settings"),
        ("/settings", json!({}), "`settings` must have at least one"),
        ("/settings/note/type", json!("date"), "`settings.note.type` must be one of"),
        ("/settings/note/name", json!("Note"), "`settings.note.name` must be the key of a text"),
        ("/settings/note/name", json!("settings.other"), "has no text for `settings.other`"),
        ("/salesbot_designer", json!({}), "`salesbot_designer` must have at least one block"),
        ("/salesbot_designer/greet/name", json!(null), "`salesbot_designer.greet.name`"),
        (
            "/salesbot_designer/greet/name",
            json!("Greet"),
            "`salesbot_designer.greet.name` must be the key of a text",
        ),
        (
            "/salesbot_designer/greet/settings/message/name",
            json!("Message"),
            "settings.message.name` must be the key of a text",
        ),
        ("/salesbot_designer/greet/name", json!("salesbot.gone"), "has no text for `salesbot.gone`"),
        (
            "/salesbot_designer/greet/settings",
            json!([]),
            "`salesbot_designer.greet.settings` must be an object",
        ),
        ("/salesbot_designer/greet/settings/message/name", json!(null), "settings.message.name`"),
        (
            "/salesbot_designer/greet/settings/message/type",
            json!("date"),
            "must be one of text, numeric, url",
        ),
        ("/salesbot_designer/greet/settings/message/manual", json!("true"), "must be true or false"),
        (
            "/salesbot_designer/greet/settings/message/default_value",
            json!(1),
            "default_value` must be a string",
        ),
        (
            "/salesbot_designer/greet/settings/message/default_value",
            json!("any.thing"),
            "has no text for `any.thing`",
        ),
    ];
    for (pointer, value, said) in cases {
        let found = broken(|files| {
            let mut manifest = json_of(files, "manifest.json");
            *manifest.pointer_mut(pointer).unwrap() = value.clone();
            files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
        });
        assert_found(pointer, &found, said);
    }
}

#[test]
fn forbidden_keys_and_incomplete_tours_are_found() {
    let with = |place: &str, key: &str, value: Json| {
        broken(|files| {
            let mut manifest = json_of(files, "manifest.json");
            manifest.pointer_mut(place).unwrap()[key] = value;
            files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
        })
    };
    assert_found("code", &with("/widget", "code", json!("x")), "`widget.code` must be absent");
    assert_found(
        "secret_key",
        &with("/widget", "secret_key", json!("x")),
        "`widget.secret_key` must be absent",
    );
    let tour = json!({ "is_tour": false });
    assert_found("tour", &with("", "tour", tour.clone()), "`tour.is_tour` must be true");
    assert_found("tour", &with("", "tour", tour.clone()), "`tour.tour_images.es`");
    assert_found("tour", &with("", "tour", tour), "`tour.tour_description`");
    let pictures =
        |name: &str| json!({ "en": [name], "es": [name], "pt": [name], "tr": [name], "id": [name] });
    let whole = |name: &str| json!({ "is_tour": true, "tour_images": pictures(name), "tour_description": "widget.description" });
    assert_eq!(with("", "tour", whole("/images/logo_main.png")), Vec::<String>::new());
    assert_found("tour", &with("", "tour", whole("/images/gone.png")), "images that are in the zip");
}

#[test]
fn every_missing_key_of_a_field_is_found() {
    for key in ["name", "type", "default_value", "manual"] {
        let found = broken(|files| {
            let mut manifest = json_of(files, "manifest.json");
            let field = manifest.pointer_mut("/salesbot_designer/greet/settings/message").unwrap();
            field.as_object_mut().unwrap().remove(key).unwrap();
            files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
        });
        assert_found(key, &found, &format!("`salesbot_designer.greet.settings.message.{key}` must "));
    }
}

#[test]
fn each_text_of_each_language_is_checked() {
    for (file, text, said) in [
        ("i18n/tr.json", &b"{}"[..], "i18n/tr.json: has no text for `widget.name`"),
        ("i18n/tr.json", b"[]", "has no text for `salesbot.field_message`"),
        ("i18n/tr.json", b"{", "i18n/tr.json: is not valid JSON"),
        ("i18n/id.json", br#"{"widget":{"name":" "}}"#, "i18n/id.json: has no text for `widget.name`"),
        ("i18n/id.json", b"\xef\xbb\xbf{}", "i18n/id.json: begins with a byte order mark"),
        ("manifest.json", b"{\"a\":\"\xff\"}", "manifest.json: must be UTF-8"),
    ] {
        let found = broken(|files| drop(files.insert(file.to_owned(), text.to_vec())));
        assert_found(file, &found, said);
    }
}

#[test]
fn each_missing_file_is_named() {
    for name in plain().keys() {
        let found = broken(|files| drop(files.remove(name)));
        assert_found(name, &found, &format!("{name}: is missing"));
    }
}

#[test]
fn images_of_wrong_dimensions_format_or_size_are_found() {
    let swap = |files: &mut Files, name: &str, bytes: Vec<u8>| drop(files.insert(name.to_owned(), bytes));
    let found = broken(|files| {
        let other = files["images/logo.png"].clone();
        swap(files, "images/logo_min.png", other);
    });
    assert_found("size", &found, "images/logo_min.png: has 130×100 pixels: must have 84×84");
    let found = broken(|files| swap(files, "images/logo.png", b"GIF89a".to_vec()));
    assert_found("kind", &found, "images/logo.png: is not a valid PNG");
    let found = broken(|files| {
        let mut heavy = files["images/logo.png"].clone();
        heavy.resize(300 * 1024 + 1, 0);
        swap(files, "images/logo.png", heavy);
    });
    assert_found("weight", &found, "images/logo.png: has 307201 bytes (limit: 307200)");
}

#[test]
fn badly_packed_archives_are_found() {
    let found: Vec<String> = check(b"hello").iter().map(ToString::to_string).collect();
    assert_found("no zip", &found, "widget.zip: is not a zip");
    let found = broken(|files| {
        *files = files.iter().map(|(name, bytes)| (format!("widget/{name}"), bytes.clone())).collect();
    });
    assert_found("folder", &found, "widget/manifest.json: must be at the root");
    for (name, said) in [
        (".DS_Store", "is a hidden file"),
        ("images/.hidden.png", "is a hidden file"),
        ("__MACOSX/x", "is a hidden file"),
        ("images\\a.png", "forward slashes"),
        ("../evil.js", "relative to the root"),
    ] {
        let found = broken(|files| drop(files.insert(name.to_owned(), Vec::new())));
        assert_found(name, &found, said);
    }
    let found = broken(|files| drop(files.insert("big.txt".to_owned(), vec![0; 5 * 1024 * 1024])));
    assert_found("bomb", &found, "big.txt: has more than");
    let found = broken(|files| {
        files.extend((0..500).map(|number| (format!("{number}.txt"), Vec::new())));
    });
    assert_found("many", &found, "(limit: 500)");
    let found = broken(|files| {
        files.extend((0..9).map(|number| (format!("{number}.txt"), vec![0; 1024 * 1024])));
    });
    assert_found("many bytes", &found, "widget.zip: has more than 8388608 bytes unpacked");
}

#[test]
fn two_entries_with_the_same_name_are_found() {
    let mut files = plain();
    files.insert("script.jx".to_owned(), b"define(1);".to_vec());
    let twice = renamed(&packed(&files), b"script.jx", b"script.js");
    let found: Vec<String> = check(&twice).iter().map(ToString::to_string).collect();
    assert_found("twice", &found, "widget.zip: has two entries with the same name");
}

/// Renames an entry to another name of the same length. Needed because the zip writer refuses duplicate names.
fn renamed(archive: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = archive.to_vec();
    let places: Vec<usize> =
        (0..=bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert_eq!(places.len(), 2, "at the entry and in the central directory");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn image_of_wrong_dimensions_is_not_decoded() {
    // Only the header of an image that would take 14 GB.
    let mut head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\xea\x60\0\0\xea\x60\x08\x06\0\0\0".to_vec();
    head.extend(0x80d2_7542_u32.to_be_bytes());
    head.extend(b"\0\0\0\x0aIDAT");
    let found = broken(|files| drop(files.insert("images/logo.png".to_owned(), head)));
    assert_found("size", &found, "images/logo.png: has 60000×60000 pixels: must have 130×100");
}
