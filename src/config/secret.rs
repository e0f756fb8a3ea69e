//! Secrets: given in place, or as the path of a file that holds them.
//!
//! Such a file can be read again while the bridge runs: see [`SecretFile::read`].

use std::fs;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::problem::{Problems, dotted};
use super::secret_text;
use super::tree::{Node, Origin};
use paths;

pub(super) use super::secret_text::Kind;

/// The largest file that is read again, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// A file that a secret was read from, as an `x_file` key names it.
#[derive(Clone, Debug)]
pub struct SecretFile {
    /// The parts of the secret's key, without `_file`: `admin`, `token`.
    pub path: Vec<String>,
    /// Where it is.
    pub file: PathBuf,
    /// What it is for.
    kind: Kind,
    /// What it held when the configuration was read.
    at_start: SecretString,
}

impl SecretFile {
    /// The key of the secret as it is written: `admin.token`.
    pub fn key(&self) -> String {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        dotted(&path)
    }

    /// Reads the file again. Blocks.
    ///
    /// # Errors
    /// It cannot be used, and why: the text names the file.
    pub fn read(&self) -> Result<SecretString, String> {
        // A pipe, which may have given the first secret, would be waited for.
        if let Ok(there) = fs::metadata(&self.file)
            && !(there.is_file() && there.len() <= MAX_FILE)
        {
            let file = paths::absolute(&self.file);
            return Err(format!("{} is not a plain file of up to {MAX_FILE} bytes", file.display()));
        }
        read(&self.file, self.kind, self.path.last().map_or("", String::as_str))
    }

    /// Whether `secret` is what the configuration was read with.
    pub fn is_as_at_start(&self, secret: &SecretString) -> bool {
        self.at_start.expose_secret() == secret.expose_secret()
    }
}

/// A secret, and the file that it comes from, if it does.
pub(super) struct Found {
    pub(super) secret: SecretString,
    pub(super) file: Option<SecretFile>,
}

/// Takes a secret from `x` or from the file named by `x_file`; `None` if neither is given or it is refused.
///
/// `path` is that of `x`. A relative file name starts at the folder of the configuration file that has
/// it, or, if an environment variable has it, at the working directory.
pub(super) fn resolve(
    path: &[&str],
    value: Option<SecretString>,
    file: Option<String>,
    kind: Kind,
    tree: &Node,
    problems: &mut Problems,
) -> Option<Found> {
    let (last, table) = path.split_last()?;
    let file_key = format!("{last}_file");
    let file_path = [table, &[file_key.as_str()]].concat();
    let file = match (value, file) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            problems.refuse(tree, path, format!("give it here or as `{file_key}`, not both"));
            return None;
        }
        (Some(secret), None) => {
            if let Some(why) = secret_text::refusal(secret.expose_secret(), kind, last) {
                problems.refuse(tree, path, why);
                return None;
            }
            return Some(Found { secret, file: None });
        }
        (None, Some(file)) => file,
    };
    let origin = tree.nearest_origin(&file_path);
    let found = paths::literal(&file).map_err(|why| why.to_string()).and_then(|_| {
        let file = absolute(&file, origin);
        read(&file, kind, last).map(|secret| (secret, file))
    });
    match found {
        Ok((secret, file)) => {
            let path = path.iter().map(|part| (*part).to_owned()).collect();
            let file = SecretFile { path, file, kind, at_start: secret.clone() };
            Some(Found { secret, file: Some(file) })
        }
        Err(why) => {
            problems.refuse(tree, &file_path, why);
            None
        }
    }
}

/// Where a file that a key names is.
pub(super) fn absolute(file: &str, origin: &Origin) -> PathBuf {
    match origin {
        Origin::File { file: configuration, .. } => {
            configuration.parent().map_or_else(|| PathBuf::from(file), |folder| folder.join(file))
        }
        _ => PathBuf::from(file),
    }
}

/// Reads the secret whose key ends in `name`. Editors and `echo` end a file with a newline that belongs to no secret.
fn read(file: &Path, kind: Kind, name: &str) -> Result<SecretString, String> {
    let bytes = fs::read(file).map_err(|error| {
        format!("{}; it must hold the secret as text", paths::cannot(file, "read", &error))
    })?;
    let shown = paths::absolute(file);
    let shown = shown.display();
    let text = String::from_utf8(bytes).map_err(|_| {
        format!("{shown} is not UTF-8 text: save it as UTF-8, with nothing but the secret in it")
    })?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.trim().is_empty() {
        return Err(format!("{shown} is empty; it must hold the secret"));
    }
    match secret_text::refusal(secret, kind, name) {
        Some(why) => Err(format!("{shown} {why}")),
        None => Ok(SecretString::from(secret)),
    }
}
