//! Plays bots against the examples of handlers over HTTP, which the real program calls.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};
use simulator::{Bot, Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::home::Home;
use crate::process::{Process, undisturbed};
use crate::serve::Serve;

/// If set, as in `.ci/run`, a test fails instead of skipping if what it needs is missing.
const MUST_RUN: &str = "TESTS_MUST_RUN";

/// The example calls back after a second. On a busy machine, a kill may come later than that.
const MAX_KILLS: u64 = 5;

/// An example that can run here.
struct Example {
    name: &'static str,
    command: Command,
}

impl Example {
    /// The example `name` with its command; `None`, and a line on stderr, if `needs` is missing.
    fn new(name: &'static str, command: Command, needs: &str, is_there: bool) -> Option<Self> {
        if is_there {
            return Some(Self { name, command });
        }
        // The harness captures `println!` of passing tests, but not this.
        let line = format!("SKIPPED: the example {name} needs {needs}, which is not found\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        None
    }

    /// As [`new`](Self::new), for an example that every run of the gates must try.
    fn required(name: &'static str, command: Command, needs: &str, is_there: bool) -> Option<Self> {
        assert!(is_there || std::env::var_os(MUST_RUN).is_none(), "the example {name} needs {needs}");
        Self::new(name, command, needs, is_there)
    }

    fn python_stdlib() -> Option<Self> {
        let python = runs(&["python3", "--version"]);
        Self::required("python-stdlib", command(&["python3", "app.py"]), "python3", python)
    }

    /// With the Python of `.ci/run`, if it is there.
    fn python_fastapi() -> Option<Self> {
        let own = root().join("target/examples/bin/python");
        let python = if own.exists() { own } else { "python3".into() };
        let python = python.to_str().unwrap();
        let is_there = runs(&[python, "-c", "import fastapi, standardwebhooks, uvicorn"]);
        let needs = "the packages of its requirements.txt, for target/examples/bin/python or python3";
        Self::required("python-fastapi", command(&[python, "app.py"]), needs, is_there)
    }

    fn node() -> Option<Self> {
        let packages = folder("node").join("node_modules/standardwebhooks");
        let is_there = packages.is_dir() && runs(&["node", "--version"]);
        let needs = "Node.js, and `npm ci --prefix examples/http/node`";
        Self::required("node", command(&["node", "app.mjs"]), needs, is_there)
    }

    fn php() -> Option<Self> {
        // The server writes its port in its command line.
        let serve = command(&["sh", "-c", "exec php -S 127.0.0.1:$PORT index.php"]);
        Self::new("php", serve, "PHP 8", runs(&["php", "--version"]))
    }

    /// Compiles the example, so that the process to end is the example itself and not `go run`.
    fn go(built: &Path) -> Option<Self> {
        let mut build = command(&["go", "build", "-o"]);
        build.arg(built).arg("main.go").current_dir(folder("go"));
        let is_there = runs(&["go", "version"]);
        assert!(!is_there || ends_well(&mut build), "the example go does not compile");
        Self::new("go", command(&[built.to_str().unwrap()]), "Go 1.19 or later", is_there)
    }

    /// Starts the example, and waits until it listens.
    fn start(mut self, secret: &str) -> Running {
        let port = free_port();
        self.command.current_dir(folder(self.name)).env("BRIDGE_SECRET", secret);
        self.command.env("PORT", port.to_string());
        // Leave no compiled files in the source tree.
        self.command.env("PYTHONDONTWRITEBYTECODE", "1");
        let process = Process::start(self.command);
        let deadline = Instant::now() + TEST_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "{} never listens: {}", self.name, process.err.so_far());
        }
        Running { name: self.name, process, port }
    }
}

/// A running example. Dropping it kills its process.
struct Running {
    name: &'static str,
    process: Process,
    port: u16,
}

/// Kommo, a bridge with the handler `assistant`, and the example behind it.
struct Setup {
    simulator: Simulator,
    home: Home,
    example: Running,
}

impl Setup {
    async fn new(example: Example) -> Self {
        // 32 bytes. It is not secret, because the example listens on loopback for this test alone.
        let secret = format!("whsec_{}=", "E".repeat(43));
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let example = example.start(&secret);
        let home = Home::new(&simulator, "");
        // Chosen in advance, so that callbacks reach the bridge after a restart too.
        let listen = format!("127.0.0.1:{}", free_port());
        let config = std::fs::read_to_string(home.config()).unwrap();
        let config =
            config.replace("server.listen = \"127.0.0.1:0\"", &format!("server.listen = \"{listen}\""));
        let more = format!(
            r#"
            server.callback_url = "http://{listen}"
            handlers.assistant = {{ kind = "http", url = "http://127.0.0.1:{}/", secret = "{secret}" }}
            "#,
            example.port
        );
        std::fs::write(home.config(), config + &more).unwrap();
        Self { simulator, home, example }
    }

