//! The accounts whose deliveries wait.

use maud::{Markup, html};

use model::Timestamp;

use super::answer::what;
use super::facts::{Accounts, Facts, Trouble};
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::{self, Tone};
use crate::admin::pages::parts::{amount, panel};

/// Accounts that the panel shows; the others are on their own page.
const SHOWN: usize = 4;

/// The panel. `csrf` is the field of each form; `None` if the visitor may change nothing.
pub(super) fn render(facts: &Facts, csrf: Option<&Markup>) -> Markup {
    let body = match &facts.accounts {
        Err(why) => panel::unreadable(why),
        Ok(accounts) if accounts.troubles.is_empty() => calm(accounts),
        Ok(accounts) => troubles(accounts, csrf, facts.now),
    };
    let all = facts.accounts.as_ref().ok().and_then(|accounts| accounts.all).unwrap_or(0) as u64;
    let link = html! {
        a href="/accounts" { @if all > 1 { "All " (amount::number(all)) " accounts" } @else { "Accounts" } }
    };
    panel::panel("h-acc", "Accounts in trouble", link, body)
}

fn calm(accounts: &Accounts) -> Markup {
    let why = match accounts.all {
        Some(0) => "No account is configured or connected yet.",
        _ => "The bridge can deliver to all accounts.",
    };
    let (tone, sign) =
        if accounts.all == Some(0) { (Tone::Plain, Icon::Accounts) } else { (Tone::Ok, Icon::Ok) };
    panel::empty(tone, sign, "No account is in trouble.", why, html! {})
}

fn troubles(accounts: &Accounts, csrf: Option<&Markup>, now: Timestamp) -> Markup {
    let can_be_resumed = accounts.troubles.iter().take(SHOWN).any(Trouble::can_be_resumed);
    let more = accounts.troubles.len().saturating_sub(SHOWN) as u64;
    html! {
        div.in.stack {
            @for trouble in accounts.troubles.iter().take(SHOWN) { (render_one(trouble, csrf, now)) }
            @if can_be_resumed && csrf.is_none() { p.m { "Resume needs " code { "admin.token" } "." } }
            @if more > 0 { p { a href="/accounts" { (amount::number(more)) " more in trouble" } } }
        }
    }
}

fn render_one(trouble: &Trouble, csrf: Option<&Markup>, now: Timestamp) -> Markup {
    let (tone, sign) = trouble.look();
    let words = html! {
        a href="/accounts" { (trouble.name) } " " (what(trouble, now)) ". "
        @match trouble.waiting {
            None => "Deliveries wait.",
            Some(0) => "Nothing waits.",
            Some(1) => "1 delivery waits.",
            Some(waiting) => { (amount::number(waiting)) " deliveries wait." },
        }
    };
    html! {
        div.because {
            (mark::sentence(tone, sign, words))
            @if let Some(command) = &trouble.authorize {
                p.cmd {
                    code { (command) }
                    button.btn.s type="button" data-copy=(command) hidden { "Copy" }
                }
            }
            @if let (true, Some(csrf), Some(host)) = (trouble.can_be_resumed(), csrf, &trouble.host) {
                form.acts method="post" action="/accounts/resume" {
                    (csrf)
                    input type="hidden" name="account" value=(host);
                    @if let Some(integration) = &trouble.integration {
                        input type="hidden" name="integration" value=(integration);
                    }
                    button.btn.s type="submit" { "Resume " (trouble.name) " now" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_789_928_000);

    fn paused(name: &str) -> Trouble {
        Trouble {
            name: name.to_owned(),
            host: Some(format!("{name}.kommo.com")),
            integration: None,
            needs_authorization: false,
            why: "Kommo answered 429".into(),
            until: Some(Timestamp::from_millis(NOW.as_millis() + 42_000)),
            waiting: Some(1),
            authorize: None,
        }
    }

    fn shown(troubles: Vec<Trouble>, csrf: Option<&Markup>) -> String {
        let accounts = Accounts { all: Some(9), troubles, ..Accounts::default() };
        super::troubles(&accounts, csrf, NOW).into_string().replace('\u{a0}', " ")
    }

    #[test]
    fn an_operator_can_resume_a_paused_account_and_a_reader_learns_what_that_needs() {
        let csrf = html! { input type="hidden" name="csrf" value="the-csrf"; };
        let operator = shown(vec![paused("northwind")], Some(&csrf));
        for part in [
            "is paused: Kommo answered 429, next try in",
            ">42 s</time>",
            "1 delivery waits.",
            "the-csrf",
            r#"action="/accounts/resume""#,
            r#"name="account" value="northwind.kommo.com""#,
            "Resume northwind now",
        ] {
            assert!(operator.contains(part), "{part}: {operator}");
        }
        let reader = shown(vec![paused("northwind")], None);
        assert!(reader.contains("Resume needs") && !reader.contains("<form"), "{reader}");
    }

    #[test]
    fn an_account_without_a_token_cannot_be_resumed() {
        let lost = Trouble {
            needs_authorization: true,
            until: None,
            authorize: Some("salesbot-bridge accounts authorize".into()),
            ..paused("litware")
        };
        let csrf = html! { "the-csrf" };
        let html = shown(vec![lost], Some(&csrf));
        assert!(html.contains("must be authorized: ") && html.contains("accounts authorize"), "{html}");
        assert!(!html.contains("<form"), "{html}");
    }

    #[test]
    fn many_accounts_are_counted_and_names_are_escaped() {
        let mut many: Vec<Trouble> = (0..1_000).map(|number| paused(&format!("a{number}"))).collect();
        many[0].name = "<script>".into();
        let html = shown(many, None);
        assert!(html.contains("996 more in trouble") && html.len() < 4_000, "{html}");
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"), "{html}");
    }
}
