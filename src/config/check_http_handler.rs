//! Checks the keys of a handler with `kind = "http"`.

use url::{Host, Url};

use super::check_outgoing::{authorities, proxy};
use super::checker::Checker;
use super::handler_address::AddressRefusal;
use super::http_handler::{HttpHandlerConfig, Mode, Preset};
use super::raw;
use super::secret::Kind;
use super::source::Sources;
use super::values::Text;
use model::Outgoing;

/// Checks the keys that only handlers over HTTP have. Returns `None` for a handler of another kind, which must not have them,
/// and if a key is wrong.
pub(super) fn http(
    name: &str,
    raw: &mut raw::Handler,
    has_callback_url: bool,
    sources: &Sources,
    checker: &mut Checker<'_>,
) -> Option<HttpHandlerConfig> {
    let key = |key| ["handlers", name, key];
    if raw.kind.as_deref() != Some("http") {
        // A kind that was refused may be a mistyped "http".
        if !checker.problems.was_refused(&key("kind")) {
            for found in http_keys(raw) {
                checker.refuse(
                    &key(found),
                    "is only for a handler with kind = \"http\": set the kind, or remove this key",
                );
            }
        }
        return None;
    }
    let url =
        checker.require(&key("url"), raw.url.take(), "the URL that gets the requests").map(|Text(url)| url);
    let mut secret = |name, value, file, kind| checker.secret(&key(name), value, file, kind);
    let has_secret = raw.secret.is_some() || raw.secret_file.is_some();
    let has_auth = raw.auth.is_some() || raw.auth_file.is_some();
    let has_previous = raw.previous_secret.is_some() || raw.previous_secret_file.is_some();
    let signing = secret("secret", raw.secret.take(), raw.secret_file.take(), Kind::WebhookSecret);
    let (previous, previous_file) = (raw.previous_secret.take(), raw.previous_secret_file.take());
    let previous_secret = secret("previous_secret", previous, previous_file, Kind::WebhookSecret);
    let auth = secret("auth", raw.auth.take(), raw.auth_file.take(), Kind::Authorization);
    if !has_secret && !has_auth && !checker.problems.was_refused(&key("auth")) {
        let what = "the secret that signs requests, here or in the file that secret_file names; for a tool that cannot verify \
                    signatures, set auth or auth_file in its place";
        checker.require(&key("secret"), None::<()>, what);
    }
    if has_previous && !has_secret && !checker.problems.was_refused(&key("secret")) {
        checker
            .refuse(&key("previous_secret"), "needs `secret` too: it only signs beside the current secret");
    }
    let preset = raw.preset.unwrap_or_default();
    let mode = raw.mode.unwrap_or_default();
    let concurrency = checker.count(&key("concurrency"), raw.concurrency);
    let max_awaiting = checker.count(&key("max_awaiting"), raw.max_awaiting);
    let proxy = proxy(&key("proxy"), raw.proxy.take(), raw.proxy_file.take(), sources, checker);
    let authorities = raw.ca_file.take().and_then(|file| authorities(&key("ca_file"), &file, checker));
    let outgoing = Outgoing { proxy, authorities, allow_private_addresses: true };
    if let Some(why) = url.as_ref().and_then(|url| wrong_url(url, preset, &outgoing)) {
        checker.refuse(&key("url"), why);
    }
    if let Some(why) = wrong_mode(mode, preset, has_callback_url) {
        checker.refuse(&key("mode"), why);
    }
    Some(HttpHandlerConfig {
        url: url?,
        secret: signing,
        previous_secret,
        auth,
        preset,
        mode,
        concurrency: concurrency?,
        max_awaiting: max_awaiting?,
        outgoing,
    })
}

/// The keys of `raw` that only handlers over HTTP have.
fn http_keys(raw: &raw::Handler) -> impl Iterator<Item = &'static str> {
    let keys = [
        ("url", raw.url.is_some()),
        ("secret", raw.secret.is_some()),
        ("secret_file", raw.secret_file.is_some()),
        ("previous_secret", raw.previous_secret.is_some()),
        ("previous_secret_file", raw.previous_secret_file.is_some()),
        ("auth", raw.auth.is_some()),
        ("auth_file", raw.auth_file.is_some()),
        ("preset", raw.preset.is_some()),
        ("mode", raw.mode.is_some()),
        ("concurrency", raw.concurrency.is_some()),
        ("max_awaiting", raw.max_awaiting.is_some()),
        ("proxy", raw.proxy.is_some()),
        ("proxy_file", raw.proxy_file.is_some()),
        ("ca_file", raw.ca_file.is_some()),
    ];
    keys.into_iter().filter(|(_, given)| *given).map(|(key, _)| key)
}

/// Returns why requests cannot go to `url`; `None` if they can, as far as the text says. The addresses of a name are checked
/// at each connection.
fn wrong_url(url: &Url, preset: Preset, outgoing: &Outgoing) -> Option<String> {
    let encrypted = url.scheme() == "https";
    let address = match url.host()? {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.into()),
        Host::Domain(_) => None,
    };
    match address.and_then(|address| AddressRefusal::of(address, encrypted)) {
        Some(AddressRefusal::Unencrypted) => {
            return Some(
                "must begin with https://: http is only for loopback and private addresses".to_owned(),
            );
        }
        Some(refused @ AddressRefusal::Metadata) => return Some(format!("cannot be called: {refused}")),
        None => {}
    }
    let resolved_elsewhere = outgoing.proxy.as_ref().is_some_and(|proxy| proxy.url.resolves_names());
    if !encrypted && address.is_none() && resolved_elsewhere {
        return Some(
            "must begin with https://, or have an IP address in place of the name: the proxy resolves names, so the bridge \
             cannot check that the address is private"
                .to_owned(),
        );
    }
    (preset == Preset::Typebot && !url.path().contains("/typebots/")).then(|| {
        "must end with /typebots/PUBLIC_ID/startChat for the preset \"typebot\", because the bridge derives the URL that \
         continues a chat from it"
            .to_owned()
    })
}

/// Returns why answers cannot come later; `None` if they can, or need not.
fn wrong_mode(mode: Mode, preset: Preset, has_callback_url: bool) -> Option<&'static str> {
    match (mode, preset) {
        (Mode::Auto | Mode::Sync, _) => None,
        (Mode::Async, Preset::Bridge) => (!has_callback_url).then_some(
            "\"async\" needs server.callback_url or server.public_url, at which the handler answers later",
        ),
        (Mode::Async, _) => {
            Some("\"async\" needs the preset \"bridge\": requests of other presets have no callback URL")
        }
    }
}
