//! Creates the handlers with `kind = "http"`.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::config::{Config, HandlerConfig};
use crate::handlers::{CallWatch, HttpHandler, HttpSecrets};
use crate::work::Registry;
use model::HandlerName;
use model::clock::Clock;

use super::Error;

/// What handlers over HTTP need beside their configuration.
pub(super) struct HttpHandlers {
    clock: Clock,
    /// Calls run here and not on the handlers' threads, which handlers may block.
    runtime: Handle,
    secrets: HashMap<HandlerName, HttpSecrets>,
    watch: Option<CallWatch>,
    registered: HashMap<HandlerName, Arc<HttpHandler>>,
}

impl HttpHandlers {
    /// For the handlers of `config`. Their calls run on `runtime`, and `watch` gets a report of each.
    pub(super) fn new(config: &Config, clock: Clock, runtime: Handle, watch: Option<CallWatch>) -> Self {
        let secrets = config
            .handlers
            .iter()
            .filter_map(|(name, handler)| Some((name.clone(), HttpSecrets::new(handler.http.as_ref()?))));
        Self { clock, runtime, secrets: secrets.collect(), watch, registered: HashMap::new() }
    }

    /// Adds the handler `name`, if it is one over HTTP.
    ///
    /// # Errors
    /// Its HTTP client cannot be created.
    pub(super) fn register(
        &mut self,
        registry: &mut Registry,
        name: &HandlerName,
        handler: &HandlerConfig,
    ) -> Result<(), Error> {
        let (Some(config), Some(secrets)) = (&handler.http, self.secrets.get(name)) else { return Ok(()) };
        let (clock, runtime) = (self.clock.clone(), Some(self.runtime.clone()));
        let (secrets, watch) = (secrets.clone(), self.watch.clone());
        let http = HttpHandler::new(name.clone(), config, secrets, &handler.policy, clock, runtime, watch)
            .map_err(|source| Error::HttpHandler { name: name.to_string(), source })?;
        let http = Arc::new(http);
        self.registered.insert(name.clone(), http.clone());
        registry.add_any(name.clone(), http, handler.policy.clone());
        Ok(())
    }

    /// All of them, to test them, and their secrets, to replace them later.
    pub(super) fn into_parts(
        self,
    ) -> (HashMap<HandlerName, Arc<HttpHandler>>, HashMap<HandlerName, HttpSecrets>) {
        (self.registered, self.secrets)
    }
}
