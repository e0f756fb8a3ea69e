//! The output of a process, line by line, while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use crate::TEST_TIMEOUT;

/// The lines of one pipe. Clones share them.
#[derive(Clone, Default)]
pub struct Lines(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Reads `pipe` until its end, or closes it after a line that `last` accepts.
    pub fn of(pipe: impl Read + Send + 'static, last: fn(&str) -> bool) -> Self {
        let lines = Self::default();
        let seen = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n') {
                let Ok(line) = line else { break };
                let line = String::from_utf8_lossy(&line).into_owned();
                let hang_up = last(&line);
                seen.change(|state| state.lines.push(line));
                if hang_up {
                    break;
                }
            }
            seen.change(|state| state.ended = true);
        });
        lines
    }

    /// Waits for a line for which `find` returns a value. Panics with `what` if no such line comes.
    pub fn wait<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let mut found = None;
        let state = self.wait_until(|state| {
            found = state.lines.iter().find_map(|line| find(line));
            found.is_some() || state.ended
        });
        found.unwrap_or_else(|| panic!("{what}: no such line in\n{state}"))
    }

    /// Waits until the writer closes its end, and returns the whole text.
    pub fn all(&self) -> String {
        let mut ended = false;
        let text = self.wait_until(|state| {
            ended = state.ended;
            ended
        });
        assert!(ended, "the process is still running; it wrote\n{text}");
        text
    }

    /// The text so far.
    pub fn so_far(&self) -> String {
        self.wait_until(|_| true)
    }

    fn wait_until(&self, mut done: impl FnMut(&State) -> bool) -> String {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, _) = changed
            .wait_timeout_while(state, TEST_TIMEOUT, |state| !done(state))
            .unwrap_or_else(PoisonError::into_inner);
        state.lines.join("\n")
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let (state, changed) = &*self.0;
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }
}
