//! Widgets as Kommo shows them: every documented field, in its documented type.
//!
//! Fields that are not documented are kept, not refused, so a widget that is read and written again says the same.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Number, Value};

use super::lenient;
use super::setting_field::SettingField;
use super::settings::WidgetSettings;

/// A widget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Widget {
    /// Its number.
    #[serde(deserialize_with = "lenient::number")]
    pub id: i64,
    /// Its code: what the calls name it by.
    pub code: String,
    /// Its version.
    #[serde(default, deserialize_with = "lenient::text")]
    pub version: String,
    /// Its rating by users, if there is one.
    #[serde(default)]
    pub rating: Option<Rating>,
    /// The fields of its settings.
    #[serde(default, deserialize_with = "lenient::list")]
    pub settings_template: Vec<SettingField>,
    /// Whether it can be set as a source of leads.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_lead_source: bool,
    /// Whether it is available in the Digital Pipeline.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_work_with_dp: bool,
    /// Whether it is a CRM template.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_crm_template: bool,
    /// The id of its OAuth integration, if it has one.
    #[serde(default)]
    pub client_uuid: Option<String>,
    /// Whether it is installed in the account.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_active_in_account: bool,
    /// The pipeline in which it is set as a source of leads.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    pub pipeline_id: Option<i64>,
    /// Its settings. Kommo shows them only to the widget's own integration.
    #[serde(
        default,
        deserialize_with = "own_settings",
        serialize_with = "as_php",
        skip_serializing_if = "Option::is_none"
    )]
    pub settings: Option<WidgetSettings>,
    /// What else Kommo says of it, `_links` among them.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A text like `2,8`, or a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rating {
    /// As Kommo writes it, with a comma.
    Text(String),
    /// A number.
    Number(Number),
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// One page of a list of widgets.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct WidgetPage {
    /// Its number, from 1.
    pub page: u32,
    /// The widgets on it; none past the end of the list.
    pub widgets: Vec<Widget>,
    /// The address of the next page, as Kommo gave it; none on the last.
    pub next: Option<String>,
}

/// The body of a list.
#[derive(Debug, Deserialize)]
pub(super) struct WidgetList {
    #[serde(default, deserialize_with = "lenient::object")]
    _links: Option<Map<String, Value>>,
    #[serde(default)]
    _embedded: Embedded,
}

#[derive(Debug, Default, Deserialize)]
struct Embedded {
    #[serde(default, deserialize_with = "lenient::list")]
    widgets: Vec<Widget>,
}

impl WidgetList {
    pub(super) fn into_page(self, page: u32) -> WidgetPage {
        let next = self._links.as_ref().and_then(|links| links.get("next")?.get("href")?.as_str());
        WidgetPage { page, next: next.map(str::to_owned), widgets: self._embedded.widgets }
    }
}

fn own_settings<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<WidgetSettings>, D::Error> {
    Ok(lenient::object(deserializer)?.map(WidgetSettings::from))
}

/// PHP writes an array without entries as a list, whatever its keys would be.
fn as_php<S: Serializer>(settings: &Option<WidgetSettings>, serializer: S) -> Result<S::Ok, S::Error> {
    match settings {
        Some(settings) if !settings.is_empty() => settings.serialize(serializer),
        _ => serializer.collect_seq::<[(); 0]>([]),
    }
}

#[cfg(test)]
mod tests;
