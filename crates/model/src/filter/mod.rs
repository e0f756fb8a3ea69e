//! The filter language for jobs: one parser for the API's `q`, `jobs list` and the dashboard.
//!
//! `state:dead,delivering handler:greet lead:31764961 since:2h -error:"timeout" Ann`: a space means "and", a comma means
//! "or", and `-` negates. A word without a key is searched as text. A pasted address of a lead, a `return_url`, an id or a
//! trace id leads to its jobs.
//!
//! A [`Filter`] says which jobs match. How they are found, and at which cost, is the store's matter.

mod condition;
mod error;
mod key;
mod number_range;
mod parse;
mod pasted;
mod words;
mod written;

pub use condition::{Condition, Conversation, FilteredAccount, JobTrait, WaitingFor};
pub use error::{FilterError, FilterProblem, example};
pub use key::FilterKey;
pub use number_range::NumberRange;
pub use parse::FilterContext;
pub use written::{WrittenWord, written};

use std::fmt;

/// Which jobs to list: those that match every clause. The default matches all jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    clauses: Vec<Clause>,
}

/// One part of a filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// Whether the clause matches the jobs that none of its conditions matches.
    pub negated: bool,
    /// The clause matches a job if one of these conditions does. At least one, all with the same key.
    pub any_of: Vec<Condition>,
}

impl Filter {
    /// The parts, in the order in which they were written.
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    /// Whether the filter matches all jobs.
    pub const fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// The same filter, for only the jobs that also match `condition`.
    #[must_use]
    pub fn and(mut self, condition: Condition) -> Self {
        self.clauses.push(Clause { negated: false, any_of: vec![condition] });
        self
    }

    /// The same filter, for only the jobs that also match `other`.
    #[must_use]
    pub fn and_all(mut self, other: Self) -> Self {
        self.clauses.extend(other.clauses);
        self
    }
}

impl From<Condition> for Filter {
    fn from(condition: Condition) -> Self {
        Self::default().and(condition)
    }
}

/// Writes the filter so that parsing it again gives the same filter, at any time and with any configured names.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Clause { negated, any_of }) in self.clauses.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            let minus = if *negated { "-" } else { "" };
            write!(f, "{space}{minus}")?;
            if let Some(key) = any_of.first().and_then(Condition::key) {
                write!(f, "{key}:")?;
            }
            for (place, condition) in any_of.iter().enumerate() {
                let comma = if place == 0 { "" } else { "," };
                write!(f, "{comma}{condition}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
