//! What to do after `init`: on this machine, in the handler, and in Kommo.

use super::answers::{Access, Answers, HandlerKind, is_on_this_machine, written};
use super::render::{CHAT_USER, handler_secret_file, is_chat, redirect_uri};

/// The steps and commands that follow.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// What to do for the handler.
    pub(super) handler: Vec<String>,
    /// What to do in Kommo, and before it.
    pub(super) kommo: Vec<String>,
    /// The next commands, in order.
    pub(super) commands: Vec<String>,
}

impl Next {
    /// `widget` is the name of the widget in the package; `None` if no package was written. `folder` is where the commands
    /// run; `None` if that is here.
    pub(super) fn after(answers: &Answers, widget: Option<&str>, folder: Option<&str>) -> Self {
        Self { handler: handler(answers), kommo: kommo(answers, widget), commands: commands(answers, folder) }
    }
}

fn handler(answers: &Answers) -> Vec<String> {
    let name = &answers.handler;
    let file = handler_secret_file(answers).unwrap_or_default();
    match &answers.kind {
        HandlerKind::Echo => Vec::new(),
        HandlerKind::Http(url) => vec![
            format!(
                "Start your program at {url}. It can verify that a request comes from the bridge with the secret in {file}."
            ),
            format!(
                "Run `salesbot-bridge handlers test {name}`: it sends a test request, and explains the response."
            ),
        ],
        HandlerKind::N8n(url) if is_chat(url) => vec![
            format!(
                "In n8n, give the node Chat Trigger the authentication Basic Auth, with a credential whose user is \
                 `{CHAT_USER}`. `cut -d' ' -f2 {file} | base64 -d` prints the user, a colon and the password."
            ),
            "Publish the workflow.".to_owned(),
        ],
        HandlerKind::N8n(_) => vec![
            format!(
                "In n8n, give the node Webhook a credential of the type Header Auth: the name is Authorization, the value is \
                 the line in {file}."
            ),
            "Publish the workflow.".to_owned(),
        ],
        HandlerKind::Rust => vec![
            "In Cargo.toml, replace URL-OF-THIS-REPOSITORY with the address of the bridge's repository."
                .to_owned(),
            format!(
                "Change the handler `{name}` in src/main.rs. `cargo run --` has every command of the bridge."
            ),
        ],
    }
}

fn kommo(answers: &Answers, widget: Option<&str>) -> Vec<String> {
    let public = written(&answers.public_url);
    if is_on_this_machine(&answers.public_url) {
        return vec![format!(
            "Kommo cannot call {public}; only a simulated Kommo on this machine can (`simulate`). For a real account, run \
             `init` again with a public https address."
        )];
    }
    let mut steps = vec![format!(
        "Let a reverse proxy with TLS pass {public} on to 127.0.0.1:8080, where `serve` listens."
    )];
    steps.push(
        "In Kommo, as an administrator of an account with the Advanced plan or higher, open Settings → Integrations and the \
         page of your private integration."
            .to_owned(),
    );
    if matches!(answers.access, Access::Oauth) {
        steps.push(format!("Enter {} as its redirect URL, exactly like this.", redirect_uri(answers)));
    }
    match widget {
        Some(name) => steps.extend([
            "Upload widget.zip there.".to_owned(),
            format!("Open {name} in the list of installed integrations and save its settings once: bots cannot see it before that."),
            format!("Add the block {name} to a bot, connect each of its exits, and save the bot."),
        ]),
        None => steps.push(
            "Upload a widget package, save its settings once, and add its block to a bot. `widget-package` writes one."
                .to_owned(),
        ),
    }
    if matches!(answers.access, Access::Oauth) {
        steps.push(
            "While `serve` runs, connect an account: `salesbot-bridge accounts authorize` prints a link, which an \
             administrator of the account opens."
                .to_owned(),
        );
    }
    steps
}

fn commands(answers: &Answers, folder: Option<&str>) -> Vec<String> {
    let program = if answers.kind == HandlerKind::Rust { "cargo run --" } else { "salesbot-bridge" };
    let enter = folder.map(|folder| format!("cd {}", for_shell(folder)));
    enter.into_iter().chain([format!("{program} doctor"), format!("{program} serve")]).collect()
}

/// The text as one word of a shell.
fn for_shell(text: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-".contains(letter);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
