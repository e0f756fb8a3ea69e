//! What the running bridge knows in memory, for the admin listener: permits, breakers, the pace of accounts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::backups::Backups;
use crate::accounts::{Accounts, Installation};
use crate::admin::{
    AccountView, AccountsView, BackupsState, HandlerSettings, InstallationView, ListedAccounts, Live,
    StoreSettings, TestedHandler, TrialView,
};
use crate::config::{Config, ordering_name};
use crate::handlers::{HttpHandler, Meaning, Trial};
use crate::listed_account::ListedAccount;
use crate::work::Pool;
use kommo::pace::{CallLimiter, Pace};
use model::clock::Clock;
use model::{
    AccountPace, AccountPause, AccountState, HandlerLoad, HandlerName, HandlerPolicy, WaitCause, whole_millis,
};
use store::Actor;

/// The running bridge.
pub(super) struct LiveBridge {
    pub(super) settings: Vec<HandlerSettings>,
    /// Without a slash at its end.
    pub(super) public_url: Option<String>,
    pub(super) pool: Pool,
    pub(super) limiter: Arc<CallLimiter>,
    pub(super) accounts: Accounts,
    pub(super) give_up_after: Duration,
    pub(super) store: StoreSettings,
    pub(super) backups: Option<Backups>,
    pub(super) clock: Clock,
    /// The handlers at a URL.
    pub(super) http_handlers: HashMap<HandlerName, Arc<HttpHandler>>,
    /// `server.callback_url` is set.
    pub(super) has_callback_url: bool,
}

/// The settings of `handlers`, by name.
pub(crate) fn handler_settings<'h>(
    config: &Config,
    handlers: impl Iterator<Item = (&'h HandlerName, &'h HandlerPolicy)>,
) -> Vec<HandlerSettings> {
    let settings = handlers.map(|(name, policy)| {
        let known = config.handlers.get(name);
        HandlerSettings {
            name: name.clone(),
            kind: known.and_then(|known| known.kind.clone()).unwrap_or_else(|| "rust".to_owned()),
            url: known.and_then(|known| known.http.as_ref()).map(|http| http.url.to_string()),
            max_attempts: policy.max_attempts,
            attempt_timeout_ms: whole_millis(policy.attempt_timeout),
            answer_within_ms: whole_millis(policy.answer_within),
            ordering: ordering_name(policy.ordering),
            coalesce_ms: whole_millis(policy.ordering.coalesce().unwrap_or_default()),
        }
    });
    let mut settings: Vec<HandlerSettings> = settings.collect();
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    settings
}

/// The result of a test, as `handlers test --json` and the page show it.
pub(crate) fn trial_view(trial: &Trial) -> TrialView {
    let (meaning, why) = match &trial.meaning {
        Meaning::Answer(_) => ("answer", None),
        Meaning::Later(advice) => ("callback", advice.clone()),
        Meaning::Retry(why) => ("retry", Some(why.clone())),
        Meaning::Fail(why) => ("fail", Some(why.clone())),
    };
    let completion = match &trial.meaning {
        Meaning::Answer(body) => serde_json::from_str(body).ok(),
        Meaning::Later(_) | Meaning::Retry(_) | Meaning::Fail(_) => None,
    };
    TrialView {
        request_bytes: trial.request_bytes,
        status: trial.status,
        duration_ms: whole_millis(trial.took),
        response: trial.response.clone(),
        meaning,
        why,
        completion,
    }
}

impl Live for LiveBridge {
    fn load(&self, handler: &HandlerName) -> Option<HandlerLoad> {
        self.pool.load(handler.as_str())
    }

    fn max_awaiting(&self, handler: &HandlerName) -> Option<u64> {
        self.pool.max_awaiting(handler.as_str()).and_then(|max| u64::try_from(max).ok())
    }

    fn pace(&self, origin: &str) -> Option<AccountPace> {
        let Pace { used, limit, next_in } = self.limiter.pace(&self.paced(origin));
        Some(AccountPace { used, limit, next_at: next_in.map(|left| self.clock.now() + left) })
    }

    fn pause(&self, origin: &str) -> Option<AccountPause> {
        let account = self.paced(origin);
        let (_, cause, left) =
            self.limiter.paused(Duration::ZERO).into_iter().find(|(paused, ..)| *paused == account)?;
        Some(AccountPause { cause, until: self.clock.now() + left })
    }

    fn handlers(&self) -> Vec<HandlerSettings> {
        self.settings.clone()
    }

    fn accounts(&self) -> ListedAccounts<'_> {
        Box::pin(async {
            let accounts = self.accounts.list().await?.into_iter().map(|one| self.account(one));
            let installations = self.accounts.installations().await?.into_iter().map(installation);
            Ok(AccountsView { accounts: accounts.collect(), installations: installations.collect() })
        })
    }

    fn give_up_after(&self) -> Duration {
        self.give_up_after
    }

    fn accounts_in_trouble(&self) -> usize {
        let paused = self.limiter.paused(Duration::ZERO).into_iter().map(|(account, ..)| account).collect();
        self.accounts.in_trouble(&paused)
    }

    fn test_handler(&self, handler: &HandlerName, data: Value) -> Option<TestedHandler<'_>> {
        let tested = self.http_handlers.get(handler)?.clone();
        let settings = self.settings.iter().find(|settings| settings.name == *handler)?;
        let time = Duration::from_millis(settings.attempt_timeout_ms);
        let has_callback_url = self.has_callback_url;
        Some(Box::pin(async move {
            tested.test(data, has_callback_url, time).await.map(|trial| trial_view(&trial))
        }))
    }

    fn store(&self) -> StoreSettings {
        self.store.clone()
    }

    fn backups(&self) -> Option<BackupsState> {
        self.backups.as_ref().map(Backups::state)
    }

    fn back_up_now(&self, by: Actor) {
        if let Some(backups) = &self.backups {
            backups.ask(by);
        }
    }

    fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }
}

impl LiveBridge {
    /// The address by which the calls to the account at `origin` are paced.
    fn paced(&self, origin: &str) -> Arc<str> {
        self.accounts.moved_to(origin).unwrap_or_else(|| origin.into())
    }

    fn account(&self, one: ListedAccount) -> AccountView {
        let origin = one.origin.as_deref();
        let (pause, pace) = (origin.and_then(|at| self.pause(at)), origin.and_then(|at| self.pace(at)));
        AccountView {
            authorize: authorize(&one),
            pause: pause.map(Into::into),
            pace: pace.map(Into::into),
            account: one,
        }
    }
}

/// The command with which a person connects the account again; `None` if that is not necessary, or if its token is in the
/// configuration.
fn authorize(one: &ListedAccount) -> Option<String> {
    let waits_for_person = one
        .waits_for
        .as_ref()
        .is_some_and(|wait| matches!(wait.cause, WaitCause::Unauthorized | WaitCause::NotConnected));
    if one.name.is_some() || (one.state == AccountState::Active && !waits_for_person) {
        return None;
    }
    let integration = one.integration.as_deref().filter(|_| one.key.is_some());
    let option = integration.map(|name| format!(" --integration {name}")).unwrap_or_default();
    Some(format!("salesbot-bridge accounts authorize{option}"))
}

fn installation(one: Installation) -> InstallationView {
    let Installation { host, integration, codes, received_at, expires_at, .. } = one;
    InstallationView { host, integration, codes, received_at, expires_at }
}
