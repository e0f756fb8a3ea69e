//! `manifest.json`: the description of the widget, which Kommo reads before it runs the script.
//!
//! It intentionally omits three keys: `tour`, because Kommo refuses an incomplete one, and `code` and
//! `secret_key`, because the account assigns them and a first upload must not have them.

use serde::Serialize;

use super::i18n;
use super::locale::Locale;
use super::ordered::Ordered;
use super::spec::Spec;

/// The manifest, with keys in the order of the file.
#[derive(Debug, Serialize)]
pub(super) struct Manifest<'a> {
    widget: Widget<'a>,
    locations: [&'static str; 2],
    settings: Ordered<Setting>,
    salesbot_designer: Ordered<Block<'a>>,
}

#[derive(Debug, Serialize)]
struct Widget<'a> {
    name: &'static str,
    description: &'static str,
    short_description: &'static str,
    version: String,
    interface_version: u8,
    init_once: bool,
    locale: &'a [Locale],
    installation: bool,
    support: Support<'a>,
}

#[derive(Debug, Serialize)]
struct Support<'a> {
    link: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Setting {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    required: bool,
}

#[derive(Debug, Serialize)]
struct Block<'a> {
    name: &'static str,
    settings: Ordered<BlockSetting<'a>>,
}

#[derive(Debug, Serialize)]
struct BlockSetting<'a> {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    default_value: &'a str,
    manual: bool,
}

impl<'a> Manifest<'a> {
    /// The manifest of `spec`.
    pub(super) fn new(spec: &'a Spec) -> Self {
        let settings = spec.fields.iter().map(|field| {
            let setting = BlockSetting {
                name: i18n::of_field(field),
                kind: field.kind().as_str(),
                default_value: field.value(),
                // Allows any text with placeholders. Otherwise users could only select a field of the card.
                manual: true,
            };
            (field.key(), setting)
        });
        let block = Block { name: i18n::BLOCK, settings: settings.collect() };
        Self {
            widget: Widget {
                name: i18n::NAME,
                description: i18n::DESCRIPTION,
                short_description: i18n::SHORT_DESCRIPTION,
                version: spec.version.to_string(),
                interface_version: 2,
                init_once: false,
                locale: &spec.locales,
                installation: true,
                support: Support { link: &spec.support_link, email: spec.support_email.as_deref() },
            },
            locations: ["settings", "salesbot_designer"],
            // Kommo requires a setting. This one is optional, so users can install the widget without filling it in.
            settings: Ordered::from_iter([(
                "note",
                Setting { name: i18n::NOTE, kind: "text", required: false },
            )]),
            salesbot_designer: Ordered::from_iter([(spec.block(), block)]),
        }
    }
}
