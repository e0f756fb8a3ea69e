//! One check: what was looked at, how it is, and what to do about it; as a person and as a program read it.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::cli::text::clean;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// As it should be.
    Ok,
    /// It works, but somebody should look.
    Warning,
    /// It does not work.
    Failed,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What was looked at: `store`, `account example.kommo.com`.
    name: String,
    outcome: Outcome,
    /// What is so.
    found: String,
    /// What to do; there for all that is not ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

impl Check {
    /// As it should be.
    pub(super) fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Ok, found: found.into(), todo: None }
    }

    /// It works, but somebody should do `todo`.
    pub(super) fn warning(
        name: impl Into<String>,
        found: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { name: name.into(), outcome: Outcome::Warning, found: found.into(), todo: Some(todo.into()) }
    }

    /// It does not work until somebody does `todo`.
    pub(super) fn failed(name: impl Into<String>, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Failed, found: found.into(), todo: Some(todo.into()) }
    }

    /// How it is.
    pub(super) const fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// All checks for a person, and how many are not as they should be.
pub(super) fn render(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let (word, colour) = match check.outcome {
            Outcome::Ok => ("ok     ", AnsiColor::Green),
            Outcome::Warning => ("warning", AnsiColor::Yellow),
            Outcome::Failed => ("failed ", AnsiColor::Red),
        };
        let style = Style::new().fg_color(Some(colour.into()));
        let (name, found) = (clean(&check.name), clean(&check.found));
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{style}{word}{style:#}  {name:width$}  {found}");
        if let Some(todo) = &check.todo {
            let _infallible = writeln!(text, "{:7}  {:width$}  → {}", "", "", clean(todo));
        }
    }
    let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let (failed, warnings) = (count(Outcome::Failed), count(Outcome::Warning));
    let summary = match (failed, warnings) {
        (0, 0) => "All is well.".to_owned(),
        (0, warnings) => format!("It works; {} to look at.", things(warnings)),
        (failed, 0) => format!("{} to mend.", things(failed)),
        (failed, warnings) => format!("{} to mend, and {} to look at.", things(failed), things(warnings)),
    };
    let _infallible = write!(text, "\n{summary}");
    text
}

fn things(count: usize) -> String {
    if count == 1 { "1 thing".to_owned() } else { format!("{count} things") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_how_it_is_and_what_to_do() {
        let checks = [
            Check::ok("store", "it is there"),
            Check::warning("clock", "it is\u{1b}[2J 31 s late", "set it"),
            Check::failed("account a", "no token", "make one"),
        ];
        let text = anstream::adapter::strip_str(&render(&checks)).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "ok       store      it is there");
        assert!(lines[1].starts_with("warning  clock      it is"), "{text}");
        assert_eq!(lines[2], "                    → set it");
        assert_eq!(lines[4], "                    → make one");
        assert_eq!(lines[6], "1 thing to mend, and 1 thing to look at.");
        assert!(!text.contains('\u{1b}'), "nothing from outside steers the terminal");
    }

    #[test]
    fn the_end_sums_up() {
        let (ok, warning) = (Check::ok("a", "b"), Check::warning("a", "b", "c"));
        assert!(render(&[ok]).ends_with("All is well."));
        assert!(render(&[warning.clone(), warning]).ends_with("It works; 2 things to look at."));
        assert!(render(&[Check::failed("a", "b", "c")]).ends_with("1 thing to mend."));
    }
}
