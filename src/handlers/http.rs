//! `http`: a handler at a URL, in any language.
//!
//! - [`payload`], [`presets`], [`signature`]: the request.
//! - [`client`]: the call.
//! - [`response`]: what follows a response.
//! - [`breaker`]: whether calls may begin while the URL cannot be reached.
//!
//! `docs/http-handlers.md` describes the protocol.

mod breaker;
mod client;
mod conversations;
mod observe;
mod payload;
mod presets;
mod response;
mod secrets;
mod signature;
mod trial;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;
use url::Url;

use crate::config::{HttpHandlerConfig, Mode, Preset};
use crate::handler::{Admission, AnyHandler, Context, HandlerError, HandlerFuture, ReceivedAt};
use model::clock::Clock;
use model::{Completion, HandlerName, HandlerPolicy, MAX_NOTE_CHARS, Timestamp, WidgetRequest, error_chain};

use breaker::{Breaker, CallResult};
pub use client::HttpHandlerError;
use client::{Call, CallError, HttpClient};
use conversations::Conversations;
use observe::Observer;
use presets::ToolId;
use response::{Received, Rules, Verdict};
pub use secrets::HttpSecrets;
pub use trial::{Meaning, Trial};
pub use watch::{CallReport, CallWatch};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ACCEPTED_TYPES: HeaderValue =
    HeaderValue::from_static("application/json, application/problem+json, text/plain;q=0.9");

/// A call ends this much before its attempt, or a tenth of it if that is less, so that the attempt can report why.
const MAX_MARGIN: Duration = Duration::from_millis(200);

/// A handler at a URL.
pub struct HttpHandler {
    inner: Arc<Inner>,
    /// The runtime for calls; `None` to make a call in the task that awaits it. A handler in Rust may block the threads of the
    /// attempts, which must not delay calls.
    runtime: Option<Handle>,
}

struct Inner {
    name: HandlerName,
    url: Url,
    preset: Preset,
    mode: Mode,
    concurrency: usize,
    max_awaiting: usize,
    max_attempts: u32,
    /// Whether it answers several messages of a conversation together.
    is_coalescing: bool,
    secrets: HttpSecrets,
    client: HttpClient,
    breaker: Mutex<Breaker>,
    conversations: Conversations,
    observer: Observer,
    watch: Option<CallWatch>,
    clock: Clock,
}

/// A call, and the conversation that it belongs to.
struct Prepared {
    call: Call,
    /// The conversation, if the tool has an id of its own for it.
    conversation: Option<String>,
    /// Whether the request repeats the tool's id.
    has_id: bool,
    has_callback: bool,
}

impl HttpHandler {
    /// The handler `name` with the keys `config` and the policy of its jobs. Calls run on `runtime`, and `watch` gets a
    /// report of each.
    ///
    /// # Errors
    /// The HTTP client cannot be created.
    pub fn new(
        name: HandlerName,
        config: &HttpHandlerConfig,
        secrets: HttpSecrets,
        policy: &HandlerPolicy,
        clock: Clock,
        runtime: Option<Handle>,
        watch: Option<CallWatch>,
    ) -> Result<Self, HttpHandlerError> {
        let client = HttpClient::new(&config.url, &config.outgoing, policy.attempt_timeout)?;
        let inner = Inner {
            url: config.url.clone(),
            preset: config.preset,
            mode: config.mode,
            concurrency: config.concurrency,
            max_awaiting: config.max_awaiting,
            max_attempts: policy.max_attempts,
            is_coalescing: policy.ordering.coalesce().is_some(),
            secrets,
            client,
            breaker: Mutex::default(),
            conversations: Conversations::default(),
            observer: Observer::new(name.clone()),
            watch,
            clock,
            name,
        };
        Ok(Self { inner: Arc::new(inner), runtime })
    }

    /// One attempt.
    async fn attempt(&self, request: &WidgetRequest, context: Context) -> Result<Completion, HandlerError> {
        let prepared = self.inner.prepare(request, &context).map_err(HandlerError::fail)?;
        let inner = self.inner.clone();
        let attempt = async move { inner.finish(prepared, &context).await };
        match &self.runtime {
            None => attempt.await,
            Some(runtime) => {
                let task = AbortOnDropHandle::new(runtime.spawn(attempt.in_current_span()));
                // The task ends early only if the runtime stops, or if it panics.
                task.await.unwrap_or_else(|_| Err(HandlerError::retry("the call was interrupted")))
            }
        }
    }
}

impl AnyHandler for HttpHandler {
    fn run<'a>(&'a self, request: &'a WidgetRequest, _: ReceivedAt, context: Context) -> HandlerFuture<'a> {
        Box::pin(self.attempt(request, context))
    }

    fn own_concurrency(&self) -> Option<usize> {
        Some(self.inner.concurrency)
    }

    fn max_awaiting(&self) -> Option<usize> {
        Some(self.inner.max_awaiting)
    }

    fn unreachable_for(&self) -> Option<Duration> {
        self.inner.breaker().open_for(self.inner.clock.elapsed())
    }

    fn admission(&self) -> Admission {
        self.inner.breaker().admission(self.inner.clock.elapsed())
    }
}

