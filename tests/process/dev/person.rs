//! `dev` with a person at a terminal.

use std::fs::File;
use std::io::Write;
use std::process::{Child, Command};

use super::Place;
use super::service::Service;
use crate::lines::Lines;
use crate::pty::{Pty, Shown};

/// `dev` at a terminal.
struct Dev {
    child: Child,
    shown: Lines,
    keys: File,
}

impl Dev {
    fn start(mut command: Command) -> Self {
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        let Pty { person, process } = Pty::open(90);
        let copy = || process.try_clone().unwrap();
        command.stdin(copy()).stdout(copy()).stderr(copy());
        let child = command.spawn().unwrap();
        // The child must hold the last copies, so that the reader sees its end.
        drop((command, process));
        let keys = person.try_clone().unwrap();
        Self { child, shown: Lines::of(Shown(person), |_| false), keys }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for a line with this part.
    fn shows(&self, part: &str) -> String {
        self.shown.wait(part, |line| line.contains(part).then(|| line.to_owned()))
    }

    /// Waits for the end, and asserts that it is a success.
    fn ends(mut self) -> String {
        let status = self.child.wait().unwrap();
        let text = self.shown.all();
        assert_eq!(status.code(), Some(0), "{text}");
        text
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may already have ended.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn a_person_types_messages_and_repeats_them() {
    let (place, service) = (Place::new(), Service::start());
    let mut command = place.command();
    command.args(["--forward", &service.url]);
    let mut dev = Dev::start(command);
    dev.shows("secret  whsec_");
    dev.shows("Type a message");
    dev.types("hi\n");
    let answer = dev.shows("bot says: Hi hi!");
    assert!(answer.contains("\u{1b}[32m"), "a terminal gets colours: {answer:?}");
    dev.types("/replay\n");
    dev.shows("lead 1001, again");
    dev.types("{\"a\": \n");
    dev.shows("must be one JSON object");
    dev.types("/nothing\n");
    dev.shows("unknown command `/nothing`");
    dev.types("/help\n");
    dev.shows("/lead N");
    // A person need not wait for an answer before the next message.
    dev.types("later\n");
    dev.shows("waits for the callback");
    dev.types("/lead 5\nAnn\n");
    dev.shows("bot says: Hi Ann!");
    assert_eq!(service.got().last().unwrap().json()["data"]["conversation"], "31000001:lead:5");
    dev.types("/data\n");
    dev.shows("\"conversation\": \"31000001:lead:5\"");
    // Ctrl-D
    dev.types("\u{4}");
    dev.ends();
    assert_eq!(service.got().len(), 4);
    place.assert_empty();
}

#[test]
fn a_signal_or_a_closed_terminal_leaves_nothing_behind() {
    let (place, service) = (Place::new(), Service::start());
    for name in ["INT", "TERM", "HUP"] {
        let mut command = place.command();
        command.args(["--forward", &service.url]);
        let mut dev = Dev::start(command);
        dev.types("slow\n");
        dev.shows("→ request \"slow\"");
        let kill = format!("kill -{name} {}", dev.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
        dev.ends();
        place.assert_empty();
    }
}
