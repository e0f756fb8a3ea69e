//! The registry: maps each name to its handler.
//!
//! Handlers have different input types. The registry hides the type: decoding the input is part of running a handler.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::handler::{Context, Handler, HandlerError, Request};
use model::{Completion, HandlerName, HandlerPolicy, WidgetRequest};

use super::undecodable;

type HandlerFuture<'a> = Pin<Box<dyn Future<Output = Result<Completion, HandlerError>> + Send + 'a>>;

/// A [`Handler`] of any input type.
pub(super) trait AnyHandler: Send + Sync {
    /// Decodes the request's data and handles it.
    fn run<'a>(
        &'a self,
        request: &'a WidgetRequest,
        received: ReceivedAt,
        context: Context,
    ) -> HandlerFuture<'a>;
}

/// When a request came in, by the calendar.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedAt(pub model::Timestamp);

impl<H: Handler> AnyHandler for H {
    fn run<'a>(
        &'a self,
        request: &'a WidgetRequest,
        received: ReceivedAt,
        context: Context,
    ) -> HandlerFuture<'a> {
        Box::pin(decode_and_handle(self, request, received, context))
    }
}

/// Decodes the data of `request` and lets `handler` handle it: one attempt, in the bridge and in the test of a handler.
pub async fn decode_and_handle<H: Handler>(
    handler: &H,
    request: &WidgetRequest,
    received: ReceivedAt,
    context: Context,
) -> Result<Completion, HandlerError> {
    let data = decode(&request.data)?;
    handler.handle(request_with(data, request, received), context).await
}

/// The request as its handler gets it, with `data` in place of the JSON.
pub fn request_with<T>(data: T, request: &WidgetRequest, received: ReceivedAt) -> Request<T> {
    Request {
        data,
        account_id: request.account_id,
        account_url: request.return_url.origin().to_owned(),
        entity: request.entity,
        bot_type: request.return_url.bot_type(),
        bot_id: request.return_url.bot_id(),
        received_at: received.0,
    }
}

fn decode<'v, T: Deserialize<'v>>(data: &'v Value) -> Result<T, HandlerError> {
    serde_path_to_error::deserialize(data).map_err(|error| HandlerError::fail(undecodable::describe(&error)))
}

/// A handler and the policy for its jobs.
#[derive(Clone)]
pub struct Registered {
    pub(super) handler: Arc<dyn AnyHandler>,
    /// `handlers.NAME` of the configuration.
    pub policy: HandlerPolicy,
}

/// All handlers, by name.
#[derive(Clone, Default)]
pub struct Registry(HashMap<HandlerName, Registered>);

impl Registry {
    /// Adds a handler. Replaces an earlier one with the same name.
    pub fn add<H: Handler>(&mut self, name: HandlerName, handler: H, policy: HandlerPolicy) {
        self.0.insert(name, Registered { handler: Arc::new(handler), policy });
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
