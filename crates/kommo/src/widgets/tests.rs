//! Widgets in the forms that Kommo sends.

use serde_json::json;

use super::*;
use crate::setting_field::SettingType;

/// The widget from the documentation, just after its installation.
fn asterisk() -> Value {
    json!({
        "id": 972, "code": "amo_asterisk", "version": "1.1.6", "rating": "2,7",
        "settings_template": [
            { "key": "login", "name": "Login", "type": "text", "is_required": true },
            { "key": "password", "name": "Password", "type": "pass", "is_required": true },
            { "key": "phones", "name": "Phone numbers", "type": "users", "is_required": true },
            { "key": "script_path", "name": "Script path", "type": "text", "is_required": true }
        ],
        "is_lead_source": false, "is_work_with_dp": false, "is_crm_template": false, "client_uuid": null,
        "is_active_in_account": true, "pipeline_id": null,
        "settings": { "login": "example", "password": "eXaMp1E", "phones": { "504141": "1039" },
            "script_path": "https://example.com/" },
        "_links": { "self": { "href": "https://example.kommo.com/api/v4/widgets/amo_asterisk" } }
    })
}

fn read(value: Value) -> Widget {
    serde_json::from_value(value).unwrap()
}

#[test]
fn documented_widget_survives_reading_and_writing() {
    let widget = read(asterisk());
    assert_eq!((widget.id, widget.code.as_str(), widget.is_active_in_account), (972, "amo_asterisk", true));
    assert_eq!(widget.rating, Some(Rating::Text("2,7".into())));
    let kinds: Vec<_> = widget.settings_template.iter().map(|field| field.kind.clone()).collect();
    assert_eq!(kinds, [SettingType::Text, SettingType::Pass, SettingType::Users, SettingType::Text]);
    assert!(widget.other.contains_key("_links"));
    assert_eq!(json!(widget), asterisk());
}

#[test]
fn other_forms_and_unknown_fields_survive_reading_and_writing() {
    let mut value = asterisk();
    value["rating"] = json!(4.5);
    value["client_uuid"] = json!("9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11");
    value["pipeline_id"] = json!(5_000_000_000_i64);
    value["settings"] = json!([]);
    value["settings_template"] =
        json!([{ "key": "a", "name": "A", "type": "of_tomorrow", "is_required": true, "hint": "x" }]);
    value["is_new"] = json!({ "a": [1] });
    let widget = read(value.clone());
    assert_eq!(widget.rating.as_ref().map(ToString::to_string), Some("4.5".into()));
    assert_eq!(widget.settings, Some(WidgetSettings::new()));
    assert_eq!(widget.settings_template[0].kind, SettingType::Other("of_tomorrow".into()));
    assert_eq!(json!(widget), value);
    value.as_object_mut().unwrap().remove("settings");
    assert_eq!(json!(read(value.clone())), value, "missing settings are not empty settings");
}

#[test]
fn forms_that_php_writes_are_parsed() {
    let widget = read(json!({
        "id": "972", "code": "x", "version": 2, "rating": null, "settings_template": null, "is_lead_source": 1,
        "is_work_with_dp": "0", "is_crm_template": null, "pipeline_id": "17", "settings": null
    }));
    assert_eq!((widget.id, widget.version.as_str(), widget.pipeline_id), (972, "2", Some(17)));
    assert_eq!((widget.is_lead_source, widget.is_work_with_dp, widget.is_crm_template), (true, false, false));
    assert_eq!((widget.rating, widget.settings, widget.settings_template), (None, None, vec![]));
    assert_eq!(
        read(json!({ "id": 1, "code": "x", "settings_template": { "3": { "key": "k", "type": "text" } } }))
            .settings_template[0]
            .key,
        "k"
    );
    for wrong in [
        json!({ "id": 1 }),
        json!({ "id": "x", "code": "x" }),
        json!({ "id": 1.5, "code": "x" }),
        json!({ "id": 1, "code": "x", "is_lead_source": "maybe" }),
        json!({ "id": 1, "code": "x", "settings": [1] }),
    ] {
        assert!(serde_json::from_value::<Widget>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn debug_output_of_a_widget_shows_no_settings() {
    let debug = format!("{:?}", read(asterisk()));
    assert!(debug.contains("amo_asterisk") && !debug.contains("eXaMp1E"), "{debug}");
}

#[test]
fn page_has_a_link_to_the_next_page_except_the_last() {
    let page = |value: Value| serde_json::from_value::<WidgetList>(value).unwrap().into_page(3);
    let link = "https://example.kommo.com/api/v4/widgets?limit=2&page=4";
    let found = page(json!({ "_page": 3, "_links": { "self": { "href": "x" }, "next": { "href": link } },
        "_embedded": { "widgets": [asterisk()] } }));
    assert_eq!((found.page, found.widgets.len(), found.next.as_deref()), (3, 1, Some(link)));
    for last in [
        json!({}),
        json!({ "_links": [], "_embedded": { "widgets": null } }),
        json!({ "_links": { "next": null }, "_embedded": { "widgets": [] } }),
    ] {
        assert_eq!(page(last), WidgetPage { page: 3, ..WidgetPage::default() });
    }
}
