//! The keys `ordering` and `coalesce` of a handler.

use std::time::Duration;

use serde::Deserialize;

use super::checker::{Checker, HOUR};
use super::raw;
use model::{JobOrdering, MAX_COALESCE_FACTOR};

/// The value of `handlers.NAME.ordering`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ordering {
    /// Jobs run side by side.
    #[default]
    None,
    /// The jobs of a conversation run one at a time.
    Conversation,
}

impl Ordering {
    /// The values of the key.
    pub(super) const NAMES: [&'static str; 2] = ["none", "conversation"];

    /// The value of the key.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Conversation => "conversation",
        }
    }
}

/// Returns the value of the key `ordering`.
pub(crate) const fn name_of(ordering: JobOrdering) -> &'static str {
    if ordering.is_by_conversation() { Ordering::Conversation.as_str() } else { Ordering::None.as_str() }
}

/// Checks both keys of the handler `name`. Returns `None` if they are refused.
pub(super) fn ordering(
    name: &str,
    raw: &mut raw::Handler,
    answer_within: Option<Duration>,
    checker: &mut Checker<'_>,
) -> Option<JobOrdering> {
    let key = ["handlers", name, "coalesce"];
    let coalesce = checker.span(&key, raw.coalesce.take(), Duration::ZERO..=HOUR)?;
    let coalesce = Some(coalesce).filter(|coalesce| !coalesce.is_zero());
    let longest = coalesce.map(|coalesce| coalesce * MAX_COALESCE_FACTOR);
    match (raw.ordering.unwrap_or_default(), coalesce) {
        (Ordering::None, Some(_)) => {
            checker.refuse(
                &key,
                format!(
                    "needs an order: set handlers.{name}.ordering to \"conversation\", or remove this key"
                ),
            );
            None
        }
        (Ordering::None, None) => Some(JobOrdering::None),
        (Ordering::Conversation, _)
            if longest >= answer_within && answer_within.is_some() && longest.is_some() =>
        {
            checker.refuse(
                &key,
                format!(
                    "is too long: a first message waits up to {MAX_COALESCE_FACTOR} times this long for others, which must \
                     be less than handlers.{name}.answer_within"
                ),
            );
            None
        }
        (Ordering::Conversation, coalesce) => Some(JobOrdering::Conversation { coalesce }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_read_by_its_name() {
        for name in Ordering::NAMES {
            let ordering: Ordering = serde_json::from_value(name.into()).unwrap();
            assert_eq!(ordering.as_str(), name);
        }
    }
}
