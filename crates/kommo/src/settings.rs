//! The settings of a widget: what is sent to install it, and what its own integration may read.
//!
//! They are checked against the widget's `settings_template` before anything is sent, and every mistake is named.
//! Some of them are secrets, and only the template says which: so the debug form shows no value at all, and
//! [`WidgetSettings::masked`] what is surely none.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::setting_field::{SettingField, SettingType};

/// What stands in place of a secret.
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
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A value of the types `text` and `pass`.
    #[must_use]
    pub fn text(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.value(key, Value::String(value.into()))
    }

    /// The extension of one user, in a value of the type `users`.
    #[must_use]
    pub fn user(mut self, key: impl Into<String>, user: i64, extension: impl Into<String>) -> Self {
        self.of_user(key.into(), user, Value::String(extension.into()));
        self
    }

    /// Login and password of one user, in a value of the type `users_lp`.
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

    /// A value of any type, as JSON.
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

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says whether a widget with this template can be installed with these settings.
    ///
    /// # Errors
    /// All mistakes: mandatory settings that are missing or empty, values of another type than the template's, keys
    /// that it does not have.
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

    /// The settings with `********` in place of what is or may be a secret: passwords, and every value that the
    /// template calls neither text nor a user's extension.
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
    /// The keys alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|key| (key, MASKED))).finish()
    }
}

/// What is wrong with one setting. It names the place, never the value.
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

    /// The key, and for the settings of users what is below it: `phones.504141`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is a mandatory setting that is not there.
    pub const fn is_missing(&self) -> bool {
        matches!(self.fault, Fault::Missing(_))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("is mandatory and missing: give {}", wanted(.0))]
    Missing(SettingType),
    #[error("is mandatory and empty: give {}", wanted(.0))]
    Empty(SettingType),
    #[error("has another type: give {}", wanted(.0))]
    Type(SettingType),
    #[error("is not the id of a user: ids are numbers, like 504141")]
    NotAUser,
    #[error("has to be a text")]
    NotAText,
    #[error("is missing")]
    NoPart,
    #[error("is no setting of this widget: it has {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    Unknown { known: Vec<String> },
}

fn wanted(kind: &SettingType) -> &'static str {
    match kind {
        SettingType::Text => "a text",
        SettingType::Pass => "a text (a password)",
        SettingType::Users => "an object of user ids and extensions, like {\"504141\": \"1039\"}",
        SettingType::UsersLp => {
            "an object of user ids and logins, like {\"504141\": {\"login\": \"…\", \"password\": \"…\"}}"
        }
        SettingType::Custom | SettingType::Other(_) => "what the widget's author documents",
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

/// The logins of users, without their passwords.
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

/// Whether there is something may be seen.
fn mask(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::String(text) if text.is_empty() => json!(""),
        _ => json!(MASKED),
    }
}

#[cfg(test)]
mod tests;
