//! Secrets: given in place, or as the path of a file that holds them.

use std::fs;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::problem::Problems;
use super::tree::{Node, Origin};

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
) -> Option<SecretString> {
    let (last, table) = path.split_last()?;
    let file_key = format!("{last}_file");
    let file_path = [table, &[file_key.as_str()]].concat();
    let (from, secret) = match (value, file) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            problems.refuse(tree, path, format!("give it here or as `{file_key}`, not both"));
            return None;
        }
        (Some(secret), None) => (path, Ok(secret)),
        (None, Some(file)) => {
            let file = absolute(&file, tree.nearest_origin(&file_path));
            (file_path.as_slice(), read(&file))
        }
    };
    match secret {
        Ok(secret) if !secret.expose_secret().trim().is_empty() => Some(secret),
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
