//! The answer of an operator in place of the handler's: the form, and the check of what was typed.

use maud::{Markup, html};

use model::{CheckedCompletion, JobId, repaired_json};

use super::super::parts::icon::{Icon, icon};
use super::super::parts::panel::panel;
use super::path;
use crate::admin::access::Visitor;
use crate::handler::completion_json;

/// What the form contains at first.
const EXAMPLE: &str = r#"{"data": {"status": "success", "reply": ""}}"#;

/// What was typed and is not a completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) text: String,
    pub(super) why: String,
}

/// Checks what was typed, without losing a digit.
///
/// # Errors
/// Why Kommo, or the bridge, would not accept it.
pub(super) fn check(text: &str) -> Result<CheckedCompletion, String> {
    if text.trim().is_empty() {
        return Err("It is empty: write what the handler would answer.".to_owned());
    }
    let value = serde_json::from_str(&repaired_json(text.as_bytes()))
        .map_err(|error| format!("It is not valid JSON: {error}."))?;
    completion_json::checked(&value).map_err(|why| format!("It cannot be sent: {why}."))
}

/// The panel.
pub(super) fn render(id: JobId, typed: Option<&Typed>, visitor: &Visitor) -> Markup {
    let text = typed.map_or(EXAMPLE, |typed| typed.text.as_str());
    let body = html! {
        div.in {
            form.stack method="post" action={ (path(id)) "/complete#complete" } {
                (visitor.csrf_field())
                label.m for="cp" {
                    "JSON that the bot gets in place of its handler's answer. It is checked against Kommo's limits before it is sent."
                }
                textarea.mono.err[typed.is_some()] #cp name="completion" rows="5" cols="50" spellcheck="false" required
                    aria-invalid=[typed.map(|_| "true")] aria-describedby=[typed.map(|_| "cp-e")] { (text) }
                @if let Some(typed) = typed {
                    p.why.bad #cp-e role="alert" { (icon(Icon::X)) span { (typed.why) } }
                }
                div { button.btn type="submit" { "Check and send" } }
            }
        }
    };
    html! { div #complete { (panel("h-cp", "Complete by hand", html! {}, body)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_checked_and_keeps_its_digits() {
        let json = |text| check(text).unwrap().as_json().to_owned();
        assert_eq!(json(r#"{"data":{"n":9007199254740993}}"#), r#"{"data":{"n":9007199254740993}}"#);
        assert_eq!(json(r#"{"n":123456789012345678901}"#), r#"{"data":{"n":"123456789012345678901"}}"#);
        for (text, part) in [
            (" ", "It is empty"),
            ("{\n\"data\":", "line 2"),
            ("[]", "exactly one object"),
            (r#"{"execute_handlers":[]}"#, "is empty"),
        ] {
            let why = check(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
