//! The languages of a package: those in which Kommo speaks with its users.

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
    /// Russian, which amoCRM has and Kommo has not.
    Ru,
}

impl Locale {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::En, Self::Es, Self::Pt, Self::Tr, Self::Id, Self::Ru];

    /// Those of Kommo: what a package gets unless it is told otherwise.
    pub const KOMMO: [Self; 5] = [Self::En, Self::Es, Self::Pt, Self::Tr, Self::Id];

    /// The code that names it in a manifest: `en`.
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

/// The text names no [`Locale`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no language of Kommo: en, es, pt, tr, id, or ru for amoCRM")]
pub struct LocaleError(String);
