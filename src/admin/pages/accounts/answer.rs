//! The sentence of the page: how many accounts need attention, and what to do first. Pure.

use maud::{Markup, html};

use model::Timestamp;

use super::account::{Deliveries, called, deliveries, is_in_trouble, rank};
use super::len;
use crate::admin::accounts::{AccountView, AccountsView};
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::Tone;
use crate::admin::pages::parts::panel::Answer;
use crate::admin::pages::parts::{amount, moment};
use crate::health::EverybodyWaits;

/// How many accounts the answer explains.
const EXPLAINED: usize = 2;

/// Answers which accounts get no deliveries.
pub(super) fn decide(
    listed: Result<&AccountsView, &String>,
    everybody: Option<&EverybodyWaits>,
    now: Timestamp,
) -> Answer {
    if let Some(EverybodyWaits { why, until }) = everybody {
        let why = html! {
            (why) "."
            @if let Some(until) = until { " The next delivery tests it in " (moment::countdown(*until, now)) "." }
        };
        return Answer::new(Tone::Bad, Icon::Warning, "All accounts are paused", why);
    }
    let AccountsView { accounts, installations } = match listed {
        Ok(listed) => listed,
        Err(why) => {
            let sentence = "The accounts could not be read";
            return Answer::new(Tone::Bad, Icon::Warning, sentence, html! { (why) });
        }
    };
    let mut troubled: Vec<&AccountView> = accounts.iter().filter(|one| is_in_trouble(one)).collect();
    troubled.sort_by_key(|one| rank(one));
    let waiting: u64 = accounts.iter().map(|one| one.account.waiting).sum();
    let confirm = html! {
        @if !installations.is_empty() {
            " " (amount::count(len(installations.len()), "installation")) " below "
            @if installations.len() == 1 { "waits" } @else { "wait" } " for confirmation."
        }
    };
    let Some(first) = troubled.first() else {
        let (tone, sign, sentence) = match accounts.len() {
            0 => (Tone::Plain, Icon::Info, "No account is connected yet".to_owned()),
            1 => (Tone::Ok, Icon::Ok, "The account gets its deliveries".to_owned()),
            all => (
                Tone::Ok,
                Icon::Ok,
                format!("All {} accounts get their deliveries", amount::number(len(all))),
            ),
        };
        let why = html! {
            @if accounts.is_empty() { "The bridge sends nothing to Kommo until you connect an account." }
            @else if waiting == 0 { "No delivery waits." }
            @else { (deliveries_wait(waiting)) " to be sent now." }
            (confirm)
        };
        return Answer::new(tone, sign, sentence, why);
    };
    let is_bad = troubled.iter().any(|one| one.account.waiting > 0 && deliveries(one).look().0 == Tone::Bad);
    let tone = if is_bad { Tone::Bad } else { Tone::Warn };
    let needs = if troubled.len() == 1 { "needs" } else { "need" };
    let sentence = format!(
        "{} of {} {needs} attention",
        amount::number(len(troubled.len())),
        amount::count(len(accounts.len()), "account")
    );
    let explained = &troubled[..troubled.len().min(EXPLAINED)];
    let why = html! {
        @for one in explained { (explain(one, now)) " " }
        @if troubled.len() > EXPLAINED { (amount::number(len(troubled.len() - EXPLAINED))) " more need it, too." }
        (confirm)
    };
    Answer::new(tone, deliveries(first).look().1, sentence, why)
}

/// One sentence about an account in trouble.
fn explain(one: &AccountView, now: Timestamp) -> Markup {
    let waiting = html! {
        @match one.account.waiting {
            0 => "nothing waits for it.",
            jobs => { (deliveries_wait(jobs)) " for it." },
        }
    };
    html! {
        strong {
            (called(one))
            @match deliveries(one) {
                Deliveries::NeedsAuthorization(_) => " must be authorized",
                Deliveries::Revoked(_) => " has disconnected the bridge",
                Deliveries::Paused { .. } => " is paused",
                Deliveries::Open => " gets its deliveries",
            }
        }
        @if let Deliveries::Paused { why, until, .. } = deliveries(one) {
            ": " (why)
            @if let Some(until) = until { ", tries again in " (moment::countdown(until, now)) }
        }
        "; " (waiting)
    }
}

fn deliveries_wait(waiting: u64) -> String {
    match waiting {
        1 => "1\u{a0}delivery waits".to_owned(),
        jobs => format!("{}\u{a0}deliveries wait", amount::number(jobs)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::WaitCause;

    use super::super::account::tests::{NOW, account, paused, unauthorized};
    use super::*;

    #[test]
    fn the_sentence_says_how_many_accounts_need_attention() {
        let storm = |waiting| paused("northwind.kommo.com", WaitCause::TooMany, waiting);
        for (accounts, tone, sentence, part) in [
            (vec![], Tone::Plain, "No account is connected yet", "until you connect"),
            (vec![account("a")], Tone::Ok, "The account gets its deliveries", "No delivery waits."),
            (
                vec![account("a"), account("b")],
                Tone::Ok,
                "All 2 accounts get their deliveries",
                "No delivery",
            ),
            (
                vec![account("a"), storm(3)],
                Tone::Warn,
                "1 of 2\u{a0}accounts needs attention",
                "Kommo answered 429, tries again in ",
            ),
            (
                vec![unauthorized("litware.kommo.com", 0), storm(1), account("a")],
                Tone::Warn,
                "2 of 3\u{a0}accounts need attention",
                "<strong>litware.kommo.com must be authorized</strong>; nothing waits for it.",
            ),
            (
                vec![unauthorized("<script>", 5), storm(1), storm(0)],
                Tone::Bad,
                "3 of 3\u{a0}accounts need attention",
                "&lt;script&gt; must be authorized</strong>; 5\u{a0}deliveries wait for it.",
            ),
        ] {
            let listed = AccountsView { accounts, installations: Vec::new() };
            let answer = decide(Ok(&listed), None, NOW);
            assert_eq!((answer.tone, &*answer.sentence), (tone, sentence));
            let why = answer.why.into_string();
            assert!(why.contains(part), "{part} in {why}");
        }
    }

    #[test]
    fn a_pause_of_all_accounts_comes_first() {
        let until = Some(NOW + Duration::from_secs(38));
        let everybody = EverybodyWaits { why: "Kommo blocks this address".into(), until };
        let answer = decide(Ok(&AccountsView::default()), Some(&everybody), NOW);
        assert_eq!((answer.tone, &*answer.sentence), (Tone::Bad, "All accounts are paused"));
        assert!(answer.why.into_string().contains("38\u{a0}s"));
        let why = "The store did not answer within 2 s.".to_owned();
        assert_eq!(decide(Err(&why), None, NOW).sentence, "The accounts could not be read");
    }
}
