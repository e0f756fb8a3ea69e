//! The manifest, and the translation files that it refers to.

use super::*;
use crate::Locale;
use crate::check;

const ALL: [&str; 6] = ["en", "es", "pt", "tr", "id", "ru"];

#[test]
fn manifest_has_every_key_that_kommo_requires() {
    let draft = Draft {
        locales: texts(&["en", "tr"]),
        fields: texts(&["site:url=https://x.example/", "lead.price:numeric={{lead.price}}"]),
        support_email: Some("help@example.com".to_owned()),
        support_link: Some("https://example.com/help".to_owned()),
        version: Some("2.0.1".to_owned()),
        ..draft()
    };
    let expected = json!({
        "widget": {
            "name": "widget.name",
            "description": "widget.description",
            "short_description": "widget.short_description",
            "version": "2.0.1",
            "interface_version": 2,
            "init_once": false,
            "locale": ["en", "tr"],
            "installation": true,
            "support": { "link": "https://example.com/help", "email": "help@example.com" },
        },
        "locations": ["settings", "salesbot_designer"],
        "settings": { "note": { "name": "settings.note", "type": "text", "required": false } },
        "salesbot_designer": { "greet": { "name": "salesbot.block", "settings": {
            "site": { "name": "salesbot.field_site", "type": "url", "default_value": "https://x.example/",
                      "manual": true },
            "lead_price": { "name": "salesbot.field_lead_price", "type": "numeric",
                            "default_value": "{{lead.price}}", "manual": true },
        } } },
    });
    let files = files(draft);
    assert_eq!(json_of(&files, "manifest.json"), expected);
    let text = std::str::from_utf8(&files["manifest.json"]).unwrap();
    assert!(text.find("field_site") < text.find("field_lead_price"), "in the order of the description");
}

#[test]
fn every_key_of_the_manifest_has_a_text_in_every_language() {
    let draft = Draft {
        locales: texts(&ALL),
        fields: texts(&["message={{message_text}}", "lead.id={{lead.id}}", "host=example.com"]),
        exits: texts(&["silent=Nothing to say"]),
        ..draft()
    };
    let files = files(draft);
    let keys = [
        ("widget", "name"),
        ("widget", "description"),
        ("widget", "short_description"),
        ("settings", "note"),
        ("salesbot", "block"),
        ("salesbot", "field_message"),
        ("salesbot", "field_lead_id"),
        ("salesbot", "field_host"),
        ("salesbot", "exit_success"),
        ("salesbot", "exit_silent"),
        ("salesbot", "exit_superseded"),
        ("salesbot", "exit_fail"),
        // The text of a default with the form of a key is the default itself.
        ("example", "com"),
    ];
    for locale in ALL {
        let file = json_of(&files, &format!("i18n/{locale}.json"));
        let count: usize =
            file.as_object().unwrap().values().map(|section| section.as_object().unwrap().len()).sum();
        assert_eq!(count, keys.len(), "{locale}: {file}");
        for (section, key) in keys {
            assert!(
                file[section][key].as_str().is_some_and(|text| !text.is_empty()),
                "{locale}: {section}.{key}"
            );
        }
        assert_eq!(
            (&file["example"]["com"], &file["salesbot"]["field_lead_id"]),
            (&json!("example.com"), &json!("lead.id"))
        );
    }
}

#[test]
fn package_has_texts_only_for_its_languages() {
    let listed = |draft: Draft| {
        let files = files(draft);
        let texts: Vec<String> =
            files.keys().filter_map(|name| name.strip_prefix("i18n/")).map(str::to_owned).collect();
        (json_of(&files, "manifest.json")["widget"]["locale"].clone(), texts)
    };
    let (locales, files) = listed(draft());
    assert_eq!(locales, json!(["en", "es", "pt", "tr", "id"]), "the languages of Kommo");
    assert_eq!(files, ["en.json", "es.json", "id.json", "pt.json", "tr.json"]);
    let (locales, files) = listed(Draft { locales: texts(&["ru"]), ..draft() });
    assert_eq!((locales, files), (json!(["ru"]), texts(&["ru.json"])));
    assert_eq!(Locale::ALL.map(Locale::code), ALL);
}

#[test]
fn supplied_texts_are_used_in_every_language() {
    let draft = Draft {
        name: Some(" Кофе & cake ".to_owned()),
        description: Some("First\nsecond".to_owned()),
        short_description: Some("Short".to_owned()),
        locales: texts(&ALL),
        ..draft()
    };
    let archive = build(&spec(draft)).unwrap();
    assert_eq!(check(&archive), []);
    let files = unpacked(&archive);
    for locale in ALL {
        let file = json_of(&files, &format!("i18n/{locale}.json"));
        let expected =
            json!({ "name": "Кофе & cake", "description": "First\nsecond", "short_description": "Short" });
        assert_eq!(file["widget"], expected, "{locale}");
        assert_eq!(file["salesbot"]["block"], "Кофе & cake");
    }
}

#[test]
fn code_and_name_of_the_block_come_from_the_handler() {
    for (handler, block, name) in [
        ("greet", "greet", "Greet"),
        ("greet-new_people", "greet_new_people", "Greet new people"),
        ("logo", "logo_block", "Logo"),
        ("conditions", "conditions_block", "Conditions"),
        ("--", "__", "Bridge"),
        ("2go", "2go", "2go"),
    ] {
        let url = format!("https://bridge.example.com/widget_request/{handler}");
        let spec = spec(Draft { url, ..Draft::default() });
        assert_eq!((spec.block().as_str(), spec.name()), (block, name), "{handler}");
        if block != handler {
            assert_eq!(check(&build(&spec).unwrap()), [], "{handler}");
        }
    }
}
