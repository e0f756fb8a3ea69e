//! The tables of all commands: one line per row, laid out for the width of the [`Screen`].
//!
//! On a narrow terminal, a table first prints long texts below their rows, then omits the least important columns, then
//! cuts texts with `…`. No line is wider than the terminal. A file or a pipe gets every column and every text whole.
//! Columns are two spaces apart and no cell is empty, so a script can separate them.

use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::screen::{Screen, wrap};

/// The space between two columns.
const GAP: &str = "  ";
/// The text of an empty cell.
const EMPTY: &str = "-";

/// A table. The texts of its cells are on one line and contain no control characters: see [`clean`](super::text::clean).
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[Cell; N]>,
}

/// A column: its title, and what happens to it on a narrow terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    title: &'static str,
    right: bool,
    below: bool,
    spare: Option<u8>,
    least: Option<usize>,
}

impl Column {
    /// A column that is always shown whole.
    pub(super) const fn new(title: &'static str) -> Self {
        Self { title, right: false, below: false, spare: None, least: None }
    }

    /// Aligns the column to the right, for numbers.
    pub(super) const fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// Omits the column if there is no room for it. The column with the greatest `rank` goes first.
    pub(super) const fn spare(mut self, rank: u8) -> Self {
        self.spare = Some(rank);
        self
    }

    /// Cuts long texts if there is no room for them, but leaves at least `least` characters' width.
    pub(super) const fn cut(mut self, least: usize) -> Self {
        self.least = Some(least);
        self
    }

    /// If there is no room for the column, prints its text below each row.
    pub(super) const fn below(mut self) -> Self {
        self.below = true;
        self
    }
}

/// A text and its style on a terminal.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Creates a cell with this text and style.
    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::styled(text, Style::new())
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<const N: usize> Table<N> {
    /// Creates a table without rows.
    pub(super) const fn new(columns: [Column; N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: [Cell; N]) {
        self.rows.push(cells);
    }

    /// Renders the titles and the rows, one line each, without a line break at the end.
    pub(super) fn render(&self, screen: Screen) -> String {
        let layout = fit(&self.columns, &self.natural(), screen.width);
        let titles = self.columns.map(|column| Cell::from(column.title));
        let mut lines = vec![self.line(&titles, &layout, screen)];
        for row in &self.rows {
            lines.push(self.line(row, &layout, screen));
            let below = layout.below.iter().map(|index| &row[*index]).filter(|cell| !cell.text.is_empty());
            let width = screen.width.unwrap_or(usize::MAX);
            lines.extend(below.flat_map(|cell| wrap(&cell.text, width, "  → ", "    ")));
        }
        lines.join("\n")
    }

    /// The width that each column needs to show its texts whole.
    fn natural(&self) -> [usize; N] {
        std::array::from_fn(|index| {
            let cells = self.rows.iter().map(|row| row[index].text.width());
            cells.chain([self.columns[index].title.width()]).max().unwrap_or_default()
        })
    }

    fn line(&self, cells: &[Cell; N], layout: &Layout, screen: Screen) -> String {
        let mut line = String::new();
        for (place, (index, width)) in layout.shown.iter().enumerate() {
            let (cell, column) = (&cells[*index], &self.columns[*index]);
            let text = if cell.text.is_empty() { EMPTY } else { &cell.text };
            let text = cut(text, *width);
            let padding = " ".repeat(width.saturating_sub(text.width()));
            let (before, after) =
                if column.right { (padding, String::new()) } else { (String::new(), padding) };
            let gap = if place == 0 { "" } else { GAP };
            line = format!("{line}{gap}{before}{}{after}", screen.paint(cell.style, &text));
        }
        line.trim_end().to_owned()
    }
}

/// The columns that are shown, and where.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    /// The columns of each row, with their widths.
    shown: Vec<(usize, usize)>,
    /// The columns whose texts follow the rows.
    below: Vec<usize>,
}

