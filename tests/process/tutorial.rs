//! The tutorial, word for word: the commands of docs/tutorial.md in their order, and its answers, typed at a terminal. Only
//! Kommo is simulated in this process, and addresses are free ones.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use simulator::{Options, Plan, Simulator};

use crate::process::{Process, program};
use crate::serve::Serve;
use crate::typed::Typed;

/// The addresses in the tutorial: of the bridge, and of the simulator.
const BRIDGE: &str = "http://127.0.0.1:8080";
const SIMULATOR: &str = "http://127.0.0.1:8090";

/// Kommo, the person's folder, and the bridge once it runs.
struct Reader {
    simulator: Simulator,
    home: tempfile::TempDir,
    folder: PathBuf,
    bridge: String,
    admin: String,
    serve: Option<Serve>,
}

impl Reader {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        // An address that no other program uses, so the port is still free when `serve` takes it.
        let free = || TcpListener::bind("127.0.91.1:0").unwrap().local_addr().unwrap().to_string();
        Self {
            simulator: Simulator::start(Options::default()).await.unwrap(),
            folder: home.path().to_owned(),
            home,
            bridge: free(),
            admin: free(),
            serve: None,
        }
    }

    /// A command of the program in the person's folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).current_dir(&self.folder);
        command.env("BRIDGE_SERVER__LISTEN", &self.bridge).env("BRIDGE_ADMIN__LISTEN", &self.admin);
        command
    }

    /// The text of the tutorial with the addresses of this test.
    fn here(&self, text: &str) -> String {
        let bridge = format!("http://{}", self.bridge);
        text.replace(BRIDGE, &bridge).replace(SIMULATOR, self.simulator.base_url())
    }

    /// An answer of the tutorial; a key of the simulator's output becomes its value.
    fn answer(&self, text: &str) -> String {
        let Options { client_uuid, client_secret, access_token, .. } = self.simulator.options();
        match text {
            "client_uuid" => client_uuid.clone(),
            "client_secret" => client_secret.clone(),
            "access_token" => access_token.clone(),
            "Enter" => String::new(),
            text => self.here(text),
        }
    }

    /// Does what one line of the tutorial says.
    async fn follow(&mut self, line: &str, answers: &[(String, String)]) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            // This process plays Kommo. The command keeps its terminal, so the next line is typed in another one.
            ["salesbot-bridge", "simulate", ..] => self.folder = self.home.path().to_owned(),
            ["mkdir", folder] => fs::create_dir(self.folder.join(folder)).unwrap(),
            ["cd", folder] => {
                self.folder.push(folder);
                assert!(self.folder.is_dir(), "`{line}`");
            }
            ["salesbot-bridge", "init"] => {
                let mut typed = Typed::start(self.command(&["init"]));
                for (question, answer) in answers {
                    typed.answers(question, &self.answer(answer));
                }
                let (status, text) = typed.ends();
                assert_eq!(status, Some(0), "{text}");
                assert!(text.contains("Kommo accepts its token"), "init checks at once: {text}");
                let secret = &self.simulator.options().client_secret;
                assert!(!text.contains(secret.as_str()), "a secret is shown");
                println!("{text}");
            }
            ["salesbot-bridge", "serve"] => {
                let serve = Serve::of(Process::start(self.command(&["serve"])));
                assert_eq!(serve.public.to_string(), self.bridge);
                self.serve = Some(serve);
                self.folder = self.home.path().to_owned();
            }
            ["curl", ..] => self.start_bot(line).await,
            ["salesbot-bridge", "dev"] => {
                let mut typed = Typed::start(self.command(&["dev"]));
                typed.reads("Type a message");
                typed.enters("Is anyone there?");
                typed.reads("bot ← message: Is anyone there?");
                typed.reads("bot continued after");
                typed.enters("/quit");
                let (status, text) = typed.ends();
                assert_eq!(status, Some(0), "{text}");
                println!("{text}");
            }
            ["salesbot-bridge", arguments @ ..] => {
                let (status, text) = Typed::start(self.command(arguments)).ends();
                assert_eq!(status, Some(0), "`{line}`: {text}");
                let runs = self.serve.is_some();
                let expected = match arguments {
                    ["doctor"] if runs => "leads to the bridge that runs here",
                    ["doctor"] => "run `serve`",
                    ["jobs", "list"] => "delivered",
                    other => panic!("the test does not know `{other:?}`"),
                };
                assert!(text.contains(expected), "`{line}`: {text}");
                println!("{text}");
            }
            other => panic!("the test does not know `{other:?}`"),
        }
    }

    /// Starts the bot that a `curl` line orders, and waits until it is continued.
    async fn start_bot(&self, line: &str) {
        let line = self.here(line);
        let (command, order) = line.split_once(" -H 'Content-Type: application/json' -d ").unwrap();
        assert_eq!(command, format!("curl {}/simulator/bots", self.simulator.base_url()));
        let order: Value = serde_json::from_str(order.trim_matches('\'')).unwrap();
        let bot = self.simulator.bot(Plan::with_data(order["data"].clone()));
        assert_eq!(bot.call(order["url"].as_str().unwrap()).await.unwrap().status, 200);
        self.serve.as_ref().unwrap().delivers(1).await;
        assert_eq!(bot.continues().len(), 1);
    }
}

/// The lines of the tutorial's blocks `sh`.
fn commands(tutorial: &str) -> Vec<String> {
    let blocks = tutorial.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" # ").next().unwrap().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The questions and answers of the tutorial's table.
fn answers(tutorial: &str) -> Vec<(String, String)> {
    let rows = tutorial.lines().skip_while(|line| !line.starts_with("| question ")).skip(2);
    let rows = rows.map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| {
        let (question, answer) = row.split_once(" | ").unwrap();
        let answer = answer.split('`').nth(1).unwrap_or("Enter");
        (question.to_owned(), answer.to_owned())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tutorial_works_word_for_word() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial.md");
    let tutorial = fs::read_to_string(file).unwrap();
    let (commands, answers) = (commands(&tutorial), answers(&tutorial));
    for needed in ["salesbot-bridge init", "salesbot-bridge doctor", "salesbot-bridge serve"] {
        assert!(commands.iter().any(|command| command == needed), "{needed} in {commands:?}");
    }
    let mut reader = Reader::new().await;
    let begun = Instant::now();
    for command in &commands {
        reader.follow(command, &answers).await;
        println!("{:5.1} s  {command}", begun.elapsed().as_secs_f64());
    }
    reader.serve.take().unwrap().stop();
    assert!(reader.home.path().join("bots/data/bridge.db").is_file());
}
