//! Checks of `[admin]`: which tokens the listener requires.

use secrecy::{ExposeSecret, SecretString};

use super::checker::Checker;
use super::raw;
use super::secret::Kind;
use super::sections::AdminConfig;
use super::values::Text;

const TOKEN: [&str; 2] = ["admin", "token"];
const READ_TOKEN: [&str; 2] = ["admin", "read_token"];

/// Returns the checked section; `None` if it is incomplete.
pub(super) fn admin(raw: raw::Admin, checker: &mut Checker<'_>) -> Option<AdminConfig> {
    let Text(listen) = checker.require(&["admin", "listen"], raw.listen, "an address and a port")?;
    let given = raw.token.is_some() || raw.token_file.is_some();
    let read_given = raw.read_token.is_some() || raw.read_token_file.is_some();
    let token = checker.secret(&TOKEN, raw.token, raw.token_file, Kind::AdminToken);
    let read_token = checker.secret(&READ_TOKEN, raw.read_token, raw.read_token_file, Kind::AdminToken);
    if !given && !listen.ip().is_loopback() && !checker.problems.was_refused(&TOKEN) {
        checker.refuse(
            &TOKEN,
            "is required unless admin.listen is a loopback address like 127.0.0.1:9090; \
             set `token` or `token_file`",
        );
    }
    if read_given && !given && !checker.problems.was_refused(&TOKEN) {
        checker.refuse(
            &READ_TOKEN,
            "requires admin.token: without that, any program on this machine may change everything; \
             set `token` or `token_file`, or remove this key",
        );
    }
    if let (Some(token), Some(read_token)) = (&token, &read_token)
        && is_same(token, read_token)
    {
        checker.refuse(&READ_TOKEN, "must differ from admin.token, which may change everything");
    }
    Some(AdminConfig { listen, token, read_token, show_data: raw.show_data.unwrap_or_default() })
}

fn is_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}
