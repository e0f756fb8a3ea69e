//! `/handlers/{name}/test`: sends a test request to a handler at a URL, as `handlers test` does, and shows what its response
//! means. Nothing is stored, and no bot gets the answer.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;
use url::form_urlencoded;

use model::HandlerName;

use crate::admin::call::{Id, read, text};
use crate::admin::pages::gather::Visit;
use crate::admin::pages::parts::amount;
use crate::admin::pages::parts::icon::{Icon, icon};
use crate::admin::pages::parts::mark::{self, Tone};
use crate::admin::pages::parts::panel::{self, Answer};
use crate::admin::pages::shell::{Search, Shell, Tab};
use crate::admin::pages::{Page, not_found};
use crate::admin::{HandlerSettings, Shared, TrialView, refusal};

/// What the form sends at first.
const PING: &str = r#"{"message": "ping"}"#;

/// What became of a test.
#[derive(Debug)]
enum Tested {
    /// There was none yet.
    Not,
    /// Nothing was sent: why.
    Refused(StatusCode, String),
    /// A request was sent.
    Sent(TrialView),
}

/// `GET /handlers/{name}/test`
pub(in crate::admin::pages) async fn form(State(shared): State<Shared>, visit: Visit, name: Id) -> Response {
    let name = text(name);
    match find(&shared, &name) {
        Some(settings) => show(&visit.shell(&shared).await, &settings, PING, &Tested::Not),
        None => unknown(visit, &shared, &name).await,
    }
}

/// `POST /handlers/{name}/test` with the field `data`.
pub(in crate::admin::pages) async fn test(
    State(shared): State<Shared>,
    visit: Visit,
    name: Id,
    request: Request,
) -> Response {
    let name = text(name);
    let Some(settings) = find(&shared, &name) else { return unknown(visit, &shared, &name).await };
    let (data, tested) = match read(&shared, request).await {
        Ok(body) => {
            let mut fields = form_urlencoded::parse(&body).into_owned();
            let data = fields.find(|(name, _)| name == "data").map(|(_, data)| data).unwrap_or_default();
            let tested = send(&shared, &settings, &data).await;
            (data, tested)
        }
        Err(problem) => (PING.to_owned(), Tested::Refused(problem.status(), problem.detail().to_owned())),
    };
    show(&visit.shell(&shared).await, &settings, &data, &tested)
}

async fn send(shared: &Shared, settings: &HandlerSettings, data: &str) -> Tested {
    let data: Value = match serde_json::from_str(data) {
        Ok(data) => data,
        Err(error) => {
            return Tested::Refused(StatusCode::BAD_REQUEST, format!("The data is not valid JSON: {error}."));
        }
    };
    let Some(test) = shared.live.test_handler(&settings.name, data) else {
        return Tested::Refused(StatusCode::CONFLICT, not_at_a_url(&settings.name));
    };
    match test.await {
        Ok(trial) => {
            let meaning = trial.meaning;
            tracing::info!(handler = %settings.name, status = trial.status, meaning, "handler tested by operator");
            Tested::Sent(trial)
        }
        Err(why) => Tested::Refused(StatusCode::BAD_REQUEST, format!("Nothing was sent: {why}.")),
    }
}

fn find(shared: &Shared, name: &str) -> Option<HandlerSettings> {
    shared.live.handlers().into_iter().find(|settings| settings.name.as_str() == name)
}

async fn unknown(visit: Visit, shared: &Shared, name: &str) -> Response {
    let what = format!("There is no handler {}", refusal::short(name));
    not_found(visit, shared, Tab::Handlers, what).await
}

fn not_at_a_url(name: &HandlerName) -> String {
    format!("Handler {name} runs in this program, so there is no request to send.")
}

fn show(shell: &Shell, settings: &HandlerSettings, data: &str, tested: &Tested) -> Response {
    let body = html! {
        @if let Tested::Sent(trial) = tested { (result(trial)) }
        @if let Tested::Refused(_, why) = tested { (panel::note(Tone::Bad, Icon::X, why, "")) }
        @if let Some(url) = &settings.url {
            @if shell.visitor.may_change() { (request(shell, settings, url, data)) }
            @else { (panel::note(Tone::Plain, Icon::Lock, html! { "You have the read-only token. A test request needs " code { "admin.token" } "." }, "")) }
        }
    };
    let page = Page { tab: Tab::Handlers, search: Search::JOBS, answer: answer(settings, tested), body };
    match tested {
        Tested::Refused(status, _) => page.respond_with(*status, shell),
        Tested::Not | Tested::Sent(_) => page.respond(shell),
    }
}

