//! An account as a row of the table.

use std::fmt::Write as _;
use std::time::Duration;

use maud::{Markup, html};

use model::{AccountState, Timestamp};

use super::account::{Deliveries, called, deliveries};
use crate::admin::access::Visitor;
use crate::admin::accounts::AccountView;
use crate::admin::live::PaceView;
use crate::admin::pages::parts::icon::{Icon, icon};
use crate::admin::pages::parts::mark::{self, Tone};
use crate::admin::pages::parts::text::with_code;
use crate::admin::pages::parts::{amount, moment, table};

/// A token that ends within this time is a reason to look, unless it is renewed.
const SOON: Duration = Duration::from_secs(7 * 86_400);
/// More calls per second than this are a number and not squares.
const MAX_SQUARES: usize = 10;

pub(super) const COLUMNS: [table::Column; 6] = [
    table::Column::new("Account", ""),
    table::Column::new("Waiting", "n"),
    table::Column::new("Deliveries", ""),
    table::Column::new("Pace", ""),
    table::Column::new("Token", ""),
    table::Column::hidden("Actions", "n"),
];

/// What the rows have in common.
pub(super) struct Context<'a> {
    pub(super) now: Timestamp,
    /// Whether the calls to all accounts are paused.
    pub(super) all_paused: bool,
    pub(super) visitor: &'a Visitor,
}

/// The row of `one`.
pub(super) fn row(one: &AccountView, context: &Context<'_>) -> Markup {
    let now = context.now;
    let is = deliveries(one);
    table::row(html! {
        (table::head("k wrap named", name(one)))
        (table::labelled("n r", "waiting", waiting(one)))
        (table::cell("all wrap", sentence(&is, one, context)))
        (table::cell("", one.pace.map(pace).unwrap_or_default()))
        (table::labelled("", "token", token(one, now)))
        (table::cell("n all", action(one, &is, context.visitor)))
    })
}

fn name(one: &AccountView) -> Markup {
    let title = called(one);
    let host = one.account.host.as_deref().filter(|host| *host != title);
    let details = [
        host.map(str::to_owned),
        one.account.account_id.map(|id| format!("no. {}", id.0)),
        one.account.integration.clone(),
    ];
    let details: Vec<String> = details.into_iter().flatten().collect();
    html! {
        @match &one.account.host {
            Some(host) => a href={ "/jobs?q=" (filter(host)) } { (title) },
            None => (title),
        }
        @if !details.is_empty() { span.sub.line { (details.join(", ")) } }
    }
}

/// The filter of an account's jobs, for a link.
fn filter(host: &str) -> String {
    url::form_urlencoded::byte_serialize(format!("account:{host}").as_bytes()).collect()
}

fn waiting(one: &AccountView) -> Markup {
    match &one.account.host {
        Some(host) if one.account.waiting > 0 => html! {
            a href={ "/jobs?q=" (filter(host)) "+state%3Adelivering" } { (amount::number(one.account.waiting)) }
        },
        _ => html! { (amount::number(one.account.waiting)) },
    }
}

fn sentence(is: &Deliveries, one: &AccountView, context: &Context<'_>) -> Markup {
    let now = context.now;
    if context.all_paused && *is == Deliveries::Open {
        return mark::sentence(Tone::Warn, Icon::Paused, "paused with all accounts");
    }
    let (tone, sign) = is.look();
    let words = html! {
        @match is {
            Deliveries::NeedsAuthorization(why) => { "authorization needed: " (why) }
            Deliveries::Revoked(why) => { "disconnected: " (why) }
            Deliveries::Paused { why, advice, until, .. } => {
                "paused: " (why)
                @if let Some(until) = until { ", tries again in " (moment::countdown(*until, now)) }
                @if let Some(wait) = &one.account.waits_for { " (since " (moment::moment(wait.since, now)) ")" }
                @if let Some(advice) = advice { span.sub.line { (with_code(advice)) } }
            }
            Deliveries::Open => "open",
        }
    };
    mark::sentence(tone, sign, words)
}

