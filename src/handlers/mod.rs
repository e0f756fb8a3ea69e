//! Handlers that come with the bridge: `handlers.NAME.kind` of the configuration.

mod echo;

pub use echo::Echo;
