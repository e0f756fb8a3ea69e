//! What the page shows: plain values, so that everything that decides about them is pure.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{AccountState, AccountWait, ExplainCode, HandlerName, StateName, Timestamp, WaitCause};
use store::outside::Sizes;
use store::{ErrorGroup, UnfinishedJob};

use crate::admin::accounts::{AccountView, PauseView};
use crate::admin::live::HandlerSettings;
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::Tone;
use crate::health::{EverybodyWaits, Misdirected, Phase, Refused};
use crate::history::{MergedPeriod, Series};

/// A part of the page; the error is a sentence that says why it could not be read.
pub(super) type Part<T> = Result<T, String>;

/// Everything that the page shows.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) now: Timestamp,
    pub(super) phase: Phase,
    /// Why the bridge refuses all requests although it is not starting or stopping.
    pub(super) refuses_because: Vec<String>,
    /// The requests that were refused since the start, by outcome.
    pub(super) refused: Vec<Refused>,
    pub(super) counts: Part<Counts>,
    pub(super) waiting: Part<Waiting>,
    /// Why the deliveries of all accounts wait, if they do.
    pub(super) everybody: Option<EverybodyWaits>,
    pub(super) accounts: Part<Accounts>,
    pub(super) errors: Part<Errors>,
    pub(super) store: Part<StoreFacts>,
    pub(super) numbers: Numbers,
    pub(super) setup: Setup,
}

/// The number of jobs in each state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts(pub(super) BTreeMap<StateName, u64>);

impl Counts {
    pub(super) fn of(&self, states: &[StateName]) -> u64 {
        states.iter().filter_map(|state| self.0.get(state)).sum()
    }

    pub(super) fn unfinished(&self) -> u64 {
        self.0.iter().filter(|(state, _)| !state.is_finished()).map(|(_, jobs)| jobs).sum()
    }
}

/// The jobs that have waited longest.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    /// Oldest first.
    pub(super) jobs: Vec<WaitingJob>,
    /// Whether no other job is older.
    pub(super) is_exact: bool,
}

/// A job that waits.
#[derive(Clone, Debug)]
pub(super) struct WaitingJob {
    pub(super) job: UnfinishedJob,
    /// What it waits for; `None` if that could not be read in time.
    pub(super) reason: Option<Reason>,
}

impl WaitingJob {
    /// Whether its bot should have been answered by now.
    pub(super) fn is_late(&self, now: Timestamp) -> bool {
        self.job.answer_by <= now
    }
}

/// What a job waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) code: ExplainCode,
    pub(super) text: String,
    /// When that ends, if known.
    pub(super) until: Option<Timestamp>,
}

/// All accounts, and those in trouble.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    /// `None` if only those in trouble are known.
    pub(super) all: Option<usize>,
    /// The names of configured accounts, by host.
    pub(super) names: BTreeMap<String, String>,
    /// The one for which most deliveries wait first.
    pub(super) troubles: Vec<Trouble>,
}

/// An account whose deliveries wait, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Its name in the configuration, otherwise its host or its number.
    pub(super) name: String,
    pub(super) host: Option<String>,
    /// The integration through which it is connected.
    pub(super) integration: Option<String>,
    /// Whether a person must authorize it.
    pub(super) needs_authorization: bool,
    pub(super) why: String,
    /// When the next delivery is tried; `None` if that depends on something else.
    pub(super) until: Option<Timestamp>,
    /// The deliveries that wait for it; `None` if there are too many deliveries to count those of each account.
    pub(super) waiting: Option<u64>,
    /// The command that connects it.
    pub(super) authorize: Option<String>,
}

impl Trouble {
    /// The trouble of an account; `None` if there is none.
    pub(super) fn of(view: &AccountView) -> Option<Self> {
        let AccountView { account, pause, authorize, .. } = view;
        let number = || account.account_id.map(|id| format!("account {}", id.0));
        let name = account.name.clone().or_else(|| account.host.clone()).or_else(number);
        let cause = cause(account.state, account.reason.as_deref(), account.waits_for.as_ref(), *pause);
        let (why, until) = cause?;
        Some(Self {
            name: name.unwrap_or_else(|| "an account without a name".to_owned()),
            host: account.host.clone(),
            integration: account.integration.clone(),
            needs_authorization: account.state != AccountState::Active || authorize.is_some(),
            why,
            until,
            waiting: Some(account.waiting),
            authorize: authorize.clone(),
        })
    }

    /// The trouble of the account at `origin`, of which only the wait of its deliveries is known.
    pub(super) fn of_wait(origin: &str, wait: AccountWait) -> Self {
        let host = origin.split_once("://").map_or(origin, |(_, host)| host).to_owned();
        Self {
            name: host.clone(),
            host: Some(host),
            integration: None,
            needs_authorization: matches!(wait.cause, WaitCause::Unauthorized | WaitCause::NotConnected),
            why: wait.why,
            until: wait.until,
            waiting: None,
            authorize: None,
        }
    }

    /// Whether deliveries wait for it.
    pub(super) fn blocks(&self) -> bool {
        self.waiting != Some(0)
    }

