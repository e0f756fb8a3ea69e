//! Where a request comes from, as far as browsers say. Other programs send no such headers.

use std::net::IpAddr;

use http::header::{HOST, HeaderName, ORIGIN, REFERER};
use http::{HeaderMap, HeaderValue};
use url::Url;

pub(super) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Whether the `Host` is `localhost` or an IP address. Anyone could make any other name point here.
pub(super) fn has_local_host(headers: &HeaderMap) -> bool {
    is_local(host(headers))
}

/// Whether a browser reports that the request comes from a page of another origin.
pub(super) fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get(SEC_FETCH_SITE);
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    headers.get(ORIGIN).is_some_and(|origin| !is_origin_of(origin, host(headers)))
}

/// Whether a browser shows that the request comes from a page of this origin. Every browser sends at least one of these
/// headers with a form.
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    let is_own = |url: &HeaderValue| is_origin_of(url, host(headers));
    !is_cross_site(headers)
        && (headers.get(ORIGIN).is_some_and(is_own)
            || headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "same-origin")
            || headers.get(REFERER).is_some_and(is_own))
}

/// Whether the browser opens a page in a tab, for example because someone follows a link in a chat.
pub(super) fn opens_a_page(headers: &HeaderMap) -> bool {
    let is = |name, expected| headers.get(name).is_some_and(|value| value == expected);
    is(SEC_FETCH_MODE, "navigate") && is(SEC_FETCH_DEST, "document")
}

fn host(headers: &HeaderMap) -> &str {
    headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        // In `[::1]`, no port follows the last colon.
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

fn is_origin_of(origin: &HeaderValue, host: &str) -> bool {
    let parse = |text: &str| Url::parse(text).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
    let Some(origin) = origin.to_str().ok().and_then(parse) else { return false };
    // A proxy in front may use TLS.
    ["http", "https"].iter().any(|scheme| parse(&format!("{scheme}://{host}")).as_ref() == Some(&origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_addresses_and_localhost_are_local() {
        for host in
            ["127.0.0.1:9090", "127.0.0.1", "localhost", "LocalHost:1", "[::1]:9090", "[::1]", "10.0.0.7:80"]
        {
            assert!(has_local_host(&headers(&[("host", host)])), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::1",
            ":9090",
        ] {
            assert!(!has_local_host(&headers(&[("host", host)])), "{host}");
        }
        assert!(!has_local_host(&HeaderMap::new()));
    }

    #[test]
    fn a_form_needs_proof_of_its_origin_and_a_read_only_the_absence_of_another() {
        let own = "http://127.0.0.1:9090";
        for (pairs, is_cross, is_same) in [
            (&[][..], false, false),
            (&[("sec-fetch-site", "same-origin")], false, true),
            (&[("sec-fetch-site", "none")], false, false),
            (&[("sec-fetch-site", "same-site")], true, false),
            (&[("sec-fetch-site", "cross-site")], true, false),
            (&[("origin", own)], false, true),
            (&[("origin", "https://127.0.0.1:9090")], false, true),
            (&[("origin", "http://127.0.0.1:9091")], true, false),
            (&[("origin", "http://localhost:9090")], true, false),
            (&[("origin", "https://evil.example")], true, false),
            (&[("origin", "null")], true, false),
            (&[("origin", "null"), ("sec-fetch-site", "same-origin")], true, false),
            (&[("origin", own), ("sec-fetch-site", "cross-site")], true, false),
            (&[("origin", own), ("sec-fetch-site", "none")], false, true),
            (&[("referer", "http://127.0.0.1:9090/jobs?q=a")], false, true),
            (&[("referer", "http://127.0.0.1:9091/")], false, false),
            (&[("referer", "https://evil.example/http://127.0.0.1:9090/")], false, false),
            (&[("referer", "/jobs")], false, false),
        ] {
            let headers = headers(&[&[("host", "127.0.0.1:9090")], pairs].concat());
            assert_eq!((is_cross_site(&headers), is_same_origin(&headers)), (is_cross, is_same), "{pairs:?}");
        }
        let default_port = headers(&[("host", "localhost"), ("origin", "http://localhost")]);
        assert!(is_same_origin(&default_port));
    }

    #[test]
    fn a_page_is_opened_only_in_a_tab() {
        for (mode, destination, expected) in [
            ("navigate", "document", true),
            ("navigate", "iframe", false),
            ("no-cors", "image", false),
            ("cors", "empty", false),
        ] {
            let headers = headers(&[("sec-fetch-mode", mode), ("sec-fetch-dest", destination)]);
            assert_eq!(opens_a_page(&headers), expected, "{mode} {destination}");
        }
        assert!(!opens_a_page(&HeaderMap::new()));
    }
}
