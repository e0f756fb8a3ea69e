//! Tables and texts of all commands, as a person reads them.
//!
//! Texts from outside cannot steer the terminal: control characters are replaced.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

/// On a terminal long texts are wrapped, but never the first column: it is there to be copied.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_header(header)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(column) = table.column_mut(0) {
        column.set_constraint(ColumnConstraint::ContentWidth).set_padding((0, 1));
    }
    table
}

/// The text on one line, without what steers a terminal.
pub(super) fn clean(text: &str) -> String {
    let letter = |letter: char| match letter {
        '\n' | '\t' => ' ',
        letter if letter.is_control() => char::REPLACEMENT_CHARACTER,
        letter => letter,
    };
    text.chars().map(letter).collect()
}

/// At most so many letters of the text.
pub(super) fn short(text: &str, most: usize) -> String {
    let mut kept: String = text.chars().take(most).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(clean("a\nb\u{1b}[2J\u{9b}ä"), "a b\u{fffd}[2J\u{fffd}ä");
        assert_eq!(short(&"x".repeat(61), 60), format!("{}…", "x".repeat(60)));
    }
}
