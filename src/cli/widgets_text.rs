//! Widgets as text.

use anstyle::AnsiColor;
use serde_json::Value;

use kommo::{SettingField, Widget};

use super::screen::Screen;
use super::table::{Cell, Column, Table};
use super::text::{clean, colour};

/// A list of widgets, and how to list the next page.
pub(super) fn list(widgets: &[Widget], next_page: Option<u32>, screen: Screen) -> String {
    let mut table = Table::new([
        Column::new("CODE"),
        Column::new("VERSION").spare(2),
        Column::new("RATING").spare(1),
        Column::new("INSTALLED"),
        Column::new("MANDATORY SETTINGS").cut(18),
    ]);
    for widget in widgets {
        let mandatory = widget.settings_template.iter().filter(|field| field.is_required);
        let mandatory: Vec<&str> = mandatory.map(|field| field.key.as_str()).collect();
        table.row([
            clean(&widget.code).into(),
            clean(&widget.version).into(),
            rating(widget).into(),
            installed(widget),
            clean(&mandatory.join(", ")).into(),
        ]);
    }
    let rows = if widgets.is_empty() { "No matching widgets.".to_owned() } else { table.render(screen) };
    let more = next_page.map(|page| format!("There are more widgets: add --page {page}, or --all\n"));
    format!("{rows}\n{}", more.unwrap_or_default())
}

/// One widget, the settings that it accepts, and their values.
pub(super) fn widget(widget: &Widget, show_secrets: bool, screen: Screen) -> String {
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
        return format!("{head}\nThe widget has no settings.\n");
    }
    format!("{head}\n{}\n", settings(widget, show_secrets, screen))
}

fn settings(widget: &Widget, show_secrets: bool, screen: Screen) -> String {
    let template = &widget.settings_template;
    let Some(settings) = &widget.settings else {
        let mut table = Table::new(COLUMNS);
        for field in template {
            table.row(describe(field));
        }
        return table.render(screen);
    };
    let shown = if show_secrets { serde_json::json!(settings) } else { settings.masked(template) };
    let value = |key: &str| Cell::from(shown.get(key).map(shown_value).unwrap_or_default());
    let [setting, name, kind, mandatory] = COLUMNS;
    let mut table = Table::new([setting, name, kind, mandatory, Column::new("VALUE").below()]);
    for field in template {
        let [key, name, kind, mandatory] = describe(field);
        table.row([key, name, kind, mandatory, value(&field.key)]);
    }
    for (key, _) in settings.iter().filter(|(key, _)| !template.iter().any(|field| field.key == *key)) {
        table.row([clean(key).into(), "".into(), "".into(), "".into(), value(key)]);
    }
    table.render(screen)
}

/// The columns that describe a setting.
const COLUMNS: [Column; 4] = [
    Column::new("SETTING"),
    Column::new("NAME").cut(12).spare(1),
    Column::new("TYPE"),
    Column::new("MANDATORY").spare(2),
];

fn describe(field: &SettingField) -> [Cell; 4] {
    let kind = clean(field.kind.as_str());
    [clean(&field.key).into(), clean(&field.name).into(), kind.into(), yes(field.is_required).into()]
}

fn installed(widget: &Widget) -> Cell {
    let style = if widget.is_active_in_account { colour(AnsiColor::Green) } else { anstyle::Style::new() };
    Cell::styled(yes(widget.is_active_in_account), style)
}

fn shown_value(value: &Value) -> String {
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
    fn a_list_fits_the_terminal_and_says_how_to_continue() {
        let text = list(&[asterisk()], Some(2), Screen { width: Some(80), colours: false });
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        for part in
            ["CODE", "amo_asterisk", "1.1.6", "2,7", "yes", "login, password, phones, script", "--page 2"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert_eq!(list(&[], None, Screen::FILE), "No matching widgets.\n");
    }

    #[test]
    fn a_widget_is_shown_with_masked_settings() {
        let text = widget(&asterisk(), false, Screen::FILE);
        for part in
            ["972", "Phone numbers", "users_lp", "{\"504141\":\"1039\"}", "example", "********", "old"]
        {
            assert_eq!(text.contains(part), part != "users_lp", "{part} in\n{text}");
        }
        assert!(!text.contains("eXaMp1E") && !text.contains("kept") && !text.contains('\u{1b}'), "{text}");
        let text = widget(&asterisk(), true, Screen::FILE);
        assert!(text.contains("eXaMp1E") && text.contains("kept"), "{text}");
        let plain = serde_json::from_value(json!({ "id": 1, "code": "x" })).unwrap();
        assert!(widget(&plain, false, Screen::FILE).ends_with("The widget has no settings.\n"));
    }
}
