//! The widgets that an account can see: those of the API's documentation, one of the account's own
//! integration, and made-up ones, so that tests can fill several pages.

use serde_json::{Map, Value, json};

/// One widget, with the fields that the API shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Widget {
    pub(super) id: i64,
    pub(super) code: String,
    pub(super) version: String,
    pub(super) rating: Value,
    pub(super) settings_template: Vec<Field>,
    pub(super) is_lead_source: bool,
    pub(super) is_work_with_dp: bool,
    pub(super) client_uuid: Option<String>,
    pub(super) pipeline_id: Option<i64>,
    /// The settings that it was installed with; `None` if it is not installed.
    pub(super) settings: Option<Map<String, Value>>,
}

/// One field of a widget's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) name: String,
    /// `text`, `pass`, `users`, `users_lp` or `custom`.
    pub(super) kind: String,
    pub(super) is_required: bool,
}

/// The code of the widget that belongs to the account's own integration.
pub(super) const OWN: &str = "simulator_bridge";

impl Widget {
    /// A widget that is not installed and belongs to no integration.
    pub(super) fn new(id: i64, code: &str, version: &str, rating: Value, fields: Vec<Field>) -> Self {
        Self {
            id,
            code: code.to_owned(),
            version: version.to_owned(),
            rating,
            settings_template: fields,
            is_lead_source: false,
            is_work_with_dp: false,
            client_uuid: None,
            pipeline_id: None,
            settings: None,
        }
    }

    /// The widget as the API shows it; with `settings` if the caller may see them.
    pub(super) fn model(&self, base_url: &str, with_settings: bool) -> Value {
        let fields: Vec<_> = self
            .settings_template
            .iter()
            .map(|field| {
                json!({ "key": field.key, "name": field.name, "type": field.kind, "is_required": field.is_required })
            })
            .collect();
        let mut model = json!({
            "id": self.id,
            "code": self.code,
            "version": self.version,
            "rating": self.rating,
            "settings_template": fields,
            "is_lead_source": self.is_lead_source,
            "is_work_with_dp": self.is_work_with_dp,
            "is_crm_template": false,
            "client_uuid": self.client_uuid,
            "is_active_in_account": self.settings.is_some(),
            "pipeline_id": self.pipeline_id,
            "_links": { "self": { "href": format!("{base_url}/api/v4/widgets/{}", self.code) } },
        });
        if let Some(settings) = self.settings.as_ref().filter(|_| with_settings) {
            // PHP writes an empty array as a list.
            model["settings"] = if settings.is_empty() { json!([]) } else { json!(settings) };
        }
        model
    }
}

pub(super) fn field(key: &str, name: &str, kind: &str, is_required: bool) -> Field {
    Field { key: key.to_owned(), name: name.to_owned(), kind: kind.to_owned(), is_required }
}

/// The widgets, ordered by id. The first three are copied from Kommo's documentation.
pub(super) fn catalogue(client_uuid: &str, more: usize) -> Vec<Widget> {
    let asterisk = vec![
        field("login", "Login", "text", true),
        field("password", "Password", "pass", true),
        field("phones", "Phone numbers", "users", true),
        field("script_path", "Script path", "text", true),
    ];
    let own = vec![
        field("greeting", "Greeting", "text", true),
        field("api_key", "API key", "pass", false),
        field("agents", "Agents", "users_lp", false),
        field("conf", "custom", "custom", false),
    ];
    let mut widgets = vec![
        Widget::new(
            742,
            "amo_dropbox",
            "0.0.13",
            json!("2,8"),
            vec![field("conf", "custom", "custom", false)],
        ),
        Widget::new(
            796,
            "amo_mailchimp",
            "1.1.12",
            json!("3,4"),
            vec![field("api", "custom", "custom", false)],
        ),
        Widget::new(972, "amo_asterisk", "1.1.6", json!("2,7"), asterisk),
        Widget {
            client_uuid: Some(client_uuid.to_owned()),
            ..Widget::new(1000, OWN, "1.0.0", json!(5), own)
        },
    ];
    widgets.extend((1001..).zip(1..=more).map(made_up));
    widgets
}

/// A made-up widget. Its rating, lead source and pipeline vary with its number.
fn made_up((id, number): (i64, usize)) -> Widget {
    let is_lead_source = number % 2 == 0;
    let rating = if number % 3 == 0 { json!("4,1") } else { json!(3.5) };
    Widget {
        is_lead_source,
        is_work_with_dp: number % 3 == 1,
        pipeline_id: is_lead_source.then_some(id * 100),
        ..Widget::new(
            id,
            &format!("made_up_{number}"),
            "1.0.0",
            rating,
            vec![field("login", "Login", "text", false)],
        )
    }
}
