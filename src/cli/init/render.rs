//! The files that follow from the answers. Pure, so that tests can try every combination.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use url::Url;

use model::url_below;

use super::answers::{Access, Answers, HandlerKind, delivery, quoted, written};

/// The name of the configuration file.
pub(super) const CONFIG: &str = "bridge.toml";
/// The name of the integration in the configuration.
pub(super) const INTEGRATION: &str = "main";
/// The file with the integration's secret key.
const CLIENT_SECRET: &str = "main.secret";
/// The file with the key of `store.encryption_key`.
const ENCRYPTION_KEY: &str = "store.key";
/// The user of the credential that an n8n chat gets.
pub(super) const CHAT_USER: &str = "bridge";

/// A program with its own handler. `GREET` is the handler's name.
const RUST_MAIN: &str = include_str!("rust/main.rs.txt");
const RUST_CARGO: &str = include_str!("rust/Cargo.toml.txt");
const GITIGNORE: &str = "\
# Secrets, customers' data and build output.
*.auth
*.key
*.secret
*.token
*.whsec
data/
target/
";

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewFile {
    /// The path below the folder.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// Whether only the owner may read it.
    pub(super) is_secret: bool,
    /// Whether an existing file stays as it is: it holds a secret that was made earlier, or a person's work.
    pub(super) keeps_existing: bool,
}

impl NewFile {
    pub(super) fn public(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), bytes: bytes.into(), is_secret: false, keeps_existing: false }
    }

    fn secret(name: &str, text: &str) -> Self {
        Self { is_secret: true, ..Self::public(name, format!("{text}\n")) }
    }

    fn kept(self) -> Self {
        Self { keeps_existing: true, ..self }
    }
}

/// Random bytes for the secrets that `init` makes.
#[derive(Clone, Copy)]
pub(super) struct Random {
    pub(super) encryption_key: [u8; 32],
    pub(super) handler: [u8; 32],
}

/// The file with the secret between the bridge and a handler at a URL; `None` if the handler has none.
pub(super) fn handler_secret_file(answers: &Answers) -> Option<String> {
    match &answers.kind {
        HandlerKind::Http(_) => Some(format!("{}.whsec", answers.handler)),
        HandlerKind::N8n(_) => Some(format!("{}.auth", answers.handler)),
        HandlerKind::Echo | HandlerKind::Rust => None,
    }
}

/// Whether the URL is that of an n8n chat, which has its own form and credentials.
pub(super) fn is_chat(url: &Url) -> bool {
    url.path().trim_end_matches('/').ends_with("/chat")
}

/// Where Kommo sends a person's browser back after access was granted.
pub(super) fn redirect_uri(answers: &Answers) -> String {
    url_below(&answers.public_url, "/oauth/callback").to_string()
}

/// All files except the widget package. The configuration is the last.
pub(super) fn files(answers: &Answers, random: &Random) -> Vec<NewFile> {
    let mut files = vec![NewFile::secret(CLIENT_SECRET, answers.client_secret.expose_secret())];
    match &answers.access {
        Access::Token(account) => {
            let name = format!("{}.token", account.name);
            files.push(NewFile::secret(&name, account.token.expose_secret()));
        }
        Access::Oauth => {
            files.push(NewFile::secret(ENCRYPTION_KEY, &STANDARD.encode(random.encryption_key)).kept());
        }
    }
    if let Some(name) = handler_secret_file(answers) {
        let random = random.handler;
        let text = match &answers.kind {
            HandlerKind::N8n(url) if is_chat(url) => {
                let password = hex::encode(random);
                format!("Basic {}", STANDARD.encode(format!("{CHAT_USER}:{password}")))
            }
            HandlerKind::N8n(_) => format!("Bearer {}", hex::encode(random)),
            _ => format!("whsec_{}", STANDARD.encode(random)),
        };
        files.push(NewFile::secret(&name, &text).kept());
    }
    if answers.kind == HandlerKind::Rust {
        let main = RUST_MAIN.replace("GREET", answers.handler.as_str());
        files.push(NewFile::public("Cargo.toml", RUST_CARGO).kept());
        files.push(NewFile::public("src/main.rs", main).kept());
    }
    files.push(NewFile::public(".gitignore", GITIGNORE).kept());
    files.push(NewFile::public(CONFIG, config(answers)));
    files
}

