//! The resource usage of a process, as the kernel counts it.

use std::fs;
use std::time::Duration;

/// CPU time and memory of a process. Available only on Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all threads so far, user and system.
    pub cpu: Duration,
    /// The peak of resident memory so far, in bytes.
    pub peak_memory: u64,
    /// The current resident memory, in bytes.
    pub memory: u64,
}

impl Usage {
    /// The usage of the process with this id; `None` if there is no such process, or the system is not Linux.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        // Each may be too low: the first counts in hundredths of a second, the second lacks the threads that have ended.
        let cpu = by_process(&stat)?.max(by_threads(pid));
        Some(Self { cpu, peak_memory: bytes(&status, "VmHWM:")?, memory: bytes(&status, "VmRSS:")? })
    }
}

/// CPU time from `utime` and `stime` in `/proc/PID/stat`, in ticks. Linux reports 100 ticks per second.
fn by_process(stat: &str) -> Option<Duration> {
    // The name of the program may contain anything, even parentheses.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// CPU time of the existing threads, as the scheduler counts it in nanoseconds.
fn by_threads(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

fn bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_parsed_whatever_the_name_of_the_program() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 3 0 0 0 123 45 6 7 20 0 9 0 42 1 1";
        assert_eq!(by_process(stat), Some(Duration::from_millis(1_680)));
        assert_eq!(by_process("nothing"), None);
        let status = "Name:\tx\nVmHWM:\t   21504 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(bytes(status, "VmHWM:"), Some(21 << 20));
        assert_eq!(bytes(status, "VmRSS:"), Some(10 << 20));
        assert_eq!(bytes(status, "VmSwap:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn usage_of_this_process_is_not_zero() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.cpu > Duration::ZERO && usage.peak_memory >= usage.memory && usage.memory > 1 << 20);
        assert_eq!(Usage::of(u32::MAX), None);
    }
}
