//! The handle of one bot: what it sends, and the responses it gets.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::time::Instant;

use super::account::Account;
use super::form;
use super::plan::{BodyStyle, Plan, WidgetRequest};
use super::report::{Ack, BotReport, CallError, Continue, What};
use super::run::{Run, Wait};
use super::token;

/// One bot of a [`Simulator`](super::Simulator). Clones refer to the same bot.
#[derive(Debug, Clone)]
pub struct Bot {
    account: Arc<Account>,
    run: Arc<Run>,
}

impl Bot {
    pub(super) fn create(account: &Arc<Account>, plan: Plan) -> Self {
        let run = account.add(|id| Run::new(account, id, plan, false));
        Self { account: account.clone(), run }
    }

    /// Creates a bot that runs the steps of a widget; the caller plays them.
    pub(super) fn scripted(account: &Arc<Account>, plan: Plan) -> Self {
        let run = account.add(|id| Run::new(account, id, plan, true));
        Self { account: account.clone(), run }
    }

    pub(super) fn say(&self, said: Vec<String>) {
        self.run.say(said);
    }

    pub(super) fn end(&self, end: Result<String, String>) {
        self.run.end(end);
    }

    /// The bot's id, as in its `return_url`.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.run.id
    }

    /// The URL at which the bot is continued. [`Plan::return_url`] does not change it: that override
    /// appears only in the request.
    #[must_use]
    pub fn return_url(&self) -> String {
        format!("{}{}", self.account.base_url, self.run.path())
    }

    /// The request of the latest wait, for the bridge at this URL (`aud` in the token). Each call
    /// returns the same request, as when Kommo repeats one.
    #[must_use]
    pub fn request(&self, bridge_url: &str) -> WidgetRequest {
        let wait = self.run.wait();
        let plan = &self.run.plan;
        let return_url = plan.return_url.clone().unwrap_or_else(|| self.return_url());
        let token = token::mint(&self.account, &self.run, &wait, bridge_url);
        let (content_type, body) = match plan.body {
            BodyStyle::Json => ("application/json", form::json(&token, &wait.data, &return_url)),
            BodyStyle::FormJsonData => (form::TYPE, form::with_json_data(&token, &wait.data, &return_url)),
            BodyStyle::Form => {
                (form::TYPE, form::nested(&token, &wait.data, &return_url, form::Brackets::Encoded))
            }
            BodyStyle::FormPlain => {
                (form::TYPE, form::nested(&token, &wait.data, &return_url, form::Brackets::Plain))
            }
        };
        let content_type = plan.content_type.clone().unwrap_or_else(|| content_type.to_owned());
        WidgetRequest { content_type, body: body.into(), token, jti: wait.jti, return_url }
    }

    /// Begins the next wait of the same session, with this data: a new `jti`, the same `return_url`.
    /// The bot then waits for one more continue, whether or not the previous wait is over.
    pub fn next_wait(&self, data: Value) {
        self.run.next_wait(Wait::begin(&self.account, data));
    }

    /// Begins the next wait and returns its request.
    #[must_use]
    pub fn next_request(&self, bridge_url: &str, data: Value) -> WidgetRequest {
        self.next_wait(data);
        self.request(bridge_url)
    }

    /// Posts the request of the latest wait, as Kommo does, and records the result. A response with
    /// any status is `Ok`.
    ///
    /// # Errors
    ///
    /// There was no response: the bridge could not be reached, or took longer than
    /// [`answer_timeout`](super::Options::answer_timeout).
    pub async fn call(&self, bridge_url: &str) -> Result<Ack, CallError> {
        let request = self.request(bridge_url);
        self.run.note(self.account.elapsed(), What::Asked);
        let result = self.post(bridge_url, request).await;
        let what = match &result {
            Ok(ack) => What::Acknowledged { status: ack.status, elapsed: ack.elapsed },
            Err(error) => What::Unanswered { reason: error.to_string() },
        };
        self.run.note(self.account.elapsed(), what);
        result
    }

    async fn post(&self, bridge_url: &str, request: WidgetRequest) -> Result<Ack, CallError> {
        let post = self.account.client.post(bridge_url).header(CONTENT_TYPE, request.content_type);
        ask(&self.account, post.body(request.body)).await
    }

    /// Waits, without a limit, until every wait begun so far is continued. Returns the last continue.
    pub async fn continued(&self) -> Continue {
        self.run.continued().await
    }

    /// Waits, without a limit, until a bot of an uploaded widget reaches an exit or is stuck. Other
    /// bots never end.
    pub async fn ended(&self) -> BotReport {
        self.run.ended().await
    }

    /// The continues of this bot, in order; only the last if [`record`](super::Options::record) is off.
    #[must_use]
    pub fn continues(&self) -> Vec<Continue> {
        self.run.continues()
    }

    /// What has happened to the bot so far.
    #[must_use]
    pub fn report(&self) -> BotReport {
        self.run.report()
    }
}

/// Sends a request of the account to the bridge, with Kommo's timeout.
pub(super) async fn ask(account: &Account, request: reqwest::RequestBuilder) -> Result<Ack, CallError> {
    let failed = |error: reqwest::Error| {
        if error.is_timeout() {
            CallError::Timeout(account.options.answer_timeout)
        } else {
            CallError::Unreachable(chain(&error.without_url()))
        }
    };
    let start = Instant::now();
    let response = request.send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let body = response.text().await.map_err(failed)?;
    Ok(Ack { status, body, elapsed: start.elapsed() })
}

/// The error and its sources. The text of reqwest's error alone is only "error sending request".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