/// Fits columns into a line of `width`, or of any width if that is `None`. `natural` has the width that each column needs.
fn fit(columns: &[Column], natural: &[usize], width: Option<usize>) -> Layout {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let width = width.unwrap_or(usize::MAX);
    let least = |index: usize| columns[index].least.map_or(natural[index], |least| least.min(natural[index]));
    let total = |shown: &[usize], each: &dyn Fn(usize) -> usize| {
        shown.iter().map(|index| each(*index)).sum::<usize>() + GAP.len() * shown.len().saturating_sub(1)
    };
    let mut below = Vec::new();
    if total(&shown, &|index| natural[index]) > width {
        (below, shown) = shown.into_iter().partition(|index| columns[*index].below);
    }
    while shown.len() > 1 && total(&shown, &least) > width {
        let spare =
            shown.iter().enumerate().filter_map(|(place, index)| Some((columns[*index].spare?, place)));
        // If the terminal is narrower still, keep the first columns.
        let place = spare.max().map_or(shown.len() - 1, |(_, place)| place);
        shown.remove(place);
    }
    let mut room = width.saturating_sub(total(&shown, &least));
    let mut slot = |index: usize| {
        let more = room.min(natural[index] - least(index));
        room -= more;
        (index, least(index) + more)
    };
    Layout { shown: shown.into_iter().map(&mut slot).collect(), below }
}

/// Cuts the text to at most `width` columns, with `…` in place of the rest.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let fits = |letter: &char| {
        let wide = letter.width().unwrap_or_default();
        let fits = wide <= room;
        room = room.saturating_sub(wide);
        fits
    };
    let kept: String = text.chars().take_while(fits).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    fn table() -> Table<5> {
        let mut table = Table::new([
            Column::new("ID"),
            Column::new("STATE"),
            Column::new("TRIES").right().spare(2),
            Column::new("ACCOUNT").right().spare(1),
            Column::new("ERROR").cut(8),
        ]);
        let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
        let error = "Kommo refused the continue: 漢字漢字 is too long";
        table.row(["0192a".into(), Cell::styled("dead", red), "1".into(), "31000001".into(), error.into()]);
        table.row(["0192b".into(), "delivered".into(), "12".into(), "7".into(), "".into()]);
        table
    }

    #[test]
    fn a_table_fits_every_width_and_a_file_gets_it_whole() {
        for (width, expected) in [
            (
                None,
                "ID     STATE      TRIES   ACCOUNT  ERROR\n\
                 0192a  dead           1  31000001  Kommo refused the continue: 漢字漢字 is too long\n\
                 0192b  delivered     12         7  -",
            ),
            (
                Some(60),
                "ID     STATE      TRIES   ACCOUNT  ERROR\n\
                 0192a  dead           1  31000001  Kommo refused the contin…\n\
                 0192b  delivered     12         7  -",
            ),
            (
                Some(40),
                "ID     STATE       ACCOUNT  ERROR\n\
                 0192a  dead       31000001  Kommo refus…\n\
                 0192b  delivered         7  -",
            ),
            (
                Some(30),
                "ID     STATE      ERROR\n\
                 0192a  dead       Kommo refus…\n\
                 0192b  delivered  -",
            ),
            (Some(16), "ID     STATE\n0192a  dead\n0192b  delivered"),
            (Some(3), "ID\n0192a\n0192b"),
        ] {
            let text = table().render(Screen { width, colours: false });
            assert_eq!(text, expected, "{width:?}\n{text}");
        }
        for width in 5..120 {
            let text = table().render(Screen { width: Some(width), colours: false });
            assert!(text.lines().all(|line| line.width() <= width), "{width}\n{text}");
            assert_eq!(text.lines().count(), 3, "a row is one line");
        }
    }

    #[test]
    fn long_texts_follow_their_rows_if_there_is_no_room_beside_them() {
        let mut table = Table::new([Column::new("ACCOUNT"), Column::new("WHAT TO DO").below()]);
        table.row(["a.kommo.com".into(), "the plan ended: pay, or remove the account".into()]);
        table.row(["b.kommo.com".into(), "".into()]);
        let text = table.render(Screen { width: Some(28), colours: false });
        assert_eq!(
            text,
            "ACCOUNT\na.kommo.com\n  → the plan ended: pay, or\n    remove the account\nb.kommo.com"
        );
        let text = table.render(Screen::FILE);
        assert_eq!(
            text,
            "ACCOUNT      WHAT TO DO\n\
             a.kommo.com  the plan ended: pay, or remove the account\n\
             b.kommo.com  -"
        );
    }

    #[test]
    fn colours_do_not_move_the_columns() {
        let text = table().render(Screen { width: Some(80), colours: true });
        assert!(text.contains("0192a  \u{1b}[31mdead\u{1b}[0m           1"), "{text:?}");
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, table().render(Screen { width: Some(80), colours: false }));
    }

    #[test]
    fn a_cut_text_is_never_wider_than_requested() {
        for (text, width, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("ab cd", 4, "ab…"),
            ("漢字漢", 4, "漢…"),
            ("漢字", 4, "漢字"),
            ("abc", 1, "…"),
        ] {
            assert_eq!(cut(text, width), expected, "{text} {width}");
        }
    }
}
