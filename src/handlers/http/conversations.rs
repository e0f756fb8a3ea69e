//! The ids under which a tool knows conversations.
//!
//! Dify and Typebot create such an id, and expect it with the next message. The ids are only in memory: after a restart, a
//! conversation begins again there.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, PoisonError};

/// The maximum number of conversations to remember. A conversation costs about 200 bytes.
const MAX_CONVERSATIONS: usize = 20_000;

/// The id of each conversation at the tool. When there are too many, it forgets those that were not used for longest.
pub(super) struct Conversations {
    max: usize,
    generations: Mutex<Generations>,
}

/// A used entry moves to `young`. When `young` is full, it becomes `old`, and what was in `old` is forgotten. So no entry
/// needs a time, and no call has to search for the oldest one.
#[derive(Default)]
struct Generations {
    young: HashMap<String, String>,
    old: HashMap<String, String>,
}

impl Default for Conversations {
    fn default() -> Self {
        Self::with_max(MAX_CONVERSATIONS)
    }
}

impl Conversations {
    fn with_max(max: usize) -> Self {
        Self { max, generations: Mutex::default() }
    }

    /// The tool's id of `conversation`.
    pub(super) fn get(&self, conversation: &str) -> Option<String> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = generations.young.get(conversation) {
            return Some(id.clone());
        }
        let (conversation, id) = generations.old.remove_entry(conversation)?;
        generations.insert(conversation, id.clone(), self.max);
        Some(id)
    }

    /// Remembers the tool's id of `conversation`.
    pub(super) fn insert(&self, conversation: String, id: String) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.old.remove(&conversation);
        generations.insert(conversation, id, self.max);
    }

    /// Forgets `conversation`, so that the next message begins a new one.
    pub(super) fn remove(&self, conversation: &str) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.remove(conversation);
        generations.old.remove(conversation);
    }
}

impl Generations {
    fn insert(&mut self, conversation: String, id: String, max: usize) {
        self.young.insert(conversation, id);
        if self.young.len() > max / 2 {
            self.old = mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_has_its_last_id_until_it_is_forgotten() {
        let ids = Conversations::default();
        assert_eq!(ids.get("a"), None);
        ids.insert("a".into(), "1".into());
        ids.insert("b".into(), "2".into());
        ids.insert("a".into(), "3".into());
        assert_eq!((ids.get("a").as_deref(), ids.get("b").as_deref()), (Some("3"), Some("2")));
        ids.remove("a");
        assert_eq!((ids.get("a"), ids.get("b").as_deref()), (None, Some("2")));
    }

    #[test]
    fn the_number_of_conversations_is_limited_and_used_ones_stay() {
        let ids = Conversations::with_max(100);
        for number in 0..10_000 {
            ids.insert(number.to_string(), "id".into());
            assert!(number == 0 || ids.get("0").is_some(), "forgot a used conversation after {number}");
        }
        let generations = ids.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 102);
        drop(generations);
        assert_eq!(ids.get("5"), None);
    }
}