/// Answers what the test showed.
fn answer(settings: &HandlerSettings, tested: &Tested) -> Answer {
    let name = &settings.name;
    let back = html! { a href="/handlers" { "Handlers" } " / " };
    let Tested::Sent(trial) = tested else {
        let why = html! {
            (back)
            @if settings.url.is_some() { "One request is sent to its URL. Nothing is stored, and no bot gets the answer." }
            @else { (not_at_a_url(name)) }
        };
        return Answer::new(Tone::Plain, Icon::Handlers, format!("Test handler {name}"), why);
    };
    let took = amount::duration(std::time::Duration::from_millis(trial.duration_ms));
    let why = trial.why.as_deref();
    let (tone, sign, sentence, means) = match trial.meaning {
        "answer" => (
            Tone::Ok,
            Icon::Ok,
            format!("{name} answers after {took}"),
            "The bot would get the completion below.",
        ),
        "callback" => (
            Tone::Ok,
            Icon::AwaitingCallback,
            format!("{name} accepts the request after {took}"),
            "The job would wait for its callback, until its time to answer is over.",
        ),
        "retry" => (Tone::Bad, Icon::Retry, format!("{name} does not answer"), "The bridge would retry:"),
        _ => {
            (Tone::Bad, Icon::Fallback, format!("{name} does not answer"), "The bot would get the fallback:")
        }
    };
    Answer::new(
        tone,
        sign,
        sentence,
        html! { (back) (means) @if let Some(why) = why { " " strong.wrap { (why) } } },
    )
}

fn result(trial: &TrialView) -> Markup {
    let took = amount::duration(std::time::Duration::from_millis(trial.duration_ms));
    let content = html! {
        div.in.stack data-still="" {
            dl.facts {
                dt { "Request" } dd { (amount::bytes(trial.request_bytes as u64)) }
                dt { "Response" }
                dd {
                    @match trial.status {
                        Some(status) => { "HTTP " (status) " after " (took) },
                        None => { (mark::mark(Tone::Bad, Icon::X, html! { "none after " (took) })) },
                    }
                }
            }
            @if let Some(completion) = &trial.completion {
                h3 { "The bot would get" }
                pre { (pretty(completion)) }
            }
            @if let Some(response) = &trial.response {
                h3 { "Beginning of the response" }
                pre { (response) }
            }
        }
    };
    panel::panel("h-re", "Result", html! { span.m { "shown once: a reload does not keep it" } }, content)
}

fn request(shell: &Shell, settings: &HandlerSettings, url: &str, data: &str) -> Markup {
    let content = html! {
        form.in.stack method="post" action={ "/handlers/" (settings.name) "/test" } {
            (shell.visitor.csrf_field())
            p.crumb { "POST " (url) }
            div {
                label for="data" { "What the widget would send, as JSON" }
                textarea.mono #data name="data" rows="5" spellcheck="false" { (data) }
            }
            p.acts {
                button.btn.go type="submit" { (icon(Icon::Delivering)) "Send a test request" }
                span.m { "waits up to " (amount::duration(std::time::Duration::from_millis(settings.attempt_timeout_ms))) " for the response" }
            }
        }
    };
    panel::panel("h-rq", "Test request", "", content)
}

/// JSON with one field on a line.
fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::answer::tests::handler;
    use super::*;

    #[test]
    fn the_answer_says_what_the_bot_would_get() {
        let settings = handler("greet").settings;
        let tested = |meaning, why: Option<&str>| {
            Tested::Sent(TrialView {
                request_bytes: 412,
                status: Some(200),
                duration_ms: 38,
                response: None,
                meaning,
                why: why.map(str::to_owned),
                completion: None,
            })
        };
        for (tested, tone, sentence, part) in [
            (Tested::Not, Tone::Plain, "Test handler greet", "no bot gets the answer"),
            (tested("answer", None), Tone::Ok, "greet answers after 38\u{a0}ms", "would get the completion"),
            (
                tested("callback", Some("do this")),
                Tone::Ok,
                "greet accepts the request after 38\u{a0}ms",
                "do this",
            ),
            (
                tested("retry", Some("<script>")),
                Tone::Bad,
                "greet does not answer",
                "retry: <strong class=\"wrap\">&lt;script&gt;",
            ),
            (tested("fail", Some("bad")), Tone::Bad, "greet does not answer", "fallback: "),
        ] {
            let answer = answer(&settings, &tested);
            assert_eq!((answer.tone, &*answer.sentence), (tone, sentence));
            let why = answer.why.into_string();
            assert!(why.contains(part), "{part} in {why}");
        }
        let local = HandlerSettings { url: None, ..settings };
        assert!(answer(&local, &Tested::Not).why.into_string().contains("runs in this program"));
    }
}
