//! What surrounds every page: navigation with badges, search, theme, and who is signed in.

use std::time::Duration;

use http::HeaderMap;
use http::header::COOKIE;
use maud::{DOCTYPE, Markup, html};

use model::Timestamp;

use super::parts::icon::{Icon, icon};
use super::parts::{amount, moment};
use super::{assets, keys};
use crate::admin::access::Visitor;
use crate::terminal::visible;

/// A page of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Now,
    Jobs,
    Errors,
    Accounts,
    Handlers,
    Store,
    Settings,
    Actions,
}

impl Tab {
    pub(super) const ALL: [Self; 8] = [
        Self::Now,
        Self::Jobs,
        Self::Errors,
        Self::Accounts,
        Self::Handlers,
        Self::Store,
        Self::Settings,
        Self::Actions,
    ];

    /// The page in whose section a path is; `None` if it is in none.
    pub(super) fn of(path: &str) -> Option<Self> {
        let is_below = |tab: &Self| {
            let below = path.strip_prefix(tab.path());
            below.is_some_and(|rest| rest.is_empty() || (*tab != Self::Now && rest.starts_with('/')))
        };
        Self::ALL.into_iter().find(is_below)
    }

    /// Its path.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Now => "/",
            Self::Jobs => "/jobs",
            Self::Errors => "/errors",
            Self::Accounts => "/accounts",
            Self::Handlers => "/handlers",
            Self::Store => "/store",
            Self::Settings => "/settings",
            Self::Actions => "/actions",
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Now => "Now",
            Self::Jobs => "Jobs",
            Self::Errors => "Errors",
            Self::Accounts => "Accounts",
            Self::Handlers => "Handlers",
            Self::Store => "Store",
            Self::Settings => "Settings",
            Self::Actions => "Actions",
        }
    }

    /// The key that goes there after `g`.
    const fn key(self) -> &'static str {
        match self {
            Self::Now => "n",
            Self::Jobs => "j",
            Self::Errors => "e",
            Self::Accounts => "a",
            Self::Handlers => "h",
            Self::Store => "s",
            Self::Settings => "c",
            Self::Actions => "o",
        }
    }

    const fn icon(self) -> Icon {
        match self {
            Self::Now => Icon::Now,
            Self::Jobs => Icon::Jobs,
            Self::Errors => Icon::Errors,
            Self::Accounts => Icon::Accounts,
            Self::Handlers => Icon::Handlers,
            Self::Store => Icon::Store,
            Self::Settings => Icon::Settings,
            Self::Actions => Icon::Actions,
        }
    }
}

/// Numbers beside the navigation; `None` while they cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Badges {
    /// Unfinished jobs.
    pub(super) unfinished: Option<u64>,
    /// Kinds of errors that first occurred within the last day.
    pub(super) new_errors: Option<u64>,
    /// Accounts that are paused or need authorization.
    pub(super) accounts: Option<u64>,
}

/// How a visitor wants pages to look, from cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// `light` or `dark`; `None` follows the system.
    pub(super) theme: Option<&'static str>,
    /// Whether rows have a second line.
    pub(super) comfortable: bool,
}

impl Look {
    /// The look that the cookies ask for.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut look = Self::default();
        for (name, value) in
            cookies.flat_map(|cookies| cookies.split("; ")).filter_map(|one| one.split_once('='))
        {
            match (name, value) {
                ("bridge-theme", "light") => look.theme = Some("light"),
                ("bridge-theme", "dark") => look.theme = Some("dark"),
                ("bridge-rows", "comfortable") => look.comfortable = true,
                _ => {}
            }
        }
        look
    }
}

/// What surrounds a page.
pub(super) struct Shell {
    pub(super) visitor: Visitor,
    pub(super) look: Look,
    pub(super) badges: Badges,
    pub(super) now: Timestamp,
    /// How long the bridge has been running.
    pub(super) up: Duration,
    /// The path and query of the page, to which a change of the look returns.
    pub(super) path: String,
}

/// The search field: where it leads, and what it contains.
pub(super) struct Search<'a> {
    pub(super) action: &'static str,
    /// The filter of this page; `None` on pages that have none.
    pub(super) filter: Option<&'a str>,
}

impl Search<'_> {
    /// A search for jobs.
    pub(super) const JOBS: Self = Self { action: Tab::Jobs.path(), filter: None };
}

impl Shell {
    /// The whole document, without characters that mislead its reader: any text on it may come from outside.
    pub(super) fn document(
        &self,
        tab: impl Into<Option<Tab>>,
        title: &str,
        search: &Search<'_>,
        main: &Markup,
    ) -> String {
        let tab = tab.into();
        let document = html! {
            (DOCTYPE)
            html lang="en" data-theme=[self.look.theme] data-density=[self.look.comfortable.then_some("comfortable")] {
                (head(title, None))
                body data-tab=[tab.map(Tab::name)] {
                    a.skip href="#main" { "Skip to content" }
                    header.side {
                        a.brand href="/" { (icon(Icon::Delivering)) "salesbot-bridge" }
                        nav aria-label="Pages" { ul { @for one in Tab::ALL { (self.link(one, tab)) } } }
                    }
                    section.top aria-label="Search and freshness" { (find(search)) (self.freshness()) }
                    main #main tabindex="-1" { (main) }
                    (self.foot())
                    (keys::help())
                }
            }
        };
        visible(&document.into_string()).into_owned()
    }

