//! What the widget sent, and what the bot gets: hidden, masked or shown, as `admin.show_data` and the visitor's role say.

use maud::{Markup, html};
use serde_json::Value;

use model::{CheckedCompletion, Job, JobId, JobRecord, Outcome};

use super::super::parts::amount;
use super::super::parts::icon::{Icon, icon};
use super::super::parts::mark::Tone;
use super::super::parts::panel::{empty, panel};
use super::path;
use super::query::LONG;
use super::view::Shown;
use crate::admin::access::{Bodies, Visitor};
use crate::admin::masked;

/// A body.
#[derive(Debug, PartialEq, Eq)]
struct Body {
    title: String,
    bytes: usize,
    /// `None` if it is hidden.
    text: Option<Text>,
}

/// The beginning of a body.
#[derive(Debug, PartialEq, Eq)]
struct Text {
    shown: String,
    /// The length of the whole text; `None` if it is shown completely.
    of: Option<usize>,
}

/// The bodies of a job, each at most `limit` bytes long.
fn bodies(job: &Job, seen_as: Bodies, limit: usize) -> Vec<Body> {
    let body = |title: &str, value: &Value, bytes: usize| {
        let text =
            (seen_as != Bodies::Hidden).then(|| cut(pretty(&masked::body(value.clone(), seen_as)), limit));
        Body { title: title.to_owned(), bytes, text }
    };
    let of_value = |title: &str, value: &Value| body(title, value, value.to_string().len());
    let of_completion = |title: &str, completion: &CheckedCompletion| {
        let json = completion.as_json();
        // A completion is the JSON of a value, so no digit is lost.
        body(title, &serde_json::from_str(json).unwrap_or_default(), json.len())
    };
    let mut bodies = vec![of_value("Input", &job.request.data)];
    if !job.request.earlier.is_empty() {
        let earlier = Value::Array(job.request.earlier.clone());
        bodies.push(of_value("Earlier messages, answered together", &earlier));
    }
    if let Some(prepared) = job.state.prepared() {
        let title = match prepared.outcome {
            Outcome::Handler => "Completion",
            Outcome::Fallback(_) => "Completion, the fallback",
        };
        bodies.push(of_completion(title, &prepared.completion));
    }
    if let Some(completion) = &job.handler_completion {
        bodies.push(of_completion("The handler's answer, which the fallback replaced", completion));
    }
    bodies
}

/// JSON with a line for each value. Numbers are written with the digits that were received.
fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// The beginning of a text.
fn cut(text: String, limit: usize) -> Text {
    if text.len() <= limit {
        return Text { shown: text, of: None };
    }
    let of = Some(text.len());
    Text { shown: text.get(..text.floor_char_boundary(limit)).unwrap_or_default().to_owned(), of }
}

/// The panel.
pub(super) fn render(job: &JobRecord, visitor: &Visitor, shown: &Shown) -> Markup {
    let seen_as = shown.seen_as(visitor);
    let how = match seen_as {
        Bodies::Hidden => "hidden (admin.show_data)",
        Bodies::Masked { .. } => "masked (admin.show_data)",
        Bodies::Full if shown.is_revealed => "shown once, and recorded in Actions",
        Bodies::Full => "shown (admin.show_data)",
    };
    let JobRecord::Whole(whole) = job else {
        let why =
            "The bridge dropped them to free space, or an operator erased them. The rest of the job is kept.";
        return panel(
            "h-data",
            "Data",
            html! {},
            empty(Tone::Plain, Icon::Lock, "The texts are gone.", why, html! {}),
        );
    };
    let id = whole.id;
    let body = html! {
        div.in.stack {
            @if let Bodies::Masked { may_reveal } = seen_as { (reveal(id, may_reveal, visitor)) }
            div.grid.c2 {
                @for one in bodies(whole, seen_as, shown.limit) { (section(id, &one, seen_as)) }
            }
        }
    };
    panel("h-data", "Data", html! { span.m { (how) } }, body)
}

fn reveal(id: JobId, may_reveal: bool, visitor: &Visitor) -> Markup {
    html! {
        @if may_reveal {
            form method="post" action={ (path(id)) "/reveal#h-data" } {
                (visitor.csrf_field())
                button.btn.s type="submit" { (icon(Icon::Lock)) "Show, and record it in Actions" }
            }
        } @else {
            p.m { "Only lengths are shown. To see the texts, sign in with " code { "admin.token" } "." }
        }
    }
}

fn section(id: JobId, body: &Body, seen_as: Bodies) -> Markup {
    let size = amount::bytes(wide(body.bytes));
    html! {
        div.stack {
            h3 { (body.title) ", " (size) }
            @match &body.text {
                None => p.m { "Hidden: it may hold what the customer wrote. " code { "jobs show " (id) } " on the bridge's machine shows it." },
                Some(text) => {
                    // It scrolls, so the keyboard has to reach it.
                    pre tabindex="0" role="region" aria-label=(body.title) { (text.shown) }
                    @if let Some(of) = text.of {
                        p.m {
                            "The first " (amount::bytes(wide(text.shown.len()))) " of " (amount::bytes(wide(of))) ". "
                            @if seen_as == Bodies::Full && text.shown.len() < LONG / 2 {
                                a href={ (path(id)) "?data=long#h-data" } { "Show up to " (amount::bytes(wide(LONG))) } ". "
                            }
                            "All of it: " code { "salesbot-bridge jobs show " (id) " --json" }
                        }
                    }
                }
            }
        }
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use model::{AccountId, QueueWait, State, Timestamp, WidgetRequest};
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn job(data: Value) -> Job {
        Job {
            id: JobId::new(NOW, 1),
            handler: "greet".parse().unwrap(),
            request: WidgetRequest {
                account_id: AccountId(1),
                entity: None,
                return_url: "https://a.kommo.com/api/v4/salesbot/1/continue/c1".parse().unwrap(),
                data,
                earlier: Vec::new(),
            },
            received_at: NOW,
            answer_by: NOW,
            handler_attempts: 0,
            delivery_attempts: 0,
            last_error: None,
            error_group: None,
            handler_completion: None,
            joined_into: None,
            state: State::Queued(QueueWait::Until(NOW)),
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let data: Value = serde_json::from_str(r#"{"table_id":9007199254740993,"deposit":0.1}"#).unwrap();
        let shown = bodies(&job(data), Bodies::Full, LONG).remove(0);
        assert_eq!(shown.text.unwrap().shown, "{\n  \"deposit\": 0.1,\n  \"table_id\": 9007199254740993\n}");
    }

    #[test]
    fn a_body_is_hidden_masked_or_shown() {
        let job = job(json!({ "message": "hello" }));
        let text = |seen_as| bodies(&job, seen_as, LONG).remove(0).text.map(|text| text.shown);
        assert_eq!(text(Bodies::Hidden), None);
        let masked = text(Bodies::Masked { may_reveal: true }).unwrap();
        assert!(masked.contains("message") && !masked.contains("hello"), "{masked}");
        assert!(text(Bodies::Full).unwrap().contains("hello"));
    }

    #[test]
    fn a_large_body_is_cut_between_characters() {
        let large = bodies(&job(json!("ä".repeat(600_000))), Bodies::Full, LONG).remove(0);
        let text = large.text.unwrap();
        assert_eq!((large.bytes, text.of), (1_200_002, Some(1_200_002)));
        assert!(text.shown.len() > LONG - 2 && text.shown.len() <= LONG);
    }
}
