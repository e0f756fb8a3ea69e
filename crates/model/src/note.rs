//! Notes on the time line of a job.

use super::Timestamp;

/// The number of notes that a job keeps.
pub const MAX_NOTES: u32 = 100;
/// The number of characters that a note keeps.
pub const MAX_NOTE_CHARS: usize = 500;

/// A note on the time line of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When it was written.
    pub noted_at: Timestamp,
    /// The text, from 1 to [`MAX_NOTE_CHARS`] characters.
    pub text: String,
}

impl Note {
    /// Makes a note of `text`: without space around it, and cut to [`MAX_NOTE_CHARS`]. `None` if nothing is left.
    pub fn new(noted_at: Timestamp, text: &str) -> Option<Self> {
        let text: String = text.trim().chars().map(printable).take(MAX_NOTE_CHARS).collect();
        (!text.is_empty()).then_some(Self { noted_at, text })
    }
}

/// SQLite ends a text at NUL.
const fn printable(char: char) -> char {
    if char == '\0' { char::REPLACEMENT_CHARACTER } else { char }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_trimmed_and_cut() {
        let text = |text: &str| Note::new(Timestamp::from_millis(1), text).map(|note| note.text);
        assert_eq!(text("  asked the model\n").as_deref(), Some("asked the model"));
        assert_eq!(text(" \n"), None);
        assert_eq!(text("a\0b").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(text(&"é".repeat(501)).map(|text| text.chars().count()), Some(500));
    }
}
