//! Chooses where a list gets its ids from.
//!
//! Most jobs are delivered. A search for the few others must not scan the delivered ones. So it takes their ids from the
//! partial indexes that the engine needs anyway, and from those for people. A search for a handler, an account, a lead or
//! a bot uses the [search index](crate::jobs::search).

use model::filter::{Clause, Condition, JobTrait, WaitingFor};
use model::{Filter, OutcomeName, StateName};

/// If more jobs are in these states, a list scans the newest jobs of all states instead: many of them are in these states.
const MAX_ENTRIES: i64 = 1_000_000;
/// The same for indexes that are not in the order of ids: a list reads the rows of all their entries.
const MAX_UNORDERED_ENTRIES: i64 = 200_000;
/// With more entries in such indexes, a list looks among the newest jobs first: unfinished jobs are rarely old.
const MANY_ENTRIES: i64 = 20_000;
/// Reading a job through an index of states costs as much as reading this many adjacent jobs.
pub(crate) const JUMP_COST: i64 = 4;
/// If the search index leaves fewer jobs, it is better than the index of fallbacks, whose number is unknown.
const FEW_JOBS: i64 = 10_000;

/// A partial index, and the condition of the jobs in it.
pub(crate) type Part = (&'static str, &'static str);

/// The partial indexes of an engine.
pub(crate) struct Indexes {
    /// The parts that contain all jobs of a state, in any order of states; none for delivered jobs. A part may contain jobs
    /// of other unfinished states too.
    pub(crate) of_state: fn(StateName) -> &'static [Part],
    /// Whether a part is in the order of ids.
    pub(crate) is_ordered: fn(Part) -> bool,
    /// The jobs with a fallback, in the order of ids.
    pub(crate) fallbacks: Part,
}

impl Indexes {
    /// The parts that contain all jobs of these states, each once.
    fn of_states(&self, states: States) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for part in states.iter().flat_map(self.of_state) {
            if !parts.contains(part) {
                parts.push(*part);
            }
        }
        parts
    }
}

/// The source of the ids of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// No job matches.
    Nothing,
    /// All jobs, in the order of their ids.
    All,
    /// One partial index in the order of ids.
    Ordered(Part),
    /// These partial indexes. Together they contain each job of the states exactly once, in any order: one statement reads
    /// all their entries.
    Union(Vec<Part>),
    /// The search index.
    Search,
}

/// A set of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct States(u8);

impl States {
    pub(crate) const ALL: Self = Self(u8::MAX);

    pub(crate) fn of(states: &[StateName]) -> Self {
        Self(states.iter().fold(0, |set, state| set | 1 << *state as u8))
    }

    pub(crate) const fn contains(self, state: StateName) -> bool {
        self.0 >> state as u8 & 1 == 1
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = StateName> {
        StateName::ALL.into_iter().filter(move |state| self.contains(*state))
    }

    /// The states in which a job can match `filter`.
    pub(crate) fn of_filter(filter: &Filter) -> Self {
        let sets = filter.clauses().iter().map(|Clause { negated, any_of }| {
            let exact = |condition: &Condition| of_condition(condition).filter(|(_, is_exact)| *is_exact);
            if *negated {
                Self(!any_of.iter().filter_map(exact).fold(0, |set, (states, _)| set | states.0))
            } else {
                let possible = |condition| of_condition(condition).map_or(Self::ALL, |(states, _)| states);
                Self(any_of.iter().fold(0, |set, condition| set | possible(condition).0))
            }
        });
        sets.fold(Self::ALL, |all, set| Self(all.0 & set.0))
    }
}

pub(crate) const UNFINISHED: [StateName; 4] =
    [StateName::Queued, StateName::Running, StateName::AwaitingCallback, StateName::Delivering];

/// The states in which a job can match the condition, and whether all jobs in them do; `None` if any state.
fn of_condition(condition: &Condition) -> Option<(States, bool)> {
    let of = States::of;
    Some(match condition {
        Condition::State(state) => (of(&[*state]), true),
        Condition::Is(JobTrait::Unfinished) => (of(&UNFINISHED), true),
        Condition::Is(JobTrait::Finished) => (States(!of(&UNFINISHED).0), true),
        Condition::Is(JobTrait::Late) => (of(&UNFINISHED), false),
        Condition::Waiting(waiting) => match waiting {
            WaitingFor::Handler => (of(&[StateName::Running]), true),
            WaitingFor::Callback => (of(&[StateName::AwaitingCallback]), true),
            WaitingFor::Worker
            | WaitingFor::Conversation
            | WaitingFor::Messages
            | WaitingFor::HandlerRetry => (of(&[StateName::Queued]), false),
            WaitingFor::Retry => (of(&[StateName::Queued, StateName::Delivering]), false),
            _ => (of(&[StateName::Delivering]), false),
        },
        _ => return None,
    })
}

/// What is known about the jobs that can match a filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidates<'a> {
    /// The states in which a job can match.
    pub(crate) states: States,
    /// The number of jobs in each state.
    pub(crate) counts: &'a [(StateName, i64)],
    /// Whether only jobs with a fallback match.
    pub(crate) is_fallback: bool,
    /// About how many jobs the search index leaves; `None` if it does not apply.
    pub(crate) searched: Option<i64>,
}

