//! A terminal for a child process.

use std::fs::{File, OpenOptions};
use std::io::Read;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// The two ends of a terminal.
pub struct Pty {
    /// What a person sees and types.
    pub person: File,
    /// What the process reads and writes. The person's side ends when the last copy is closed.
    pub process: File,
}

impl Pty {
    /// Opens a terminal with this many columns.
    pub fn open(columns: u16) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&person, size).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
        let process = OpenOptions::new().read(true).write(true).open(name).unwrap();
        Self { person: person.into(), process }
    }
}

/// The person's side as a pipe that ends. Linux reports the end of a terminal as an error.
pub struct Shown(pub File);

impl Read for Shown {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Ok(self.0.read(buffer).unwrap_or(0))
    }
}
