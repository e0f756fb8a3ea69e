//! Kommo's rules for `manifest.json` and the texts that it refers to. Pure: values in, mistakes out.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::package::{Mistake, mistake};

const FILE: &str = "manifest.json";
const LOCALES: [&str; 6] = ["en", "es", "pt", "tr", "id", "ru"];
const SETTING_TYPES: [&str; 5] = ["text", "pass", "users", "users_lp", "custom"];
const DESIGNER_TYPES: [&str; 3] = ["text", "numeric", "url"];

/// Keys of `salesbot_designer` that are not handlers.
const NO_HANDLERS: [&str; 2] = ["logo", "conditions"];

type Texts = BTreeMap<String, Value>;

/// The locales that the manifest lists, known to Kommo or not.
pub(super) fn locales(manifest: &Value) -> Vec<String> {
    strings(&manifest["widget"]["locale"])
}

/// The paths in the package of the tour's images.
pub(super) fn pictures(manifest: &Value) -> Vec<String> {
    let images = manifest["tour"]["tour_images"].as_object();
    let paths = images.into_iter().flat_map(Map::values).flat_map(strings);
    paths.map(|path| path.trim_start_matches('/').to_owned()).collect()
}

/// The handlers of the bot designer, with their codes.
pub(super) fn handlers(manifest: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let designer = manifest["salesbot_designer"].as_object();
    designer.into_iter().flatten().filter(|(code, _)| !NO_HANDLERS.contains(&code.as_str()))
}

/// Adds every mistake to `mistakes`. `i18n` has the texts of each locale that could be read.
pub(super) fn check(manifest: &Value, i18n: &Texts, update: bool, mistakes: &mut Vec<Mistake>) {
    let mut wrong = |key: &str, detail: &str| mistakes.push(mistake(format!("{FILE}: {key}"), detail));
    let widget = &manifest["widget"];
    for key in ["name", "description", "short_description"] {
        if !widget[key].as_str().is_some_and(is_key) {
            wrong(&format!("widget.{key}"), "It must be a key of the texts, like `widget.name`.");
        }
    }
    if !widget["version"].as_str().is_some_and(is_version) {
        wrong("widget.version", "It must be a string of numbers and dots, like `1.0.0`.");
    }
    let fixed = [("interface_version", json!(2)), ("init_once", json!(false)), ("installation", json!(true))];
    for (key, value) in fixed {
        if widget[key] != value {
            wrong(&format!("widget.{key}"), &format!("It must be {value}."));
        }
    }
    let locales = locales(manifest);
    if locales.is_empty() {
        wrong("widget.locale", "It must list at least one locale.");
    }
    for locale in locales.iter().filter(|locale| !LOCALES.contains(&locale.as_str())) {
        let expected = LOCALES.join(", ");
        wrong("widget.locale", &format!("Unknown locale `{locale}` (expected one of: {expected})."));
    }
    if widget["support"].as_object().is_none_or(Map::is_empty) {
        wrong("widget.support", "It must be an object with a link or an email address.");
    }
    for key in ["code", "secret_key"] {
        if !update && widget.get(key).is_some() {
            wrong(&format!("widget.{key}"), "It must be absent on a first upload.");
        }
    }
    let locations = strings(&manifest["locations"]);
    for location in ["settings", "salesbot_designer"] {
        if !locations.iter().any(|listed| listed == location) {
            wrong("locations", &format!("It must contain `{location}`."));
        }
    }
    settings(&manifest["settings"], &mut wrong);
    designer(manifest, &mut wrong);
    if let Some(tour) = manifest.get("tour") {
        self::tour(tour, &locales, &mut wrong);
    }
    texts(manifest, i18n, mistakes);
}

