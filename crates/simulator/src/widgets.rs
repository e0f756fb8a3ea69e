//! The widgets API of the account: list, show, install, uninstall.

use http::Method;
use http::request::Parts;
use serde_json::{Value, json};

use super::account::{Account, lock};
use super::answer::{self, Answer, FieldError};
use super::install;

const PAGE: &str = "1";
const LIMIT: &str = "50";
const MAX_LIMIT: usize = 250;

/// Handles an authorized call below `/api/v4/widgets`; `rest` is the path after that.
pub(super) fn handle(account: &Account, head: &Parts, rest: &str, body: &[u8]) -> Answer {
    match (rest.strip_prefix('/'), &head.method) {
        (None, _) if !rest.is_empty() => answer::problem(404),
        (None, &Method::GET) => list(account, head.uri.query().unwrap_or_default()),
        (None, _) => answer::method("GET"),
        (Some(code), &Method::GET) => show(account, code),
        (Some(code), &Method::POST) => install(account, code, body),
        (Some(code), &Method::DELETE) => uninstall(account, code),
        (Some(_), _) => answer::method("GET, POST, DELETE"),
    }
}

fn list(account: &Account, query: &str) -> Answer {
    let (page, limit) =
        match (number(query, "page", PAGE, usize::MAX), number(query, "limit", LIMIT, MAX_LIMIT)) {
            (Ok(page), Ok(limit)) => (page, limit),
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => return answer::invalid_fields(&[error]),
            (Err(page), Err(limit)) => return answer::invalid_fields(&[page, limit]),
        };
    let widgets = lock(&account.widgets);
    let first = (page - 1).saturating_mul(limit);
    let Some(rest) = widgets.get(first..).filter(|rest| !rest.is_empty()) else {
        return answer::no_content();
    };
    let models: Vec<_> =
        rest.iter().take(limit).map(|widget| widget.model(&account.base_url, false)).collect();
    let href = |page: usize| json!({ "href": format!("{}/api/v4/widgets?limit={limit}&page={page}", account.base_url) });
    let mut links = json!({ "self": href(page) });
    if rest.len() > limit {
        links["next"] = href(page + 1);
    }
    answer::hal(&json!({ "_page": page, "_links": links, "_embedded": { "widgets": models } }))
}

/// A number from 1 to `max` in the query.
fn number(query: &str, name: &str, default: &str, max: usize) -> Result<usize, FieldError> {
    let given = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).last();
    let text = given.map_or_else(|| default.to_owned(), |(_, value)| value.into_owned());
    let detail = match text.parse() {
        Ok(number) if (1..=max).contains(&number) => return Ok(number),
        Ok(0_usize) => "This value should be 1 or more.".to_owned(),
        Ok(_) => format!("This value should be {max} or less."),
        Err(_) => "This value should be of type int.".to_owned(),
    };
    Err(FieldError { code: "InvalidValue", path: name.to_owned(), detail })
}

/// Shows a widget; with `settings` only if it belongs to the account's own integration, which is the caller.
fn show(account: &Account, code: &str) -> Answer {
    let own = Some(&account.options.client_uuid);
    match lock(&account.widgets).iter().find(|widget| widget.code == code) {
        Some(widget) => answer::hal(&widget.model(&account.base_url, widget.client_uuid.as_ref() == own)),
        None => answer::problem(404),
    }
}

fn install(account: &Account, code: &str, body: &[u8]) -> Answer {
    if !account.is_administrator() {
        return answer::problem(403);
    }
    let mut widgets = lock(&account.widgets);
    let Some(widget) = widgets.iter_mut().find(|widget| widget.code == code) else {
        return answer::problem(404);
    };
    match install::settings(&widget.settings_template, body) {
        Ok(settings) => widget.settings = Some(settings),
        Err(errors) => return answer::invalid_fields(&errors),
    }
    answer::hal(&widget.model(&account.base_url, true))
}

/// Uninstalls a widget. Idempotent: a widget that is not installed also gets 204.
fn uninstall(account: &Account, code: &str) -> Answer {
    if !account.is_administrator() {
        return answer::problem(403);
    }
    match lock(&account.widgets).iter_mut().find(|widget| widget.code == code) {
        Some(widget) => widget.settings = None,
        None => return answer::problem(404),
    }
    answer::no_content()
}

/// The widget with this code as the API shows it to the integration that owns it.
pub(super) fn model(account: &Account, code: &str) -> Option<Value> {
    let widgets = lock(&account.widgets);
    widgets.iter().find(|widget| widget.code == code).map(|widget| widget.model(&account.base_url, true))
}
