//! A program on a terminal of its own, and a person who types.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::TEST_TIMEOUT;

/// The text that the program has written, and whether it has ended.
type Written = Arc<(Mutex<(String, bool)>, Condvar)>;

/// A program whose stdin, stdout and stderr are one terminal. Dropping it kills it.
pub struct Typed {
    child: Child,
    person: File,
    written: Written,
    /// The length of the text that the person has read.
    read: usize,
}

impl Typed {
    /// Starts `command` on a terminal without colours.
    pub fn start(mut command: Command) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let size = Winsize { ws_row: 50, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&person, size).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
        let open = || Stdio::from(OpenOptions::new().read(true).write(true).open(&name).unwrap());
        command.stdin(open()).stdout(open()).stderr(open());
        for name in ["CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
            command.env_remove(name);
        }
        let child = command.env("NO_COLOR", "1").env("TERM", "xterm").spawn().unwrap();
        // The child must hold the last writer, so that the reader sees its end.
        drop(command);
        let person = File::from(person);
        let written = Written::default();
        let (mut reader, seen) = (person.try_clone().unwrap(), written.clone());
        thread::spawn(move || {
            let mut some = [0; 4096];
            // Linux reports the end of a terminal as an error.
            while let Ok(read @ 1..) = reader.read(&mut some) {
                seen.0.lock().unwrap().0.push_str(&String::from_utf8_lossy(&some[..read]));
                seen.1.notify_all();
            }
            seen.0.lock().unwrap().1 = true;
            seen.1.notify_all();
        });
        Self { child, person, written, read: 0 }
    }

    /// Waits until the program has written `text`, after what was read before.
    pub fn reads(&mut self, text: &str) {
        let from = self.read;
        let state = self.written.0.lock().unwrap();
        let waits = |state: &mut (String, bool)| !state.0[from..].contains(text) && !state.1;
        let (state, _) = self.written.1.wait_timeout_while(state, TEST_TIMEOUT, waits).unwrap();
        let at = state.0[from..].find(text);
        self.read = from + at.unwrap_or_else(|| panic!("no `{text}` in\n{}", &state.0[from..])) + text.len();
    }

    /// Waits until the program reads what is typed without showing it, and types `keys`.
    pub fn types(&mut self, keys: &str) {
        let deadline = Instant::now() + TEST_TIMEOUT;
        // What is typed before the program has set up its question may be discarded.
        while self.shows_typing() {
            assert!(Instant::now() < deadline, "no question in\n{}", self.written.0.lock().unwrap().0);
            thread::yield_now();
        }
        self.person.write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line that the terminal shows, as for a program that reads lines.
    pub fn enters(&mut self, line: &str) {
        self.person.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits as [`Self::types`], and sends SIGINT, as a terminal does when a person types Ctrl-C and the program has not
    /// turned that off.
    pub fn interrupts(&mut self) {
        self.types("");
        let kill = format!("kill -INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Answers the question that contains `prompt`.
    pub fn answers(&mut self, prompt: &str, answer: &str) {
        self.reads(prompt);
        self.types(&format!("{answer}\r"));
    }

    /// Whether the terminal itself shows what is typed, as it does when no question is asked.
    pub fn shows_typing(&self) -> bool {
        tcgetattr(&self.person).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits until the program ends. Returns its exit status, and all that it wrote.
    pub fn ends(mut self) -> (Option<i32>, String) {
        let state = self.written.0.lock().unwrap();
        let (state, _) = self.written.1.wait_timeout_while(state, TEST_TIMEOUT, |state| !state.1).unwrap();
        assert!(state.1, "the program is still running; it wrote\n{}", state.0);
        (self.child.wait().unwrap().code(), state.0.replace("\r\n", "\n"))
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        // It may already have ended.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
