//! `/accounts`: which accounts get no deliveries, why, and until when; and the retry of one now.

mod account;
mod answer;
mod row;

use axum::Extension;
use axum::extract::{RawQuery, Request, State};
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use url::form_urlencoded;

use model::Timestamp;
use store::Actor;

use super::gather::{Visit, part};
use super::parts::icon::Icon;
use super::parts::mark::Tone;
use super::parts::panel;
use super::parts::{amount, moment, table};
use super::shell::{Search, Tab};
use super::{Page, see};
use crate::admin::accounts::{AccountView, AccountsView, InstallationView, origin_to_resume};
use crate::admin::call::{STORE_TIMEOUT, read, run_to_end};
use crate::admin::{Shared, refusal};
use crate::problem::ProblemDetails;

use account::{called, rank};

const RESUME: &str =
    "Send `account`, the host of an account, and `integration` if several accounts have that host.";

/// The number of accounts on a page, which keeps it below 60 KB.
const PER_PAGE: usize = 25;

/// `GET /accounts?find=…&page=…`
pub(super) async fn list(State(shared): State<Shared>, visit: Visit, RawQuery(query): RawQuery) -> Response {
    show(&shared, visit, &Wanted::parse(query.as_deref().unwrap_or_default()), None).await
}

/// `POST /accounts/resume` with the fields `account` and, if several have that host, `integration`.
pub(super) async fn resume(
    State(shared): State<Shared>,
    Extension(by): Extension<Actor>,
    visit: Visit,
    request: Request,
) -> Response {
    match try_resume(&shared, by, request).await {
        Ok(()) => see("/accounts?done=resumed"),
        Err(problem) => show(&shared, visit, &Wanted::default(), Some(&problem)).await,
    }
}

/// Asks for the retry of an account, exactly as `accounts resume` does.
async fn try_resume(shared: &Shared, by: Actor, request: Request) -> Result<(), ProblemDetails> {
    let body = read(shared, request).await?;
    let (mut host, mut integration) = (None, None);
    for (name, value) in form_urlencoded::parse(&body) {
        match &*name {
            "csrf" => {}
            "account" => host = Some(value.into_owned()),
            "integration" => integration = Some(value.into_owned()),
            other => {
                return Err(refusal::of_body(format!("unknown field `{}`", refusal::short(other)), RESUME));
            }
        }
    }
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        return Err(refusal::of_body("the field `account` is missing", RESUME));
    };
    let listed = crate::admin::call::within(STORE_TIMEOUT, shared.live.accounts()).await?;
    let is_it = |one: &&AccountView| {
        one.account.host.as_ref() == Some(&host)
            && (integration.is_none() || one.account.integration == integration)
    };
    let refused = |status, why: String| ProblemDetails::of_status(status, why);
    let found = listed.accounts.iter().find(is_it).ok_or_else(|| {
        let host = refusal::short(&host);
        refused(StatusCode::NOT_FOUND, format!("There is no account `{host}`."))
    })?;
    let origin = origin_to_resume(
        found.account.state,
        found.account.reason.as_deref(),
        found.account.origin.as_deref(),
    );
    let origin = origin.map_err(|why| {
        let why =
            format!("{}: {why}. Connect it first; the bridge then sends its deliveries.", called(found));
        refused(StatusCode::CONFLICT, why)
    })?;
    let origin = origin.ok_or_else(|| refused(StatusCode::CONFLICT, "Its address is unknown.".to_owned()))?;
    let (store, origin) = (shared.store.clone(), origin.to_owned());
    run_to_end(STORE_TIMEOUT, async move { store.operator(by).ask_resume(origin.into()).await }).await?;
    tracing::info!(account = %called(found), "account resumed by operator");
    Ok(())
}

/// The accounts that the visitor wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// A part of the host, the name or the number.
    find: String,
    /// From 0.
    page: usize,
    has_resumed: bool,
}

impl Wanted {
    fn parse(query: &str) -> Self {
        let mut wanted = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (&*name, &*value) {
                ("find", value) => wanted.find = refusal::short(value.trim()).to_lowercase(),
                ("page", page) => wanted.page = page.parse::<usize>().unwrap_or(1).saturating_sub(1),
                ("done", "resumed") => wanted.has_resumed = true,
                _ => {}
            }
        }
        wanted
    }

    fn includes(&self, one: &AccountView) -> bool {
        let number = one.account.account_id.map(|id| id.0.to_string());
        let mut texts =
            [&one.account.host, &one.account.name, &one.account.integration, &number].into_iter().flatten();
        self.find.is_empty() || texts.any(|text| text.to_lowercase().contains(&self.find))
    }

    /// The address of a page, from 0.
    fn address(&self, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.find.is_empty() {
            query.append_pair("find", &self.find);
        }
        query.append_pair("page", &(page + 1).to_string());
        format!("/accounts?{}", query.finish())
    }
}