    /// Whether an operator can have the next delivery tried now.
    pub(super) const fn can_be_resumed(&self) -> bool {
        !self.needs_authorization && self.host.is_some()
    }

    pub(super) const fn look(&self) -> (Tone, Icon) {
        match (self.needs_authorization, self.until) {
            (true, _) => (Tone::Bad, Icon::Key),
            (false, Some(_)) => (Tone::Warn, Icon::Paused),
            (false, None) => (Tone::Bad, Icon::Warning),
        }
    }
}

/// Why deliveries to an account wait, and until when; `None` if they do not.
fn cause(
    state: AccountState,
    reason: Option<&str>,
    waits_for: Option<&AccountWait>,
    pause: Option<PauseView>,
) -> Option<(String, Option<Timestamp>)> {
    match (state, waits_for, pause) {
        (AccountState::NeedsAuthorization | AccountState::Revoked, ..) => {
            Some((reason.unwrap_or("it has no token").to_owned(), None))
        }
        (AccountState::Active, Some(wait), _) => Some((wait.why.clone(), wait.until)),
        (AccountState::Active, None, Some(pause)) => Some((pause.cause.what().to_owned(), Some(pause.until))),
        (AccountState::Active, None, None) => None,
    }
}

/// The most frequent errors of the last 24 hours.
#[derive(Clone, Debug, Default)]
pub(super) struct Errors {
    /// The number of kinds of errors, of any time.
    pub(super) kinds: u64,
    /// With the number of failures within 24 hours, most first.
    pub(super) top: Vec<(u64, ErrorGroup)>,
}

/// The store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreFacts {
    pub(super) sizes: Sizes,
    pub(super) retention: Duration,
    /// `None` if no folder is configured.
    pub(super) backup: Option<Backup>,
}

/// The scheduled backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backup {
    /// When the last one was written; `None` if there is none.
    pub(super) last: Option<Timestamp>,
    /// Whether the last attempt failed.
    pub(super) failed: bool,
}

/// The numbers of the charts.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    /// The last hour by minute.
    pub(super) minutes: Vec<MergedPeriod>,
    /// The same by five minutes, for tables.
    pub(super) fives: Vec<MergedPeriod>,
    pub(super) five_minutes: MergedPeriod,
    pub(super) hour: MergedPeriod,
    pub(super) day: MergedPeriod,
    /// Requests within the whole history.
    pub(super) ever: u64,
}

impl Numbers {
    /// The values of a series by minute.
    pub(super) fn line(&self, value: impl Fn(&MergedPeriod) -> Option<f64>) -> Vec<Option<f64>> {
        self.minutes.iter().map(value).collect()
    }

    /// The jobs that died within 24 hours.
    pub(super) fn dead(&self) -> u64 {
        self.day.value(Series::Dead).unwrap_or(0)
    }

    /// Bots that were answered in the last hour, and those of them by their handler.
    pub(super) fn answered(&self) -> (u64, u64) {
        let of = |series| self.hour.value(series).unwrap_or(0);
        (of(Series::Continues), of(Series::ByHandler))
    }
}

/// The configuration, as far as the page needs it.
#[derive(Clone, Debug, Default)]
pub(super) struct Setup {
    pub(super) public_url: Option<String>,
    pub(super) handlers: Vec<HandlerName>,
    /// The shortest and the longest `answer_within`; `None` without handlers.
    pub(super) answer_within: Option<(Duration, Duration)>,
    pub(super) give_up_after: Duration,
    /// Calls to paths that do not exist.
    pub(super) misdirected: Vec<Misdirected>,
    /// The handlers whose URL cannot be reached, and when the next call tests that.
    pub(super) unreachable: Vec<(HandlerName, Timestamp)>,
}

impl Setup {
    /// The shortest and the longest `answer_within`.
    pub(super) fn answer_within(handlers: &[HandlerSettings]) -> Option<(Duration, Duration)> {
        let all = || handlers.iter().map(|handler| Duration::from_millis(handler.answer_within_ms));
        all().min().zip(all().max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_trouble_is_the_most_lasting_one() {
        let until = Some(Timestamp::from_millis(9_000));
        let wait = AccountWait {
            cause: WaitCause::PaymentRequired,
            why: "Kommo answered 402".into(),
            advice: "pay".into(),
            since: Timestamp::from_millis(1),
            until: None,
        };
        let pause = Some(PauseView { cause: WaitCause::TooMany, until: Timestamp::from_millis(9_000) });
        let (active, needed) = (AccountState::Active, AccountState::NeedsAuthorization);
        for (state, reason, waits_for, pause, expected) in [
            (active, None, None, None, None),
            (active, None, None, pause, Some(("Kommo answered 429", until))),
            (active, None, Some(&wait), pause, Some(("Kommo answered 402", None))),
            (needed, Some("revoked"), Some(&wait), pause, Some(("revoked", None))),
            (AccountState::Revoked, None, None, None, Some(("it has no token", None))),
        ] {
            let expected = expected.map(|(why, until)| (why.to_owned(), until));
            assert_eq!(cause(state, reason, waits_for, pause), expected, "{state:?} {reason:?}");
        }
    }
}