impl Candidates<'_> {
    /// The number of jobs in the states.
    fn jobs(&self) -> i64 {
        self.sum(|state| self.states.contains(state))
    }

    /// The number of jobs in the parts that contain these states.
    fn entries(&self, indexes: &Indexes) -> i64 {
        let parts = indexes.of_states(self.states);
        self.sum(|state| (indexes.of_state)(state).iter().any(|part| parts.contains(part)))
    }

    fn sum(&self, is_in: impl Fn(StateName) -> bool) -> i64 {
        self.counts.iter().filter(|(state, _)| is_in(*state)).map(|(_, jobs)| *jobs).sum()
    }
}

impl Source {
    /// Chooses the source that leaves the fewest jobs to read.
    pub(crate) fn choose(candidates: &Candidates<'_>, indexes: &Indexes) -> Self {
        let Candidates { states, is_fallback, searched, .. } = *candidates;
        if candidates.jobs() <= 0 {
            return Self::Nothing;
        }
        let entries = candidates.entries(indexes);
        let max_entries = match Self::of_states(states, indexes) {
            Self::Ordered(_) => MAX_ENTRIES,
            _ => MAX_UNORDERED_ENTRIES,
        };
        let has_index = !states.contains(StateName::Delivered) && entries <= max_entries;
        match searched {
            Some(searched) if has_index && searched / JUMP_COST < entries => Self::Search,
            _ if has_index => Self::of_states(states, indexes),
            Some(searched) if !is_fallback || searched < FEW_JOBS => Self::Search,
            _ if is_fallback => Self::Ordered(indexes.fallbacks),
            _ => Self::All,
        }
    }

    /// The indexes of these states, which do not include `delivered`.
    pub(crate) fn of_states(states: States, indexes: &Indexes) -> Self {
        let parts = indexes.of_states(states);
        match parts[..] {
            [part] if (indexes.is_ordered)(part) => Self::Ordered(part),
            _ => Self::Union(parts),
        }
    }

    /// Whether a list should look among the newest jobs before it reads all entries of this source.
    pub(crate) fn begins_with_newest(&self, candidates: &Candidates<'_>, indexes: &Indexes) -> bool {
        matches!(self, Self::Union(_)) && candidates.entries(indexes) > MANY_ENTRIES
    }

    /// Whether the source contains exactly the jobs that match `filter`, apart from a range of ids.
    pub(crate) fn is_exact(&self, filter: &Filter, indexes: &Indexes) -> bool {
        let mut clauses = filter
            .clauses()
            .iter()
            .filter(|clause| !matches!(clause.any_of[..], [Condition::Since(_) | Condition::Until(_)]));
        let (first, second) = (clauses.next(), clauses.next());
        match (self, first, second) {
            (Self::All, None, _) => true,
            (Self::Ordered(part), Some(Clause { negated: false, any_of }), None) => match any_of[..] {
                [Condition::State(state)] => (indexes.of_state)(state) == [*part],
                [Condition::Outcome(OutcomeName::Fallback)] => *part == indexes.fallbacks,
                _ => false,
            },
            _ => false,
        }
    }
}
