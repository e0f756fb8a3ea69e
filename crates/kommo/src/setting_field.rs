//! The fields of a widget's settings: key, type, and whether the field is required.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::lenient;

/// A field of a widget's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SettingField {
    /// The key.
    pub key: String,
    /// The name, for people.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: String,
    /// The type of the value.
    #[serde(rename = "type")]
    pub kind: SettingType,
    /// Whether the field is required to install the widget.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_required: bool,
    /// All other properties from Kommo.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The type of a setting's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum SettingType {
    /// A text.
    Text,
    /// A secret text.
    Pass,
    /// A value that the widget's author defines.
    Custom,
    /// An extension for each user.
    Users,
    /// A login and a password for each user.
    UsersLp,
    /// A type that Kommo does not document.
    Other(String),
}

impl SettingType {
    /// Kommo's name for the type.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text => "text",
            Self::Pass => "pass",
            Self::Custom => "custom",
            Self::Users => "users",
            Self::UsersLp => "users_lp",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for SettingType {
    fn from(name: String) -> Self {
        match name.as_str() {
            "text" => Self::Text,
            "pass" => Self::Pass,
            "custom" => Self::Custom,
            "users" => Self::Users,
            "users_lp" => Self::UsersLp,
            _ => Self::Other(name),
        }
    }
}

impl From<SettingType> for String {
    fn from(kind: SettingType) -> Self {
        kind.as_str().to_owned()
    }
}

impl fmt::Display for SettingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
