//! The languages of a package, which are those of Kommo's interface.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A language of Kommo's interface. A package has one file of texts for each of its languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Locale {
    /// English.
    En,
    /// Spanish.
    Es,
    /// Portuguese.
    Pt,
    /// Turkish.
    Tr,
    /// Indonesian.
    Id,
    /// Russian, available in amoCRM but not in Kommo.
    Ru,
}

impl Locale {
    /// All languages.
    pub const ALL: [Self; 6] = [Self::En, Self::Es, Self::Pt, Self::Tr, Self::Id, Self::Ru];

    /// The languages of Kommo, the default of a package.
    pub const KOMMO: [Self; 5] = [Self::En, Self::Es, Self::Pt, Self::Tr, Self::Id];

    /// The code in a manifest, like `en`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
            Self::Pt => "pt",
            Self::Tr => "tr",
            Self::Id => "id",
            Self::Ru => "ru",
        }
    }
}

impl FromStr for Locale {
    type Err = LocaleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|locale| locale.code() == text).ok_or_else(|| LocaleError(text.to_owned()))
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The text is not the code of a [`Locale`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown language `{0}` (expected one of: en, es, pt, tr, id; or ru for amoCRM)")]
pub struct LocaleError(String);