/// The calls of the current second: one square for each that may start.
fn pace(pace: PaceView) -> Markup {
    let PaceView { used, limit, .. } = pace;
    let label = format!("{used} of {limit} calls in this second");
    if limit > MAX_SQUARES {
        return html! { span title=(label) { (used) " of " (limit) } };
    }
    let used = used.min(limit);
    html! {
        svg.chart.pace width=(9 * limit) height="12" role="img" aria-label=(label) {
            @if used > 0 { path.on d=(squares(0, used)) {} }
            @if used < limit { path.off d=(squares(used, limit)) {} }
        }
    }
}

/// Squares as a path, from one place to another.
fn squares(from: usize, to: usize) -> String {
    let mut path = String::new();
    for place in from..to {
        let _infallible = write!(path, "M{} 1h7v10h-7z", 9 * place);
    }
    path
}

fn token(one: &AccountView, now: Timestamp) -> Markup {
    let renews = one.account.integration.is_some() && one.account.state == AccountState::Active;
    match one.account.expires_at {
        None if one.account.state != AccountState::Active => mark::mark(Tone::Bad, Icon::Key, "none"),
        None => html! { "long-lived" },
        Some(at) if at <= now => {
            mark::mark(Tone::Bad, Icon::Key, html! { span { "expired " (moment::ago(at, now)) } })
        }
        Some(at) if renews => html! { span.nw { "renews within " (moment::countdown(at, now)) } },
        Some(at) if at.since(now) < SOON => {
            mark::mark(Tone::Warn, Icon::Warning, html! { span { "ends in " (amount::age(at.since(now))) } })
        }
        Some(at) => html! { "ends in " (amount::age(at.since(now))) },
    }
}

/// What an operator can do about the account.
fn action(one: &AccountView, is: &Deliveries, visitor: &Visitor) -> Markup {
    if let Some(command) = &one.authorize {
        return html! {
            details.more.start {
                summary { "Authorize…" span.hide { " " (called(one)) } }
                p.sub { "Run this, and send the link that it prints to an administrator of the account:" }
                pre { (command) }
                button.btn.s type="button" hidden data-copy=(command) { "Copy" }
            }
        };
    }
    match (is, &one.account.host) {
        (Deliveries::Paused { .. }, Some(host)) if visitor.may_change() => html! {
            form.inline method="post" action="/accounts/resume" {
                (visitor.csrf_field())
                input type="hidden" name="account" value=(host);
                @if let Some(integration) = &one.account.integration { input type="hidden" name="integration" value=(integration); }
                button.btn.s type="submit" { (icon(Icon::Retry)) span { "Resume now" span.hide { ": " (called(one)) } } }
            }
        },
        _ => html! {},
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::tests::{NOW, account, changed};
    use super::*;

    #[test]
    fn the_pace_is_drawn_as_squares_or_written() {
        let drawn = |used, limit| pace(PaceView { used, limit, next_at: None }).into_string();
        assert!(drawn(2, 7).contains("2 of 7 calls"));
        assert_eq!(drawn(2, 7).matches("h7v10h-7z").count(), 7);
        assert!(!drawn(0, 7).contains(r#"class="on""#) && !drawn(9, 7).contains(r#"class="off""#));
        assert!(drawn(12, 50).contains("12 of 50") && !drawn(12, 50).contains("svg"));
    }

    #[test]
    fn a_token_says_when_it_ends() {
        let shown = |seconds: i64, integration: Option<&str>| {
            let expires_at = Some(Timestamp::from_millis(NOW.as_millis() + 1_000 * seconds));
            let one = changed("a", |account| {
                (account.expires_at, account.integration) = (expires_at, integration.map(str::to_owned));
            });
            token(&one, NOW).into_string().replace('\u{a0}', " ")
        };
        assert!(shown(-60, Some("main")).contains("expired"));
        assert!(shown(3_600, Some("main")).contains("renews within "));
        assert!(shown(5 * 86_400, None).contains("ends in 5 d") && shown(5 * 86_400, None).contains("warn"));
        assert!(!shown(402 * 86_400, None).contains("warn"));
        assert_eq!(token(&account("a"), NOW).into_string(), "long-lived");
    }
}
