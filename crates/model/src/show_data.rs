//! What the admin listener shows of the texts of customers.

use serde::Deserialize;

/// `admin.show_data`: how the admin listener shows `data` and `completion`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShowData {
    /// Not at all.
    Never,
    /// The keys and the length of each text; the full token may reveal the rest.
    #[default]
    Masked,
    /// Completely, to the full token.
    Full,
}

impl ShowData {
    /// The values of the key.
    pub const NAMES: [&'static str; 3] = ["never", "masked", "full"];
}
