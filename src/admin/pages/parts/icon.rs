//! The icons, all in one sprite.

use maud::{Markup, html};

use crate::admin::pages::assets;

macro_rules! icons {
    ($($name:ident = $id:literal),+ $(,)?) => {
        /// A symbol of the sprite.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::admin) enum Icon { $($name),+ }

        impl Icon {
            #[cfg(test)]
            pub(in crate::admin::pages) const ALL: &[Self] = &[$(Self::$name),+];

            /// The id of the symbol.
            pub(in crate::admin::pages) const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),+ }
            }
        }
    };
}

icons! {
    Queued = "queued",
    Running = "running",
    AwaitingCallback = "awaiting_callback",
    Delivering = "delivering",
    Delivered = "delivered",
    Gone = "gone",
    Dead = "dead",
    Cancelled = "cancelled",
    Paused = "paused",
    Warning = "warning",
    Ok = "ok",
    Key = "key",
    Fallback = "fallback",
    Info = "info",
    Now = "now",
    Jobs = "jobs",
    Errors = "errors",
    Accounts = "accounts",
    Handlers = "handlers",
    Store = "store",
    Settings = "settings",
    Actions = "actions",
    Search = "search",
    Refresh = "refresh",
    Retry = "retry",
    External = "external",
    X = "x",
    Copy = "copy",
    Right = "right",
    Bookmark = "bookmark",
    Plus = "plus",
    Edit = "edit",
    Lock = "lock",
}

/// An icon. It repeats what the words beside it say, so screen readers skip it.
pub(in crate::admin) fn icon(icon: Icon) -> Markup {
    html! { svg.i aria-hidden="true" { use href=(assets::icon_url(icon.id())); } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sprite_contains_every_icon() {
        let sprite = include_str!("../assets/icons.svg");
        for icon in Icon::ALL {
            assert!(sprite.contains(&format!("<symbol id=\"{}\"", icon.id())), "{icon:?}");
        }
    }
}
