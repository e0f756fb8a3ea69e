//! Secrets: given in place, or as the path of a file that holds them.
//!
//! Such a file can be read again while the bridge runs: see [`SecretFile::read`].

use std::fs;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::problem::{Problems, dotted};
use super::tree::{Node, Origin};

/// The largest file that is read again, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// A file that a secret was read from, as an `x_file` key names it.
#[derive(Clone, Debug)]
pub struct SecretFile {
    /// The parts of the secret's key, without `_file`: `admin`, `token`.
    pub path: Vec<String>,
    /// Where it is.
    pub file: PathBuf,
    /// It goes into a header.
    pub(super) is_bearer: bool,
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
            return Err(format!("{} is not a plain file of up to {MAX_FILE} bytes", self.file.display()));
        }
        let secret = read(&self.file)?;
        if self.is_bearer {
            fit_for_header(&secret).map_err(|why| format!("{}: {why}", self.file.display()))?;
        }
        Ok(secret)
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

/// Whether a secret can be sent in a header.
pub(super) fn fit_for_header(secret: &SecretString) -> Result<(), &'static str> {
    if secret.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err("must be printable ASCII without spaces and line breaks, as it goes into a header")
}

/// Takes a secret from `x` or from the file named by `x_file`; none if neither is given or it is refused.
///
/// `path` is that of `x`. A relative file name starts at the folder of the configuration file that has
/// it, or, if an environment variable has it, at the working directory.
pub(super) fn resolve(
    path: &[&str],
    value: Option<SecretString>,
    file: Option<String>,
    tree: &Node,
    problems: &mut Problems,
) -> Option<Found> {
    let (last, table) = path.split_last()?;
    let file_key = format!("{last}_file");
    let file_path = [table, &[file_key.as_str()]].concat();
    let mut source = None;
    let (from, secret) = match (value, file) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            problems.refuse(tree, path, format!("give it here or as `{file_key}`, not both"));
            return None;
        }
        (Some(secret), None) => (path, Ok(secret)),
        (None, Some(file)) => {
            let file = absolute(&file, tree.nearest_origin(&file_path));
            let secret = read(&file);
            source = Some(file);
            (file_path.as_slice(), secret)
        }
    };
    match secret {
        Ok(secret) if !secret.expose_secret().trim().is_empty() => {
            let file = source.map(|file| SecretFile {
                path: path.iter().map(|part| (*part).to_owned()).collect(),
                file,
                is_bearer: false,
                at_start: secret.clone(),
            });
            Some(Found { secret, file })
        }
        Ok(_) => {
            problems.refuse(tree, from, "must not be empty");
            None
        }
        Err(why) => {
            problems.refuse(tree, from, why);
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

/// Editors and `echo` end a file with a newline that belongs to no secret.
fn read(file: &Path) -> Result<SecretString, String> {
    let text = fs::read_to_string(file).map_err(|error| {
        format!("{} cannot be read: {error}; it must hold the secret as text", file.display())
    })?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.trim().is_empty() {
        return Err(format!("{} is empty; it must hold the secret", file.display()));
    }
    Ok(SecretString::from(secret))
}
