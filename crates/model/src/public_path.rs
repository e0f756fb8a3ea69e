//! The bridge's own paths below `server.public_url`, which may have a path itself: `https://example.com/bots`.

use std::borrow::Cow;

use url::Url;

/// The first segments of the bridge's own paths. A prefix that contains one is a full address that was entered by mistake.
const OWN: [&str; 3] = ["widget_request", "oauth", "callback"];

/// The path of a public URL without its trailing slash: `/bots`; empty if there is no path.
pub fn path_prefix(public_url: &Url) -> &str {
    public_url.path().trim_end_matches('/')
}

/// Whether `path` is empty or a valid prefix: it contains no segment of the bridge's own paths, and no empty segment.
pub fn is_path_prefix(path: &str) -> bool {
    let is_own = |segment| OWN.contains(&segment);
    path.is_empty() || (path != "/" && path_below(path, "") == path && !segments(path).any(is_own))
}

/// The URL of `path` (such as `/oauth/callback`) below a public URL.
pub fn url_below(public_url: &Url, path: &str) -> Url {
    let mut url = public_url.clone();
    url.set_path(&format!("{}{path}", path_prefix(public_url)));
    url
}

/// The path below `prefix`, in the form of the routes: without the prefix, if present, and without empty segments. So
/// `/bots//widget_request/greet/` becomes `/widget_request/greet`.
pub fn path_below<'a>(path: &'a str, prefix: &str) -> Cow<'a, str> {
    let mut rest = segments(path);
    let mut after = rest.clone();
    if segments(prefix).all(|segment| after.next() == Some(segment)) {
        rest = after;
    }
    let length: usize = rest.clone().map(|segment| "/".len() + segment.len()).sum();
    match length {
        0 => Cow::Borrowed("/"),
        // Nothing but one slash before each segment, so there is nothing to remove.
        same if same == path.len() && path.starts_with('/') => Cow::Borrowed(path),
        _ => Cow::Owned(rest.flat_map(|segment| ["/", segment]).collect()),
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_served_with_and_without_the_prefix_and_extra_slashes() {
        for (path, prefix, expected) in [
            ("/widget_request/greet", "", "/widget_request/greet"),
            ("/widget_request/greet/", "", "/widget_request/greet"),
            ("//widget_request//greet//", "", "/widget_request/greet"),
            ("/widget_request/greet", "/bots", "/widget_request/greet"),
            ("/bots/widget_request/greet", "/bots", "/widget_request/greet"),
            ("/bots//oauth/callback/", "/bots", "/oauth/callback"),
            ("/a/b/oauth/revoked", "/a/b", "/oauth/revoked"),
            ("/a/oauth/revoked", "/a/b", "/a/oauth/revoked"),
            ("/botsy/oauth/revoked", "/bots", "/botsy/oauth/revoked"),
            ("/bots/bots/oauth/revoked", "/bots", "/bots/oauth/revoked"),
            ("/bots", "/bots", "/"),
            ("/", "", "/"),
            ("", "/bots", "/"),
            ("/widget_request/%2F", "", "/widget_request/%2F"),
        ] {
            assert_eq!(path_below(path, prefix), expected, "{path} below {prefix}");
        }
    }

    #[test]
    fn urls_are_below_the_public_url() {
        for (public, prefix, expected) in [
            ("https://a.example", "", "https://a.example/oauth/callback"),
            ("https://a.example/", "", "https://a.example/oauth/callback"),
            ("https://a.example/bots", "/bots", "https://a.example/bots/oauth/callback"),
            ("https://a.example:8443/x/bots/", "/x/bots", "https://a.example:8443/x/bots/oauth/callback"),
        ] {
            let public: Url = public.parse().unwrap();
            assert_eq!(
                (path_prefix(&public), url_below(&public, "/oauth/callback").as_str()),
                (prefix, expected)
            );
            assert!(is_path_prefix(prefix));
        }
        for path in
            ["/", "bots", "/bots/", "/a//b", "/widget_request/greet", "/bots/oauth/callback", "/oauth"]
        {
            assert!(!is_path_prefix(path), "{path}");
        }
    }
}
