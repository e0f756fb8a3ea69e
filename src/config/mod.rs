//! The bridge's configuration: [`Config`], read from the defaults, a file and the environment.
//!
//! Three layers are merged, and later ones win: the compiled-in defaults, a file, the environment. Every value
//! remembers where it came from, so that errors can name the place. The result is checked against the schema
//! ([`Config::schema`]: unknown keys, types, ranges), then read into the raw sections (the form of single values),
//! then checked as a whole. All problems are reported together. Error texts never repeat a value, because it may be a
//! misplaced secret.
//!
//! A [`Config`] is always valid: nothing has to be checked again after a port is bound.

mod ca_file;
mod check;
mod check_admin;
mod check_handlers;
mod check_http_handler;
mod check_names;
mod check_outgoing;
mod check_store;
mod checker;
mod environment;
mod error;
mod given;
mod handler_address;
mod http_handler;
mod list;
mod load;
mod ordering;
mod policy;
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

pub(crate) use handler_address::AddressRefusal;
pub(crate) use http_handler::{HttpHandlerConfig, Mode, Preset};
pub(crate) use ordering::name_of as ordering_name;
pub(crate) use secret::{SecretFile, SecretFileError};
pub(crate) use sections::{DeliveryConfig, HandlerConfig, LogConfig, LogFormat};
pub(crate) use source::nothing_read;

/// The allowed values of `handlers.NAME.kind`.
pub(crate) const BUILT_IN_KINDS: &[&str] = &["echo", "http"];

#[cfg(test)]
mod tests;
