//! Recognizes what people paste: the address of a lead, a `return_url`, the address or the id of a job, a trace.

use url::Url;

use super::{Condition, FilteredAccount};
use crate::{Entity, EntityKind, JobId, JobPrefix, ReturnUrl};

/// The first digits of an id that say for certain that the text is an id: the time of receipt.
const SURE_DIGITS: usize = JobId::SHORT_DIGITS;
/// The number of digits of a whole id.
const ALL_DIGITS: usize = 32;

/// Returns the conditions that `text` means, all of which have to match; `None` if it is a text to search for.
pub(super) fn recognize(text: &str) -> Option<Vec<Condition>> {
    if text.contains("://") {
        return url(text);
    }
    trace(text).or_else(|| id(text)).map(|prefix| vec![Condition::Id(prefix)])
}

/// The trace id of a `traceparent`, or the text itself. The trace of a job has the job's id.
pub(super) fn trace(text: &str) -> Option<JobPrefix> {
    let is_hex =
        |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = text.split('-').collect();
    let id = match parts[..] {
        [id] => id,
        [version, id, span, flags] if is_hex(version, 2) && is_hex(span, 16) && is_hex(flags, 2) => id,
        _ => return None,
    };
    is_hex(id, ALL_DIGITS).then(|| id.parse().ok()).flatten()
}

/// A text that can only be the beginning of a job's id. All ids begin with `01` until the year 2039.
fn id(text: &str) -> Option<JobPrefix> {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && digits < ALL_DIGITS;
    let is_sure = digits >= SURE_DIGITS && text.starts_with("01") && !is_number;
    text.parse().ok().filter(|_| is_sure)
}

fn url(text: &str) -> Option<Vec<Condition>> {
    if let Ok(return_url) = text.parse::<ReturnUrl>() {
        return Some(vec![Condition::ReturnUrl(return_url)]);
    }
    let url = Url::parse(text).ok()?;
    let account = Condition::Account(FilteredAccount::Host(host(&url)?));
    let parts: Vec<&str> = url.path_segments()?.filter(|part| !part.is_empty()).collect();
    let entity = |kind, id: &str| {
        let id = id.parse().ok()?;
        Some(vec![Condition::Entity(Entity { kind, id }), account.clone()])
    };
    match parts[..] {
        [] => Some(vec![account]),
        ["leads", "detail", id] => entity(EntityKind::Lead, id),
        ["contacts", "detail", id] => entity(EntityKind::Contact, id),
        ["customers", "detail", id] => entity(EntityKind::Customer, id),
        [.., "jobs", id] => Some(vec![Condition::Id(id.parse().ok()?)]),
        _ => None,
    }
}

/// The host of a URL, with the port unless it is the default.
pub(super) fn host(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}
