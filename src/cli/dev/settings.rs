//! The handler of `dev`: from its options to the keys of a configuration, and from errors about keys back to options.

use std::path::{Path, absolute};
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::bridge::{Bridge, Error};
use crate::config::ConfigProblem;
use model::HandlerPolicy;

use super::Args;
use crate::cli::exit::{Failure, Usage};
use crate::cli::sandbox::{Sandbox, quoted};
use crate::cli::text::clean;

/// The name of the handler at a URL.
const AT_URL: &str = "dev";
/// The name of the handler without a URL.
const ECHO: &str = "echo";
/// The number of random bytes in a secret.
const SECRET_BYTES: usize = 32;

/// The handler of `dev`.
pub(super) struct Settings {
    /// The keys of the handler, with their values as TOML.
    keys: Vec<(&'static str, String)>,
    url: Option<String>,
    /// The secret of this run, if no file holds one.
    secret: Option<String>,
}

impl Settings {
    /// Reads the options. A file name is relative to the working directory.
    ///
    /// # Errors
    /// `--forward` is a number that is not a port; there are no random bytes for a secret; or the working directory is gone.
    pub(super) fn new(args: &Args) -> anyhow::Result<Self> {
        let mut keys = Vec::new();
        let url = args.forward.as_deref().map(with_scheme).transpose()?;
        let text = |value: &str| quoted(value);
        let path = |path: &Path| anyhow::Ok(quoted(&absolute(path)?.display().to_string()));
        keys.push(("kind", text(if url.is_some() { "http" } else { "echo" })));
        keys.extend(url.as_deref().map(|url| ("url", text(url))));
        keys.extend(args.preset.as_deref().map(|name| ("preset", text(name))));
        keys.extend(args.timeout.as_deref().map(|time| ("attempt_timeout", text(time))));
        keys.extend(args.answer_within.as_deref().map(|time| ("answer_within", text(time))));
        if let Some(file) = &args.auth_file {
            keys.push(("auth_file", path(file).context("--auth-file")?));
        }
        if let Some(file) = &args.secret_file {
            keys.push(("secret_file", path(file).context("--secret-file")?));
        }
        let needs_secret = url.is_some() && args.auth_file.is_none() && args.secret_file.is_none();
        let secret = needs_secret.then(new_secret).transpose()?;
        keys.extend(secret.as_deref().map(|secret| ("secret", text(secret))));
        Ok(Self { keys, url, secret })
    }

    /// The handler's name.
    pub(super) const fn name(&self) -> &'static str {
        if self.url.is_some() { AT_URL } else { ECHO }
    }

    /// The part of the configuration that only `dev` has.
    pub(super) fn toml(&self) -> String {
        let name = self.name();
        let keys = self.keys.iter().map(|(key, value)| format!("handlers.{name}.{key} = {value}\n"));
        // A person who ends `dev` does not wait for a slow handler.
        keys.chain(["workers.grace = \"0s\"\ndelivery.rate_per_account = 500".to_owned()]).collect()
    }

    /// After which time a bot of `bridge` gets the fallback.
    pub(super) fn answer_within(&self, bridge: &Bridge) -> Duration {
        let mut handlers = bridge.config().handlers.iter();
        let configured = handlers.find(|(name, _)| name.as_str() == self.name());
        configured
            .map_or_else(|| HandlerPolicy::default().answer_within, |(_, known)| known.policy.answer_within)
    }

    /// Why the sandbox did not start. An error about a key names the option.
    pub(super) fn failure(&self, error: anyhow::Error) -> Failure {
        let problems = match error.downcast_ref::<Error>() {
            Some(Error::Config(config)) => config.problems(),
            _ => return error.into(),
        };
        let prefix = format!("handlers.{}.", self.name());
        let lines: Option<Vec<String>> =
            problems.iter().map(|problem| in_options(problem, &prefix)).collect();
        match lines {
            Some(lines) => Failure::usage(lines.join("\n")),
            None => error.into(),
        }
    }

