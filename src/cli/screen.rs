//! What stands at the other end of an output: how wide it is, and whether it shows colours.
//!
//! On a terminal, text is laid out for its width. Anything else (a pipe, a file) gets every text whole, so that a script never
//! depends on the size of a window.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;
use unicode_width::UnicodeWidthStr;

/// The width of a terminal that does not say how wide it is.
const DEFAULT_WIDTH: usize = 80;
/// Lines of prose are no longer than this, however wide the terminal is.
const MAX_PROSE_WIDTH: usize = 120;

/// Where a text is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Screen {
    /// The columns of a terminal; `None` if it is not one.
    pub(super) width: Option<usize>,
    /// Whether it shows colours: `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE` have their usual meaning.
    pub(super) colours: bool,
}

impl Screen {
    /// A file or a pipe.
    #[cfg(test)]
    pub(super) const FILE: Self = Self { width: None, colours: false };

    /// The standard output of this process.
    pub(super) fn stdout() -> Self {
        Self::of(&io::stdout(), AutoStream::choice(&io::stdout()))
    }

    /// The standard error of this process.
    pub(super) fn stderr() -> Self {
        Self::of(&io::stderr(), AutoStream::choice(&io::stderr()))
    }

    fn of(output: &(impl IsTerminal + AsFd), colours: ColorChoice) -> Self {
        let width = output.is_terminal().then(|| {
            let said = rustix::termios::tcgetwinsize(output).ok().map(|size| size.ws_col);
            let columns = std::env::var_os("COLUMNS").and_then(|columns| columns.into_string().ok());
            width(said, columns.as_deref())
        });
        Self { width, colours: colours != ColorChoice::Never }
    }

    /// `text` in this style.
    pub(super) fn paint(self, style: Style, text: &str) -> String {
        if self.colours && style != Style::new() && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// Breaks the lines of prose that are too long, between words. What follows a break is indented as its line was.
    pub(super) fn fold(self, text: &str) -> String {
        let Some(width) = self.width else { return text.to_owned() };
        let fold = |line: &str| {
            let indent = line.len() - line.trim_start_matches(' ').len();
            let (indent, words) = line.split_at(indent);
            wrap(words, width.min(MAX_PROSE_WIDTH), indent, indent).join("\n")
        };
        text.split('\n').map(fold).collect::<Vec<_>>().join("\n")
    }
}

/// How wide a terminal is: `COLUMNS`, which an operator sets, else what the terminal says.
fn width(said: Option<u16>, columns: Option<&str>) -> usize {
    let columns = columns.and_then(|columns| columns.parse().ok());
    let known = columns.or(said.map(usize::from)).filter(|width| *width > 0);
    known.unwrap_or(DEFAULT_WIDTH)
}

/// Breaks `text` into lines of at most `width` columns, between words: a longer word, such as a link, stays whole. `first`
/// stands before the first line, `rest` before the others.
pub(super) fn wrap(text: &str, width: usize, first: &str, rest: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut words = text.split(' ');
    let mut line = format!("{first}{}", words.next().unwrap_or_default());
    for word in words {
        if line.width() + 1 + word.width() > width {
            lines.push(line.trim_end().to_owned());
            line = format!("{rest}{word}");
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn the_width_is_what_columns_or_the_terminal_says() {
        for (said, columns, expected) in [
            (Some(132), None, 132),
            (Some(132), Some("100"), 100),
            (Some(132), Some("wide"), 132),
            (Some(0), None, 80),
            (None, Some("0"), 80),
            (None, None, 80),
        ] {
            assert_eq!(width(said, columns), expected, "{said:?} {columns:?}");
        }
    }

    #[test]
    fn prose_is_broken_between_words_and_links_are_not() {
        let screen = Screen { width: Some(20), colours: false };
        for (text, expected) in [
            ("short", "short"),
            ("a line that is too long", "a line that is too\nlong"),
            ("  an indented line of words", "  an indented line\n  of words"),
            (
                "open\n  https://example.com/a/very/long/link now",
                "open\n  https://example.com/a/very/long/link\n  now",
            ),
            ("one two\n\nthree\n", "one two\n\nthree\n"),
            ("漢字漢字 漢字漢字 漢字", "漢字漢字 漢字漢字\n漢字"),
        ] {
            assert_eq!(screen.fold(text), expected, "{text:?}");
            assert_eq!(Screen::FILE.fold(text), text, "a file gets it whole");
        }
    }

    #[test]
    fn colours_are_for_who_shows_them() {
        let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
        let colours = Screen { colours: true, ..Screen::FILE };
        assert_eq!(colours.paint(red, "dead"), "\u{1b}[31mdead\u{1b}[0m");
        assert_eq!(colours.paint(Style::new(), "dead"), "dead");
        assert_eq!(Screen::FILE.paint(red, "dead"), "dead");
    }
}
