//! A test of a handler, for `handlers test` and the page of handlers: one signed request, and what its response means.

use std::time::Duration;

use serde_json::Value;

#[cfg(feature = "cli")]
use crate::config::HttpHandlerConfig;
use crate::config::Preset;
use model::{AccountId, JobId, WidgetRequest, error_chain};

use super::client::Call;
#[cfg(feature = "cli")]
use super::client::HttpClient;
use super::response::{self, Rules, Verdict};
use super::{HttpHandler, HttpSecrets, beginning, payload, presets};

/// The `return_url` of the request, which is not sent.
const NO_BOT: &str = "https://example.kommo.com/api/v4/salesbot/1/continue/1";

/// A test of a handler.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The length of the request's body.
    pub request_bytes: usize,
    /// The HTTP status; `None` if there was no response.
    pub status: Option<u16>,
    /// The time until the end of the response, or until the test gave up.
    pub took: Duration,
    /// The beginning of the response's body; `None` if it is empty.
    pub response: Option<String>,
    /// What the bridge would do with a job.
    pub meaning: Meaning,
}

/// What the bridge would do with a job after such a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It would send this completion, the body of a continue, to the bot.
    Answer(String),
    /// It would wait for a callback. With the advice for a tool that could answer directly.
    Later(Option<String>),
    /// It would retry, because of this.
    Retry(String),
    /// It would send the fallback, because of this.
    Fail(String),
}

impl HttpHandler {
    /// Resolves the name of a handler's URL and connects to it, with TLS, but sends no request.
    ///
    /// # Errors
    /// It cannot be reached. The text has all causes.
    #[cfg(feature = "cli")]
    pub async fn reach(config: &HttpHandlerConfig) -> Result<(), String> {
        HttpClient::reach(&config.url, &config.outgoing).await
    }

    /// Sends one request of the type `ping`; other presets than `bridge` send what they always send. `input` is the widget's
    /// data. `has_callback` says whether a request for a job would have a callback URL. The call may take `time`.
    ///
    /// # Errors
    /// The request cannot be built from `input`, or a secret cannot be sent.
    pub async fn test(&self, input: Value, has_callback: bool, time: Duration) -> Result<Trial, String> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let job = JobId::new(now, fastrand::u128(..));
        let request = WidgetRequest {
            account_id: AccountId(0),
            entity: None,
            return_url: NO_BOT.parse().map_err(|error| format!("{error}"))?,
            data: input,
            earlier: Vec::new(),
        };
        let body = match inner.preset {
            Preset::Bridge => {
                let attempt = payload::Attempt {
                    handler: &inner.name,
                    request: &request,
                    is_coalescing: inner.is_coalescing,
                    job,
                    number: 1,
                    max_attempts: inner.max_attempts,
                    now,
                    deadline: now + time,
                    answer_by: now + time,
                    callback: None,
                };
                payload::ping(&attempt).map_err(|error| error.to_string())?
            }
            preset => presets::body(preset, &request.data, &[], &job.to_string(), None)?,
        };
        let headers = inner.headers(&job.to_string(), now, &body, payload::traceparent(job, 1))?;
        let url = presets::address(inner.preset, &inner.url, None);
        let request_bytes = body.len();
        let begun = inner.clock.elapsed();
        let sent = inner.client.send(Call { url, headers, body, time }).await;
        let took = inner.clock.elapsed().saturating_sub(begun);
        let has_callback = has_callback && inner.preset == Preset::Bridge;
        let rules = Rules { handler: &inner.name, mode: inner.mode, preset: inner.preset, has_callback };
        let trial = match sent {
            Err(error) => {
                let meaning = match error {
                    super::CallError::Refused(_) => Meaning::Fail(error_chain(&error)),
                    _ => Meaning::Retry(error_chain(&error)),
                };
                Trial { request_bytes, status: None, took, response: None, meaning }
            }
            Ok(received) => Trial {
                request_bytes,
                status: Some(received.response.status),
                took,
                response: beginning(&received),
                meaning: meaning(response::decide(&received, rules)),
            },
        };
        Ok(trial.without_secrets(&inner.secrets))
    }
}

impl Trial {
    /// The same without these secrets, which a handler may repeat.
    fn without_secrets(self, secrets: &HttpSecrets) -> Self {
        let hidden = |text: String| secrets.hidden_in(&text);
        let meaning = match self.meaning {
            Meaning::Answer(body) => Meaning::Answer(hidden(body)),
            Meaning::Later(advice) => Meaning::Later(advice),
            Meaning::Retry(why) => Meaning::Retry(hidden(why)),
            Meaning::Fail(why) => Meaning::Fail(hidden(why)),
        };
        Self { response: self.response.map(hidden), meaning, ..self }
    }
}

fn meaning(verdict: Verdict) -> Meaning {
    match verdict {
        Verdict::Completion(completion, _) => match completion.check() {
            Ok(checked) => Meaning::Answer(checked.as_json().to_owned()),
            Err(error) => Meaning::Fail(error.to_string()),
        },
        Verdict::Later(acknowledged) => Meaning::Later(acknowledged.map(|tool| tool.advice().to_owned())),
        Verdict::Retry(_, why) => Meaning::Retry(why),
        Verdict::Fail(why) => Meaning::Fail(why),
    }
}
