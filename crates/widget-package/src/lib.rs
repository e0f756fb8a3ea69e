//! Builds the `widget.zip` of a private integration. Its block lets a SalesBot call this bridge.
//!
//! ```
//! use salesbot_bridge_widget_package::{Draft, build, check};
//!
//! let draft = Draft {
//!     url: "https://bridge.example.com/widget_request/greet".to_owned(),
//!     fields: vec!["message={{message_text}}".to_owned(), "lead.id={{lead.id}}".to_owned()],
//!     ..Draft::default()
//! };
//! let archive = build(&draft.check()?)?;
//! assert!(check(&archive).is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - A [`Draft`] is accepted as a whole, or refused with all its mistakes. A [`Spec`] can always be built.
//! - The same [`Draft`] gives the same bytes.
//! - No text in a [`Draft`] can become code in the script.
//! - [`check`] reads the finished bytes as Kommo does and runs the script. It shares only Kommo's rules with [`build`]:
//!   sizes, limits, languages, and which strings are keys of the translation files.

mod archive;
mod bridge_url;
mod build;
mod check;
mod draft;
mod engine;
mod exit;
mod field;
mod i18n;
mod locale;
mod logo;
mod manifest;
mod mark;
mod ordered;
mod picture;
mod pictures;
mod script;
mod spec;
mod texts;
mod version;

pub use bridge_url::{BridgeUrl, BridgeUrlError};
pub use build::{BuildError, build, files, pack};
pub use check::{Finding, check, version_of};
pub use draft::{Draft, Mistake, Mistakes};
pub use exit::{Exit, ExitError};
pub use field::{Field, FieldError, FieldKind};
pub use locale::{Locale, LocaleError};
pub use logo::{Logo, LogoError};
pub use spec::Spec;
pub use version::{Version, VersionError};

#[cfg(test)]
mod tests;
