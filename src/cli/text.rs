//! Texts that all commands share.
//!
//! Texts from outside cannot control the terminal: their control characters are replaced.

use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::terminal::steers;
use model::Timestamp;

/// The style of a word in this colour.
pub(super) fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(colour.into()))
}

/// Puts the text on one line, and replaces the characters that control a terminal.
pub(super) fn clean(text: &str) -> String {
    let letter = |letter: char| match letter {
        '\n' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        letter if steers(letter) => char::REPLACEMENT_CHARACTER,
        letter => letter,
    };
    text.chars().map(letter).collect()
}

/// A number with the noun that it counts: `1 request`, `2 requests`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The time from `now` to a moment: `5 min ago`, or `in 5 min`.
pub(super) fn when(moment: Timestamp, now: Timestamp) -> String {
    if moment > now {
        format!("in {}", span(moment.since(now)))
    } else {
        format!("{} ago", span(now.since(moment)))
    }
}

/// A time span in the unit that is easiest to read.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        for (text, expected) in [
            ("a\nb\u{1b}[2J\u{9b}ä", "a b\u{fffd}[2J\u{fffd}ä"),
            ("\u{202e}gpj.exe\u{2066}", "\u{fffd}gpj.exe\u{fffd}"),
            ("a\u{2028}b\u{2029}c\r\u{85}", "a b c\u{fffd}\u{fffd}"),
            ("שלום 👩‍🚀", "שלום 👩‍🚀"),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    #[test]
    fn moments_are_shown_relative_to_now() {
        let now = Timestamp::from_millis(1_000_000_000);
        for (seconds, expected) in [
            (0, "0 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7_199, "119 min ago"),
            (7_200, "2 h ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(when(now - Duration::from_secs(seconds), now), expected);
        }
        assert_eq!(when(now + Duration::from_secs(61), now), "in 61 s");
    }
}
