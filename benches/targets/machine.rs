//! Describes the machine on which the figures were measured, without names of hosts, people or folders.

use std::fs::{File, read_to_string};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::Result;

/// The properties of the machine that a reader needs to judge the figures.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The name of the processor.
    pub cpu: String,
    /// The number of cores available to the programs.
    pub cores: usize,
    /// The memory in GiB.
    pub memory: u64,
    /// The version of the kernel.
    pub kernel: String,
    /// The type of the file system that holds the stores.
    pub file_system: String,
    /// The time to append and sync 4 KiB: median and 99th percentile, in ms.
    pub sync_ms: (f64, f64),
    /// The load average of the last minute before the measurements.
    pub load_average: String,
    /// Whether this is an optimised build. The figures of a debug build mean nothing.
    pub optimised: bool,
}

/// Describes the machine. The stores will be below `folder`.
///
/// # Errors
/// `folder` is not writable.
pub fn describe(folder: &Path) -> Result<Machine> {
    let load_average = first_word("/proc/loadavg");
    let line = |file: &str, name: &str| {
        let text = read_to_string(file).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
        found.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let kib: u64 = line("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    Ok(Machine {
        cpu: line("/proc/cpuinfo", "model name"),
        cores: std::thread::available_parallelism()?.get(),
        memory: kib.div_ceil(1 << 20),
        kernel: first_word("/proc/sys/kernel/osrelease"),
        file_system: file_system(&folder.canonicalize()?),
        sync_ms: sync(folder)?,
        load_average,
        optimised: !cfg!(debug_assertions),
    })
}

fn first_word(file: &str) -> String {
    let text = read_to_string(file).unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// The type of the file system that contains `folder`.
fn file_system(folder: &Path) -> String {
    let mounts = read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let nearest = mounts.filter(|(place, _)| folder.starts_with(place)).max_by_key(|(place, _)| place.len());
    nearest.map_or("unknown", |(_, kind)| kind).to_owned()
}

fn sync(folder: &Path) -> Result<(f64, f64)> {
    const TIMES: usize = 200;
    let mut file: File = tempfile::tempfile_in(folder)?;
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let started = Instant::now();
        file.seek(SeekFrom::End(0))?;
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    times.sort();
    let at = |percent: usize| times[(TIMES - 1) * percent / 100].as_secs_f64() * 1e3;
    Ok((at(50), at(99)))
}

/// The free space below `folder`, in bytes.
///
/// # Errors
/// The system does not report it.
pub fn room(folder: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
