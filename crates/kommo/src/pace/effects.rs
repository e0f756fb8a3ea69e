//! What a response did to the pauses, as the caller learns it.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

/// What is known about an account that has refused a call: the evidence for whom the refusal is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountEvidence {
    /// When the last continue that the account took started, by the steady clock, as far as this process knows.
    pub taken_at: Option<Timestamp>,
    /// Since the call was reserved, the account refuses others too, or has asked to wait.
    pub refuses_others: bool,
}

/// The pause that a response started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseStarted {
    /// For how long no call to the account goes out; zero if only the refused job has to wait.
    pub account: Duration,
    /// For how long the refused job waits alone, if only it has to wait.
    pub alone: Option<Duration>,
    /// For how long all accounts wait, if they do.
    pub all_accounts: Option<Duration>,
}

/// Which pauses a good response ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// The pause of the account.
    pub account: bool,
    /// The pause of all accounts.
    pub all_accounts: bool,
    /// The accounts whose refusals had started that pause. They left the probe to the others.
    pub(super) refused: Vec<Arc<str>>,
}
