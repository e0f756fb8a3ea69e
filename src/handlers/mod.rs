//! The built-in handlers, selected by `handlers.NAME.kind` in the configuration.

mod echo;
mod http;

pub use echo::Echo;
pub use http::{HttpHandler, HttpHandlerError, HttpSecrets};
#[cfg(feature = "cli")]
pub use http::{Meaning, Trial};
