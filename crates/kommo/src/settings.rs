//! The settings of a widget. A program sends them to install the widget, and the widget's own integration may read them.
//!
//! The client checks them against the widget's `settings_template` before it sends them, and reports all mistakes. Some
//! settings are secrets, and only the template says which. So `Debug` shows no values, and [`WidgetSettings::masked`] shows
//! only those that are certainly not secret.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::setting_field::{SettingField, SettingType};

/// The replacement for a secret.
const MASKED: &str = "********";

/// The values of a widget's settings, by key.
///
/// ```
/// use salesbot_bridge_kommo::WidgetSettings;
///
/// let settings = WidgetSettings::new()
///     .text("login", "example")
///     .text("password", "eXaMp1E")
///     .user("phones", 504141, "1039")
///     .text("script_path", "https://example.com/");
/// assert_eq!(settings.get("phones").unwrap()["504141"], "1039");
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WidgetSettings(Map<String, Value>);

impl WidgetSettings {
    /// Creates empty settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value of the type `text` or `pass`.
    #[must_use]
    pub fn text(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.value(key, Value::String(value.into()))
    }

    /// Adds the extension of one user to a value of the type `users`.
    #[must_use]
    pub fn user(mut self, key: impl Into<String>, user: i64, extension: impl Into<String>) -> Self {
        self.of_user(key.into(), user, Value::String(extension.into()));
        self
    }

    /// Adds the login and password of one user to a value of the type `users_lp`.
    #[must_use]
    pub fn user_login(
        mut self,
        key: impl Into<String>,
        user: i64,
        login: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        let pair = json!({ "login": login.into(), "password": password.into() });
        self.of_user(key.into(), user, pair);
        self
    }

    /// Sets a value of any type, as JSON.
    #[must_use]
    pub fn value(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// The value under this key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// All keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Whether there are no settings.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the settings against a widget's template.
    ///
    /// # Errors
    /// All mistakes: mandatory settings that are missing or empty, values of the wrong type, and keys that the template
    /// does not have.
    pub fn check(&self, template: &[SettingField]) -> Result<(), Vec<SettingMistake>> {
        let mut mistakes = Vec::new();
        for field in template {
            match self.0.get(&field.key) {
                None | Some(Value::Null) if field.is_required => {
                    mistakes.push(SettingMistake::new(&field.key, Fault::Missing(field.kind.clone())));
                }
                None | Some(Value::Null) => {}
                Some(value) => check_value(field, value, &mut mistakes),
            }
        }
        for key in self.0.keys().filter(|key| !template.iter().any(|field| field.key == **key)) {
            let known = template.iter().map(|field| field.key.clone()).collect();
            mistakes.push(SettingMistake::new(key, Fault::Unknown { known }));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }

    /// The settings with `********` in place of all values that are or may be secrets: passwords, and values that are
    /// neither text nor a user's extension according to the template.
    pub fn masked(&self, template: &[SettingField]) -> Value {
        let masked = self.0.iter().map(|(key, value)| {
            let kind = template.iter().find(|field| field.key == *key).map(|field| &field.kind);
            let shown = match kind {
                Some(SettingType::Text | SettingType::Users) => value.clone(),
                Some(SettingType::UsersLp) => without_passwords(value),
                _ => mask(value),
            };
            (key.clone(), shown)
        });
        Value::Object(masked.collect())
    }

    fn of_user(&mut self, key: String, user: i64, value: Value) {
        let users = self.0.entry(key).or_insert_with(|| Value::Object(Map::new()));
        if !users.is_object() {
            *users = Value::Object(Map::new());
        }
        if let Value::Object(users) = users {
            users.insert(user.to_string(), value);
        }
    }
}

impl From<Map<String, Value>> for WidgetSettings {
    fn from(values: Map<String, Value>) -> Self {
        Self(values)
    }
}

impl fmt::Debug for WidgetSettings {
    /// Writes only the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|key| (key, MASKED))).finish()
    }
}

/// A mistake in one setting. It names the place, never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` {fault}")]
pub struct SettingMistake {
    path: String,
    fault: Fault,
}

impl SettingMistake {
    fn new(path: impl Into<String>, fault: Fault) -> Self {
        Self { path: path.into(), fault }
    }

