//! Plays Kommo on loopback, for `demo`, `dev`, `simulate`, `bench` and the tests.
//!
//! One [`Simulator`] is one Kommo account on one port. Its bots post `widget_request`s the way Kommo
//! does: PHP-style forms, HS512 signatures, fractional timestamps, and one `return_url` for a whole
//! session. Its API covers continues, the account's widgets and the account itself, and responds as
//! Kommo does, validation errors included. Faults can be injected for one bot ([`Plan::faults`]), for
//! the next calls ([`Simulator::queue_api_faults`]) or for the account ([`Simulator::set_outage`]).
//!
//! A call of the API that the simulator does not play gets what a test scripts for it ([`Simulator::respond`]).
//!
//! Two kinds of bearer are valid: the long-lived [`Options::access_token`], and OAuth access tokens
//! obtained through `/oauth` and `/oauth2/access_token`. Tests can expire, revoke and move the latter.
//!
//! This crate uses no other crate of the workspace. It writes its own tokens, forms and JSON, so that
//! it does not repeat, and thereby hide, a mistake in the code under test.
//!
//! # Guarantees
//!
//! - A bot waits once from its creation, and once more for each [`Bot::next_wait`]. Each wait is
//!   continued at most once. If the bot is not waiting, a continue gets 404.
//! - A refused continue leaves the bot waiting.
//! - The simulator checks a call below `/api/v4/` in this order: outage, rate limit, the next fault of
//!   its bot or of the queue; bearer (401), rights (403), waiting bot or known widget (404), body (400).
//! - An authorization code works once, within 20 minutes by [`Options::clock`]. A refresh token works
//!   until the pair that replaced it is first used in a call or a refresh. It does not work while another
//!   refresh with it is in progress ([`Options::token_latency`]). A refresh that is refused for either
//!   reason gets 401 with the hint `Token has been revoked`.
//! - Connections stay open until the peer, a fault or [`Simulator::shutdown`] closes them.
//!
//! # Control endpoints
//!
//! They start and show bots from outside, for the command `simulate`:
//!
//! | request | response |
//! |---|---|
//! | `POST /simulator/widgets` | takes a zip (`application/zip`): 201 with `code`, `handler`, `handlers`, `version`; or 400 with the mistakes in the package as `validation-errors` |
//! | `POST /simulator/widgets/{code}` | the same, for a newer version of that widget |
//! | `GET /simulator/widgets` | 200 `{"widgets":[…]}`: the uploaded widgets |
//! | `POST /simulator/bots` | 202 `{"bots":[id, …]}`; the bots call the bridge in the background |
//! | `GET /simulator/bots` | 200 `{"bots":[report, …]}`, see [`BotReport`] |
//! | `GET /simulator/bots/{id}` | 200 report with `last_continue`, or 404 |
//! | `GET /simulator/` | 200 these endpoints and the names of faults, as JSON |
//!
//! An order for bots is `application/json`, in one of two forms:
//!
//! - `url` is the bridge's address, and `data` is what the bots send.
//! - `widget` is the code of an uploaded widget, as in
//!   `{"widget":"…","variables":{"message_text":"hi","lead.id":"5"}}`. The widget's script writes the
//!   bot's steps from the `settings` of its `handler` (both have defaults); `variables` fill the
//!   placeholders. Such a bot runs its steps until it reaches an exit.
//!
//! In both forms, `faults` names one fault for each attempt (see [`FAULTS`]), `count` is the number of
//! bots (default 1), and `body` is `form`, `form-plain`, `form-json-data` or `json`.

mod access_token;
mod account;
mod answer;
mod api;
mod bot;
mod canned;
mod continues;
mod control;
mod control_index;
mod control_widgets;
mod fault;
mod flow;
mod form;
mod grants;
mod install;
mod language;
mod moved;
mod oauth;
mod oauth_controls;
mod options;
mod package;
mod package_images;
mod package_manifest;
mod placeholders;
mod plan;
mod profile;
mod records;
mod report;
mod run;
mod script;
mod script_process;
mod serve;
mod time;
mod token;
mod trouble;
mod uploads;
mod validate;
mod widget_data;
mod widgets;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use account::Account;

