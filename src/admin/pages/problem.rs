//! Errors as pages: what a program gets as a problem, a browser gets in the layout, with the navigation and the reason.
//!
//! A page that knows more about its error shows it itself. This is for everything else: an unknown address, a form that
//! cannot be read, a store that fails.

use axum::body::Body;
use axum::response::{Html, IntoResponse, Response};
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use maud::{Markup, html};

use super::Visit;
use super::parts::icon::{Icon, icon};
use super::parts::mark::Tone;
use super::parts::panel::Answer;
use super::parts::text::with_code;
use super::shell::{Search, Tab};
use crate::admin::Shared;
use crate::admin::refusal::short;
use crate::problem::{ProblemDetails, Unrouted};

/// The request of a response.
pub(in crate::admin) struct Requested {
    pub(in crate::admin) visit: Visit,
    pub(in crate::admin) method: Method,
    pub(in crate::admin) path: String,
}

/// Shows an error as a page. Any other response, and an error that is a page already, stays as it is.
pub(in crate::admin) async fn in_layout(
    requested: Requested,
    shared: &Shared,
    response: Response,
) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || is_page(response.headers()) {
        return response;
    }
    let Requested { visit, method, path } = requested;
    let error = ShownError {
        problem: response.extensions().get::<ProblemDetails>(),
        unrouted: response.extensions().get::<Unrouted>().copied(),
        status,
        is_form: !method.is_safe(),
        path: &path,
    };
    let tab = Tab::of(&path);
    let answer = error.answer(response.headers().get(ALLOW).and_then(|allow| allow.to_str().ok()));
    let links = error.links(tab);
    let shell = visit.shell(shared).await;
    let main = html! { (answer.render(false)) (links) };
    let document = shell.document(tab, &answer.sentence, &Search::JOBS, &main);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    let body: Response = Html(document).into_response();
    parts.headers.extend(body.headers().clone());
    Response::from_parts(parts, Body::new(body.into_body()))
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/html"))
}

/// What is known about an error.
struct ShownError<'a> {
    problem: Option<&'a ProblemDetails>,
    unrouted: Option<Unrouted>,
    status: StatusCode,
    /// Whether the request sent a form.
    is_form: bool,
    path: &'a str,
}

impl ShownError<'_> {
    /// Says what is wrong. `allowed` are the methods of the address.
    fn answer(&self, allowed: Option<&str>) -> Answer {
        let path = short(self.path);
        match (self.unrouted, self.problem) {
            (Some(Unrouted::Path), _) => {
                let why =
                    html! { "Check the address. The navigation leads to all pages; the search finds jobs." };
                Answer::new(Tone::Warn, Icon::Info, format!("There is no page {path}"), why)
            }
            (Some(Unrouted::Method), _) if !self.is_form => {
                let why = html! { "This address only takes the form of another page. Open that page, and use its button." };
                Answer::new(Tone::Warn, Icon::Info, format!("There is nothing to show at {path}"), why)
            }
            (Some(Unrouted::Method), _) => {
                let why = html! {
                    "Nothing was changed."
                    @if let Some(allowed) = allowed { " This address accepts: " (allowed) "." }
                };
                Answer::new(Tone::Bad, Icon::X, format!("The page {path} takes no form"), why)
            }
            (None, Some(problem)) => {
                let why = html! { (with_code(problem.detail())) };
                Answer::new(self.tone(), Icon::Warning, problem.title().to_owned(), why)
            }
            (None, None) => {
                let name = self.status.canonical_reason().unwrap_or("Error");
                let why = html! { "The bridge refused the request with the status " (self.status.as_u16()) ". The log may say more." };
                Answer::new(self.tone(), Icon::Warning, name, why)
            }
        }
    }

    fn tone(&self) -> Tone {
        if self.status == StatusCode::NOT_FOUND { Tone::Warn } else { Tone::Bad }
    }

    /// Where to go.
    fn links(&self, tab: Option<Tab>) -> Markup {
        let may_repeat = !self.is_form && self.unrouted.is_none();
        html! {
            p.acts {
                @if may_repeat { a.btn href="" { (icon(Icon::Refresh)) "Try again" } }
                @if let Some(tab) = tab.filter(|tab| *tab != Tab::Now) { a.btn href=(tab.path()) { (tab.name()) } }
                a.btn href=(Tab::Now.path()) { "Start page" }
                @if self.is_form { span.m { "Or go back in the browser to the form." } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_names_the_address_or_the_reason() {
        let problem = ProblemDetails::new(StatusCode::CONFLICT, "x", "It is done", "See `<id>`.");
        for (problem, unrouted, is_form, path, sentence, part) in [
            (None, Some(Unrouted::Path), false, "/x", "There is no page /x", "Check the address"),
            (None, Some(Unrouted::Path), true, "/x", "There is no page /x", "Check the address"),
            (
                None,
                Some(Unrouted::Method),
                false,
                "/jobs/selected",
                "There is nothing to show at /jobs/selected",
                "Open that page",
            ),
            (
                None,
                Some(Unrouted::Method),
                true,
                "/errors",
                "The page /errors takes no form",
                "accepts: GET,HEAD.",
            ),
            (Some(&problem), None, true, "/x", "It is done", "See <code>&lt;id&gt;</code>."),
            (None, None, false, "/x", "Conflict", "status 409"),
        ] {
            let error = ShownError { problem, unrouted, status: StatusCode::CONFLICT, is_form, path };
            let answer = error.answer(Some("GET,HEAD"));
            assert_eq!(answer.sentence, sentence);
            let why = answer.why.into_string();
            assert!(why.contains(part), "{part} in {why}");
            let links = error.links(Tab::of(path)).into_string();
            assert_eq!(links.contains("Try again"), !is_form && unrouted.is_none(), "{links}");
            assert_eq!(links.contains("go back in the browser"), is_form, "{links}");
        }
        let long = format!("/{}", "a".repeat(5_000));
        let error = ShownError {
            problem: None,
            unrouted: Some(Unrouted::Path),
            status: StatusCode::NOT_FOUND,
            is_form: false,
            path: &long,
        };
        assert!(error.answer(None).sentence.len() < 100);
    }
}