    async fn call(&self, serve: &Serve, data: Value) -> Bot {
        let bot = self.simulator.bot(Plan::with_data(data));
        assert_eq!(bot.call(&serve.url("assistant")).await.unwrap().status, 200);
        bot
    }

    /// Asserts that `bot` is continued with `reply`.
    async fn gets(&self, bot: &Bot, serve: &Serve, reply: &str) {
        let continued = tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await;
        let data = continued.map(|with| with.data);
        if data.as_ref().is_ok_and(|data| data["reply"] == reply) {
            return;
        }
        let (_, jobs) = serve.get("/api/v1/jobs").await;
        let Running { name, process, .. } = &self.example;
        let log = process.err.so_far();
        panic!(
            "{name}: expected the reply {reply:?}, got {data:?}; jobs: {jobs}; log of the example:\n{log}"
        );
    }
}

/// Plays a bot whose question is answered at once, and one whose answer comes later if the example can do that.
async fn plays(example: Option<Example>, answers_later: bool) {
    let Some(example) = example else { return };
    let setup = Setup::new(example).await;
    let serve = setup.home.serve();
    let bot = setup.call(&serve, json!({ "message": "Hi" })).await;
    setup.gets(&bot, &serve, "You wrote: Hi").await;
    if answers_later {
        let bot = setup.call(&serve, json!({ "later": "true" })).await;
        setup.gets(&bot, &serve, "That took a moment.").await;
    }
    serve.settled().await;
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_in_plain_python_answers_bots() {
    plays(Example::python_stdlib(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_with_fastapi_answers_bots() {
    plays(Example::python_fastapi(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_in_javascript_answers_bots() {
    plays(Example::node(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_in_php_answers_bots() {
    plays(Example::php(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_in_go_answers_bots() {
    let built = tempfile::tempdir().unwrap();
    plays(Example::go(&built.path().join("example")), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_example_that_repeats_its_callback_answers_across_a_kill_of_the_bridge() {
    let Some(example) = Example::python_fastapi() else { return };
    let setup = Setup::new(example).await;
    let mut bot = None;
    for jobs in 1..=MAX_KILLS {
        let serve = setup.home.serve();
        let asked = setup.call(&serve, json!({ "later": "true" })).await;
        accepted(&serve, jobs).await;
        serve.process.kill();
        let listed = setup.home.run(&["jobs", "list", "--json"]).expect(0).json();
        if listed["jobs"][0]["state"] == "awaiting_callback" {
            bot = Some(asked);
            break;
        }
    }
    let bot = bot.expect("a kill between the 202 and the callback");
    assert_eq!(bot.report().attempts, 0);

    let serve = setup.home.serve();
    setup.gets(&bot, &serve, "That took a moment.").await;
    serve.settled().await;
    let (_, page) = serve.get("/api/v1/jobs").await;
    let job = &page["jobs"][0];
    assert_eq!(
        (&job["outcome"], &job["handler_attempts"]),
        (&json!("handler"), &json!(1)),
        "the handler does not run again: {page}"
    );
    serve.stop();
}

/// Polls until the handler has accepted this many jobs, whether it has called back or not.
async fn accepted(serve: &Serve, jobs: u64) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        let (_, stats) = serve.get("/api/v1/stats").await;
        let counts =
            ["awaiting_callback", "delivering", "delivered"].map(|state| stats["jobs"][state].as_u64());
        if counts.into_iter().flatten().sum::<u64>() >= jobs {
            return;
        }
        assert!(Instant::now() < deadline, "the example never accepts the job: {stats}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folder(example: &str) -> PathBuf {
    root().join("examples/http").join(example)
}

fn command(words: &[&str]) -> Command {
    let mut command = undisturbed(Command::new(words[0]));
    command.args(&words[1..]);
    command
}

/// Whether the command exists and ends with 0.
fn runs(words: &[&str]) -> bool {
    ends_well(&mut command(words))
}

fn ends_well(command: &mut Command) -> bool {
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ended.is_ok_and(|status| status.success())
}

/// A port that is free. It is below those that the system gives to connections and for port 0, so that no one takes it
/// before the example or the bridge listens there, or between two lives of the bridge.
fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(15_000..30_000));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
