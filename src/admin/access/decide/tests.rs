//! Every combination of credentials, path, method and origin.

use http::HeaderValue;
use http::header::HeaderName;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const FULL: &str = "s3cret";
const READ: &str = "s3cret-to-read";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |&(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn tokens() -> Tokens {
    Tokens { full: FULL.into(), read: Some(READ.into()) }
}

fn signed(role: Role) -> String {
    let session = Session::begin(role, [3; 16], NOW);
    format!("__Host-bridge-session={}", session.sign(&tokens().of(role).unwrap()))
}

fn ask(
    method: &Method,
    path: &str,
    pairs: &[(&str, &str)],
    tokens: Option<&Tokens>,
) -> Result<Allowed, Refusal> {
    let headers = headers(pairs);
    decide(Asked { method, path, headers: &headers }, tokens, |_| false, NOW)
}

/// `Ok` with whether a form is needed.
fn outcome(decided: Result<Allowed, Refusal>) -> Result<bool, Refusal> {
    decided.map(|allowed| allowed.needs_form)
}

const PATHS: [&str; 8] =
    ["/api/v1/jobs", "/metrics", "/", "/jobs", "/health", "/healthy/live", "/login/", "/assets"];

#[test]
fn with_a_token_only_its_bearer_has_access() {
    let tokens = tokens();
    for (authorization, expected) in [
        (None, Err(Refusal::NoToken)),
        (Some(""), Err(Refusal::NoToken)),
        (Some("s3cret"), Err(Refusal::NoToken)),
        (Some("Basic s3cret"), Err(Refusal::NoToken)),
        (Some("Bearer"), Err(Refusal::NoToken)),
        (Some("Bearer "), Err(Refusal::WrongToken)),
        (Some("Bearer s3cre"), Err(Refusal::WrongToken)),
        (Some("Bearer s3crets"), Err(Refusal::WrongToken)),
        (Some("Bearer S3CRET"), Err(Refusal::WrongToken)),
        (Some("Bearer s3cret"), Ok(Caller::Bearer(Role::Operator))),
        (Some("bearer  s3cret"), Ok(Caller::Bearer(Role::Operator))),
        (Some("Bearer s3cret-to-read"), Ok(Caller::Bearer(Role::Reader))),
    ] {
        let pairs: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
        for path in PATHS {
            let decided = ask(&Method::GET, path, &pairs, Some(&tokens)).map(|allowed| allowed.caller);
            assert_eq!(decided, expected, "{authorization:?} {path}");
        }
        let probe = ask(&Method::GET, "/health/ready", &pairs, Some(&tokens));
        assert_eq!(probe.map(|allowed| allowed.caller), Ok(Caller::Anyone));
    }
}

#[test]
fn a_reader_only_reads_whatever_the_method_path_or_credential() {
    let tokens = tokens();
    let (reader, operator) = (signed(Role::Reader), signed(Role::Operator));
    let own = ("origin", "http://localhost");
    for method in
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE", "get", "Post"]
    {
        let method: Method = method.parse().unwrap();
        let reads = matches!(method.as_str(), "GET" | "HEAD");
        for path in PATHS {
            let bearer = [("authorization", "Bearer s3cret-to-read")];
            let cookie = [("host", "localhost"), own, ("cookie", reader.as_str())];
            for pairs in [&bearer[..], &cookie] {
                let expected = if reads { Ok(false) } else { Err(Refusal::ReadOnly) };
                assert_eq!(outcome(ask(&method, path, pairs, Some(&tokens))), expected, "{method} {path}");
            }
            let full = [("authorization", "Bearer s3cret")];
            assert_eq!(outcome(ask(&method, path, &full, Some(&tokens))), Ok(false), "{method} {path}");
            let cookie = [("host", "localhost"), own, ("cookie", operator.as_str())];
            let expected = match is_for_programs(path) {
                _ if reads => Ok(false),
                true => Err(Refusal::ProgramsOnly),
                false => Ok(true),
            };
            assert_eq!(outcome(ask(&method, path, &cookie, Some(&tokens))), expected, "{method} {path}");
        }
    }
    let logout = [("host", "localhost"), own, ("cookie", reader.as_str())];
    assert_eq!(outcome(ask(&Method::POST, "/logout", &logout, Some(&tokens))), Ok(true));
    // A bearer decides before a cookie does.
    let both = [("authorization", "Bearer s3cret-to-read"), ("cookie", operator.as_str()), own];
    assert_eq!(ask(&Method::POST, "/jobs", &both, Some(&tokens)), Err(Refusal::ReadOnly));
}

#[test]
fn a_session_is_of_no_use_to_a_page_of_another_origin() {
    let (tokens, cookie) = (tokens(), signed(Role::Operator));
    let site = "sec-fetch-site";
    let opened = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let framed = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    let refused = Err(Refusal::CrossSite);
    for (extra, page, api, form) in [
        (vec![], Ok(false), Ok(false), Err(Refusal::UnknownOrigin)),
        (vec![(site, "same-origin")], Ok(false), Ok(false), Ok(true)),
        (vec![(site, "none")], Ok(false), Ok(false), Err(Refusal::UnknownOrigin)),
        (vec![("origin", "http://localhost:9090")], Ok(false), Ok(false), Ok(true)),
        (vec![("referer", "http://localhost:9090/jobs")], Ok(false), Ok(false), Ok(true)),
        (vec![("referer", "http://evil.example/")], Ok(false), Ok(false), Err(Refusal::UnknownOrigin)),
        (vec![("origin", "null")], refused, refused, refused),
        (vec![("origin", "http://localhost:3000")], refused, refused, refused),
        (vec![(site, "same-site")], refused, refused, refused),
        ([&[(site, "cross-site")], &opened[..]].concat(), Ok(false), refused, refused),
        ([&[(site, "same-site")], &opened[..]].concat(), Ok(false), refused, refused),
        ([&[(site, "cross-site")], &framed[..]].concat(), refused, refused, refused),
    ] {
        let base = [("host", "localhost:9090"), ("cookie", cookie.as_str())];
        let pairs = [&base[..], &extra].concat();
        let ask = |method, path| outcome(ask(&method, path, &pairs, Some(&tokens)));
        assert_eq!(ask(Method::GET, "/jobs"), page, "{extra:?}");
        assert_eq!(ask(Method::GET, "/api/v1/jobs"), api, "{extra:?}");
        assert_eq!(ask(Method::POST, "/jobs"), form, "{extra:?}");
    }
}

#[test]
fn a_session_that_is_forged_expired_or_ended_gives_no_access() {
    let tokens = tokens();
    let good = signed(Role::Operator);
    let headers = headers(&[("cookie", &good)]);
    let asked = Asked { method: &Method::GET, path: "/jobs", headers: &headers };
    let late = NOW + super::super::session::LIFETIME;
    let ended = Err(Refusal::Session(SessionRefusal::Ended));
    assert!(decide(asked, Some(&tokens), |_| false, NOW).is_ok());
    assert_eq!(decide(asked, Some(&tokens), |_| true, NOW), ended);
    assert_eq!(decide(asked, Some(&tokens), |_| false, late), ended);
    let only_full = Tokens { full: FULL.into(), read: None };
    let invalid = Err(Refusal::Session(SessionRefusal::Invalid));
    for cookie in [signed(Role::Reader), good.replace("operator", "reader"), "__Host-bridge-session=".into()]
    {
        assert_eq!(ask(&Method::GET, "/jobs", &[("cookie", &cookie)], Some(&only_full)), invalid, "{cookie}");
    }
}

#[test]
fn equal_tokens_only_read() {
    let equal = Tokens { full: FULL.into(), read: Some(FULL.into()) };
    assert_eq!(equal.role_of(FULL), Some(Role::Reader));
    assert_eq!(equal.role_of(READ), None);
}

#[test]
fn another_site_cannot_sign_a_browser_in() {
    let tokens = tokens();
    for (pairs, expected) in [
        (&[][..], Ok(false)),
        (&[("host", "a"), ("origin", "https://a")], Ok(false)),
        (&[("host", "a"), ("origin", "https://evil.example")], Err(Refusal::CrossSite)),
        (&[("host", "a"), ("sec-fetch-site", "cross-site")], Err(Refusal::CrossSite)),
    ] {
        assert_eq!(outcome(ask(&Method::POST, "/login", pairs, Some(&tokens))), expected, "{pairs:?}");
        assert_eq!(outcome(ask(&Method::GET, "/login", pairs, Some(&tokens))), Ok(false), "{pairs:?}");
    }
}

#[test]
fn without_a_token_only_a_local_host_has_access() {
    for path in PATHS.into_iter().chain(["/login", "/assets/x"]) {
        for (host, expected) in
            [("localhost", Ok(false)), ("[::1]:9090", Ok(false)), ("evil.example", Err(Refusal::ForeignHost))]
        {
            assert_eq!(outcome(ask(&Method::GET, path, &[("host", host)], None)), expected, "{host} {path}");
        }
        assert_eq!(ask(&Method::GET, path, &[], None), Err(Refusal::ForeignHost));
    }
    assert!(ask(&Method::GET, "/health/live", &[], None).is_ok());
}

#[test]
fn without_a_token_a_foreign_page_cannot_read_or_change_anything() {
    let site = "sec-fetch-site";
    let (foreign, unknown) = (Err(Refusal::CrossSiteWithoutToken), Err(Refusal::UnknownOrigin));
    for (extra, read, form) in [
        (vec![("accept", "*/*")], Ok(false), unknown),
        (vec![(site, "same-origin")], Ok(false), Ok(true)),
        (vec![(site, "none")], Ok(false), unknown),
        (vec![("referer", "http://127.0.0.1:9090/")], Ok(false), Ok(true)),
        (vec![(site, "same-site")], foreign, foreign),
        (vec![(site, "cross-site")], foreign, foreign),
        (vec![("origin", "http://127.0.0.1:9090")], Ok(false), Ok(true)),
        (vec![("origin", "http://127.0.0.1:9091")], foreign, foreign),
        (vec![("origin", "http://localhost:9090")], foreign, foreign),
        (vec![("origin", "null")], foreign, foreign),
        (vec![(site, "none"), ("origin", "https://evil.example")], foreign, foreign),
    ] {
        let pairs = [&[("host", "127.0.0.1:9090")], &extra[..]].concat();
        for path in PATHS {
            assert_eq!(outcome(ask(&Method::GET, path, &pairs, None)), read, "{extra:?} {path}");
            let expected = if is_for_programs(path) { read } else { form };
            assert_eq!(outcome(ask(&Method::POST, path, &pairs, None)), expected, "{extra:?} {path}");
        }
        assert_eq!(outcome(ask(&Method::GET, "/health/ready", &pairs, None)), Ok(false), "{extra:?}");
    }
}
