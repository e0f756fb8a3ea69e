//! Secrets: given in place, or as the path of a file that holds them.
//!
//! Such a file can be read again while the bridge runs: see [`SecretFile::read`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::Utf8Error;

use secrecy::{ExposeSecret, SecretString};

use super::problem::{Problems, dotted};
use super::secret_text;
use super::tree::{Node, Origin};

pub(super) use super::secret_text::Kind;

/// The largest file that is read again, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

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
    /// It cannot be used: the error names the file, and repeats nothing of it.
    pub fn read(&self) -> Result<SecretString, SecretFileError> {
        // A pipe, which may have given the first secret, would be waited for.
        if let Ok(there) = fs::metadata(&self.file)
            && !(there.is_file() && there.len() <= MAX_FILE_BYTES)
        {
            let file = paths::absolute(&self.file);
            return Err(SecretFileError::NotPlain { file });
        }
        read(&self.file, self.kind, self.path.last().map_or("", String::as_str))
    }

    /// Whether `secret` is what the configuration was read with.
    pub fn is_as_at_start(&self, secret: &SecretString) -> bool {
        self.at_start.expose_secret() == secret.expose_secret()
    }
}

/// Why a file gives no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// It is a folder, a pipe or too large to hold a secret.
    #[error("{} is not a plain file of up to {MAX_FILE_BYTES} bytes", file.display())]
    NotPlain {
        /// Its absolute path.
        file: PathBuf,
    },
    /// The system does not let us read it.
    #[error("{}; it must hold the secret as text", paths::cannot(file, "read", source))]
    Unreadable {
        /// Its path.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds other bytes than text.
    #[error("{} is not UTF-8 text: save it as UTF-8, with nothing but the secret in it", file.display())]
    NotText {
        /// Its absolute path.
        file: PathBuf,
        /// Where the text ends. It has no byte of the file.
        source: Utf8Error,
    },
    /// It holds nothing.
    #[error("{} is empty; it must hold the secret", file.display())]
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
    // A problem of the configuration is a text: it is shown beside its key and place.
    let found = paths::literal(&file).map_err(|error| error.to_string()).and_then(|_| {
        let file = absolute(&file, origin);
        let secret = read(&file, kind, last).map_err(|error| error.to_string())?;
        Ok((secret, file))
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
fn read(file: &Path, kind: Kind, name: &str) -> Result<SecretString, SecretFileError> {
    let bytes =
        fs::read(file).map_err(|source| SecretFileError::Unreadable { file: file.to_owned(), source })?;
    let file = paths::absolute(file);
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // The error itself holds the bytes, which may be the secret.
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
