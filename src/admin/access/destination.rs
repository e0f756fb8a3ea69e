//! Where a login leads: only ever to a page of this listener, whatever a link says.

use url::{Position, Url};

use super::path_kinds::{LOGIN, LOGOUT};

/// The longest destination, in bytes.
const MAX_LENGTH: usize = 2_048;
const HOME: &str = "/";

/// Returns `next` in a form that every browser reads as a path of this listener; `/` if it could lead anywhere else.
pub(in crate::admin) fn within_listener(next: &str) -> String {
    checked(next).unwrap_or_else(|| HOME.to_owned())
}

fn checked(next: &str) -> Option<String> {
    let is_plain = next.starts_with('/')
        && next.len() <= MAX_LENGTH
        && !next.contains(|letter: char| letter.is_control() || letter.is_whitespace() || letter == '\\');
    let base = is_plain.then(|| Url::parse("http://bridge.invalid").ok())??;
    let url = base.join(next).ok()?;
    let path = &url[Position::BeforePath..];
    // After `.` and `..` are resolved, a path can begin like a host.
    let is_own = url.origin() == base.origin() && url.username().is_empty() && !path.starts_with("//");
    let is_page = url.path() != LOGIN && url.path() != LOGOUT;
    (is_own && is_page).then(|| path.to_owned())
}

/// The address of the login that leads to `next` afterwards.
pub(super) fn login_leading_to(next: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    if next != HOME {
        query.append_pair("next", next);
    }
    let query = query.finish();
    if query.is_empty() { LOGIN.to_owned() } else { format!("{LOGIN}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_never_leads_to_another_site() {
        for (next, expected) in [
            ("/", "/"),
            ("/jobs", "/jobs"),
            ("/jobs?q=state:dead&limit=5#row", "/jobs?q=state:dead&limit=5#row"),
            ("/jobs?next=https://evil.example", "/jobs?next=https://evil.example"),
            ("/a/../jobs", "/jobs"),
            ("/jobs/\u{e4}", "/jobs/%C3%A4"),
            ("/@evil.example", "/@evil.example"),
            ("/%2f%2fevil.example", "/%2f%2fevil.example"),
            ("", "/"),
            ("jobs", "/"),
            ("//evil.example", "/"),
            ("///evil.example", "/"),
            ("/\\evil.example", "/"),
            ("\\\\evil.example", "/"),
            ("/jobs\\..\\x", "/"),
            ("/.//evil.example", "/"),
            ("/a/..//evil.example", "/"),
            ("/%2e//evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("/\n/evil.example", "/"),
            ("/jobs\r\nset-cookie: a=b", "/"),
            ("/jobs\u{0}", "/"),
            ("/\u{2028}/evil.example", "/"),
            (" /jobs", "/"),
            ("/ /evil.example", "/"),
            ("https://evil.example", "/"),
            ("https:/jobs", "/"),
            ("http:evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("data:text/html,x", "/"),
            ("?next=x", "/"),
            ("#x", "/"),
            ("@evil.example", "/"),
            (".evil.example", "/"),
            (":80/", "/"),
            ("/login", "/"),
            ("/x/../login?next=/login", "/"),
            ("/logout", "/"),
        ] {
            assert_eq!(within_listener(next), expected, "{next:?}");
        }
        let long = format!("/{}", "x".repeat(MAX_LENGTH));
        assert_eq!(within_listener(&long), "/");
    }

    #[test]
    fn the_login_keeps_the_destination_as_one_parameter() {
        assert_eq!(login_leading_to("/", &[]), "/login");
        assert_eq!(login_leading_to("/jobs?a=b&next=c", &[]), "/login?next=%2Fjobs%3Fa%3Db%26next%3Dc");
        assert_eq!(login_leading_to("/", &[("kept", "?")]), "/login?kept=%3F");
    }
}
