//! Changes of many jobs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use model::filter::{Clause, Condition, FilterContext, FilterError};
use model::{AccountId, Entity, EntityKind, Filter, JobId, StateName, Timestamp};

use super::{ActionKind, ActionResult, Actor};

/// What a bulk change does to each job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkAction {
    /// Delivers it again.
    Retry,
    /// Cancels it.
    Cancel,
    /// Erases its texts.
    Erase,
}

impl BulkAction {
    /// All actions.
    pub const ALL: [Self; 3] = [Self::Retry, Self::Cancel, Self::Erase];

    /// Returns its name in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Erase => "erase",
        }
    }

    /// Returns the action that the log shows for it.
    pub(crate) const fn kind(self) -> ActionKind {
        match self {
            Self::Retry => ActionKind::JobsRetry,
            Self::Cancel => ActionKind::JobsCancel,
            Self::Erase => ActionKind::JobsErase,
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }

    /// Returns the states of the jobs that this can change.
    const fn states(self) -> &'static [StateName] {
        match self {
            Self::Retry => &[StateName::Dead, StateName::Gone, StateName::Delivering],
            Self::Cancel => {
                &[StateName::Queued, StateName::Running, StateName::AwaitingCallback, StateName::Delivering]
            }
            Self::Erase => &StateName::ALL,
        }
    }

    /// Narrows `filter` to the jobs whose state allows this.
    #[must_use]
    pub fn narrow(self, filter: Filter) -> Filter {
        let allows = |condition: &Condition| match condition {
            Condition::State(state) => self.states().contains(state),
            _ => false,
        };
        let is_narrow = |clause: &Clause| !clause.negated && clause.any_of.iter().all(allows);
        if filter.clauses().iter().any(is_narrow) {
            return filter;
        }
        let states: Vec<&str> = self.states().iter().map(|state| state.as_str()).collect();
        let context = FilterContext { now: Timestamp::default(), account: &|_| None };
        // The names of states always parse.
        let narrower = Filter::parse(&format!("state:{}", states.join(",")), &context);
        narrower.into_iter().fold(filter, Filter::and_all)
    }
}

/// Reads a filter that the store has kept, or that comes from a dry run.
pub(crate) fn kept_filter(text: &str) -> Result<Filter, FilterError> {
    Filter::parse(text, &FilterContext { now: Timestamp::default(), account: &|_| None })
}

/// A bulk change to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkOrder {
    /// What to do.
    pub action: BulkAction,
    /// Which jobs to change.
    pub filter: Filter,
    /// Whether a retry includes superseded jobs.
    pub force: bool,
    /// The newest job that it may change.
    pub newest: JobId,
    /// The maximum number of jobs that it changes.
    pub max_jobs: u64,
}

/// A bulk change to begin, as the store takes it.
#[derive(Clone, Debug)]
pub(crate) struct NewBulk {
    pub(crate) by: Actor,
    pub(crate) action: BulkAction,
    pub(crate) filter: String,
    pub(crate) force: bool,
    /// The newest job that it may change; `None` for the newest of all.
    pub(crate) newest: Option<JobId>,
    pub(crate) max_jobs: Option<u64>,
}

/// What a bulk change would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkPlan {
    /// The number of jobs that match.
    pub jobs: u64,
    /// The number of jobs of each account.
    pub accounts: BTreeMap<i64, u64>,
    /// The newest and the oldest of them; `None` if there are none.
    pub newest: Option<JobId>,
    /// The oldest of them.
    pub oldest: Option<JobId>,
}

impl BulkPlan {
    /// Returns how long the deliveries of these jobs take, if each account gets `per_account` calls a second, and all
    /// accounts together `total`.
    pub fn delivery_time(&self, per_account: u32, total: Option<u32>) -> Duration {
        let seconds = |jobs: u64, rate: u32| Duration::from_secs(jobs.div_ceil(u64::from(rate.max(1))));
        let slowest = self.accounts.values().map(|jobs| seconds(*jobs, per_account));
        slowest.chain(total.map(|total| seconds(self.jobs, total))).max().unwrap_or_default()
    }
}

/// A bulk change and its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// The number of its action.
    pub id: u64,
    /// Who began it.
    pub by: Actor,
    /// When it began.
    pub at: Timestamp,
    /// What it does.
    pub action: BulkAction,
    /// Which jobs it changes, in the filter language.
    pub filter: String,
    /// Whether a retry includes superseded jobs, and whether an erasure cancels unfinished jobs.
    pub force: bool,
    /// The jobs before this id are still to be examined.
    pub before: JobId,
    /// The maximum number of jobs that it changes; `None` for all.
    pub max_jobs: Option<u64>,
    /// How many jobs it has changed.
    pub changed: u64,
    /// How many matching jobs it has left as they were: their state did not allow the change, or changed meanwhile.
    pub skipped: u64,
    /// Whether it continues, or how it ended.
    pub state: ActionResult,
}

