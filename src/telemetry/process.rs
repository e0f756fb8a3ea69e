//! The numbers of the process, as Prometheus' clients name them: CPU time, memory, threads, file descriptors and start.
//!
//! Linux shows them in `/proc/self`. On other systems they are missing.

use std::fs;

use crate::meters::Exposition;
use crate::meters::scraped::{
    PROCESS_CPU, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT, PROCESS_START, PROCESS_THREADS,
    PROCESS_VIRTUAL,
};

/// The numbers in the line of `/proc/self/stat`, in its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    /// User and system time, in ticks.
    cpu_ticks: u64,
    threads: u64,
    /// Ticks from the boot of the machine to the start of the process.
    started_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// Parses the line. The name of the program may contain spaces and parentheses; the fields follow its last `)`.
    fn parse(line: &str) -> Option<Self> {
        let (_, fields) = line.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // Numbered as in proc(5), where the state is field 3.
        let field = |number: usize| fields.get(number.checked_sub(3)?)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)?.checked_add(field(15)?)?,
            threads: field(20)?,
            started_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// The seconds from 1970 to the boot of the machine, in the text of `/proc/stat`.
fn boot_seconds(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Adds what the system shows of the process.
pub(super) fn add(text: &mut Exposition) {
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
        let ticks = as_f64(rustix::param::clock_ticks_per_second());
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(0);
        text.value(&PROCESS_CPU, as_f64(stat.cpu_ticks) / ticks);
        text.value(&PROCESS_RESIDENT, stat.resident_pages.saturating_mul(page));
        text.value(&PROCESS_VIRTUAL, stat.virtual_bytes);
        text.value(&PROCESS_THREADS, stat.threads);
        let boot = fs::read_to_string("/proc/stat").ok().as_deref().and_then(boot_seconds);
        if let Some(boot) = boot {
            text.value(&PROCESS_START, as_f64(boot) + as_f64(stat.started_ticks) / ticks);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The folder itself is open while it is read.
        text.value(&PROCESS_OPEN_FDS, open.count().saturating_sub(1));
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if let Some(limit) = limit.current {
        text.value(&PROCESS_MAX_FDS, limit);
    }
}

#[allow(clippy::cast_precision_loss, reason = "ticks and seconds are far below 2^52")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_follow_the_name_of_the_program() {
        let line = "4711 (a (b) c) S 1 4711 4711 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 9 0 123456 1000000 250 \
                    18446744073709551615 1 1 0 0 0\n";
        let expected = Stat {
            cpu_ticks: 200,
            threads: 9,
            started_ticks: 123_456,
            virtual_bytes: 1_000_000,
            resident_pages: 250,
        };
        assert_eq!(Stat::parse(line), Some(expected));
        assert_eq!(Stat::parse("4711 (a) S 1"), None);
        assert_eq!(Stat::parse(""), None);
        assert_eq!(boot_seconds("cpu 1 2\nbtime 1700000000\nctxt 3\n"), Some(1_700_000_000));
        assert_eq!(boot_seconds("cpu 1 2\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_running_process_has_all_numbers() {
        let mut text = Exposition::default();
        add(&mut text);
        let text = text.into_text();
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
            line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
                .unwrap_or_else(|| panic!("{name}: {text}"))
        };
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") <= value("process_max_fds"));
        assert!(value("process_start_time_seconds") > 1.6e9);
    }
}
