//! The destination of an output: its width, and whether it shows colours.
//!
//! Text for a terminal is laid out for its width. A pipe or a file gets every text whole, so a script never depends on the
//! size of a window.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;
use unicode_width::UnicodeWidthStr;

/// The width of a terminal that does not report its width.
const DEFAULT_WIDTH: usize = 80;
/// The longest line of prose, even on a wider terminal.
const MAX_PROSE_WIDTH: usize = 120;

/// The destination of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Screen {
    /// The terminal's width in columns; `None` if the destination is not a terminal.
    pub(super) width: Option<usize>,
    /// Whether to use colours. `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE` have their usual meaning.
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
            let reported = rustix::termios::tcgetwinsize(output).ok().map(|size| size.ws_col);
            let columns = std::env::var_os("COLUMNS").and_then(|columns| columns.into_string().ok());
            width(reported, columns.as_deref())
        });
        Self { width, colours: colours != ColorChoice::Never }
    }

    /// Returns `text` in this style, or unchanged if the destination shows no colours.
    pub(super) fn paint(self, style: Style, text: &str) -> String {
        if self.colours && style != Style::new() && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// Breaks long lines of prose between words. Each continuation is indented like the line that it continues.
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

/// The width of a terminal: `COLUMNS` if an operator sets it, else the width that the terminal reports.
fn width(reported: Option<u16>, columns: Option<&str>) -> usize {
    let columns = columns.and_then(|columns| columns.parse().ok());
    let known = columns.or(reported.map(usize::from)).filter(|width| *width > 0);
    known.unwrap_or(DEFAULT_WIDTH)
}

/// Breaks `text` between words into lines of at most `width` columns. A longer word, such as a link, stays whole. `first`
/// precedes the first line, `rest` the others.
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
    fn columns_overrides_the_width_that_the_terminal_reports() {
        for (reported, columns, expected) in [
            (Some(132), None, 132),
            (Some(132), Some("100"), 100),
            (Some(132), Some("wide"), 132),
            (Some(0), None, 80),
            (None, Some("0"), 80),
            (None, None, 80),
        ] {
            assert_eq!(width(reported, columns), expected, "{reported:?} {columns:?}");
        }
    }

    #[test]
    fn prose_breaks_between_words_and_never_inside_a_link() {
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
            assert_eq!(Screen::FILE.fold(text), text, "a file gets the text whole");
        }
    }

    #[test]
    fn only_a_screen_with_colours_gets_colours() {
        let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
        let colours = Screen { colours: true, ..Screen::FILE };
        assert_eq!(colours.paint(red, "dead"), "\u{1b}[31mdead\u{1b}[0m");
        assert_eq!(colours.paint(Style::new(), "dead"), "dead");
        assert_eq!(Screen::FILE.paint(red, "dead"), "dead");
    }
}