pub use bot::Bot;
pub use canned::CannedResponse;
pub use fault::{FAULTS, Fault, UnknownFault};
pub use language::{Language, UnknownLanguage};
pub use moved::MovedAnswer;
pub use oauth_controls::Tokens;
pub use options::{DataAlone, Options};
pub use plan::{Algorithm, BodyStyle, BotType, Plan, TokenStyle, WidgetRequest};
pub use report::{Ack, ApiCall, BotReport, Call, CallError, Continue, Event, OauthCall, What};
pub use script_process::{COMMAND as SCRIPT_COMMAND, serve_script};
pub use time::TimeSource;
pub use uploads::{UploadError, UploadedWidget, WidgetOrder};

/// A running Kommo account. Dropping it stops it at once.
#[derive(Debug)]
pub struct Simulator {
    account: Arc<Account>,
    tasks: TaskTracker,
    stop_token: CancellationToken,
    stop: DropGuard,
}

impl Simulator {
    /// Binds the port and starts to serve requests.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or the client for outgoing calls cannot be created.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let account = Arc::new(Account::new(options, listener.local_addr()?)?);
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let shared = serve::Shared { account: account.clone(), tasks: tasks.clone(), stop: stop.clone() };
        tasks.spawn(serve::accept(listener, shared));
        Ok(Self { account, tasks, stop_token: stop.clone(), stop: stop.drop_guard() })
    }

    /// `http://127.0.0.1:PORT`: the origin of every `return_url`, and `iss` in the tokens.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.account.base_url
    }

    /// The options that the simulator was started with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.account.options
    }

    /// Time since the simulator started. Every `at` in its reports is on the same scale.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.account.elapsed()
    }

    /// Creates a bot that waits for its continue. It has not called the bridge yet: post its
    /// [`request`](Bot::request) yourself, or use [`call`](Bot::call).
    #[must_use]
    pub fn bot(&self, plan: Plan) -> Bot {
        Bot::create(&self.account, plan)
    }

    /// Plays this fault for every call below `/api/v4/`, continues included, until `None` is set. It
    /// takes precedence over the faults of bots.
    pub fn set_outage(&self, outage: Option<Fault>) {
        self.account.trouble.set_outage(outage);
    }

    /// Appends faults to the queue of the account. Each call below `/api/v4/` that is not a continue
    /// takes one from the front.
    pub fn queue_api_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.account.trouble.queue_api(faults);
    }

    /// Sets whether the user behind the tokens is an administrator.
    pub fn set_administrator(&self, administrator: bool) {
        self.account.administrator.store(administrator, Ordering::Relaxed);
    }

    /// The widget with this code as the API shows it to the integration that owns it, with `settings` if
    /// it is installed. `None` if there is no such widget.
    #[must_use]
    pub fn widget(&self, code: &str) -> Option<Value> {
        widgets::model(&self.account, code)
    }

    /// Every request that the continue endpoint received, in order of arrival. Empty if
    /// [`Options::record`] is off.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.account.records.calls()
    }

    /// Every request below `/api/v4/`, continues included, in order of arrival. Empty if
    /// [`Options::record`] is off.
    #[must_use]
    pub fn api_calls(&self) -> Vec<ApiCall> {
        self.account.records.api_calls()
    }

    /// Every bot, in order of creation.
    #[must_use]
    pub fn bots(&self) -> Vec<BotReport> {
        self.account.runs().iter().map(|run| run.report()).collect()
    }

    /// Stops listening, closes every connection, and returns when all its tasks have ended.
    /// [`Bot`] handles keep their reports.
    pub async fn shutdown(self) {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
    }
}