    /// The key; for settings of users, the path below it: `phones.504141`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether a mandatory setting is missing.
    pub const fn is_missing(&self) -> bool {
        matches!(self.fault, Fault::Missing(_))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("is mandatory and missing (expected {})", wanted(.0))]
    Missing(SettingType),
    #[error("is mandatory and empty (expected {})", wanted(.0))]
    Empty(SettingType),
    #[error("has the wrong type (expected {})", wanted(.0))]
    Type(SettingType),
    #[error("is not a user id (expected a number like 504141)")]
    NotAUser,
    #[error("must be a string")]
    NotAText,
    #[error("is missing")]
    NoPart,
    #[error("is not a setting of this widget ({})", expected_keys(known))]
    Unknown { known: Vec<String> },
}

fn expected_keys(known: &[String]) -> String {
    if known.is_empty() { "it has none".to_owned() } else { format!("expected one of: {}", known.join(", ")) }
}

fn wanted(kind: &SettingType) -> &'static str {
    match kind {
        SettingType::Text => "a string",
        SettingType::Pass => "a password, as a string",
        SettingType::Users => "an object with user ids and extensions, like {\"504141\": \"1039\"}",
        SettingType::UsersLp => {
            "an object with user ids and logins, like {\"504141\": {\"login\": \"…\", \"password\": \"…\"}}"
        }
        SettingType::Custom | SettingType::Other(_) => "a value that the widget's author documents",
    }
}

fn check_value(field: &SettingField, value: &Value, mistakes: &mut Vec<SettingMistake>) {
    let mut mistake = |fault| mistakes.push(SettingMistake::new(&field.key, fault));
    match (&field.kind, value) {
        (SettingType::Text | SettingType::Pass, Value::String(text)) => {
            if text.is_empty() && field.is_required {
                mistake(Fault::Empty(field.kind.clone()));
            }
        }
        (SettingType::Users | SettingType::UsersLp, Value::Object(users)) => {
            if users.is_empty() && field.is_required {
                mistake(Fault::Empty(field.kind.clone()));
            }
            for (user, value) in users {
                check_user(field, user, value, mistakes);
            }
        }
        (SettingType::Custom | SettingType::Other(_), _) => {}
        _ => mistake(Fault::Type(field.kind.clone())),
    }
}

fn check_user(field: &SettingField, user: &str, value: &Value, mistakes: &mut Vec<SettingMistake>) {
    let path = format!("{}.{user}", field.key);
    let mut mistake = |path: String, fault| mistakes.push(SettingMistake::new(path, fault));
    if user.is_empty() || !user.bytes().all(|byte| byte.is_ascii_digit()) {
        mistake(path, Fault::NotAUser);
        return;
    }
    match (&field.kind, value) {
        (SettingType::Users, Value::String(_)) => {}
        (SettingType::Users, _) => mistake(path, Fault::NotAText),
        (_, Value::Object(pair)) => {
            for part in ["login", "password"] {
                match pair.get(part) {
                    Some(Value::String(_)) => {}
                    None => mistake(format!("{path}.{part}"), Fault::NoPart),
                    Some(_) => mistake(format!("{path}.{part}"), Fault::NotAText),
                }
            }
        }
        _ => mistake(path, Fault::Type(field.kind.clone())),
    }
}

/// The logins of users, with their passwords masked.
fn without_passwords(users: &Value) -> Value {
    let Value::Object(users) = users else { return mask(users) };
    let each = users.iter().map(|(user, pair)| {
        let Value::Object(pair) = pair else { return (user.clone(), mask(pair)) };
        let parts = pair
            .iter()
            .map(|(part, value)| (part.clone(), if part == "login" { value.clone() } else { mask(value) }));
        (user.clone(), Value::Object(parts.collect()))
    });
    Value::Object(each.collect())
}

/// Masks a value, but shows whether it is empty.
fn mask(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::String(text) if text.is_empty() => json!(""),
        _ => json!(MASKED),
    }
}

#[cfg(test)]
mod tests;
