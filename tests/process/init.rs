//! Tests of `init`: with options, again in the same folder, and by a person at a terminal.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ::widget_package::{check, version_of};
use simulator::{Options, Simulator};
use tempfile::TempDir;

use crate::process::{Ended, program, run};
use crate::typed::Typed;

const ID: &str = "9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11";
const SECRET: &str = "kX2vZb7Qm4tR9wYc";
const TOKEN: &str = "hT5nLp8Ws1dJ6gFe";

/// A folder with two secrets in files, and an empty folder `bots`.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bots")).unwrap();
        fs::write(folder.path().join("secret.txt"), format!("{SECRET}\n")).unwrap();
        fs::write(folder.path().join("token.txt"), TOKEN).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("bots").join(name)
    }

    /// `init` in `bots`, which checks nothing over the network.
    fn init(&self, more: &[&str]) -> Command {
        let mut command = program();
        command.args(["init", "--offline"]).args(more).current_dir(self.0.path().join("bots"));
        command
    }

    fn run(&self, more: &[&str]) -> Ended {
        run(self.init(more))
    }

    /// Everything in `bots`, sorted, with its contents.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(self.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    }

    fn names(&self) -> Vec<String> {
        self.files().into_iter().map(|(name, _)| name).collect()
    }

    fn config(&self) -> String {
        fs::read_to_string(self.path("bridge.toml")).unwrap()
    }
}

/// The options that have no default.
const ANSWERS: &[&str] = &[
    "--public-url",
    "https://bots.example.com",
    "--client-uuid",
    ID,
    "--client-secret-file",
    "../secret.txt",
    "--account",
    "https://shop.kommo.com",
    "--access-token-file",
    "../token.txt",
];

/// The status of each file in the JSON output.
fn statuses(ended: &Ended) -> Vec<(String, String)> {
    let files = ended.json()["files"].as_array().unwrap().clone();
    let text = |file: &serde_json::Value, key: &str| file[key].as_str().unwrap().to_owned();
    files.iter().map(|file| (text(file, "name"), text(file, "status"))).collect()
}

#[test]
fn without_a_terminal_every_missing_answer_is_named_with_its_option() {
    let desk = Desk::new();
    let ended = desk.run(&["--kind", "http"]).expect(2);
    for option in [
        "--public-url URL",
        "--handler-url URL",
        "--client-uuid ID",
        "--client-secret-file FILE",
        "--account URL",
        "--access-token-file FILE",
    ] {
        assert!(ended.err.contains(option), "{option} in\n{}", ended.err);
    }
    assert!(ended.err.contains("nothing was written") && ended.out.is_empty(), "{}", ended.err);
    let wrong = desk.run(&["--public-url", "http://bots.example.com", "--client-uuid", "main"]).expect(2);
    for part in ["--public-url: must begin with https://", "--client-uuid: must be the integration's id"] {
        assert!(wrong.err.contains(part), "{part} in\n{}", wrong.err);
    }
    let unread = desk.run(&["--client-secret-file", "missing.txt"]).expect(2);
    assert!(unread.err.contains("--client-secret-file: ") && unread.err.contains("missing.txt"));
    let twice = desk.run(&["--client-secret-file", "-", "--access-token-file", "-"]).expect(2);
    assert!(twice.err.contains("cannot both be stdin"), "{}", twice.err);
    let named = desk.run(&["--config", "other.toml"]).expect(2);
    assert!(named.err.contains("--dir"), "{}", named.err);
    assert_eq!(desk.names(), [""; 0]);
}

#[test]
fn options_alone_make_a_configuration_that_is_valid_with_secrets_in_files() {
    let desk = Desk::new();
    let ended = desk.run(ANSWERS).expect(0);
    assert_eq!(desk.names(), [".gitignore", "bridge.toml", "main.secret", "shop.token", "widget.zip"]);
    for (name, secret) in [("main.secret", SECRET), ("shop.token", TOKEN)] {
        assert_eq!(fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(desk.path(name)).unwrap(), format!("{secret}\n"));
        assert!(!desk.config().contains(secret) && !ended.out.contains(secret), "{name}");
    }
    assert_eq!(check(&fs::read(desk.path("widget.zip")).unwrap()), []);
    for part in ["Upload widget.zip", "Add the block Echo", "salesbot-bridge doctor", "salesbot-bridge serve"]
    {
        assert!(ended.out.contains(part), "{part} in\n{}", ended.out);
    }
    let mut checked = program();
    checked.args(["config", "check"]).current_dir(desk.path(""));
    run(checked).expect(0);
}

