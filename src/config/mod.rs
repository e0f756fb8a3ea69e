//! The bridge's configuration: one struct per section of `config/default.toml`.
//!
//! Three layers are laid over each other, later wins: the defaults that are compiled in, a file, the
//! environment. Every value remembers where it came from, so that a refusal can say it. The result is
//! held against the schema ([`Config::schema`]: unknown keys, types, ranges), then read into the raw
//! sections (the form of single values), then checked as a whole. All problems of a configuration are
//! reported together, and none of the texts repeats a value, because a value may be a misplaced secret.
//!
//! A [`Config`] that exists is valid: nothing has to be checked again after a port is bound.

mod ca_file;
mod check;
mod check_names;
mod check_outgoing;
mod checker;
mod environment;
mod error;
mod given;
mod load;
mod problem;
mod raw;
mod schema;
mod secret;
mod secret_files;
mod secret_text;
mod sections;
mod show;
mod source;
mod tree;
mod values;

pub use self::load::Effective;
pub use error::{ConfigError, ConfigProblem};
pub use sections::Config;
pub use source::Sources;

pub(crate) use secret::{SecretFile, SecretFileError};
pub(crate) use sections::{DeliveryConfig, HandlerConfig, LogConfig, LogFormat};
pub(crate) use source::nothing_read;

/// The names that `handlers.NAME.kind` may have.
pub(crate) const BUILT_IN_KINDS: &[&str] = &["echo"];

#[cfg(test)]
mod tests;
