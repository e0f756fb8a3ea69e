//! The effects of a response on pauses, for the caller.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

/// The evidence on whether a refusal is about the job or about its account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountEvidence {
    /// The start of the last continue that the account accepted from this process, by the steady clock.
    pub taken_at: Option<Timestamp>,
    /// Whether the account has refused other calls too, or has asked to wait, since the call was reserved.
    pub refuses_others: bool,
}

/// The pause that a response started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseStarted {
    /// The time for which no call to the account starts; zero if only the refused job waits.
    pub account: Duration,
    /// The time for which the refused job waits, if only it waits.
    pub alone: Option<Duration>,
    /// The time for which all accounts wait, if they do.
    pub all_accounts: Option<Duration>,
}

/// A time in which no continue to an account was accepted, and at least one failed because of the network or a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The start of the last continue that the account accepted before, by the steady clock; `None` if this process knows
    /// of none. A job that failed before that moment has failed while the account accepted others.
    pub since: Option<Timestamp>,
}

/// The pauses that a successful response ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Whether it ended the pause of the account.
    pub account: bool,
    /// Whether it ended the pause of all accounts.
    pub all_accounts: bool,
    /// The outage of the account that it ended.
    pub outage: Option<Outage>,
    /// The accounts that started the pause of all accounts. They left the probe to others.
    pub(super) refused: Vec<Arc<str>>,
}