fn settings(settings: &Value, wrong: &mut impl FnMut(&str, &str)) {
    let Some(settings) = settings.as_object().filter(|settings| !settings.is_empty()) else {
        return wrong("settings", "It must be an object with at least one setting.");
    };
    for (key, setting) in settings {
        if !setting["name"].as_str().is_some_and(is_key) {
            wrong(&format!("settings.{key}.name"), "It must be a key of the texts.");
        }
        if !setting["type"].as_str().is_some_and(|kind| SETTING_TYPES.contains(&kind)) {
            wrong(
                &format!("settings.{key}.type"),
                &format!("It must be one of {}.", SETTING_TYPES.join(", ")),
            );
        }
    }
}

fn designer(manifest: &Value, wrong: &mut impl FnMut(&str, &str)) {
    if handlers(manifest).next().is_none() {
        wrong("salesbot_designer", "It must have at least one handler.");
    }
    for (code, handler) in handlers(manifest) {
        let place = format!("salesbot_designer.{code}");
        if !handler["name"].as_str().is_some_and(is_key) {
            wrong(&format!("{place}.name"), "It must be a key of the texts.");
        }
        let Some(settings) = handler["settings"].as_object() else {
            wrong(&format!("{place}.settings"), "It must be an object.");
            continue;
        };
        for (key, setting) in settings {
            let place = format!("{place}.settings.{key}");
            if !setting["name"].as_str().is_some_and(is_key) {
                wrong(&format!("{place}.name"), "It must be a key of the texts.");
            }
            if !setting["type"].as_str().is_some_and(|kind| DESIGNER_TYPES.contains(&kind)) {
                wrong(&format!("{place}.type"), &format!("It must be one of {}.", DESIGNER_TYPES.join(", ")));
            }
            if !setting["default_value"].is_string() {
                wrong(&format!("{place}.default_value"), "It must be a string.");
            }
            if !setting["manual"].is_boolean() {
                wrong(&format!("{place}.manual"), "It must be true or false.");
            }
        }
    }
}

fn tour(tour: &Value, locales: &[String], wrong: &mut impl FnMut(&str, &str)) {
    if tour["is_tour"] != true {
        wrong("tour.is_tour", "It must be true. If there is no tour, leave out `tour`.");
    }
    for locale in locales {
        if strings(&tour["tour_images"][locale]).is_empty() {
            wrong(&format!("tour.tour_images.{locale}"), "It must list at least one image.");
        }
    }
    if !tour["tour_description"].as_str().is_some_and(is_key) {
        wrong("tour.tour_description", "It must be a key of the texts.");
    }
}

/// Checks that each locale has a text for each key that the manifest names.
fn texts(manifest: &Value, i18n: &Texts, mistakes: &mut Vec<Mistake>) {
    let mut keys = Vec::new();
    collect(manifest, "", &mut keys);
    for (locale, texts) in i18n {
        for key in &keys {
            let text = key.split('.').try_fold(texts, |texts, part| texts.get(part)).and_then(Value::as_str);
            if text.is_none_or(str::is_empty) {
                mistakes.push(mistake(
                    format!("i18n/{locale}.json: {key}"),
                    "The manifest uses this key, but it has no text.",
                ));
            }
        }
    }
}

/// Collects the values that Kommo reads as keys of texts.
fn collect(value: &Value, name: &str, keys: &mut Vec<String>) {
    match value {
        Value::String(text) if NAMES.contains(&name) && is_key(text) => keys.push(text.clone()),
        Value::Object(entries) => entries.iter().for_each(|(name, value)| collect(value, name, keys)),
        Value::Array(items) => items.iter().for_each(|value| collect(value, name, keys)),
        _ => {}
    }
}

const NAMES: [&str; 4] = ["name", "description", "short_description", "tour_description"];

/// Whether the text has the form `section.key`, at any depth.
fn is_key(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    text.contains('.') && text.split('.').all(part)
}

fn is_version(text: &str) -> bool {
    text.split('.').all(|part| part.parse::<u32>().is_ok())
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether `new` is a higher version than `old`. Both must be valid versions.
pub(super) fn is_higher(old: &str, new: &str) -> bool {
    let numbers = |text: &str| text.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
    numbers(new) > numbers(old)
}
