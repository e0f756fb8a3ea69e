//! Questions to the operator, on a terminal.

use std::io::{self, BufRead, IsTerminal, Write};

/// Whether the operator can be asked: stdin is a terminal, and the output is not for programs.
pub(super) fn can_ask(json: bool) -> bool {
    io::stdin().is_terminal() && !json
}

/// Asks a question on stderr. Returns whether the answer is yes.
pub(super) fn ask(question: &str) -> bool {
    let mut stderr = io::stderr();
    let mut answer = String::new();
    let asked = write!(stderr, "{question}").and_then(|()| stderr.flush());
    let read = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