async fn show(shared: &Shared, visit: Visit, wanted: &Wanted, problem: Option<&ProblemDetails>) -> Response {
    let now = shared.clock.now();
    let everybody = shared.health.everybody_waits();
    let (listed, shell) = tokio::join!(part(shared.live.accounts()), visit.shell(shared));
    let answer = answer::decide(listed.as_ref(), everybody.as_ref(), now);
    let body = html! {
        @if wanted.has_resumed {
            (panel::note(Tone::Ok, Icon::Ok, "The bridge tries the account within five seconds: first one delivery, and the \
                others if Kommo accepts it.", html! { a.btn.s href="/accounts" { "Look again" } }))
        }
        @if let Some(problem) = problem {
            (panel::note(Tone::Bad, Icon::X, html! { strong { "Not resumed. " } (problem.detail()) }, ""))
        }
        @if !shell.visitor.may_change() {
            (panel::note(Tone::Plain, Icon::Lock, html! { "You have the read-only token. Resume needs " code { "admin.token" } "." }, ""))
        }
        @match &listed {
            Ok(listed) => {
                (installations(&listed.installations, now))
                (accounts(listed, wanted, &row::Context { now, all_paused: everybody.is_some(), visitor: &shell.visitor }))
            }
            Err(why) => (panel::panel("h-ac", "Accounts, trouble first", "", panel::unreadable(why))),
        }
    };
    let page = Page { tab: Tab::Accounts, search: Search::JOBS, answer, body };
    match problem {
        Some(problem) => page.respond_with(problem.status(), &shell),
        None => page.respond(&shell),
    }
}

fn accounts(listed: &AccountsView, wanted: &Wanted, context: &row::Context<'_>) -> Markup {
    let title = "Accounts, trouble first";
    if listed.accounts.is_empty() {
        let why = html! {
            "Connect one with " code { "salesbot-bridge accounts authorize" } ", or add " code { "accounts.NAME" }
            " to the configuration and restart."
        };
        let empty = panel::empty(Tone::Plain, Icon::Accounts, "No account is connected yet.", why, "");
        return panel::panel("h-ac", title, "", empty);
    }
    let mut found: Vec<&AccountView> = listed.accounts.iter().filter(|one| wanted.includes(one)).collect();
    found.sort_by_key(|one| rank(one));
    let pages = found.len().div_ceil(PER_PAGE).max(1);
    let page = wanted.page.min(pages - 1);
    let shown = found.iter().skip(page * PER_PAGE).take(PER_PAGE);
    let aside = if listed.accounts.len() > PER_PAGE {
        find(wanted)
    } else {
        html! {}
    };
    if found.is_empty() {
        let all = html! { a.btn.s href="/accounts" { "Show all accounts" } };
        let why = format!("{} are known.", amount::count(len(listed.accounts.len()), "account"));
        let empty = panel::empty(Tone::Plain, Icon::Accounts, "No account matches.", why, all);
        return panel::panel("h-ac", title, aside, empty);
    }
    let rows = html! { @for one in shown { (row::row(one, context)) } };
    let content = html! {
        (table::table("cards", "Accounts", &row::COLUMNS, rows))
        @if pages > 1 {
            p.bulk {
                @if page > 0 { a.btn.s rel="prev" href=(wanted.address(page - 1)) { "Previous" } }
                @if page + 1 < pages { a.btn.s rel="next" href=(wanted.address(page + 1)) { "Next" } }
                span.m { "Page " (page + 1) " of " (pages) ", " (amount::count(len(found.len()), "account")) }
            }
        }
    };
    panel::panel("h-ac", title, aside, content)
}

fn find(wanted: &Wanted) -> Markup {
    html! {
        form.acts action="/accounts" {
            input.short type="search" name="find" value=(wanted.find) autocomplete="off" aria-label="Part of the host, the name or the number";
            button.btn.s type="submit" { "Find" }
        }
    }
}

fn installations(waiting: &[InstallationView], now: Timestamp) -> Markup {
    if waiting.is_empty() {
        return html! {};
    }
    let columns = [
        table::Column::new("Host", ""),
        table::Column::new("Integration", ""),
        table::Column::new("Received", "n"),
        table::Column::new("Expires in", "n"),
        table::Column::new("If the account is yours, run", ""),
    ];
    let shown = waiting.iter().take(PER_PAGE);
    let rows = html! {
        @for one in shown {
            (table::row(html! {
                (table::head("k wrap", &one.host))
                (table::labelled("wrap", "integration", &one.integration))
                (table::labelled("n", "received", moment::ago(one.received_at, now)))
                (table::labelled("n", "expires in", moment::countdown(one.expires_at, now)))
                (table::cell("all wrap", html! { code { "salesbot-bridge accounts confirm " (one.host) } }))
            }))
        }
    };
    let aside = html! {
        @if waiting.len() > PER_PAGE { span.m { (amount::number(len(waiting.len() - PER_PAGE))) " more" } }
        @else { span.m { "someone installed the integration without a link from here" } }
    };
    let table = table::table("cards", "Installations that wait for confirmation", &columns, rows);
    panel::panel("h-in", "Installations that wait for confirmation", aside, table)
}

/// A length for people.
fn len(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
