//! The operator who runs a command, for the log of actions: the operating system's user.

use std::fs;

use store::{ActionSource, Actor};

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
