//! The output of `init`: the files, the checks, and what to do next; as text and as JSON.

use std::path::Path;

use serde_json::json;

use crate::cli::doctor::{Check, render};
use crate::cli::screen::{Screen, wrap};

use super::next::Next;
use super::write::Change;

/// The result of a run.
pub(super) struct Output<'a> {
    pub(super) folder: &'a Path,
    pub(super) changes: &'a [Change],
    /// Empty if nothing was checked.
    pub(super) checks: &'a [Check],
    pub(super) next: &'a Next,
}

impl Output<'_> {
    /// The result as JSON.
    pub(super) fn json(&self) -> String {
        let files = self.changes.iter().map(|change| {
            json!({ "name": change.file.name, "status": change.status.as_str(), "secret": change.file.is_secret })
        });
        let whole = json!({
            "folder": self.folder.display().to_string(),
            "files": files.collect::<Vec<_>>(),
            "checks": self.checks,
            "handler": self.next.handler,
            "kommo": self.next.kommo,
            "commands": self.next.commands,
        });
        format!("{whole:#}")
    }

    /// The result as text, without a newline at the end.
    pub(super) fn text(&self, screen: Screen) -> String {
        let names = self.changes.iter().map(|change| change.file.name.len()).max().unwrap_or_default();
        let mut lines: Vec<String> = self
            .changes
            .iter()
            .map(|change| {
                let secret = if change.file.is_secret && change.is_written() { ", mode 0600" } else { "" };
                format!("{:names$}  {}{secret}", change.file.name, change.status.as_str())
            })
            .collect();
        if !self.checks.is_empty() {
            lines.push(format!("\n{}", render(self.checks, screen)));
        }
        let width = screen.width.unwrap_or(usize::MAX);
        for (title, steps) in [("The handler", &self.next.handler), ("Kommo", &self.next.kommo)] {
            if !steps.is_empty() {
                lines.push(format!("\n{title}:"));
            }
            for (step, number) in steps.iter().zip(1..) {
                lines.extend(wrap(step, width, &format!("  {number}. "), "     "));
            }
        }
        lines.push("\nNext:".to_owned());
        lines.extend(self.next.commands.iter().map(|command| format!("  {command}")));
        lines.join("\n")
    }
}
