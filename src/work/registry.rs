//! The registry: maps each name to its handler.

use std::sync::Arc;

use metrics::Histogram;

use crate::handler::{AnyHandler, Handler};
use model::maps::HashMap;
use model::{HandlerName, HandlerPolicy};

/// A handler and the policy for its jobs.
#[derive(Clone)]
pub struct Registered {
    pub(super) handler: Arc<dyn AnyHandler>,
    /// `handlers.NAME` of the configuration.
    pub policy: HandlerPolicy,
    /// From the receipt of a request to the first attempt.
    pub(super) queue_wait: Histogram,
    /// One attempt.
    pub(super) attempt: Histogram,
}

/// All handlers, by name.
#[derive(Clone, Default)]
pub struct Registry(HashMap<HandlerName, Registered>);

impl Registry {
    /// Adds a handler in Rust. Replaces an earlier one with the same name.
    pub fn add<H: Handler>(&mut self, name: HandlerName, handler: H, policy: HandlerPolicy) {
        self.add_any(name, Arc::new(handler), policy);
    }

    /// Adds a handler of any kind. Replaces an earlier one with the same name.
    pub(crate) fn add_any(&mut self, name: HandlerName, handler: Arc<dyn AnyHandler>, policy: HandlerPolicy) {
        let label = name.to_string();
        let queue_wait = metrics::histogram!("bridge_queue_wait_seconds", "handler" => label.clone());
        let attempt = metrics::histogram!("bridge_handler_attempt_seconds", "handler" => label);
        self.0.insert(name, Registered { handler, policy, queue_wait, attempt });
    }

    /// The handler with that name.
    pub fn get(&self, name: &str) -> Option<&Registered> {
        self.0.get(name)
    }

    /// All names and policies.
    pub fn iter(&self) -> impl Iterator<Item = (&HandlerName, &HandlerPolicy)> {
        self.0.iter().map(|(name, registered)| (name, &registered.policy))
    }
}
