//! Reads the form of a page.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use url::form_urlencoded;

use crate::request_body::{self, ReadError};

use super::super::MAX_BODY;
use super::refusal::Refusal;

/// How long a form may take to arrive.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// The fields of a form.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The value of a field; `None` if it occurs never or more than once.
    pub(super) fn only(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str());
        found.next().filter(|_| found.next().is_none())
    }
}

/// Reads a form. Also returns its bytes.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<(Bytes, Fields), Refusal> {
    if !is_form(headers) {
        return Err(Refusal::NotAForm);
    }
    let bytes = request_body::read(body, MAX_BODY, FORM_TIMEOUT).await.map_err(|error| match error {
        ReadError::TooLarge { limit } => Refusal::LargeForm(limit),
        ReadError::Slow | ReadError::Broken => Refusal::IncompleteForm,
    })?;
    let fields = form_urlencoded::parse(&bytes).into_owned().collect();
    Ok((bytes, Fields(fields)))
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let kind = kinds.next().filter(|_| kinds.next().is_none()).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_one_content_type_is_a_form() {
        for (kinds, expected) in [
            (&["application/x-www-form-urlencoded"][..], true),
            (&["Application/X-WWW-Form-Urlencoded; charset=utf-8"], true),
            (&[], false),
            (&[""], false),
            (&["application/json"], false),
            (&["text/plain"], false),
            (&["multipart/form-data; boundary=application/x-www-form-urlencoded"], false),
            (&["application/x-www-form-urlencoded", "application/json"], false),
        ] {
            let headers = kinds.iter().map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind))).collect();
            assert_eq!(is_form(&headers), expected, "{kinds:?}");
        }
    }

    #[test]
    fn a_repeated_field_has_no_value() {
        let fields = |text: &str| Fields(form_urlencoded::parse(text.as_bytes()).into_owned().collect());
        assert_eq!(fields("csrf=a+b&x=c").only("csrf"), Some("a b"));
        assert_eq!(fields("csrf=a&csrf=a").only("csrf"), None);
        assert_eq!(fields("").only("csrf"), None);
    }
}
