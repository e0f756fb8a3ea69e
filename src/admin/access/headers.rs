//! The headers of every response of the admin listener, whatever its route.

use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_FRAME_OPTIONS};
use http::{HeaderName, HeaderValue};

use crate::problem::keep_private;

use super::path_kinds::is_asset;

/// Pages load only files of this listener, and run nothing inline. No other page can frame them.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Protects a response. Only the file of an asset keeps its own `Cache-Control`.
pub(super) fn protect(path: &str, response: &mut Response) {
    let is_file = is_asset(path) && response.status().is_success();
    let headers = response.headers_mut();
    let cached = headers.get(CACHE_CONTROL).cloned().filter(|_| is_file);
    keep_private(headers);
    if let Some(cached) = cached {
        headers.insert(CACHE_CONTROL, cached);
    }
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`, with which browsers send `Origin: null` with the forms of our own pages.
        (REFERRER_POLICY, "same-origin"),
        (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use http::StatusCode;

    use super::*;

    #[test]
    fn only_the_file_of_an_asset_may_be_cached() {
        let forever = "public, max-age=31536000, immutable";
        for (path, status, given, expected) in [
            ("/assets/style.css", StatusCode::OK, Some(forever), forever),
            ("/assets/style.css", StatusCode::OK, None, "no-store"),
            ("/assets/gone.css", StatusCode::NOT_FOUND, Some(forever), "no-store"),
            ("/jobs", StatusCode::OK, Some(forever), "no-store"),
            ("/login", StatusCode::OK, Some(forever), "no-store"),
        ] {
            let mut response = status.into_response();
            let given = given.map(|given| (CACHE_CONTROL, HeaderValue::from_static(given)));
            response.headers_mut().extend(given);
            protect(path, &mut response);
            assert_eq!(response.headers()[CACHE_CONTROL], expected, "{path} {status}");
            assert!(
                response.headers()[CONTENT_SECURITY_POLICY]
                    .to_str()
                    .unwrap()
                    .starts_with("default-src 'none'; ")
            );
        }
    }
}