/// Whose texts to erase: those of an entity, of an account, or of an entity in one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    entity: Option<Entity>,
    account_id: Option<AccountId>,
}

impl Erasure {
    /// Creates a selection; `None` if it would select all jobs.
    pub fn new(entity: Option<Entity>, account_id: Option<AccountId>) -> Option<Self> {
        (entity.is_some() || account_id.is_some()).then_some(Self { entity, account_id })
    }

    pub(crate) const fn entity(&self) -> Option<Entity> {
        self.entity
    }

    pub(crate) const fn account_id(&self) -> Option<AccountId> {
        self.account_id
    }
}

const KINDS: [(&str, EntityKind); 3] =
    [("lead", EntityKind::Lead), ("contact", EntityKind::Contact), ("customer", EntityKind::Customer)];

impl fmt::Display for Erasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entity = self.entity.and_then(|entity| {
            let (name, _) = KINDS.iter().find(|(_, kind)| *kind == entity.kind)?;
            Some(format!("{name}:{}", entity.id))
        });
        let account = self.account_id.map(|AccountId(number)| format!("account:{number}"));
        f.write_str(&Vec::from_iter(entity.into_iter().chain(account)).join(" "))
    }
}

/// A text does not say whose texts to erase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `lead:`, `contact:` or `customer:` with a number, `account:` with a number, or both")]
pub struct BadErasure;

impl FromStr for Erasure {
    type Err = BadErasure;

    fn from_str(text: &str) -> Result<Self, BadErasure> {
        let (mut entity, mut account_id) = (None, None);
        for word in text.split_ascii_whitespace() {
            let (name, number) = word.split_once(':').ok_or(BadErasure)?;
            let id = number.parse().ok().filter(|id| *id > 0).ok_or(BadErasure)?;
            let before = if name == "account" {
                account_id.replace(AccountId(id)).is_some()
            } else {
                let (_, kind) = KINDS.iter().find(|(known, _)| *known == name).ok_or(BadErasure)?;
                entity.replace(Entity { kind: *kind, id }).is_some()
            };
            if before {
                return Err(BadErasure);
            }
        }
        Self::new(entity, account_id).ok_or(BadErasure)
    }
}

/// What an erasure would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erasable {
    /// The number of finished jobs.
    pub finished: u64,
    /// The number of unfinished jobs.
    pub unfinished: u64,
    /// The jobs of each account.
    pub accounts: BTreeMap<i64, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_narrowed_to_the_states_that_allow_the_action() {
        for (action, given, expected) in [
            (BulkAction::Retry, "handler:greet", "handler:greet state:dead,gone,delivering"),
            (BulkAction::Retry, "state:dead handler:greet", "state:dead handler:greet"),
            (BulkAction::Retry, "state:dead,queued", "state:dead,queued state:dead,gone,delivering"),
            (BulkAction::Retry, "-state:dead", "-state:dead state:dead,gone,delivering"),
            (BulkAction::Cancel, "", "state:queued,running,awaiting_callback,delivering"),
            (BulkAction::Cancel, "state:queued", "state:queued"),
        ] {
            let filter = action.narrow(kept_filter(given).unwrap());
            assert_eq!(filter.to_string(), expected);
            assert_eq!(kept_filter(expected).unwrap(), filter);
        }
    }

    #[test]
    fn the_slowest_account_or_all_accounts_together_decide_how_long_it_takes() {
        let plan = BulkPlan { jobs: 30, accounts: [(1, 22), (2, 8)].into(), ..BulkPlan::default() };
        for (per_account, total, seconds) in [(7, None, 4), (7, Some(100), 4), (7, Some(5), 6), (0, None, 22)]
        {
            assert_eq!(plan.delivery_time(per_account, total), Duration::from_secs(seconds));
        }
        assert_eq!(BulkPlan::default().delivery_time(7, Some(5)), Duration::ZERO);
    }

    #[test]
    fn an_erasure_is_read_as_it_is_written() {
        let lead = Some(Entity { kind: EntityKind::Lead, id: 7 });
        let account = Some(AccountId(31));
        for (text, expected) in [
            ("lead:7", Erasure::new(lead, None)),
            ("account:31", Erasure::new(None, account)),
            ("lead:7 account:31", Erasure::new(lead, account)),
            ("contact:9", Erasure::new(Some(Entity { kind: EntityKind::Contact, id: 9 }), None)),
            ("customer:9", Erasure::new(Some(Entity { kind: EntityKind::Customer, id: 9 }), None)),
        ] {
            assert_eq!(text.parse().ok(), expected);
            assert_eq!(expected.unwrap().to_string(), text);
        }
        for text in [
            "",
            "lead",
            "lead:",
            "lead:x",
            "lead:0",
            "lead:-1",
            "lead:7 contact:8",
            "account:1 account:2",
            "deal:7",
        ] {
            assert_eq!(text.parse::<Erasure>(), Err(BadErasure), "{text}");
        }
        assert_eq!(Erasure::new(None, None), None);
    }
}
