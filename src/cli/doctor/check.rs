//! One check: its subject, its outcome, and the suggested fix; as text and as JSON.

use std::fmt::Write as _;

use anstyle::AnsiColor;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::cli::screen::{Screen, wrap};
use crate::cli::text::{self, clean};

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Outcome {
    /// As expected.
    Ok,
    /// It works, but an operator should look at it.
    Warning,
    /// It does not work.
    Failed,
}

/// A check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Check {
    /// The subject: `store`, `account example.kommo.com`.
    name: String,
    outcome: Outcome,
    /// What the check found.
    found: String,
    /// What to do; `None` if the outcome is [`Outcome::Ok`].
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

impl Check {
    /// The subject is as expected.
    pub(super) fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Ok, found: found.into(), todo: None }
    }

    /// The subject works, but an operator should do `todo`.
    pub(super) fn warning(
        name: impl Into<String>,
        found: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { name: name.into(), outcome: Outcome::Warning, found: found.into(), todo: Some(todo.into()) }
    }

    /// The subject does not work until an operator does `todo`.
    pub(super) fn failed(name: impl Into<String>, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Failed, found: found.into(), todo: Some(todo.into()) }
    }

    /// The same, as a warning if it failed.
    pub(super) fn at_most_warning(self) -> Self {
        Self { outcome: self.outcome.min(Outcome::Warning), ..self }
    }

    /// The outcome.
    pub(in crate::cli) const fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// All checks as text, and a summary.
pub(in crate::cli) fn render(checks: &[Check], screen: Screen) -> String {
    let names = checks.iter().map(|check| clean(&check.name).width()).max().unwrap_or(0);
    let width = screen.width.unwrap_or(usize::MAX);
    // Long names leave no room for sentences beside them.
    let indent = " ".repeat(if names + 11 < width / 2 { names + 11 } else { 4 });
    let mut lines = String::new();
    for check in checks {
        let (word, colour) = match check.outcome {
            Outcome::Ok => ("ok     ", AnsiColor::Green),
            Outcome::Warning => ("warning", AnsiColor::Yellow),
            Outcome::Failed => ("failed ", AnsiColor::Red),
        };
        let name = clean(&check.name);
        let padding = " ".repeat(names - name.width());
        let found = wrap(&clean(&check.found), width, &format!("{word}  {name}{padding}  "), &indent);
        // Painted last: an escape sequence has no width.
        let found = found.join("\n").replacen(word, &screen.paint(text::colour(colour), word), 1);
        let todo = check
            .todo
            .iter()
            .flat_map(|todo| wrap(&clean(todo), width, &format!("{indent}→ "), &format!("{indent}  ")));
        // Writing to a string cannot fail.
        let _infallible = writeln!(lines, "{found}");
        for line in todo {
            let _infallible = writeln!(lines, "{line}");
        }
    }
    let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let (failed, warnings) = (count(Outcome::Failed), count(Outcome::Warning));
    let summary = match (failed, warnings) {
        (0, 0) => "Everything is fine.".to_owned(),
        (0, warnings) => format!("It works, with {} to look at.", things(warnings)),
        (failed, 0) => format!("{} to fix.", things(failed)),
        (failed, warnings) => format!("{} to fix and {} to look at.", things(failed), things(warnings)),
    };
    let _infallible = write!(lines, "\n{summary}");
    lines
}

fn things(count: usize) -> String {
    if count == 1 { "1 thing".to_owned() } else { format!("{count} things") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_shows_its_outcome_and_what_to_do() {
        let checks = [
            Check::ok("store", "it is there"),
            Check::warning("clock", "it is\u{1b}[2J 31 s late", "set it"),
            Check::failed("account a", "no token", "make one"),
        ];
        let text = render(&checks, Screen::FILE);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "ok       store      it is there");
        assert!(lines[1].starts_with("warning  clock      it is"), "{text}");
        assert_eq!(lines[2], "                    → set it");
        assert_eq!(lines[4], "                    → make one");
        assert_eq!(lines[6], "1 thing to fix and 1 thing to look at.");
        assert!(!text.contains('\u{1b}'), "text from outside cannot control the terminal");
        let coloured = render(&checks, Screen { width: Some(40), colours: true });
        assert!(coloured.contains("\u{1b}[31mfailed \u{1b}[0m  account a"), "{coloured:?}");
    }

    #[test]
    fn long_sentences_break_between_words() {
        let long =
            Check::warning("store", "it is much larger than it should be", "give it more room than that");
        let text = render(std::slice::from_ref(&long), Screen { width: Some(36), colours: false });
        let indent = " ".repeat(16);
        let expected = format!(
            "warning  store  it is much larger\n{indent}than it should be\n{indent}→ give it more room\n{indent}  than that\n"
        );
        assert!(text.starts_with(&expected), "{text}");
        let narrow = render(&[long], Screen { width: Some(24), colours: false });
        assert!(narrow.contains("\n    much larger than it\n"), "{narrow}");
    }

    #[test]
    fn the_last_line_is_a_summary() {
        let (ok, warning) = (Check::ok("a", "b"), Check::warning("a", "b", "c"));
        assert!(render(&[ok], Screen::FILE).ends_with("Everything is fine."));
        assert!(
            render(&[warning.clone(), warning], Screen::FILE)
                .ends_with("It works, with 2 things to look at.")
        );
        assert!(render(&[Check::failed("a", "b", "c")], Screen::FILE).ends_with("1 thing to fix."));
    }
}
