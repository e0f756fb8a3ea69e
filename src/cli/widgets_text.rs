//! Widgets as a person reads them.

use serde_json::Value;

use crate::kommo::{SettingField, Widget};

use super::text::{clean, short, table};

/// The most letters of the names of mandatory settings in a list; `show` has all of them.
const SHORT: usize = 32;

/// A list of widgets, and where it goes on.
pub(super) fn list(widgets: &[Widget], next_page: Option<u32>) -> String {
    let mut table = table(&["CODE", "VERSION", "RATING", "INSTALLED", "MANDATORY SETTINGS"]);
    for widget in widgets {
        let mandatory = widget.settings_template.iter().filter(|field| field.is_required);
        let mandatory: Vec<&str> = mandatory.map(|field| field.key.as_str()).collect();
        table.add_row([
            clean(&widget.code),
            clean(&widget.version),
            rating(widget),
            yes(widget.is_active_in_account).to_owned(),
            short(&clean(&mandatory.join(", ")), SHORT),
        ]);
    }
    let rows = if widgets.is_empty() { "No such widgets.".to_owned() } else { table.trim_fmt() };
    let more = next_page.map(|page| format!("There are more: add --page {page}, or --all\n"));
    format!("{rows}\n{}", more.unwrap_or_default())
}

/// One widget, and the settings that it takes and has.
pub(super) fn widget(widget: &Widget, show_secrets: bool) -> String {
    let pipeline = widget.pipeline_id.map(|id| id.to_string());
    let lines = [
        ("code", widget.code.clone()),
        ("id", widget.id.to_string()),
        ("version", widget.version.clone()),
        ("rating", rating(widget)),
        ("installed", yes(widget.is_active_in_account).to_owned()),
        ("integration", widget.client_uuid.clone().unwrap_or_else(|| "none".to_owned())),
        ("lead source", yes(widget.is_lead_source).to_owned()),
        ("pipeline", pipeline.unwrap_or_else(|| "none".to_owned())),
        ("Digital Pipeline", yes(widget.is_work_with_dp).to_owned()),
        ("CRM template", yes(widget.is_crm_template).to_owned()),
    ];
    let head: String = lines.iter().map(|(name, value)| format!("{name:<16} {}\n", clean(value))).collect();
    if widget.settings_template.is_empty() && widget.settings.is_none() {
        return format!("{head}\nIt takes no settings.\n");
    }
    format!("{head}\n{}\n", settings(widget, show_secrets))
}

fn settings(widget: &Widget, show_secrets: bool) -> String {
    let template = &widget.settings_template;
    let Some(settings) = &widget.settings else {
        let mut table = table(&["SETTING", "NAME", "TYPE", "MANDATORY"]);
        for field in template {
            table.add_row(describe(field));
        }
        return table.trim_fmt();
    };
    let shown = if show_secrets { serde_json::json!(settings) } else { settings.masked(template) };
    let value = |key: &str| shown.get(key).map(told).unwrap_or_default();
    let mut table = table(&["SETTING", "NAME", "TYPE", "MANDATORY", "VALUE"]);
    for field in template {
        let [key, name, kind, mandatory] = describe(field);
        table.add_row([key, name, kind, mandatory, value(&field.key)]);
    }
    for (key, _) in settings.iter().filter(|(key, _)| !template.iter().any(|field| field.key == *key)) {
        table.add_row([clean(key), String::new(), String::new(), String::new(), value(key)]);
    }
    table.trim_fmt()
}

fn describe(field: &SettingField) -> [String; 4] {
    let mandatory = yes(field.is_required).to_owned();
    [clean(&field.key), clean(&field.name), clean(field.kind.as_str()), mandatory]
}

fn told(value: &Value) -> String {
    clean(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn rating(widget: &Widget) -> String {
    widget.rating.as_ref().map(|rating| clean(&rating.to_string())).unwrap_or_default()
}

const fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asterisk() -> Widget {
        serde_json::from_value(json!({
            "id": 972, "code": "amo_asterisk", "version": "1.1.6", "rating": "2,7", "is_active_in_account": true,
            "settings_template": [
                { "key": "login", "name": "Login", "type": "text", "is_required": true },
                { "key": "password", "name": "Password\u{1b}[2J", "type": "pass", "is_required": true },
                { "key": "phones", "name": "Phone numbers", "type": "users", "is_required": true },
                { "key": "script_path", "name": "Script path", "type": "text", "is_required": true }
            ],
            "settings": { "login": "example", "password": "eXaMp1E", "phones": { "504141": "1039" }, "old": "kept" }
        }))
        .unwrap()
    }

    #[test]
    fn a_list_fits_a_terminal_and_says_how_it_goes_on() {
        let text = list(&[asterisk()], Some(2));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        for part in
            ["CODE", "amo_asterisk", "1.1.6", "2,7", "yes", "login, password, phones, script", "--page 2"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert_eq!(list(&[], None), "No such widgets.\n");
    }

    #[test]
    fn a_widget_is_shown_with_its_settings_and_without_its_secrets() {
        let text = widget(&asterisk(), false);
        for part in
            ["972", "Phone numbers", "users_lp", "{\"504141\":\"1039\"}", "example", "********", "old"]
        {
            assert_eq!(text.contains(part), part != "users_lp", "{part} in\n{text}");
        }
        assert!(!text.contains("eXaMp1E") && !text.contains("kept") && !text.contains('\u{1b}'), "{text}");
        let text = widget(&asterisk(), true);
        assert!(text.contains("eXaMp1E") && text.contains("kept"), "{text}");
        let plain = serde_json::from_value(json!({ "id": 1, "code": "x" })).unwrap();
        assert!(widget(&plain, false).ends_with("It takes no settings.\n"));
    }
}
