//! Why the job is in its state, what happens next, and what an operator can do about it.

use std::time::Duration;

use maud::{Markup, html};
use url::form_urlencoded;

use model::{ExplainCode, Explanation, JobId, OutcomeName, StateName, Timestamp, WaitCause};

use super::super::now::what_then;
use super::super::parts::icon::{Icon, icon};
use super::super::parts::mark::Tone;
use super::super::parts::panel::{panel, unreadable};
use super::super::parts::text::capital;
use super::super::parts::{amount, moment};
use super::choice::{Choice, Retry, instead};
use super::path;
use super::read::Seen;
use super::text::{host, rich, sentence};
use crate::admin::access::Visitor;

/// The panel.
pub(super) fn render(seen: &Seen, choice: Choice, visitor: &Visitor) -> Markup {
    let body = html! {
        @match &seen.explained {
            Ok((explanation, _)) => {
                div.in.stack {
                    (because(explanation, seen.now))
                    p.next { strong { "Next:" } " " (next(explanation, seen)) }
                    (actions(seen, choice, visitor))
                    (commands(explanation))
                }
            }
            Err(why) => (unreadable(why)),
        }
    };
    panel("h-why", "Why, and what you can do", html! {}, body)
}

fn because(explanation: &Explanation, now: Timestamp) -> Markup {
    html! {
        ul.because {
            @for reason in &explanation.because {
                @let (tone, sign) = look(reason.code);
                li.(tone.class()) {
                    (icon(sign))
                    span {
                        (rich(&sentence(&reason.text)))
                        @if let Some(since) = reason.since.filter(|since| *since < now) {
                            " For " (amount::age(now.since(since))) "."
                        }
                        @if let Some(until) = reason.until.filter(|until| *until > now) {
                            " " (capital(what_then(reason.code))) " in " (moment::countdown(until, now)) "."
                        }
                    }
                    code { (reason.code) }
                }
            }
        }
    }
}

/// How a reason looks.
const fn look(code: ExplainCode) -> (Tone, Icon) {
    match code {
        ExplainCode::Answered => (Tone::Ok, Icon::Ok),
        ExplainCode::Handler => (Tone::Active, Icon::Running),
        ExplainCode::Callback => (Tone::Active, Icon::AwaitingCallback),
        ExplainCode::Response => (Tone::Active, Icon::Delivering),
        ExplainCode::Conversation
        | ExplainCode::Messages
        | ExplainCode::Worker
        | ExplainCode::Pace
        | ExplainCode::Turn => (Tone::Plain, Icon::Queued),
        ExplainCode::HandlerBusy
        | ExplainCode::MaxAwaiting
        | ExplainCode::HandlerRetry
        | ExplainCode::HandlerUnreachable
        | ExplainCode::DeliveryRetry
        | ExplainCode::Late
        | ExplainCode::Superseded => (Tone::Warn, Icon::Warning),
        ExplainCode::Fallback => (Tone::Warn, Icon::Fallback),
        ExplainCode::NoBot => (Tone::Warn, Icon::Gone),
        ExplainCode::Account(WaitCause::Unauthorized | WaitCause::NotConnected) => (Tone::Bad, Icon::Key),
        ExplainCode::Account(_) | ExplainCode::AllAccounts => (Tone::Warn, Icon::Paused),
        ExplainCode::GaveUp
        | ExplainCode::Refused
        | ExplainCode::NeverConnected
        | ExplainCode::NoHandler
        | ExplainCode::Bridge => (Tone::Bad, Icon::Dead),
        ExplainCode::Cancelled => (Tone::Plain, Icon::Cancelled),
        ExplainCode::Joined => (Tone::Plain, Icon::Info),
    }
}

fn next(explanation: &Explanation, seen: &Seen) -> Markup {
    let Seen { now, retention, summary, .. } = seen;
    html! {
        @match &explanation.next {
            Some(next) => {
                (next.what)
                @if let Some(at) = next.at.filter(|at| at > now) {
                    " (" (moment::moment(at, *now)) ", in " (moment::countdown(at, *now)) ")"
                }
                "."
            }
            None => (end(summary.state, *retention)),
        }
    }
}

/// What happens to a job for which the bridge plans nothing.
fn end(state: StateName, retention: Duration) -> String {
    let kept = amount::age(retention);
    match state {
        StateName::Dead | StateName::Gone => {
            format!(
                "nothing happens until you act. The job is deleted {kept} after its end (store.retention)."
            )
        }
        state if !state.is_finished() => "the bridge continues as soon as it can.".to_owned(),
        _ => format!("nothing. The job is finished, and is deleted {kept} after its end (store.retention)."),
    }
}

