//! What an answer did to the pauses, as its caller learns it.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

/// How an account is, seen from a call that it refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// When the last continue began that the account took, by the steady clock, as far as this process knows.
    pub taken_at: Option<Timestamp>,
    /// The account refuses others too, or asked to wait, since the call was reserved.
    pub refuses_others: bool,
}

/// A pause that an answer began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseBegan {
    /// For how long no call to the account goes out; zero if only the job that was refused has to wait.
    pub account: Duration,
    /// For how long the job that was refused waits alone, if only it has to.
    pub alone: Option<Duration>,
    /// For how long all accounts wait, if they do.
    pub everybody: Option<Duration>,
}

/// What a good answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoesOn {
    /// The account's pause.
    pub account: bool,
    /// The pause of all accounts.
    pub everybody: bool,
    /// The accounts whose refusals had begun that pause. They had to leave its end to the others.
    pub(super) refused: Vec<Arc<str>>,
}
