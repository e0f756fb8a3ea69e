//! The log of actions: what operators did.

use std::sync::Arc;

use model::{JobId, Timestamp};

/// The maximum length of an actor's name, in characters.
const MAX_NAME: usize = 100;

/// Where an action came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionSource {
    /// The API of the admin listener.
    Api,
    /// A page of the admin listener.
    Page,
    /// A command.
    Cli,
}

impl ActionSource {
    /// All sources.
    pub const ALL: [Self; 3] = [Self::Api, Self::Page, Self::Cli];

    /// Returns its name in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Page => "page",
            Self::Cli => "cli",
        }
    }

    /// Returns the source with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == name)
    }
}

/// Who acts. Never contains a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    source: ActionSource,
    name: Arc<str>,
}

impl Actor {
    /// Creates an actor: the role of a token, or the operating system's user. A long name is shortened.
    pub fn new(source: ActionSource, name: &str) -> Self {
        let name: String = name.chars().filter(|letter| !letter.is_control()).take(MAX_NAME).collect();
        Self { source, name: if name.is_empty() { "unknown".into() } else { name.into() } }
    }

    /// Where the action comes from.
    pub const fn source(&self) -> ActionSource {
        self.source
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What an operator can do that is logged. `docs/operations.md` lists all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// Jobs are delivered again: some, those that match a filter, or those of a group of errors.
    JobsRetry,
    /// Unfinished jobs are cancelled.
    JobsCancel,
    /// A job gets its completion from the operator.
    JobsComplete,
    /// Someone opens the texts of a job on its page. No command does that.
    JobsReveal,
    /// The texts of jobs are erased.
    JobsErase,
    /// A bulk change or an erasure is stopped.
    JobsStop,
    /// A link is made that connects an account.
    AccountsAuthorize,
    /// An installation without a link is connected.
    AccountsConfirm,
    /// The bridge is asked to try an account now.
    AccountsResume,
    /// A connected account is removed.
    AccountsRemove,
    /// A widget is installed in an account.
    WidgetsInstall,
    /// A widget is uninstalled from an account.
    WidgetsUninstall,
    /// A backup is written by hand.
    Backup,
    /// The store is replaced with a backup.
    Restore,
    /// The store is rewritten without free pages.
    StoreVacuum,
}

impl ActionKind {
    /// All kinds.
    pub const ALL: [Self; 15] = [
        Self::JobsRetry,
        Self::JobsCancel,
        Self::JobsComplete,
        Self::JobsReveal,
        Self::JobsErase,
        Self::JobsStop,
        Self::AccountsAuthorize,
        Self::AccountsConfirm,
        Self::AccountsResume,
        Self::AccountsRemove,
        Self::WidgetsInstall,
        Self::WidgetsUninstall,
        Self::Backup,
        Self::Restore,
        Self::StoreVacuum,
    ];

    /// Returns the command that does this. It is the name in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JobsRetry => "jobs retry",
            Self::JobsCancel => "jobs cancel",
            Self::JobsComplete => "jobs complete",
            Self::JobsReveal => "jobs reveal",
            Self::JobsErase => "jobs erase",
            Self::JobsStop => "jobs stop",
            Self::AccountsAuthorize => "accounts authorize",
            Self::AccountsConfirm => "accounts confirm",
            Self::AccountsResume => "accounts resume",
            Self::AccountsRemove => "accounts remove",
            Self::WidgetsInstall => "widgets install",
            Self::WidgetsUninstall => "widgets uninstall",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::StoreVacuum => "store vacuum",
        }
    }

    /// Returns the kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionResult {
    /// It is complete.
    Done,
    /// It continues.
    Running,
    /// An operator stopped it.
    Stopped,
    /// It could not be completed.
    Failed,
}

impl ActionResult {
    /// All results.
    pub const ALL: [Self; 4] = [Self::Done, Self::Running, Self::Stopped, Self::Failed];

    /// Returns its name in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.as_str() == name)
    }
}

/// An action in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Its number; later actions have greater ones.
    pub id: u64,
    /// When it happened, or began.
    pub at: Timestamp,
    /// Who acted.
    pub by: Actor,
    /// The command that does the same: the name of an [`ActionKind`], or of one that only a later version knows.
    pub what: String,
    /// The job, if it is about one.
    pub job_id: Option<JobId>,
    /// The filter, the account or the file, if it is not about one job.
    pub target: Option<String>,
    /// How many jobs it has changed or restored.
    pub jobs: u64,
    /// How it ended.
    pub result: ActionResult,
}

/// Which actions of the log to list. A field that is `None` allows any value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionFilter {
    /// Those on this job.
    pub job_id: Option<JobId>,
    /// Those of this kind.
    pub kind: Option<ActionKind>,
    /// Those from here.
    pub source: Option<ActionSource>,
    /// Those of the actor with exactly this name.
    pub who: Option<String>,
}

impl ActionFilter {
    /// Returns the filter of the actions on a job.
    pub fn on_job(id: JobId) -> Self {
        Self { job_id: Some(id), ..Self::default() }
    }
}

/// A page of the log, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionPage {
    /// The actions.
    pub actions: Vec<Action>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_printable_and_never_empty() {
        for (name, expected) in
            [("ann", "ann"), ("", "unknown"), ("a\n\u{1b}b", "ab"), (&"ä".repeat(101), &"ä".repeat(100))]
        {
            assert_eq!(Actor::new(ActionSource::Cli, name).name(), expected);
        }
    }
}
