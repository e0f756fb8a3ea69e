//! Tests the queue against writers that take everything, nothing, or only a part.

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Instant;

use super::*;

const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The test's end of a [`Gated`] writer: it decides the result of each write, and gets what was written.
struct Gate {
    open: Sender<io::Result<usize>>,
    seen: Receiver<Vec<u8>>,
}

/// A writer that waits for its [`Gate`] before each write.
struct Gated {
    allowed: Receiver<io::Result<usize>>,
    written: Sender<Vec<u8>>,
}

fn gate() -> (Gate, Gated) {
    let (open, allowed) = mpsc::channel();
    let (written, seen) = mpsc::channel();
    (Gate { open, seen }, Gated { allowed, written })
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A dropped gate is open.
        let count = self.allowed.recv().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
        let _test_is_over = self.written.send(bytes[..count].to_vec());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn nothing(_: u64) {}

#[test]
fn a_full_queue_drops_lines_and_never_blocks() {
    let (gate, gated) = gate();
    let queue = LogQueue::start(gated, 10, nothing).unwrap();
    for _ in 0..1_000 {
        queue.push(b"12345\n".to_vec());
    }
    // Nothing has been read: the thread may hold one line, and one fits into the queue.
    let dropped = queue.lock().dropped;
    assert!((998..=999).contains(&dropped), "{dropped}");
    assert!(!queue.flush(Duration::ZERO), "a line still waits for the reader");
    drop(gate.open);
    assert!(queue.flush(TEST_TIMEOUT));
    let written: Vec<u8> = gate.seen.try_iter().flatten().collect();
    assert_eq!(written, b"12345\n".repeat(1_000 - usize::try_from(dropped).unwrap()));
}

#[test]
fn a_flush_does_not_outlast_its_timeout_while_the_reader_is_blocked() {
    let (gate, gated) = gate();
    let queue = LogQueue::start(gated, 100, nothing).unwrap();
    queue.push(b"a\n".to_vec());
    let begun = Instant::now();
    assert!(!queue.flush(Duration::from_millis(50)));
    assert!(begun.elapsed() < TEST_TIMEOUT);
    gate.open.send(Ok(1)).unwrap();
    assert_eq!(gate.seen.recv().unwrap(), b"a", "the next write continues after a short one");
    gate.open.send(Ok(1)).unwrap();
    assert!(queue.flush(TEST_TIMEOUT));
}

#[test]
fn lines_come_before_the_report_of_dropped_ones_until_half_the_queue_is_free() {
    let line = |text: &str| text.as_bytes().to_vec();
    let state = |lines: &[&str], dropped, failing, closed| State {
        lines: lines.iter().map(|text| line(text)).collect(),
        bytes: lines.iter().map(|text| text.len()).sum(),
        dropped,
        failing,
        busy: false,
        closed,
    };
    for (mut state, expected) in [
        (state(&[], 0, false, false), Next::Wait),
        (state(&["a"], 0, false, true), Next::Write(line("a"))),
        (state(&[], 0, false, true), Next::End),
        (state(&["abcdef"], 3, false, false), Next::Write(line("abcdef"))),
        (state(&["abcde"], 3, false, false), Next::Report(3)),
        (state(&[], 3, false, true), Next::Report(3)),
        (state(&["a"], 3, true, false), Next::Write(line("a"))),
        (state(&[], 3, true, false), Next::Wait),
        (state(&[], 3, true, true), Next::End),
    ] {
        assert_eq!(state.next(10), expected);
    }
}

#[test]
fn a_torn_line_does_not_run_into_the_next_and_a_closed_reader_is_harmless() {
    let (gate, gated) = gate();
    let queue = LogQueue::start(gated, 1_000, nothing).unwrap();
    queue.push(b"torn\n".to_vec());
    gate.open.send(Ok(2)).unwrap();
    gate.open.send(Err(ErrorKind::StorageFull.into())).unwrap();
    queue.push(b"gone\n".to_vec());
    gate.open.send(Err(ErrorKind::BrokenPipe.into())).unwrap();
    queue.push(b"whole\n".to_vec());
    drop(gate.open);
    assert!(queue.flush(TEST_TIMEOUT));
    let written: Vec<u8> = gate.seen.try_iter().flatten().collect();
    assert_eq!(String::from_utf8(written).unwrap(), "to\nwhole\n");
}

#[test]
fn a_write_that_would_block_or_is_interrupted_is_retried() {
    let (gate, gated) = gate();
    let queue = LogQueue::start(gated, 100, nothing).unwrap();
    queue.push(b"a\n".to_vec());
    gate.open.send(Err(ErrorKind::WouldBlock.into())).unwrap();
    gate.open.send(Err(ErrorKind::Interrupted.into())).unwrap();
    drop(gate.open);
    assert!(queue.flush(TEST_TIMEOUT));
    assert_eq!(gate.seen.recv().unwrap(), b"a\n");
}
