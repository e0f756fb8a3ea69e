//! Widgets: every documented field has its documented type.
//!
//! Undocumented fields are kept, so a widget that is read and written again does not change.

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
    /// The id.
    #[serde(deserialize_with = "lenient::number")]
    pub id: i64,
    /// The code, which identifies the widget in calls.
    pub code: String,
    /// The version.
    #[serde(default, deserialize_with = "lenient::text")]
    pub version: String,
    /// The users' rating, if there is one.
    #[serde(default)]
    pub rating: Option<Rating>,
    /// The fields of the settings.
    #[serde(default, deserialize_with = "lenient::list")]
    pub settings_template: Vec<SettingField>,
    /// Whether the widget can be a source of leads.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_lead_source: bool,
    /// Whether the widget is available in the Digital Pipeline.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_work_with_dp: bool,
    /// Whether the widget is a CRM template.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_crm_template: bool,
    /// The id of the widget's OAuth integration, if it has one.
    #[serde(default)]
    pub client_uuid: Option<String>,
    /// Whether the widget is installed in the account.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub is_active_in_account: bool,
    /// The pipeline in which the widget is a source of leads.
    #[serde(default, deserialize_with = "lenient::optional_number")]
    pub pipeline_id: Option<i64>,
    /// The settings. Kommo shows them only to the widget's own integration.
    #[serde(
        default,
        deserialize_with = "own_settings",
        serialize_with = "as_php",
        skip_serializing_if = "Option::is_none"
    )]
    pub settings: Option<WidgetSettings>,
    /// All other fields from Kommo, including `_links`.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The rating of a widget: a text like `2,8`, or a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rating {
    /// A text with a decimal comma, as Kommo writes it.
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
    /// The number of the page, from 1.
    pub page: u32,
    /// The widgets on the page; empty past the end of the list.
    pub widgets: Vec<Widget>,
    /// Kommo's link to the next page; `None` on the last page.
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

/// Writes empty settings as an empty list, as PHP does.
fn as_php<S: Serializer>(settings: &Option<WidgetSettings>, serializer: S) -> Result<S::Ok, S::Error> {
    match settings {
        Some(settings) if !settings.is_empty() => settings.serialize(serializer),
        _ => serializer.collect_seq::<[(); 0]>([]),
    }
}

#[cfg(test)]
mod tests;
