//! Which paths need no login, and which belong to the API. The only list of such paths.

/// The path of the login.
pub(super) const LOGIN: &str = "/login";
/// The path of the logout.
pub(super) const LOGOUT: &str = "/logout";

/// Whether a path needs no login: it reveals nothing about jobs, accounts or settings.
pub fn is_open(path: &str) -> bool {
    is_probe(path) || path == LOGIN || path == "/favicon.ico" || is_asset(path)
}

/// Whether a path is for probes, which send no tokens, and may call the bridge by any name.
pub(super) fn is_probe(path: &str) -> bool {
    path.starts_with("/health/")
}

/// Whether a path has a file that is the same for everyone.
pub(super) fn is_asset(path: &str) -> bool {
    path.starts_with("/assets/")
}

/// Whether a path is for programs. All others are pages.
pub(in crate::admin) fn is_for_programs(path: &str) -> bool {
    path.starts_with("/api/") || path == "/metrics" || is_probe(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_paths_need_no_login() {
        for (path, open, for_programs) in [
            ("/health/live", true, true),
            ("/health", false, false),
            ("/healthy/live", false, false),
            ("/login", true, false),
            ("/login/", false, false),
            ("/Login", false, false),
            ("/login/x", false, false),
            ("/logout", false, false),
            ("/assets/style.css", true, false),
            ("/assets", false, false),
            ("/favicon.ico", true, false),
            ("/", false, false),
            ("", false, false),
            ("/jobs", false, false),
            ("/metrics", false, true),
            ("/api/v1/jobs", false, true),
            ("/api", false, false),
            ("//login", false, false),
            ("/%6cogin", false, false),
        ] {
            assert_eq!((is_open(path), is_for_programs(path)), (open, for_programs), "{path}");
        }
    }
}