    /// The lines before the first event.
    pub(super) fn banner(&self, sandbox: &Sandbox, is_interactive: bool) -> String {
        let to = match &self.url {
            Some(url) => clean(url),
            None => "the built-in handler echo; --forward URL sends them to your own".to_owned(),
        };
        let mut lines = vec![
            "A bridge and a simulated Kommo are running. Their folder is deleted at the end.".to_owned(),
            format!("  to      {to}"),
        ];
        lines.extend(self.secret.as_ref().map(|secret| {
            format!(
                "  secret  {secret}\n          new in each run: verify signatures with it, or keep your own with --secret-file"
            )
        }));
        lines.push(format!(
            "  config  {} (for `jobs show` and the other commands)",
            sandbox.config().display()
        ));
        if is_interactive {
            lines.push("Type a message for the bot to send, or /help.".to_owned());
        }
        lines.join("\n")
    }
}

/// The problem of a configuration as one of an option; `None` if no option sets the key.
fn in_options(problem: &ConfigProblem, prefix: &str) -> Option<String> {
    let option = match problem.key.as_deref()?.strip_prefix(prefix)? {
        "url" => "--forward",
        "preset" => "--preset",
        "attempt_timeout" => "--timeout",
        "answer_within" => "--answer-within",
        "secret" | "secret_file" => "--secret-file",
        "auth" | "auth_file" => "--auth-file",
        _ => return None,
    };
    Some(format!("{option}: {}", problem.message))
}

/// The URL that an option means. A text without a scheme is plain HTTP, and one that begins with a port is on this machine.
///
/// # Errors
/// It begins with a number that is not a port. As a host, that number would be an IP address: `99999` is 0.1.134.159.
fn with_scheme(text: &str) -> Result<String, Usage> {
    let host = text.split(['/', '?', '#', ':']).next().unwrap_or_default();
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(if text.contains("://") { text.to_owned() } else { format!("http://{text}") });
    }
    let has_port = text[host.len()..].starts_with(':');
    match host.parse::<u16>() {
        Ok(1..) if !has_port => Ok(format!("http://127.0.0.1:{text}")),
        _ => Err(Usage(format!(
            "--forward: {host} is not a port: write a number from 1 to 65535, or a URL like http://127.0.0.1:8000"
        ))),
    }
}

fn new_secret() -> anyhow::Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).context("cannot get random bytes for the secret")?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_be_short() {
        for (text, expected) in [
            ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/"),
            ("https://a.example/x", "https://a.example/x"),
            ("localhost:8000/hook", "http://localhost:8000/hook"),
            ("8000", "http://127.0.0.1:8000"),
            ("8000/hook?a=1", "http://127.0.0.1:8000/hook?a=1"),
            ("ftp://a.example", "ftp://a.example"),
            ("", "http://"),
        ] {
            assert_eq!(with_scheme(text).unwrap(), expected, "{text}");
        }
        for text in ["99999", "65536/hook", "0", "8000:80", "4294967296"] {
            let why = with_scheme(text).unwrap_err().to_string();
            assert!(why.contains("is not a port: write a number from 1 to 65535"), "{text}: {why}");
        }
    }

    #[test]
    fn a_problem_names_the_option_that_caused_it() {
        let problem = |key: &str| ConfigProblem {
            key: Some(key.to_owned()),
            place: Some("/tmp/x/bridge.toml:9".to_owned()),
            message: "is wrong".to_owned(),
        };
        let named = |key| in_options(&problem(key), "handlers.dev.");
        assert_eq!(named("handlers.dev.url").as_deref(), Some("--forward: is wrong"));
        assert_eq!(named("handlers.dev.attempt_timeout").as_deref(), Some("--timeout: is wrong"));
        assert_eq!(named("handlers.dev.secret_file").as_deref(), Some("--secret-file: is wrong"));
        assert_eq!(named("server.listen"), None);
    }
}
