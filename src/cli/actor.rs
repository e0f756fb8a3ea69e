//! The operator who runs a command, for the log of actions: the operating system's user.

use std::fs;

use model::clock::Clock;
use store::{ActionKind, ActionResult, ActionSource, Actor, Store};

use super::exit::notice;

/// The value of `loginuid` if the process belongs to no login.
const NO_LOGIN: u32 = u32::MAX;

/// Returns the user who runs this command: the one who logged in, even after `sudo`, and the one that the process runs as.
pub(super) fn actor() -> Actor {
    let login = fs::read_to_string("/proc/self/loginuid").ok();
    let login = login.and_then(|text| text.trim().parse().ok()).filter(|uid| *uid != NO_LOGIN);
    let passwd = fs::read("/etc/passwd").unwrap_or_default();
    let effective = rustix::process::geteuid().as_raw();
    Actor::new(ActionSource::Cli, &named(effective, login, &String::from_utf8_lossy(&passwd)))
}

/// Records what a command has done outside the store, if there is a store at `url`. The command has succeeded, so a failure
/// to record it is only a notice.
pub(super) async fn record(url: &str, clock: Clock, kind: ActionKind, target: String) {
    match Store::observe(url, clock).await {
        Ok(Some(store)) => {
            record_in(&store, kind, target).await;
            store.close().await;
        }
        Ok(None) => {}
        Err(error) => not_logged(kind, &error.to_string()),
    }
}

/// As [`record()`], in an open store.
pub(super) async fn record_in(store: &Store, kind: ActionKind, target: String) {
    if let Err(error) = store.operator(actor()).record(kind, target, ActionResult::Done).await {
        not_logged(kind, &error.to_string());
    }
}

/// Says that an action was done and is not in the log.
pub(super) fn not_logged(kind: ActionKind, why: &str) {
    notice(&format!("`{}` succeeded, but is not in the log of actions: {why}", kind.as_str()));
}

/// Why an action is not in the log of a store from before that log.
pub(super) const NO_LOG: &str = "the store is from a version without this log; `serve` adds it";

fn named(effective: u32, login: Option<u32>, passwd: &str) -> String {
    let name = |uid: u32| {
        let of_line = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
        };
        passwd.lines().find_map(of_line).unwrap_or_else(|| format!("uid {uid}"))
    };
    match login {
        Some(login) if login != effective => format!("{} as {}", name(login), name(effective)),
        _ => name(effective),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_the_name_in_passwd_or_by_number() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:8:8::/:\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n";
        for (effective, login, expected) in [
            (0, None, "root"),
            (1000, Some(1000), "ann"),
            (0, Some(1000), "ann as root"),
            (8, None, "uid 8"),
            (5, Some(7), "uid 7 as uid 5"),
        ] {
            assert_eq!(named(effective, login, passwd), expected);
        }
        assert!(!actor().name().is_empty());
    }
}
