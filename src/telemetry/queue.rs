//! The log's queue: code that logs pushes whole lines and never waits; one thread writes them.
//!
//! A stalled reader of stderr (a full pipe, a paused terminal) can block a thread that writes to it indefinitely. So only
//! the log's thread writes. When the queue is full, further lines are dropped and counted, and a later line says how
//! many. The queue is limited by bytes, so its memory is bounded.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Counts every line that was not written.
pub(super) const DROPPED: &str = "bridge_log_lines_dropped_total";
/// Time until the next try if another program made stderr non-blocking and it is full.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// The queue. Clones are the same queue.
#[derive(Clone)]
pub(super) struct LogQueue(Arc<Shared>);

struct Shared {
    max_bytes: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// The total length of `lines`.
    bytes: usize,
    /// Lines dropped since the last report.
    dropped: u64,
    /// Writing the last line failed.
    failing: bool,
    /// The thread is working on what it took last.
    busy: bool,
    closed: bool,
}

/// What the thread does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Write(Vec<u8>),
    /// Report this number of dropped lines.
    Report(u64),
    Wait,
    End,
}

impl LogQueue {
    /// Starts the thread that writes to `out`. `report` logs the number of dropped lines, and may log to this queue.
    ///
    /// # Errors
    /// The system cannot create a thread.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        max_bytes: usize,
        report: fn(u64),
    ) -> io::Result<Self> {
        let shared = Shared { max_bytes, state: Mutex::default(), changed: Condvar::new() };
        let queue = Self(Arc::new(shared));
        let lines = queue.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || lines.write_to(out, report))?;
        Ok(queue)
    }

    /// Adds a whole line, or drops it if there is no room. Never waits for the reader.
    pub(super) fn push(&self, line: Vec<u8>) {
        let mut state = self.lock();
        if state.bytes + line.len() > self.0.max_bytes {
            state.dropped += 1;
            drop(state);
            count_dropped();
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line);
        drop(state);
        self.0.changed.notify_all();
    }

    /// Waits until every line is written or `within` has passed. Returns whether every line is written.
    pub(super) fn flush(&self, within: Duration) -> bool {
        let pending = |state: &mut State| state.busy || !state.lines.is_empty();
        let waited = self.0.changed.wait_timeout_while(self.lock(), within, pending);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !pending(&mut state)
    }

    /// Ends the thread when the lines in the queue are written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.0.changed.notify_all();
    }

    fn write_to(&self, mut out: impl Write, report: fn(u64)) {
        let mut torn = false;
        loop {
            match self.take() {
                Next::Write(line) => {
                    let written = write_line(&mut out, &line, &mut torn);
                    self.wrote(written.is_ok());
                }
                Next::Report(dropped) => report(dropped),
                // `take` never returns it.
                Next::Wait => {}
                Next::End => return,
            }
        }
    }

    fn take(&self) -> Next {
        let mut state = self.lock();
        state.busy = false;
        self.0.changed.notify_all();
        loop {
            match state.next(self.0.max_bytes) {
                Next::Wait => state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                next => {
                    state.busy = true;
                    return next;
                }
            }
        }
    }

    fn wrote(&self, all: bool) {
        let mut state = self.lock();
        state.failing = !all;
        if !all {
            state.dropped += 1;
            drop(state);
            count_dropped();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the next step. Dropped lines are reported once half of the queue is free, unless the last write failed.
    fn next(&mut self, max_bytes: usize) -> Next {
        if self.dropped > 0 && !self.failing && self.bytes <= max_bytes / 2 {
            return Next::Report(std::mem::take(&mut self.dropped));
        }
        match self.lines.pop_front() {
            Some(line) => {
                self.bytes -= line.len();
                Next::Write(line)
            }
            None if self.closed => Next::End,
            None => Next::Wait,
        }
    }
}

fn count_dropped() {
    metrics::counter!(DROPPED).increment(1);
}

/// Writes the whole line. If the line before was torn, starts a new line first.
fn write_line(out: &mut impl Write, line: &[u8], torn: &mut bool) -> io::Result<()> {
    if *torn {
        write_all(out, b"\n")?;
        *torn = false;
    }
    let mut written = 0;
    let result = write_from(out, line, &mut written);
    *torn = result.is_err() && written > 0;
    result.and_then(|()| out.flush())
}

fn write_all(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write_from(out, bytes, &mut 0)
}

fn write_from(out: &mut impl Write, bytes: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < bytes.len() {
        match out.write(&bytes[*written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::park_timeout(RETRY_DELAY),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Escapes a log line for a terminal, and pushes it to the queue in one piece.
#[derive(Clone)]
pub(super) struct Lines {
    pub(super) queue: LogQueue,
    pub(super) prepare: fn(&[u8]) -> Vec<u8>,
}

/// The line of one event.
pub(super) struct Line<'a>(&'a Lines);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.queue.push((self.0.prepare)(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