fn actions(seen: &Seen, choice: Choice, visitor: &Visitor) -> Markup {
    let id = seen.summary.id;
    html! {
        @if visitor.may_change() {
            div.acts {
                @if let Some(host) = blocked_by(seen) {
                    a.btn.go href={ "/accounts?" (find(host)) } { (icon(Icon::Accounts)) "Show the account" }
                }
                @if let Some(retry) = choice.retry {
                    (retry_forms(id, retry, blocked_by(seen).is_none(), visitor))
                }
                @if needs_handler(seen) {
                    a.btn href={ "/handlers/" (seen.summary.handler) "/test" } { (icon(Icon::Handlers)) "Test the handler" }
                }
                @if choice.can_complete {
                    a.btn href="#complete" { (icon(Icon::Edit)) "Complete by hand" }
                }
                @if seen.job.clone().whole().is_some() {
                    a.btn href="#simulate" { (icon(Icon::Copy)) "Replay locally" }
                }
                @if choice.can_cancel {
                    form method="post" action={ (path(id)) "/cancel" } {
                        (visitor.csrf_field())
                        button.btn type="submit" { (icon(Icon::X)) "Cancel the job" }
                    }
                }
            }
            @if let Some(retry) = choice.retry { p.m { (retry.what()) } }
            @if choice.can_cancel { p.m { "A cancelled job never continues its bot." } }
        } @else if choice.retry.is_some() || choice.can_complete || choice.can_cancel {
            p.why { (icon(Icon::Lock)) span { "You may only look: retry, cancel and complete need " code { "admin.token" } "." } }
        }
        @if choice.is_erased {
            p.m { "The texts of this job were erased, so its answer cannot be sent again." }
        }
    }
}

/// The host of the account for which the job waits, which has to be mended first; `None` if it does not wait for one.
fn blocked_by(seen: &Seen) -> Option<&str> {
    let first = seen.explanation()?.because.first()?.code;
    matches!(first, ExplainCode::Account(_)).then(|| host(&seen.summary))
}

/// The query that finds an account.
fn find(host: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("find", host).finish()
}

/// Whether the handler is at fault, and a test request may show why.
fn needs_handler(seen: &Seen) -> bool {
    use ExplainCode::{Fallback, HandlerRetry, HandlerUnreachable};
    let is_at_url = seen.settings.as_ref().is_some_and(|settings| settings.url.is_some());
    let mut reasons = seen.explanation().into_iter().flat_map(|explanation| &explanation.because);
    is_at_url && reasons.any(|reason| matches!(reason.code, Fallback | HandlerRetry | HandlerUnreachable))
}

fn retry_forms(id: JobId, retry: Retry, is_first: bool, visitor: &Visitor) -> Markup {
    html! {
        form method="post" action={ (path(id)) "/retry" } {
            (visitor.csrf_field())
            @if retry.is_superseded { input type="hidden" name="force" value="true"; }
            button.btn.go[is_first && !retry.is_superseded] type="submit" data-key="r" { (icon(Icon::Retry)) (retry.label()) }
        }
        @if let Some(other) = retry.instead {
            form method="post" action={ (path(id)) "/retry" } {
                (visitor.csrf_field())
                @if retry.is_superseded { input type="hidden" name="force" value="true"; }
                @let icon_of = if other == OutcomeName::Fallback { Icon::Fallback } else { Icon::Handlers };
                button.btn type="submit" name="send" value=(other.as_str()) { (icon(icon_of)) (instead(other)) }
            }
        }
    }
}

/// The advice, and the commands that do the same in a shell.
fn commands(explanation: &Explanation) -> Markup {
    let advice = explanation.you_can.iter().filter(|one| one.command.is_none());
    let commands = explanation.you_can.iter().filter_map(|one| Some((&one.action, one.command.as_ref()?)));
    let first = explanation.because.first().map(|reason| reason.code);
    // Then the commands are the only way out.
    let is_for_shell = advice.clone().next().is_none() && matches!(first, Some(ExplainCode::Account(_)));
    html! {
        @for one in advice { p { (rich(&sentence(&one.action))) } }
        @if commands.clone().next().is_some() {
            details.more id="commands" open[is_for_shell] {
                summary { "In a shell" }
                @for (action, command) in commands {
                    p.cmd.m {
                        span { (rich(action)) ":" }
                        code { (command) }
                        button.btn.s type="button" hidden data-copy=(command) { "Copy" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_next_step() {
        for state in StateName::ALL {
            let text = end(state, Duration::from_secs(14 * 86_400)).replace('\u{a0}', " ");
            let expected = match state {
                StateName::Dead | StateName::Gone => "until you act. The job is deleted 14 d after its end",
                _ if state.is_finished() => "nothing. The job is finished",
                _ => "the bridge continues",
            };
            assert!(text.contains(expected), "{state}: {text}");
        }
    }
}
