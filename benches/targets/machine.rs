//! What the figures were measured on. No names of hosts, people or folders.

use std::fs::{File, read_to_string};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::Result;

/// The machine, as the reader of a table has to know it.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// How many the programs may use.
    pub cores: usize,
    /// In GiB.
    pub memory: u64,
    /// Its version.
    pub kernel: String,
    /// The type of the one that the stores are on.
    pub file_system: String,
    /// How long it takes until 4 KiB more are on the disk: median and 99th percentile, in ms.
    pub sync_ms: (f64, f64),
    /// How many processes wanted to run in the last minute, before anything was measured.
    pub load_average: String,
    /// Debug builds say nothing about speed.
    pub optimised: bool,
}

/// Looks at the machine; stores are made below `folder`.
///
/// # Errors
/// Nothing can be written there.
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

/// The type of the mount that is nearest to `folder`.
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

/// How much room there is below `folder`, in bytes.
///
/// # Errors
/// The system does not say.
pub fn room(folder: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