/// The text of the configuration.
fn config(answers: &Answers) -> String {
    let public_url = written(&answers.public_url);
    let handler = &answers.handler;
    let mut text = format!(
        r#"# The configuration of a bridge between Kommo and your handlers, written by `salesbot-bridge init`.
#
# Change it as you like: `config check` checks it, `serve` reads it when it starts. This file has only the keys that you
# need; config/default.toml in the repository of the bridge explains all of them, and `config show` prints all values.
# Secrets are in files beside this one, which only their owner can read. Keep them out of version control.

[server]
# Kommo calls the bridge below this address: a proxy with TLS passes its requests on to `listen`.
public_url = {public_url}
#listen = "127.0.0.1:8080"

[store]
# The file with all jobs. The path is relative to the folder in which a command runs, so run them in the folder of this
# file, or write a whole path.
url = "sqlite:data/bridge.db"
"#,
        public_url = quoted(&public_url),
    );
    let is_oauth = matches!(answers.access, Access::Oauth);
    if is_oauth {
        text.push_str(&format!(
            "# Encrypts the tokens of connected accounts. If you lose the key, each account must be connected again.\n\
             encryption_key_file = \"{ENCRYPTION_KEY}\"\n"
        ));
    }
    text.push_str(&format!(
        "\n[integrations.{INTEGRATION}]\n\
         # The id and the secret key are on the integration's page in Kommo.\n\
         client_uuid = {}\n\
         client_secret_file = \"{CLIENT_SECRET}\"\n",
        quoted(&answers.client_uuid)
    ));
    if is_oauth {
        text.push_str(&format!(
            "# Kommo sends a person back to this address. It must be the same, character for character, in Kommo.\n\
             redirect_uri = {}\n",
            quoted(&redirect_uri(answers))
        ));
    }
    if let Access::Token(account) = &answers.access {
        let name = &account.name;
        text.push_str(&format!(
            "\n[accounts.{name}]\n\
             # The account, and its long-lived token, which an administrator generated.\n\
             base_url = {}\n\
             access_token_file = \"{name}.token\"\n",
            quoted(&written(&account.base_url))
        ));
        let delivery = delivery(account);
        if !delivery.is_empty() {
            let comment = "# Only for a simulated Kommo: `insecure` allows http and private addresses. Remove this section\n\
                           # before you use a real account.";
            text.push_str(&format!("\n{comment}\n{delivery}"));
        }
    }
    text.push_str(&format!(
        "\n[handlers.{handler}]\n\
         # The block of the widget calls {}\n",
        url_below(&answers.public_url, &format!("/widget_request/{handler}"))
    ));
    text.push_str(&handler_keys(answers));
    text
}

/// The keys of the handler that depend on its kind.
fn handler_keys(answers: &Answers) -> String {
    let file = handler_secret_file(answers).unwrap_or_default();
    match &answers.kind {
        HandlerKind::Echo => {
            "# A built-in handler, which sends the bot's data back. Replace it with your own: kind = \"http\".\n\
             kind = \"echo\"\n"
                .to_owned()
        }
        HandlerKind::Http(url) => format!(
            "# A program at a URL, in any language. The secret signs each request.\n\
             kind = \"http\"\nurl = {}\nsecret_file = \"{file}\"\n",
            quoted(url.as_str())
        ),
        HandlerKind::N8n(url) => {
            let preset = if is_chat(url) { "preset = \"n8n-chat\"\n" } else { "" };
            format!(
                "# A workflow in n8n. The file holds the value of the header Authorization, which n8n checks.\n\
                 kind = \"http\"\nurl = {}\n{preset}auth_file = \"{file}\"\n",
                quoted(url.as_str())
            )
        }
        HandlerKind::Rust => "# Registered in src/main.rs, so only your program, `cargo run -- serve`, has this handler.\n\
                              answer_within = \"50s\"\n"
            .to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests;
