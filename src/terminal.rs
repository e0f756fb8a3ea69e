//! Escapes characters that control a terminal or mislead its reader.
//!
//! Text from outside (Kommo, customers, widgets) may contain control characters, which a terminal obeys, and
//! bidirectional controls, which change the order in which the text is shown. Commands and the log escape them in
//! everything that they write.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether `letter` is a control character (C0, DEL, C1), a line or paragraph separator, a control of the writing
/// direction, or an interlinear annotation.
pub fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{061c}'
            | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}')
}

/// Which special characters a text may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// None: the text stays on one line.
    Nothing,
    /// Line breaks and tabs: the bridge laid out the text, or it is JSON.
    Lines,
    /// Line breaks, tabs, and colours (`ESC [ … m`).
    Colours,
}

/// `text` without characters that mislead the reader of a page: each one that [`steers`] is replaced, apart from line breaks
/// and tabs.
pub fn visible(text: &str) -> Cow<'_, str> {
    let misleads = |letter: char| steers(letter) && !matches!(letter, '\n' | '\t');
    if is_plain(text, Keep::Lines) || !text.contains(misleads) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(misleads, "\u{fffd}"))
}

/// `text` with every character that [`steers`] a terminal written as `\uXXXX`, which is also its escape in a JSON
/// string.
pub fn harmless(text: &str, keep: Keep) -> Cow<'_, str> {
    if is_plain(text, keep) {
        return Cow::Borrowed(text);
    }
    let mut to_escape = text
        .char_indices()
        .filter(|(at, letter)| match letter {
            '\n' | '\t' => keep == Keep::Nothing,
            '\u{1b}' if keep == Keep::Colours => !begins_colour(&text[*at..]),
            letter => steers(*letter),
        })
        .peekable();
    if to_escape.peek().is_none() {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut done = 0;
    for (at, letter) in to_escape {
        safe.push_str(&text[done..at]);
        // Writing to a string cannot fail. All such characters are in the basic plane, so four digits suffice.
        let _infallible = write!(safe, "\\u{:04x}", u32::from(letter));
        done = at + letter.len_utf8();
    }
    safe.push_str(&text[done..]);
    Cow::Owned(safe)
}

/// Whether `text` is ASCII without any control character that must be escaped. Almost every text is, and this test is cheap:
/// it decodes nothing, and the compiler vectorizes it.
fn is_plain(text: &str, keep: Keep) -> bool {
    let keeps_lines = keep != Keep::Nothing;
    text.bytes()
        .fold(true, |plain, byte| plain & (matches!(byte, b' '..=b'~') | (keeps_lines & (byte == b'\n'))))
}

/// The first `longest` characters of an untrusted text, escaped for one line of the log. A final `…` shows that the text
/// was longer.
pub fn excerpt(text: &str, longest: usize) -> String {
    let mut kept: String = text.chars().take(longest).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    harmless(&kept, Keep::Nothing).into_owned()
}

/// A part of a path for the log: like [`excerpt`], but nothing of a part that looks like a token.
///
/// A token is at least 16 characters long and mixes upper and lower case, as base64 does. Names and ids do not.
pub fn path_segment(text: &str, longest: usize) -> String {
    let has = |is: fn(&char) -> bool| text.chars().any(|letter| is(&letter));
    let mixes = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    if mixes && text.chars().nth(15).is_some() { "…".to_owned() } else { excerpt(text, longest) }
}

/// Whether `text` begins with a colour sequence.
fn begins_colour(text: &str) -> bool {
    let Some(inside) = text.strip_prefix("\u{1b}[") else { return false };
    inside.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ';').starts_with('m')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_that_looks_like_a_token_is_hidden() {
        for (text, expected) in [
            ("widget_request", "widget_request"),
            ("Callback", "Callback"),
            ("lead-qualification-bot", "lead-qualification-bot"),
            ("01a22cfa-91f0-715c-bbf1-4235de81c0ff", "01a22cfa-91f0-715c-bbf1-4235de81…"),
            ("R0-jEv7jpus8ZPxqpzuckw", "…"),
            ("R0-jEv7jpus8ZPxqpzuckw.", "…"),
            ("R0-jEv7jpus8ZPx", "R0-jEv7jpus8ZPx"),
        ] {
            assert_eq!(path_segment(text, 32), expected, "{text}");
        }
    }

    #[test]
    fn a_page_shows_no_character_that_misleads_its_reader() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a\n\tb ü 🦀", "a\n\tb ü 🦀"),
            ("exe\u{202e}gpj", "exe\u{fffd}gpj"),
            ("\0\u{1b}[31m\r", "\u{fffd}\u{fffd}[31m\u{fffd}"),
            ("\u{2066}a\u{2069}", "\u{fffd}a\u{fffd}"),
        ] {
            assert_eq!(visible(text), expected);
        }
    }

    #[test]
    fn an_excerpt_is_cut_and_escaped() {
        for (text, expected) in [
            ("", ""),
            ("abcd", "abcd"),
            ("abcde", "abcd…"),
            ("äöüß", "äöüß"),
            ("äöüßx", "äöüß…"),
            ("a\nb\u{1b}", "a\\u000ab\\u001b"),
        ] {
            assert_eq!(excerpt(text, 4), expected, "{text:?}");
        }
    }

    #[test]
    fn only_characters_that_control_a_terminal_are_escaped() {
        for (text, keep, expected) in [
            ("plain, ä, 漢, 👩‍🚀", Keep::Nothing, "plain, ä, 漢, 👩‍🚀"),
            ("a\nb\tc", Keep::Lines, "a\nb\tc"),
            ("a\nb\tc\r", Keep::Nothing, r"a\u000ab\u0009c\u000d"),
            ("\u{1b}[2J\u{7}\u{7f}", Keep::Lines, r"\u001b[2J\u0007\u007f"),
            ("\u{9b}2J\u{85}\u{80}", Keep::Lines, r"\u009b2J\u0085\u0080"),
            ("\u{202e}gpj.exe\u{202c}", Keep::Lines, r"\u202egpj.exe\u202c"),
            ("a\u{2028}b\u{2029}c", Keep::Lines, r"a\u2028b\u2029c"),
            ("\u{200e}\u{200f}\u{61c}\u{2066}\u{2069}", Keep::Lines, r"\u200e\u200f\u061c\u2066\u2069"),
            ("\u{fff9}\u{206a}", Keep::Lines, r"\ufff9\u206a"),
            ("\u{1b}[32mok\u{1b}[0m", Keep::Colours, "\u{1b}[32mok\u{1b}[0m"),
            ("\u{1b}[1;38;5;9mx\u{1b}[m", Keep::Colours, "\u{1b}[1;38;5;9mx\u{1b}[m"),
            ("\u{1b}[2J\u{1b}]0;t\u{7}\u{1b}", Keep::Colours, r"\u001b[2J\u001b]0;t\u0007\u001b"),
            ("\u{1b}[32mok", Keep::Lines, r"\u001b[32mok"),
            ("\u{1b}[3", Keep::Colours, r"\u001b[3"),
            ("~ !\n", Keep::Lines, "~ !\n"),
            ("\u{1f}", Keep::Lines, r"\u001f"),
        ] {
            assert_eq!(harmless(text, keep), expected, "{text:?} {keep:?}");
        }
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let value = serde_json::json!({ "text": "a\u{202e}\u{9b}\u{2028}\u{7f}\n\u{1b}[2J" });
        for printed in [value.to_string(), format!("{value:#}")] {
            let safe = harmless(&printed, Keep::Lines);
            assert!(!safe.chars().any(|letter| letter != '\n' && steers(letter)), "{safe:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
        }
    }
}