    fn link(&self, tab: Tab, current: Option<Tab>) -> Markup {
        let Badges { unfinished, new_errors, accounts } = self.badges;
        let badge = |number: Option<u64>| number.filter(|number| *number > 0);
        html! {
            li {
                a href=(tab.path()) data-go=(tab.key()) aria-current=[(Some(tab) == current).then_some("page")] {
                    (icon(tab.icon())) (tab.name())
                    @match tab {
                        Tab::Jobs => @if let Some(jobs) = badge(unfinished) {
                            b.active title={ (amount::number(jobs)) " unfinished" } data-badge="unfinished" { (amount::number(jobs)) }
                        },
                        Tab::Errors => @if let Some(errors) = badge(new_errors) {
                            b.warn title="first seen within 24 hours" { (amount::number(errors)) " new" }
                        },
                        Tab::Accounts => @if let Some(accounts) = badge(accounts) {
                            b.warn title="need attention" { (amount::number(accounts)) }
                        },
                        _ => {},
                    }
                }
            }
        }
    }

    /// When the page was loaded. The script makes it live.
    fn freshness(&self) -> Markup {
        html! {
            p.live #live {
                span.st { span {
                    "Loaded " time datetime=(self.now) title=(moment::full(self.now)) { (moment::clock(self.now)) }
                    span.wide { " UTC" }
                } }
                a.btn.s href="" { (icon(Icon::Refresh)) "Refresh" }
            }
        }
    }

    fn foot(&self) -> Markup {
        let who = if self.visitor.may_change() { "all actions" } else { "read only" };
        html! {
            footer.foot {
                (self.theme())
                p {
                    @if self.visitor.is_signed_in {
                        "Signed in: " (who) ". "
                        form.inline method="post" action="/logout" {
                            (self.visitor.csrf_field())
                            button.link type="submit" { "Sign out" }
                        }
                    } @else { "Open on this machine: " (who) "." }
                }
                p {
                    "Bridge " (env!("CARGO_PKG_VERSION")) ", up " (amount::age(self.up)) ". "
                    button.link #keys type="button" hidden { "Keys" }
                }
            }
        }
    }

    fn theme(&self) -> Markup {
        let choice = |value: &'static str, name: &'static str| {
            let is_chosen = self.look.theme.unwrap_or("system") == value;
            html! { label { (name) input #{ "theme-" (value) } type="radio" name="theme" value=(value) checked[is_chosen]; } }
        };
        html! {
            form method="get" action="/look" data-look {
                input type="hidden" name="next" value=(self.path);
                fieldset.seg {
                    legend.hide { "Theme" }
                    (choice("system", "System")) (choice("light", "Light")) (choice("dark", "Dark"))
                }
                noscript { button.btn.s type="submit" { "Save" } }
            }
        }
    }
}

/// The head of a document, which a browser replaces by the one at `refresh`, if there is one.
pub(in crate::admin) fn head(title: &str, refresh: Option<&str>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            @if let Some(address) = refresh { meta http-equiv="refresh" content={ "0; url=" (address) }; }
            title { (title) " · salesbot-bridge" }
            link rel="icon" type="image/svg+xml" href=(assets::url("mark.svg"));
            link rel="stylesheet" href=(assets::url("style.css"));
            script src=(assets::url("app.js")) defer {}
        }
    }
}

fn find(search: &Search<'_>) -> Markup {
    let Search { action, filter } = search;
    html! {
        form.find role="search" action=(action) {
            (icon(Icon::Search))
            @match filter {
                Some(filter) => {
                    input.mono type="search" name="q" aria-label="Filter, or a lead URL, a job id or a trace id"
                        autocomplete="off" spellcheck="false" value=(filter);
                    button.btn type="submit" { "Filter" }
                }
                None => {
                    input type="search" name="q" autocomplete="off" spellcheck="false"
                        aria-label="Search jobs, or paste a lead URL, a job id or a trace id"
                        placeholder="Search, or paste a lead URL, job id, trace id";
                    kbd aria-hidden="true" { "/" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_path_belongs_to_the_page_above_it() {
        for (path, expected) in [
            ("/", Some(Tab::Now)),
            ("/jobs", Some(Tab::Jobs)),
            ("/jobs/018b/retry", Some(Tab::Jobs)),
            ("/jobsx", None),
            ("/x", None),
            ("/settings/", Some(Tab::Settings)),
            ("//jobs", None),
            ("", None),
        ] {
            assert_eq!(Tab::of(path), expected, "{path}");
        }
    }

    #[test]
    fn the_look_comes_from_cookies() {
        for (cookies, theme, comfortable) in [
            ("", None, false),
            ("bridge-theme=dark", Some("dark"), false),
            ("a=b; bridge-theme=light; bridge-rows=comfortable", Some("light"), true),
            ("bridge-theme=\"><script>; bridge-rows=compact", None, false),
        ] {
            let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(cookies))]);
            assert_eq!(Look::of(&headers), Look { theme, comfortable }, "{cookies}");
        }
    }
}
