//! `GET /look`: saves how a visitor wants pages to look. It changes a cookie of that browser and nothing else.

use axum::extract::RawQuery;
use axum::response::{IntoResponse, Response};
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use url::form_urlencoded;

use crate::admin::access::within_listener;

/// A year, in seconds.
const MAX_AGE: u32 = 31_536_000;

/// `GET /look?theme=dark&rows=comfortable&next=/jobs`
pub(super) async fn save(RawQuery(query): RawQuery) -> Response {
    let (cookies, next) = wanted(query.as_deref().unwrap_or_default());
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, location(&next))]).into_response();
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn location(next: &str) -> HeaderValue {
    HeaderValue::from_str(next).unwrap_or(HeaderValue::from_static("/"))
}

/// The cookies to set, and where to go. Unknown names and values are ignored.
fn wanted(query: &str) -> (Vec<HeaderValue>, String) {
    let (mut cookies, mut next) = (Vec::new(), "/".to_owned());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let cookie = match (&*name, &*value) {
            ("theme", "system") => "bridge-theme=; Max-Age=0".to_owned(),
            ("theme", "light") => format!("bridge-theme=light; Max-Age={MAX_AGE}"),
            ("theme", "dark") => format!("bridge-theme=dark; Max-Age={MAX_AGE}"),
            ("rows", "compact") => "bridge-rows=; Max-Age=0".to_owned(),
            ("rows", "comfortable") => format!("bridge-rows=comfortable; Max-Age={MAX_AGE}"),
            ("next", path) => {
                next = within_listener(path);
                continue;
            }
            _ => continue,
        };
        cookies.extend(HeaderValue::from_str(&format!("{cookie}; Path=/; SameSite=Lax; HttpOnly")));
    }
    (cookies, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_looks_become_cookies() {
        for (query, cookies, path) in [
            ("", 0, "/"),
            ("theme=dark&next=%2Fjobs%3Fq%3Dx", 1, "/jobs?q=x"),
            ("theme=dark&rows=comfortable", 2, "/"),
            ("theme=%0d%0aSet-Cookie:x=y&rows=x", 0, "/"),
            ("next=https://evil.example/", 0, "/"),
            ("next=//evil.example/", 0, "/"),
        ] {
            let (set, next) = wanted(query);
            assert_eq!((set.len(), &*next), (cookies, path), "{query}");
        }
    }
}
