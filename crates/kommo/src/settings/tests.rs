//! Which settings fit which template, and which values are shown.

use super::*;

fn field(key: &str, kind: &str, is_required: bool) -> SettingField {
    serde_json::from_value(json!({ "key": key, "name": key, "type": kind, "is_required": is_required }))
        .unwrap()
}

/// The template of `amo_asterisk`.
fn asterisk() -> Vec<SettingField> {
    vec![
        field("login", "text", true),
        field("password", "pass", true),
        field("phones", "users", true),
        field("script_path", "text", true),
    ]
}

fn optional() -> Vec<SettingField> {
    vec![
        field("text", "text", false),
        field("pass", "pass", false),
        field("phones", "users", false),
        field("agents", "users_lp", false),
        field("conf", "custom", false),
        field("new", "of_tomorrow", false),
    ]
}

fn settings(values: Value) -> WidgetSettings {
    serde_json::from_value(values).unwrap()
}

fn mistakes(values: Value, template: &[SettingField]) -> Vec<String> {
    let found = settings(values).check(template).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn the_documented_request_fits_its_widget() {
    let body = json!({ "login": "example", "password": "eXaMp1E", "phones": { "504141": "1039" },
        "script_path": "https://example.com/" });
    assert_eq!(settings(body.clone()).check(&asterisk()), Ok(()));
    let built = WidgetSettings::new()
        .text("login", "example")
        .text("password", "eXaMp1E")
        .user("phones", 504_141, "1039")
        .text("script_path", "https://example.com/");
    assert_eq!(json!(built), body);
}

#[test]
fn each_missing_or_empty_mandatory_setting_is_named() {
    let found = settings(json!({ "login": "", "password": null, "phones": {} })).check(&asterisk());
    let found: Vec<_> =
        found.unwrap_err().into_iter().map(|m| (m.path().to_owned(), m.is_missing())).collect();
    let expected = [("login", false), ("password", true), ("phones", false), ("script_path", true)];
    assert_eq!(found, expected.map(|(path, missing)| (path.to_owned(), missing)));
    assert_eq!(mistakes(json!({}), &optional()), Vec::<String>::new());
}

#[test]
fn each_value_of_the_wrong_type_is_named() {
    for (values, expected) in [
        (json!({ "text": 5 }), vec!["`text` has the wrong type (expected a string)"]),
        (json!({ "pass": true }), vec!["`pass` has the wrong type (expected a password, as a string)"]),
        (
            json!({ "phones": ["1039"] }),
            vec![
                "`phones` has the wrong type (expected an object with user ids and extensions, like {\"504141\": \"1039\"})",
            ],
        ),
        (
            json!({ "phones": { "x": "1", "5": 1 } }),
            vec![
                "`phones.5` must be a string",
                "`phones.x` is not a user id (expected a number like 504141)",
            ],
        ),
        (
            json!({ "agents": { "5": { "login": 1 }, "6": { "login": "l", "password": "p" } } }),
            vec!["`agents.5.login` must be a string", "`agents.5.password` is missing"],
        ),
        (
            json!({ "agents": { "5": "secret" } }),
            vec![
                "`agents.5` has the wrong type (expected an object with user ids and logins, like {\"504141\": {\"login\": \
                  \"…\", \"password\": \"…\"}})",
            ],
        ),
        (json!({ "conf": [1, { "any": "thing" }], "new": 7, "text": null }), vec![]),
    ] {
        assert_eq!(mistakes(values.clone(), &optional()), expected, "{values}");
    }
}

#[test]
fn unknown_key_is_named_with_the_known_keys() {
    assert_eq!(
        mistakes(json!({ "pasword": "x" }), &asterisk()[..1]),
        [
            "`login` is mandatory and missing (expected a string)",
            "`pasword` is not a setting of this widget (expected one of: login)"
        ]
    );
    assert_eq!(mistakes(json!({ "x": 1 }), &[]), ["`x` is not a setting of this widget (it has none)"]);
}

#[test]
fn only_values_that_are_certainly_not_secret_are_shown() {
    let values = json!({ "text": "seen", "pass": "hidden", "phones": { "5": "1039" }, "new": "hidden", "conf": "",
        "agents": { "5": { "login": "me", "password": "hidden", "x": "hidden" }, "6": "hidden" }, "alien": ["hidden"] });
    let settings = settings(values);
    let masked = settings.masked(&optional());
    assert_eq!(
        masked,
        json!({ "text": "seen", "pass": MASKED, "phones": { "5": "1039" }, "new": MASKED, "conf": "",
            "agents": { "5": { "login": "me", "password": MASKED, "x": MASKED }, "6": MASKED }, "alien": MASKED })
    );
    let debug = format!("{settings:?}");
    assert!(debug.contains("agents") && !debug.contains("hidden") && !debug.contains("seen"), "{debug}");
}

#[test]
fn mistake_never_contains_the_value() {
    for values in [
        json!({ "text": ["hidden"], "agents": { "5": { "login": ["hidden"] } } }),
        json!({ "phones": "hidden", "pass": { "hidden": 1 } }),
    ] {
        let shown = mistakes(values.clone(), &optional()).concat();
        assert!(!shown.is_empty() && !shown.contains("hidden"), "{shown}");
    }
}

#[test]
fn users_are_collected_under_one_key() {
    let settings = WidgetSettings::new()
        .text("agents", "replaced")
        .user_login("agents", 5, "a", "b")
        .user_login("agents", 6, "c", "d")
        .user("phones", 5, "1");
    assert_eq!(
        json!(settings),
        json!({ "agents": { "5": { "login": "a", "password": "b" }, "6": { "login": "c", "password": "d" } },
            "phones": { "5": "1" } })
    );
    assert_eq!(settings.check(&optional()), Ok(()));
}
