//! A private PostgreSQL server.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::admin::Admin;
use super::control::{Control, Order, command};
use super::database::Database;
use super::programs;

const USER: &str = "bridge";
/// The address of a server that replaces the private one.
const EXISTING: &str = "BRIDGE_TEST_POSTGRES";
/// The port in the name of the socket of a server without TCP.
const SOCKET_PORT: u16 = 5432;
/// How long a server may take to start, also after a crash.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// What a server logs before it ends because it found processes of the last one.
const STILL_ENDING: &str = "pre-existing shared memory block";
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Nothing survives the test process, so nothing has to reach the disk.
const SETTINGS: [(&str, &str); 7] = [
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "300"),
    ("shared_buffers", "64MB"),
    ("max_wal_size", "4GB"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

/// How to start a server.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// Whether it also listens on a TCP port of 127.0.0.1, which the system chooses.
    pub with_tcp: bool,
    /// Settings that replace or complete the usual ones: name and value.
    pub settings: Vec<(String, String)>,
}

/// A PostgreSQL server for tests. It ends when this value is dropped, and when the process ends, even by a kill.
#[derive(Debug)]
pub struct Server {
    place: Place,
    admin: Admin,
}

#[derive(Clone, Debug)]
enum At {
    /// The folder of the socket, and the TCP port.
    Private { folder: PathBuf, port: Option<u16> },
    /// The address of a database on an existing server.
    Existing(url::Url),
}

#[derive(Debug)]
enum Place {
    Private { at: At, control: Mutex<Control> },
    Existing(At),
}

