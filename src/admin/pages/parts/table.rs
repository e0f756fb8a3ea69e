//! Tables. Explicit roles, because small screens change how their elements are displayed.

use maud::{Markup, Render, html};

/// The heading of a column.
pub(in crate::admin::pages) struct Column {
    title: &'static str,
    class: &'static str,
    is_hidden: bool,
}

impl Column {
    /// A column whose cells have the classes `class`.
    pub(in crate::admin::pages) const fn new(title: &'static str, class: &'static str) -> Self {
        Self { title, class, is_hidden: false }
    }

    /// A column whose heading only screen readers get.
    pub(in crate::admin::pages) const fn hidden(title: &'static str, class: &'static str) -> Self {
        Self { title, class, is_hidden: true }
    }
}

/// A table; `caption` says what it contains, for screen readers.
pub(in crate::admin::pages) fn table(
    class: &str,
    caption: impl Render,
    columns: &[Column],
    rows: impl Render,
) -> Markup {
    let no_heading = columns.iter().all(|column| column.is_hidden);
    html! {
        table role="table" class=(class) {
            caption.hide { (caption) }
            thead.hide[no_heading] role="rowgroup" {
                tr role="row" {
                    @for column in columns {
                        th role="columnheader" scope="col" class=(column.class) {
                            @if column.is_hidden && !no_heading { span.hide { (column.title) } } @else { (column.title) }
                        }
                    }
                }
            }
            tbody role="rowgroup" { (rows) }
        }
    }
}

/// A row.
pub(in crate::admin::pages) fn row(cells: impl Render) -> Markup {
    html! { tr role="row" { (cells) } }
}

/// The cell that names its row.
pub(in crate::admin::pages) fn head(class: &str, content: impl Render) -> Markup {
    html! { th role="rowheader" scope="row" class=(class) { (content) } }
}

/// A cell.
pub(in crate::admin::pages) fn cell(class: &str, content: impl Render) -> Markup {
    html! { td role="cell" class=(class) { (content) } }
}

/// A cell that small screens show with its label.
pub(in crate::admin::pages) fn labelled(class: &str, label: &str, content: impl Render) -> Markup {
    html! { td role="cell" class=(class) data-l=(label) { (content) } }
}
