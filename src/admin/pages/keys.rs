//! The help about keys. The script opens it.

use maud::{Markup, html};

const KEYS: [(&str, &str); 11] = [
    ("/", "search"),
    ("g n, j, e, a, h", "go to Now, Jobs, Errors, Accounts, Handlers"),
    ("g s, c, o", "go to Store, Settings, Actions"),
    ("j, k", "next row, previous row"),
    ("Enter", "open the row"),
    ("x", "select the row"),
    ("r", "retry: the job, or what is selected"),
    (".", "pause live updates"),
    ("t", "next theme"),
    ("?", "this help"),
    ("Esc", "close it"),
];

/// The dialog.
pub(super) fn help() -> Markup {
    html! {
        dialog #help aria-labelledby="h-keys" {
            form.stack method="dialog" {
                h2 #h-keys { "Keys" }
                dl.facts { @for (keys, what) in KEYS { dt { kbd { (keys) } } dd { (what) } } }
                label.check { input type="checkbox"; " Keys are on" }
                div { button.btn.s type="submit" { "Close" } }
            }
        }
    }
}
