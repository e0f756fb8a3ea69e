//! The built-in handlers, selected by `handlers.NAME.kind` in the configuration.

mod echo;
mod http;

pub use echo::Echo;
#[cfg(feature = "tools")]
pub use http::CallReport;
pub use http::{CallWatch, HttpHandler, HttpHandlerError, HttpSecrets};
pub use http::{Meaning, Trial};