impl Server {
    /// The server that all tests of this process share. `None` if PostgreSQL is not installed; this says so once.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        let make = || match std::env::var_os(EXISTING) {
            Some(url) => {
                let url = url.to_string_lossy();
                let url = url.parse().unwrap_or_else(|error| panic!("{EXISTING}: {error}"));
                Some(Self::existing(url))
            }
            None => Self::start(&ServerOptions::default()),
        };
        SHARED.get_or_init(make).as_ref()
    }

    /// Starts a server for one test, which may stop, kill and pause it. `None` if PostgreSQL is not installed.
    ///
    /// # Panics
    /// The server does not start.
    pub fn start(options: &ServerOptions) -> Option<Self> {
        let Some(programs) = programs::folder() else {
            programs::skip();
            return None;
        };
        let started = Self::start_with(&programs, options);
        Some(started.unwrap_or_else(|error| panic!("PostgreSQL from {}: {error}", programs.display())))
    }

    fn existing(url: url::Url) -> Self {
        let at = At::Existing(url);
        let place = at.clone();
        let admin = Admin::start(move |database| place.url(database));
        let admin = admin.unwrap_or_else(|error| panic!("no thread: {error}"));
        Self { place: Place::Existing(at), admin }
    }

    fn start_with(programs: &Path, options: &ServerOptions) -> std::io::Result<Self> {
        let user = programs::user();
        let folder = make_folder(user)?;
        let made = command(programs.join("initdb"), &folder, user)
            .args([
                "--no-sync",
                "--no-instructions",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-locale",
                "--username",
            ])
            .arg(USER)
            .arg("--pgdata")
            .arg(folder.join("data"))
            .output()?;
        if !made.status.success() {
            let _ = fs::remove_dir_all(&folder);
            return Err(std::io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        let port = if options.with_tcp { Some(free_port()?) } else { None };
        let arguments = arguments(&folder, port, options);
        let control = Mutex::new(Control::start(programs, &folder, user, &arguments)?);
        let at = At::Private { folder, port };
        let place = at.clone();
        let admin = Admin::start(move |database| place.url(database))?;
        let server = Self { place: Place::Private { at, control }, admin };
        server.start_again();
        Ok(server)
    }

    /// Creates a database with the tables of a store.
    pub fn database(&self) -> Database {
        self.make(false)
    }

    /// Creates a database without tables.
    pub fn empty_database(&self) -> Database {
        self.make(true)
    }

    fn make(&self, is_empty: bool) -> Database {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("bridge_test_{}_{serial}", std::process::id());
        self.admin.create(&name, is_empty).unwrap_or_else(|error| panic!("{error}"));
        Database::new(self.url(&name), name, self.admin.clone(), matches!(self.place, Place::Existing(_)))
    }

    /// The address of a database on this server, by its socket.
    pub fn url(&self, database: &str) -> String {
        match &self.place {
            Place::Private { at, .. } | Place::Existing(at) => at.url(database),
        }
    }

    /// The TCP port, if the server has one.
    pub const fn port(&self) -> Option<u16> {
        match &self.place {
            Place::Private { at: At::Private { port, .. }, .. } => *port,
            _ => None,
        }
    }

    /// The address of a database on this server, by TCP on another port, for example that of a proxy.
    pub fn url_at(&self, port: u16, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// Stops the server in order, but without waiting for its clients.
    pub fn stop(&self) {
        self.order(Order::Stop);
    }

    /// Ends the server as after an internal error: it recovers at the next start.
    pub fn abort(&self) {
        self.order(Order::Abort);
    }

    /// Kills all processes of the server.
    pub fn kill(&self) {
        self.order(Order::Kill);
    }

    /// Freezes all processes of the server. New connections are accepted by the system and get no answer.
    pub fn pause(&self) {
        self.order(Order::Pause);
    }

    /// Continues after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.order(Order::Resume);
    }

    /// Stops the server and starts it again.
    pub fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// Stops the server and starts it again, as a replica that follows no primary, or as a primary.
    ///
    /// # Panics
    /// It is not ready in time.
    pub fn restart_as_replica(&self, is_replica: bool) {
        self.stop();
        if let Some(folder) = self.folder() {
            let signal = folder.join("data/standby.signal");
            let changed = if is_replica { fs::write(signal, "") } else { fs::remove_file(signal) };
            changed.unwrap_or_else(|error| panic!("standby.signal: {error}"));
        }
        self.start_again();
    }

    /// Starts a server that was stopped or killed, and waits until it is ready.
    ///
    /// # Panics
    /// It is not ready in time. The message contains its log.
    pub fn start_again(&self) {
        let Some(folder) = self.folder() else { return self.order(Order::Start) };
        // Until the new process writes it, the file is that of the last one.
        let pid_file = folder.join("data/postmaster.pid");
        let _ = fs::remove_file(&pid_file);
        let mut seen = self.log().len();
        self.order(Order::Start);
        let started = Instant::now();
        while !is_ready(&pid_file) {
            let log = self.log();
            assert!(started.elapsed() < START_TIMEOUT, "PostgreSQL is not ready in time:\n{log}");
            // The system may still be ending the processes of a killed server.
            if log.get(seen..).is_some_and(|new| new.contains(STILL_ENDING)) {
                seen = log.len();
                let _ = fs::remove_file(&pid_file);
                self.order(Order::Start);
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// The log of the server until now.
    pub fn log(&self) -> String {
        self.folder().and_then(|folder| fs::read_to_string(folder.join("log")).ok()).unwrap_or_default()
    }

    /// The folder of the server; its data is in `data`. `None` for an existing server.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Private { at: At::Private { folder, .. }, .. } => Some(folder),
            _ => None,
        }
    }

    fn order(&self, order: Order) {
        let Place::Private { control, .. } = &self.place else {
            panic!("only a server of the test itself can be stopped");
        };
        let mut control = control.lock().unwrap_or_else(PoisonError::into_inner);
        control.order(order).unwrap_or_else(|error| panic!("{order:?}: {error}"));
    }
}

impl At {
    fn url(&self, database: &str) -> String {
        match self {
            Self::Private { folder, port } => {
                let (folder, port) = (folder.display(), port.unwrap_or(SOCKET_PORT));
                format!("postgres://{USER}@localhost:{port}/{database}?host={folder}")
            }
            Self::Existing(url) => {
                let mut url = url.clone();
                url.set_path(database);
                url.into()
            }
        }
    }
}

/// Whether the server behind this file accepts connections. PostgreSQL writes it there.
fn is_ready(pid_file: &Path) -> bool {
    let status = fs::read_to_string(pid_file).unwrap_or_default();
    status.lines().nth(7).is_some_and(|line| line.trim() == "ready")
}

fn arguments(folder: &Path, port: Option<u16>, options: &ServerOptions) -> Vec<String> {
    let place = [
        ("unix_socket_directories".to_owned(), folder.display().to_string()),
        ("listen_addresses".to_owned(), if port.is_some() { "127.0.0.1".into() } else { String::new() }),
        ("port".to_owned(), port.unwrap_or(SOCKET_PORT).to_string()),
    ];
    let usual = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    // Of two values for a setting, the last one holds.
    let all = place.into_iter().chain(usual).chain(options.settings.iter().cloned());
    all.flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]).collect()
}

/// Creates a folder for a server. Its path is short, because that of a socket must be.
fn make_folder(user: Option<(u32, u32)>) -> std::io::Result<PathBuf> {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    loop {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("bridge-pg-{}-{serial}", std::process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => {}
            // One of an earlier process with the same number that could not clean up.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        }
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(&folder, Some(user), Some(group))?;
        }
        return Ok(folder);
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