#[test]
fn a_second_run_changes_nothing_that_may_not_be_replaced() {
    let desk = Desk::new();
    let http = ["--handler-url", "http://127.0.0.1:8000/", "--json"];
    let first = desk.run(&[ANSWERS, &http].concat()).expect(0);
    assert!(statuses(&first).iter().all(|(_, status)| status == "written"), "{}", first.out);
    let before = desk.files();

    let same = desk.run(&["--json"]).expect(0);
    assert!(statuses(&same).iter().all(|(_, status)| status == "unchanged" || status == "kept"));
    assert_eq!(desk.files(), before);

    let other = ["--public-url", "https://other.example.com", "--json"];
    let refused = desk.run(&other).expect(2);
    assert!(refused.err.contains("server.public_url would become \"https://other.example.com\""));
    assert!(refused.err.contains("--force") && refused.out.is_empty(), "{}", refused.err);
    assert_eq!(desk.files(), before);

    let forced = desk.run(&[&other[..], &["--force"]].concat()).expect(0);
    let status = |name: &str| statuses(&forced).into_iter().find(|(file, _)| file == name).unwrap().1;
    assert_eq!(status("assistant.whsec"), "kept", "a handler knows this secret");
    assert_eq!([status("bridge.toml"), status("widget.zip")], ["replaced"; 2]);
    let version = version_of(&fs::read(desk.path("widget.zip")).unwrap()).unwrap().to_string();
    assert_eq!(version, "1.0.1", "Kommo accepts only a higher version");
    assert!(desk.config().contains("https://other.example.com"));
    assert_eq!(desk.names(), before.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_fails_over_the_network_is_a_warning_after_the_files_are_written() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let desk = Desk::new();
    let mut command = program();
    command.args(["init", "--json", "--public-url", "http://127.0.0.1:1", "--client-uuid", ID]);
    command.args(["--handler-url", "http://127.0.0.1:1/", "--account", simulator.base_url()]);
    command.args(["--client-secret-file", "../secret.txt", "--access-token-file", "../token.txt"]);
    let ended = run({
        command.current_dir(desk.path(""));
        command
    })
    .expect(0);
    let checks = ended.json()["checks"].clone();
    let outcome = |part: &str| {
        let found = checks.as_array().unwrap().iter().find(|check| check.to_string().contains(part));
        found.unwrap_or_else(|| panic!("{part} in {checks}"))["outcome"].clone()
    };
    assert_eq!(outcome("Kommo answered 401"), "warning");
    assert_eq!(outcome("handler assistant"), "warning");
    assert_eq!(outcome("no file with secrets is readable"), "ok");
    assert!(desk.config().contains("insecure = true") && !ended.out.contains(TOKEN));
}

#[test]
fn a_secret_may_come_from_stdin_and_a_folder_is_created() {
    let desk = Desk::new();
    let mut command = desk.init(&["--dir", "a/b", "--connect", "oauth", "--kind", "rust"]);
    command.args(["--public-url", "bots.example.com", "--client-uuid", ID, "--client-secret-file", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(SECRET.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("cd a/b") && text.contains("cargo run -- serve"), "{text}");
    for name in ["a/b/store.key", "a/b/src/main.rs", "a/b/Cargo.toml", "a/b/widget.zip"] {
        assert!(desk.path(name).is_file(), "{name}");
    }
    assert_eq!(fs::read_to_string(desk.path("a/b/main.secret")).unwrap(), format!("{SECRET}\n"));
}

#[test]
fn at_a_terminal_the_person_is_asked_before_anything_is_replaced() {
    let desk = Desk::new();
    desk.run(ANSWERS).expect(0);
    let before = desk.files();
    let again = |answer: &str| {
        let mut typed = Typed::start(desk.init(&["--yes", "--public-url", "https://other.example.com"]));
        typed.reads("server.public_url would become");
        typed.reads("Replace them?");
        typed.types(answer);
        typed.ends()
    };
    let (status, text) = again("n");
    assert!(status == Some(1) && text.contains("nothing was changed"), "{text}");
    assert_eq!(desk.files(), before);
    let (status, text) = again("y");
    assert!(status == Some(0) && text.contains("bridge.toml  replaced"), "{text}");
    assert!(desk.config().contains("https://other.example.com"));
}

#[test]
fn ctrl_c_in_a_question_changes_nothing_and_leaves_the_terminal_as_it_was() {
    let desk = Desk::new();
    let mut typed =
        Typed::start(desk.init(&["--yes", "--public-url", "https://bots.example.com", "--client-uuid", ID]));
    typed.reads("Integration's secret key");
    typed.interrupts();
    typed.reads("stopped; nothing was changed");
    assert!(typed.shows_typing());
    assert_eq!(typed.ends().0, Some(1));

    let mut typed = Typed::start(desk.init(&["--kind", "echo", "--client-uuid", ID]));
    typed.answers("Public URL", "http://bots.example.com");
    typed.reads("must begin with https://");
    // The wrong text is still there: the person corrects it.
    typed.reads("Public URL");
    typed.types("\u{3}");
    typed.reads("stopped; nothing was changed");
    assert!(typed.shows_typing());
    let (status, _) = typed.ends();
    assert_eq!(status, Some(1));
    assert_eq!(desk.names(), [""; 0]);
}
