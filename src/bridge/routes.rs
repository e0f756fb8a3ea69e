//! The names of the routes in metrics: one of few, whatever a caller sends.

use model::path_below;

/// The name of every path that no route has.
const OTHER: &str = "other";

/// Returns the name of a route of the public listener, with or without the path prefix of `server.public_url`.
pub(super) fn public(prefix: &str) -> impl Fn(&str) -> &'static str + Send + Sync + 'static {
    let prefix = prefix.to_owned();
    move |path| {
        let path = path_below(path, &prefix);
        let mut parts = path.trim_end_matches('/').split('/').skip(1);
        match [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()] {
            [Some("widget_request"), Some(_), None, ..] => "/widget_request/{handler}",
            [Some("callback"), Some(_), Some(_), None, _] => "/callback/{job_id}/{token}",
            [Some("callback"), Some(_), Some(_), Some("progress"), None] => {
                "/callback/{job_id}/{token}/progress"
            }
            [Some("health"), Some("live"), None, ..] => "/health/live",
            [Some("health"), Some("nonce"), Some(_), None, _] => "/health/nonce/{challenge}",
            [Some("oauth"), Some("callback"), None, ..] => "/oauth/callback",
            [Some("oauth"), Some("revoked"), None, ..] => "/oauth/revoked",
            _ => OTHER,
        }
    }
}

/// Returns the name of a route of the admin listener.
pub(super) fn admin(path: &str) -> &'static str {
    match path {
        "/health/live" => "/health/live",
        "/health/ready" => "/health/ready",
        "/health/nonce" => "/health/nonce",
        "/metrics" => "/metrics",
        "/" => "/",
        "/login" => "/login",
        "/jobs" => "/jobs",
        "/logout" => "/logout",
        "/api/v1/jobs" => "/api/v1/jobs",
        "/api/v1/stats" => "/api/v1/stats",
        "/api/v1/history" => "/api/v1/history",
        "/errors" => "/errors",
        "/accounts" => "/accounts",
        "/handlers" => "/handlers",
        "/store" => "/store",
        "/settings" => "/settings",
        "/actions" => "/actions",
        _ if path.starts_with("/errors/") => "/errors/…",
        _ if path.starts_with("/accounts/") => "/accounts/…",
        _ if path.starts_with("/handlers/") => "/handlers/…",
        _ if path.starts_with("/store/") => "/store/…",
        _ if path.starts_with("/api/v1/jobs/") => "/api/v1/jobs/…",
        _ if path.starts_with("/api/") => "/api/…",
        _ if path.starts_with("/assets/") => "/assets/…",
        _ if path.starts_with("/jobs/") => "/jobs/…",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_public_listener_has_a_name_with_and_without_its_prefix() {
        for (path, expected) in [
            ("/widget_request/echo", "/widget_request/{handler}"),
            ("/widget_request/echo/", "/widget_request/{handler}"),
            ("/widget_request/any/thing", OTHER),
            ("/widget_request", OTHER),
            ("/callback/018b/secret", "/callback/{job_id}/{token}"),
            ("/callback/018b/secret/progress", "/callback/{job_id}/{token}/progress"),
            ("/callback/018b/secret/other", OTHER),
            ("/health/live", "/health/live"),
            ("/health/nonce/018b", "/health/nonce/{challenge}"),
            ("/oauth/callback", "/oauth/callback"),
            ("/oauth/revoked", "/oauth/revoked"),
            ("/oauth/revoked/x", OTHER),
            ("/", OTHER),
            ("", OTHER),
            ("/wp-login.php", OTHER),
        ] {
            assert_eq!(public("")(path), expected, "{path}");
            assert_eq!(public("/bots")(path), expected, "{path}");
            assert_eq!(public("/bots")(&format!("/bots{path}")), expected, "{path}");
        }
    }

    #[test]
    fn the_admin_listener_has_few_names() {
        for (path, expected) in [
            ("/health/live", "/health/live"),
            ("/metrics", "/metrics"),
            ("/api/v1/jobs", "/api/v1/jobs"),
            ("/api/v1/jobs/018b/retry", "/api/v1/jobs/…"),
            ("/api/v1/new", "/api/…"),
            ("/", "/"),
            ("/login", "/login"),
            ("/jobs", "/jobs"),
            ("/jobs/bulk/1", "/jobs/…"),
            ("/errors", "/errors"),
            ("/errors/7/retry", "/errors/…"),
            ("/accounts/resume", "/accounts/…"),
            ("/handlers/any/test", "/handlers/…"),
            ("/store", "/store"),
            ("/store/backup", "/store/…"),
            ("/settings", "/settings"),
            ("/settings/x", OTHER),
            ("/actions", "/actions"),
            ("/login/x", OTHER),
            ("/jobs/018b/retry", "/jobs/…"),
            ("/assets/any/thing", "/assets/…"),
            ("/favicon.ico", OTHER),
        ] {
            assert_eq!(admin(path), expected, "{path}");
        }
    }
}