impl Inner {
    /// Builds the call of an attempt.
    fn prepare(&self, request: &WidgetRequest, context: &Context) -> Result<Prepared, String> {
        let (now, number) = (self.clock.now(), context.attempt());
        let id = context.job_id().to_string();
        let conversation = payload::conversation(request);
        let session = conversation.clone().unwrap_or_else(|| id.clone());
        let conversation = conversation.filter(|_| presets::has_ids(self.preset));
        let known = conversation.as_deref().and_then(|conversation| self.conversations.get(conversation));
        let callback = if self.preset == Preset::Bridge { context.callback_url() } else { None };
        let body = match self.preset {
            Preset::Bridge => {
                let attempt = payload::Attempt {
                    handler: &self.name,
                    request,
                    is_coalescing: self.is_coalescing,
                    job: context.job_id(),
                    number,
                    max_attempts: self.max_attempts,
                    now,
                    deadline: context.deadline(),
                    answer_by: context.answer_by,
                    callback: callback.as_ref(),
                };
                payload::body(&attempt)
                    .map_err(|error| format!("the request cannot be written as JSON: {error}"))?
            }
            preset => presets::body(preset, &request.data, &request.earlier, &session, known.as_deref())?,
        };
        let headers = self.headers(&id, now, &body, payload::traceparent(context.job_id(), number))?;
        let limit = context.time_limit();
        let time = limit.saturating_sub(MAX_MARGIN.min(limit / 10));
        let url = presets::address(self.preset, &self.url, known.as_deref());
        Ok(Prepared {
            call: Call { url, headers, body, time },
            conversation,
            has_id: known.is_some(),
            has_callback: callback.is_some(),
        })
    }

    fn headers(&self, id: &str, now: Timestamp, body: &str, trace: String) -> Result<HeaderMap, String> {
        let seconds = now.as_millis().div_euclid(1_000);
        let plain = |value: &str| HeaderValue::from_str(value).map_err(|error| error.to_string());
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, JSON), (ACCEPT, ACCEPTED_TYPES)]);
        headers.insert(WEBHOOK_ID, plain(id)?);
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(seconds));
        headers.insert(IDEMPOTENCY_KEY, plain(id)?);
        headers.insert(TRACEPARENT, plain(&trace)?);
        let signing = self.secrets.signing();
        if !signing.is_empty() {
            let signed = signature::signatures(signing.iter().map(|secret| &**secret), id, seconds, body);
            headers.insert(WEBHOOK_SIGNATURE, plain(&signed)?);
        }
        if let Some(auth) = self.secrets.auth() {
            let mut value = HeaderValue::from_str(auth.expose_secret())
                .map_err(|_| format!("handlers.{}.auth cannot be sent in a header", self.name))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }

    /// Makes the call, and decides what follows it.
    async fn finish(&self, prepared: Prepared, context: &Context) -> Result<Completion, HandlerError> {
        let Prepared { call, conversation, has_id, has_callback } = prepared;
        let begun = self.clock.elapsed();
        let watched = self.watch.as_ref().map(|watch| (watch, call.body.clone()));
        let result = self.client.send(call).await;
        self.record(&result, begun);
        if let Some((watch, request)) = watched {
            watch(CallReport {
                job: context.job_id(),
                attempt: context.attempt(),
                request: self.without_secrets(&request, context),
                status: result.as_ref().ok().map(|received| received.response.status),
                took: self.clock.elapsed().saturating_sub(begun),
            });
        }
        let received = match result {
            Ok(received) => received,
            Err(error @ CallError::Refused(_)) => return Err(HandlerError::fail(error)),
            Err(error) => return Err(HandlerError::retry(error)),
        };
        let rules = Rules { handler: &self.name, mode: self.mode, preset: self.preset, has_callback };
        match response::decide(&received, rules) {
            Verdict::Completion(completion, id) => {
                self.remember(conversation, id);
                Ok(completion)
            }
            Verdict::Later(acknowledged) => {
                if let Some(tool) = acknowledged {
                    self.observer.acknowledged(tool);
                }
                Err(HandlerError::await_callback())
            }
            Verdict::Retry(after, why) => {
                let why = self.without_secrets(&why, context);
                // The tool has forgotten the conversation: the next attempt begins a new one.
                if has_id && received.response.status == 404 {
                    self.remember(conversation, ToolId::Over);
                }
                Err(match after {
                    Some(delay) => HandlerError::retry_after(delay, why),
                    None => HandlerError::retry(why),
                })
            }
            Verdict::Fail(why) => {
                if let Some(beginning) = beginning(&received) {
                    context.note(self.without_secrets(&beginning, context));
                }
                Err(HandlerError::fail(self.without_secrets(&why, context)))
            }
        }
    }

    /// A handler may repeat what it got: for the log, for errors and notes, without the callback's token and the handler's
    /// secrets.
    fn without_secrets(&self, text: &str, context: &Context) -> String {
        self.secrets.hidden_in(&context.without_token(text))
    }

    fn remember(&self, conversation: Option<String>, id: ToolId) {
        match (conversation, id) {
            (Some(conversation), ToolId::New(id)) => self.conversations.insert(conversation, id),
            (Some(conversation), ToolId::Over) => self.conversations.remove(&conversation),
            (Some(_), ToolId::Unchanged) | (None, _) => {}
        }
    }

    /// Counts the call, and lets the breaker know its result.
    fn record(&self, result: &Result<Received, CallError>, begun: Duration) {
        let now = self.clock.elapsed();
        self.observer.called(result, now.saturating_sub(begun));
        let (call, why) = match result {
            Ok(_) | Err(CallError::Slow(_) | CallError::Broken(_)) => (CallResult::Responded, String::new()),
            Err(error @ CallError::NoConnection(_)) => (CallResult::NoConnection, error_chain(error)),
            Err(CallError::TimedOut(_) | CallError::Refused(_)) => (CallResult::Unknown, String::new()),
        };
        let change = self.breaker().record(call, now);
        if let Some(change) = change {
            self.observer.changed(change, &why);
        }
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beginning of a response's body, for the operator; `None` if it is empty.
fn beginning(received: &Received) -> Option<String> {
    let text = String::from_utf8_lossy(&received.response.body);
    let text: String = text.trim().chars().take(MAX_NOTE_CHARS).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
