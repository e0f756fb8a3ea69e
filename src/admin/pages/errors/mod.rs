//! `/errors`: what fails, in groups; and one group, with the retry of its dead jobs.

mod group;
mod list;
mod retry;
mod row;

pub(super) use group::one;
pub(super) use list::list;
pub(super) use retry::{confirm, retry};

use model::Timestamp;
use store::{ErrorGroup, StoreError};

use crate::admin::Shared;
use crate::admin::call::{Id, text};

use super::gather::part;

/// The group that the path names; `None` if there is no such group.
///
/// # Errors
/// A sentence that says why it could not be read.
async fn find(shared: &Shared, id: &str) -> Result<Option<ErrorGroup>, String> {
    let read = async |id| part(shared.store.errors().group(id)).await;
    match id.parse() {
        Ok(id) => read(id).await,
        Err(_) => Ok(None),
    }
}

/// What a page about a group says if it does not exist.
fn no_group(id: &str) -> String {
    format!("There is no group of errors {}", crate::admin::refusal::short(id))
}

/// The text in the path.
fn id_of(id: Id) -> String {
    text(id)
}

/// The place in the list behind which a page begins, and since when a group counts as new, so that the pages fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    new_since: Timestamp,
    after: Option<(bool, Timestamp, i64)>,
}

impl Place {
    /// The first page.
    const fn first(new_since: Timestamp) -> Self {
        Self { new_since, after: None }
    }

    /// The place behind `group`.
    fn behind(self, group: &ErrorGroup) -> Self {
        let is_new = group.first_at > self.new_since;
        Self { after: Some((is_new, group.last_at, group.id)), ..self }
    }

    /// Reads a place; `None` if the text is not one.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('-').map(|number| number.parse::<i64>().ok());
        let mut next = || numbers.next().flatten();
        let (since, is_new, last_at, id) = (next()?, next()?, next()?, next()?);
        let after = Some((is_new == 1, Timestamp::from_millis(last_at), id));
        numbers.next().is_none().then_some(Self { new_since: Timestamp::from_millis(since), after })
    }

    /// The place as text, for a link.
    fn cursor(self) -> Option<String> {
        let (is_new, last_at, id) = self.after?;
        let since = self.new_since.as_millis();
        Some(format!("{since}-{}-{}-{id}", u8::from(is_new), last_at.as_millis()))
    }
}

/// A page of groups.
struct Groups {
    groups: Vec<ErrorGroup>,
    /// Where the next page begins; `None` at the end.
    next: Option<Place>,
}

/// Reads a page of groups. The only place that decides how the list is read.
async fn read(shared: &Shared, place: Place, limit: u32) -> Result<Groups, StoreError> {
    let listed = shared.store.errors().list(place.new_since, place.after, limit).await?;
    let next = listed.groups.last().filter(|_| listed.has_more).map(|last| place.behind(last));
    Ok(Groups { groups: listed.groups, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let since = Timestamp::from_millis(17);
        assert_eq!(Place::first(since).cursor(), None);
        for is_new in [true, false] {
            let place = Place { new_since: since, after: Some((is_new, Timestamp::from_millis(42), 7)) };
            assert_eq!(Place::parse(&place.cursor().unwrap()), Some(place));
        }
        for text in ["", "1-1-1", "1-1-1-1-1", "a-1-1-1", "1-1-1-<script>"] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }
}
