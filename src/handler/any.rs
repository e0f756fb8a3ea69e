//! A handler as the pool runs it: in Rust with any input type, or at a URL.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use model::{Completion, Timestamp, WidgetRequest};

use super::{Context, Handler, HandlerError, Request, undecodable};

pub(crate) type HandlerFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Completion, HandlerError>> + Send + 'a>>;

/// A handler of any kind.
pub(crate) trait AnyHandler: Send + Sync {
    /// Handles the request: one attempt.
    fn run<'a>(
        &'a self,
        request: &'a WidgetRequest,
        received: ReceivedAt,
        context: Context,
    ) -> HandlerFuture<'a>;

    /// How many of its attempts may run at once. `None`: its attempts share `workers.concurrency` with other handlers.
    fn own_concurrency(&self) -> Option<usize> {
        None
    }

    /// How many jobs may wait for its callbacks. `None`: any number.
    fn max_awaiting(&self) -> Option<usize> {
        None
    }

    /// The time until the next call tests whether it can be reached again; `None` if it can be reached, as far as is known.
    fn unreachable_for(&self) -> Option<Duration> {
        None
    }

    /// Which attempts may begin now. The pool asks before each claim; asking for a probe takes it.
    fn admission(&self) -> Admission {
        Admission::All
    }
}

/// Which attempts of a handler may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// As many as have a permit.
    All,
    /// One, which finds out whether the handler can be reached again.
    Probe,
    /// None before this time has passed.
    After(Duration),
}

/// When a request came in, by the calendar.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedAt(pub Timestamp);

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
    let earlier = request.earlier.iter().map(decode).collect::<Result<_, _>>()?;
    handler.handle(request_with(data, earlier, request, received), context).await
}

/// The request as its handler gets it, with `data` and `earlier` in place of the JSON.
pub fn request_with<T>(
    data: T,
    earlier: Vec<T>,
    request: &WidgetRequest,
    received: ReceivedAt,
) -> Request<T> {
    Request {
        data,
        earlier,
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
