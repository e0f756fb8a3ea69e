//! The built-in handlers, selected by `handlers.NAME.kind` in the configuration.

mod echo;

pub use echo::Echo;
