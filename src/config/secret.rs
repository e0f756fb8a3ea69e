//! Secrets: given directly, or as the path of a file that contains them.
//!
//! Such a file can be reread while the bridge runs: see [`SecretFile::read`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::Utf8Error;

use secrecy::{ExposeSecret, SecretString};

use super::problem::{Problems, dotted};
use super::secret_text;
use super::tree::Node;

pub(super) use super::secret_text::Kind;

/// The largest file that is reread, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A file that a secret was read from, named by an `x_file` key.
#[derive(Clone, Debug)]
pub struct SecretFile {
    /// The parts of the secret's key, without `_file`: `admin`, `token`.
    pub path: Vec<String>,
    /// The path of the file.
    pub file: PathBuf,
    /// The purpose of the secret.
    kind: Kind,
    /// The secret when the configuration was read.
    at_start: SecretString,
}

impl SecretFile {
    /// Returns the secret's key, such as `admin.token`.
    pub fn key(&self) -> String {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        dotted(&path)
    }

    /// Returns the key that names the file, such as `admin.token_file`.
    pub fn file_key(&self) -> String {
        let Some((last, table)) = self.path.split_last() else { return String::new() };
        let last = format!("{last}_file");
        let path: Vec<&str> = table.iter().map(String::as_str).chain([last.as_str()]).collect();
        dotted(&path)
    }

    /// Rereads the file. Blocks.
    ///
    /// # Errors
    /// The file cannot be used. The error names the file and repeats none of its contents.
    pub fn read(&self) -> Result<SecretString, SecretFileError> {
        // The first secret may have come from a pipe; reading it again would block.
        if let Ok(there) = fs::metadata(&self.file)
            && !(there.is_file() && there.len() <= MAX_FILE_BYTES)
        {
            let file = paths::absolute(&self.file);
            return Err(SecretFileError::NotPlain { file });
        }
        read(&self.file, self.kind, self.path.last().map_or("", String::as_str))
    }

    /// Whether `secret` is the one that the configuration was read with.
    pub fn is_as_at_start(&self, secret: &SecretString) -> bool {
        self.at_start.expose_secret() == secret.expose_secret()
    }
}

/// Why a file does not yield a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// It is a folder, a pipe or too large to hold a secret.
    #[error("{} is not a plain file of up to {MAX_FILE_BYTES} bytes", file.display())]
    NotPlain {
        /// Its absolute path.
        file: PathBuf,
    },
    /// The system does not allow reading it.
    #[error("{}; it must contain the secret as text", paths::cannot(file, "read", source))]
    Unreadable {
        /// Its path.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not text.
    #[error("{} is not UTF-8 text: save it as UTF-8, with only the secret in it", file.display())]
    NotText {
        /// Its absolute path.
        file: PathBuf,
        /// Where the UTF-8 text ends. Contains no bytes of the file.
        source: Utf8Error,
    },
    /// It is empty.
    #[error("{} is empty; it must contain the secret", file.display())]
    Empty {
        /// Its absolute path.
        file: PathBuf,
    },
    /// Its text cannot be a secret of this kind.
    #[error("{} {refusal}", file.display())]
    Refused {
        /// Its absolute path.
        file: PathBuf,
        /// What is wrong, without the text.
        refusal: String,
    },
}

/// A secret, and the file that it came from, if any.
pub(super) struct ResolvedSecret {
    pub(super) secret: SecretString,
    pub(super) file: Option<SecretFile>,
}

/// Takes a secret from `x` or from the file that `x_file` names; `None` if neither is set or the secret is refused.
///
/// `path` is the path of `x`. A relative file name is resolved by [`Origin::resolve`](super::tree::Origin::resolve).
pub(super) fn resolve(
    path: &[&str],
    value: Option<SecretString>,
    file: Option<String>,
    kind: Kind,
    tree: &Node,
    problems: &mut Problems,
) -> Option<ResolvedSecret> {
    let (last, table) = path.split_last()?;
    let file_key = format!("{last}_file");
    let file_path = [table, &[file_key.as_str()]].concat();
    let file = match (value, file) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            problems.refuse(tree, path, format!("set either this or `{file_key}`, not both"));
            return None;
        }
        (Some(secret), None) => {
            if let Some(why) = secret_text::refusal(secret.expose_secret(), kind, last) {
                problems.refuse(tree, path, why);
                return None;
            }
            return Some(ResolvedSecret { secret, file: None });
        }
        (None, Some(file)) => file,
    };
    let origin = tree.nearest_origin(&file_path);
    // Configuration problems are plain text, shown beside their key and place.
    let found = paths::literal(&file).map_err(|error| error.to_string()).and_then(|file| {
        let file = origin.resolve(file);
        let secret = read(&file, kind, last).map_err(|error| error.to_string())?;
        Ok((secret, file))
    });
    match found {
        Ok((secret, file)) => {
            let path = path.iter().map(|part| (*part).to_owned()).collect();
            let file = SecretFile { path, file, kind, at_start: secret.clone() };
            Some(ResolvedSecret { secret, file: Some(file) })
        }
        Err(why) => {
            problems.refuse(tree, &file_path, why);
            None
        }
    }
}

/// Reads the secret of the key that ends in `name`. A final newline, which editors and `echo` add, is not part of the
/// secret.
fn read(file: &Path, kind: Kind, name: &str) -> Result<SecretString, SecretFileError> {
    let bytes =
        fs::read(file).map_err(|source| SecretFileError::Unreadable { file: file.to_owned(), source })?;
    let file = paths::absolute(file);
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // The original error contains the bytes, which may be the secret.
        Err(error) => return Err(SecretFileError::NotText { file, source: error.utf8_error() }),
    };
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.trim().is_empty() {
        return Err(SecretFileError::Empty { file });
    }
    match secret_text::refusal(secret, kind, name) {
        Some(refusal) => Err(SecretFileError::Refused { file, refusal }),
        None => Ok(SecretString::from(secret)),
    }
}
