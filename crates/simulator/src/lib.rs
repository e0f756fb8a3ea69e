//! Plays Kommo on loopback, for `demo`, `simulate`, `bench` and the tests.
//!
//! One [`Simulator`] is one Kommo account on one port. Its bots post `widget_request`s as Kommo
//! really does (PHP-style form, HS512, fractional times, a `return_url` that is used again within
//! a session), and its API answers as Kommo does, validation errors included: continues, the widgets
//! of the account, the account itself. Faults come on demand: for one bot ([`Plan::faults`]), for
//! the next calls ([`Simulator::queue_api_faults`]) or for the account ([`Simulator::set_outage`]).
//!
//! A call of the API that the simulator does not play gets what a test scripts for it ([`Simulator::respond`]).
//!
//! Bearers are the long-lived [`Options::access_token`] and the OAuth access tokens that `/oauth` and
//! `/oauth2/access_token` lead to. Tests expire, revoke and move them.
//!
//! It names no other room of this crate. It writes its own tokens, forms and JSON, so that a
//! mistake in a room is not mirrored here and thereby hidden.
//!
//! # What it promises
//!
//! - A bot waits once from its creation, and once more for each [`Bot::next_wait`]. Each wait is
//!   continued at most once; with nobody waiting, a continue gets 404.
//! - A refused continue leaves the bot waiting.
//! - A call below `/api/v4/` is judged in this order: outage, rate limit, the next fault of its bot
//!   or of the queue; bearer (401), rights (403), somebody waiting or a widget of that code (404),
//!   body (400).
//! - A code works once, for 20 minutes by [`Options::clock`]. A refresh token works until the pair that
//!   replaced it is first used in a call or a refresh, and not while another refresh with it is
//!   under way ([`Options::token_latency`]); then it gets 401 with the hint `Token has been revoked`.
//! - Connections are kept alive until the peer, a fault or [`Simulator::shutdown`] ends them.
//!
//! # The control endpoints
//!
//! They start and show bots from outside, for the command `simulate`:
//!
//! | request | answer |
//! |---|---|
//! | `POST /simulator/widgets` | takes a zip (`application/zip`): 201 with `code`, `handler`, `handlers`, `version`; or 400 with every mistake in the package among its `validation-errors` |
//! | `POST /simulator/widgets/{code}` | the same for a newer version of that widget |
//! | `GET /simulator/widgets` | 200 `{"widgets":[…]}`: those that were uploaded |
//! | `POST /simulator/bots` | 202 `{"bots":[id, …]}`; the bots call the bridge in the background |
//! | `GET /simulator/bots` | 200 `{"bots":[report, …]}`, see [`BotReport`] |
//! | `GET /simulator/bots/{id}` | 200 report with `last_continue`, or 404 |
//! | `GET /simulator/` | 200 these endpoints and the names of faults, as JSON |
//!
//! An order for bots is `application/json`. Either `url` is the bridge's address and `data` is sent
//! on; or `widget` is the code of an uploaded widget, whose script writes the bot's steps from the
//! `settings` of its `handler` (both have defaults) and whose placeholders come from `variables`, as in
//! `{"widget":"…","variables":{"message_text":"hi","lead.id":"5"}}`. Such a bot goes through its steps
//! until an exit. With either, `faults` names one fault for each attempt (see [`FAULTS`]);
//! `count` bots are started, 1 by default; `body` is `form`, `form-plain`, `form-json-data` or
//! `json`.

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

/// One running Kommo account. Dropping it stops it at once.
#[derive(Debug)]
pub struct Simulator {
    account: Arc<Account>,
    tasks: TaskTracker,
    stop_token: CancellationToken,
    stop: DropGuard,
}

impl Simulator {
    /// Binds the port and answers from then on.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or the client for outgoing calls cannot be made.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let account = Arc::new(Account::new(options, listener.local_addr()?)?);
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let shared = serve::Shared { account: account.clone(), tasks: tasks.clone(), stop: stop.clone() };
        tasks.spawn(serve::accept(listener, shared));
        Ok(Self { account, tasks, stop_token: stop.clone(), stop: stop.drop_guard() })
    }

    /// `http://127.0.0.1:PORT`: the origin of every `return_url`, and the tokens' `iss`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.account.base_url
    }

    /// What it was started with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.account.options
    }

    /// How long it has been running: the scale of every `at` in its reports.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.account.elapsed()
    }

    /// A new bot that waits for its continue. It has not called anybody yet: post its
    /// [`request`](Bot::request) yourself or let it [`call`](Bot::call).
    #[must_use]
    pub fn bot(&self, plan: Plan) -> Bot {
        Bot::create(&self.account, plan)
    }

    /// Every call below `/api/v4/`, continues included, gets this fault, before any fault of a bot,
    /// until the next call with `None`.
    pub fn set_outage(&self, outage: Option<Fault>) {
        self.account.trouble.set_outage(outage);
    }

    /// The next calls below `/api/v4/` that are no continues get these faults, one a call; what was
    /// queued before comes first.
    pub fn queue_api_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.account.trouble.queue_api(faults);
    }

    /// Whether the user behind the tokens is an administrator from now on.
    pub fn set_administrator(&self, administrator: bool) {
        self.account.administrator.store(administrator, Ordering::Relaxed);
    }

    /// The widget of this code as the API shows it to its own integration, `settings` included if
    /// it is installed.
    #[must_use]
    pub fn widget(&self, code: &str) -> Option<Value> {
        widgets::model(&self.account, code)
    }

    /// Every request that the continue endpoint received, in order of arrival. Empty when
    /// [`Options::record`] is off.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.account.records.calls()
    }

    /// Every request below `/api/v4/`, continues included, in order of arrival. Empty when
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

    /// Stops listening, cuts every connection, and returns when nothing of it runs any more.
    /// [`Bot`] handles still tell their reports.
    pub async fn shutdown(self) {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
    }
}
