//! Style sheet, icons and script: the same for everyone, so they need no login. Their URL contains their hash, so browsers
//! keep them until they change.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

/// A file.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

const ASSETS: [Asset; 4] = [
    Asset {
        name: "style.css",
        media_type: "text/css; charset=utf-8",
        text: include_str!("assets/style.css"),
    },
    Asset { name: "icons.svg", media_type: "image/svg+xml", text: include_str!("assets/icons.svg") },
    Asset { name: "mark.svg", media_type: "image/svg+xml", text: include_str!("assets/mark.svg") },
    Asset {
        name: "app.js",
        media_type: "text/javascript; charset=utf-8",
        text: include_str!("assets/app.js"),
    },
];

/// The route of the files.
pub(super) const ROUTE: &str = "/assets/{hash}/{name}";

/// The beginning of all their URLs.
static BASE: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    ASSETS.iter().for_each(|asset| hash.update(asset.text));
    let [a, b, c, d, e, f, ..] = hash.finalize()[..] else { return "/assets/0/".to_owned() };
    format!("/assets/{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{f:02x}/")
});

/// The script without its comments and its indentation, which no one downloads to read.
static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    let lines = include_str!("assets/app.js").lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).collect::<Vec<_>>().join("\n")
});

/// The URL of a file.
pub(super) fn url(name: &str) -> String {
    format!("{}{name}", *BASE)
}

/// The URL of an icon.
pub(super) fn icon_url(id: &str) -> String {
    format!("{}icons.svg#{id}", *BASE)
}

/// `GET /assets/{hash}/{name}`. Any hash serves: a page that was loaded before an upgrade gets today's file.
pub(super) async fn serve(Path((hash, name)): Path<(String, String)>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let is_current = *BASE == format!("/assets/{hash}/");
    let cache = if is_current { "public, max-age=31536000, immutable" } else { "no-store" };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
        (CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    let text = if asset.name == "app.js" { &*SCRIPT } else { asset.text };
    (headers, text).into_response()
}

/// `GET /favicon.ico`, which browsers request for every site.
pub(super) async fn favicon() -> impl IntoResponse {
    ([(CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"))], include_str!("assets/mark.svg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_small() {
        assert!(SCRIPT.len() <= 5 * 1024, "{} bytes", SCRIPT.len());
    }
}
