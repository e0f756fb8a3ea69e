//! Checks the manifest: each key that Kommo requires must have a valid value.

use serde_json::{Map, Value as Json};

use super::{Files, Findings};
use crate::i18n::section_and_key;
use crate::locale::Locale;
use crate::version::Version;

const FILE: &str = "manifest.json";
/// The types of settings on a widget's settings page.
const SETTING_TYPES: [&str; 5] = ["text", "pass", "custom", "users", "users_lp"];
/// The types of fields in the bot designer.
const FIELD_TYPES: [&str; 3] = ["text", "numeric", "url"];
/// Keys of `salesbot_designer` that are not blocks.
const NO_BLOCKS: [&str; 2] = ["logo", "conditions"];

/// Checks the manifest and returns the languages that it lists.
pub(super) fn check(manifest: &Json, files: &Files, findings: &mut Findings) -> Vec<Locale> {
    let mut wrong = |holds: bool, message: &str| findings.unless(holds, FILE, message);
    let widget = &manifest["widget"];
    wrong(widget.is_object(), "`widget` must be an object");
    for key in ["name", "description", "short_description"] {
        wrong(is_key(&widget[key]), &format!("`widget.{key}` must be the key of a text, like section.key"));
    }
    let version = widget["version"].as_str().and_then(|text| text.parse::<Version>().ok());
    wrong(version.is_some(), "`widget.version` must be three numbers, like \"1.0.0\"");
    wrong(widget["interface_version"] == 2, "`widget.interface_version` must be 2");
    wrong(widget["init_once"] == false, "`widget.init_once` must be false");
    wrong(widget["installation"] == true, "`widget.installation` must be true");
    let contact = |key: &str| widget["support"][key].as_str().is_some_and(|text| !text.is_empty());
    wrong(contact("link") || contact("email"), "`widget.support` must have a link or an email");
    for key in ["code", "secret_key"] {
        wrong(widget.get(key).is_none(), &format!("`widget.{key}` must be absent: the account assigns it"));
    }
    for place in ["settings", "salesbot_designer"] {
        let listed = manifest["locations"].as_array().is_some_and(|list| list.iter().any(|one| one == place));
        wrong(listed, &format!("`locations` must list {place}"));
    }
    let settings = manifest["settings"].as_object();
    wrong(settings.is_some_and(|settings| !settings.is_empty()), "`settings` must have at least one setting");
    for (key, setting) in settings.into_iter().flatten() {
        wrong(
            is_key(&setting["name"]),
            &format!("`settings.{key}.name` must be the key of a text, like section.key"),
        );
        let types = SETTING_TYPES.join(", ");
        wrong(
            is_one_of(&setting["type"], &SETTING_TYPES),
            &format!("`settings.{key}.type` must be one of {types}"),
        );
    }
    blocks(manifest, &mut wrong);
    let locales = locales(widget, &mut wrong);
    tour(manifest, &locales, files, &mut wrong);
    locales
}

/// The blocks of `salesbot_designer` with their codes.
pub(super) fn blocks_of(manifest: &Json) -> impl Iterator<Item = (&String, &Json)> {
    let designer = manifest["salesbot_designer"].as_object();
    designer.into_iter().flatten().filter(|(code, _)| !NO_BLOCKS.contains(&code.as_str()))
}

fn blocks(manifest: &Json, wrong: &mut impl FnMut(bool, &str)) {
    wrong(blocks_of(manifest).next().is_some(), "`salesbot_designer` must have at least one block");
    for (code, block) in blocks_of(manifest) {
        let name = format!("`salesbot_designer.{code}.name` must be the key of a text, like section.key");
        wrong(is_key(&block["name"]), &name);
        let settings = block["settings"].as_object();
        wrong(settings.is_some(), &format!("`salesbot_designer.{code}.settings` must be an object"));
        for (key, setting) in settings.into_iter().flatten() {
            let path = format!("salesbot_designer.{code}.settings.{key}");
            wrong(
                is_key(&setting["name"]),
                &format!("`{path}.name` must be the key of a text, like section.key"),
            );
            wrong(
                is_one_of(&setting["type"], &FIELD_TYPES),
                &format!("`{path}.type` must be one of {}", FIELD_TYPES.join(", ")),
            );
            wrong(setting["default_value"].is_string(), &format!("`{path}.default_value` must be a string"));
            wrong(setting["manual"].is_boolean(), &format!("`{path}.manual` must be true or false"));
        }
    }
}

fn locales(widget: &Json, wrong: &mut impl FnMut(bool, &str)) -> Vec<Locale> {
    let listed = widget["locale"].as_array().map(Vec::as_slice).unwrap_or_default();
    wrong(!listed.is_empty(), "`widget.locale` must list at least one language");
    let mut locales = Vec::new();
    for one in listed {
        match one.as_str().and_then(|code| code.parse::<Locale>().ok()) {
            Some(locale) if !locales.contains(&locale) => locales.push(locale),
            Some(locale) => wrong(false, &format!("`widget.locale` lists {locale} twice")),
            None => {
                let known = Locale::ALL.map(Locale::code).join(", ");
                wrong(
                    false,
                    &format!("`widget.locale` lists the unknown language {one} (expected one of: {known})"),
                );
            }
        }
    }
    locales
}

/// Checks the tour, which must be complete or absent: Kommo refuses an incomplete one without a reason.
fn tour(manifest: &Json, locales: &[Locale], files: &Files, wrong: &mut impl FnMut(bool, &str)) {
    let Some(tour) = manifest.get("tour") else { return };
    wrong(tour["is_tour"] == true, "`tour.is_tour` must be true, or `tour` must be absent");
    wrong(
        is_key(&tour["tour_description"]),
        "`tour.tour_description` must be the key of a text, like section.key",
    );
    for locale in locales {
        let pictures = tour["tour_images"][locale.code()].as_array().map(Vec::as_slice).unwrap_or_default();
        let there = |picture: &Json| {
            picture.as_str().is_some_and(|name| files.get(name.trim_start_matches('/')).is_some())
        };
        let fits = !pictures.is_empty() && pictures.iter().all(there);
        wrong(fits, &format!("`tour.tour_images.{locale}` must list images that are in the zip"));
    }
}

fn is_key(value: &Json) -> bool {
    value.as_str().is_some_and(|text| section_and_key(text).is_some())
}

fn is_one_of(value: &Json, allowed: &[&str]) -> bool {
    value.as_str().is_some_and(|text| allowed.contains(&text))
}

/// The parameters that the script gets if the user changes nothing in the bot designer.
pub(super) fn defaults_of(block: &Json) -> Json {
    let settings = block["settings"].as_object();
    let defaults: Map<String, Json> = settings
        .into_iter()
        .flatten()
        .filter_map(|(key, setting)| Some((key.clone(), setting.get("default_value")?.clone())))
        .collect();
    Json::Object(defaults)
}
