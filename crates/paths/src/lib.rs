//! Paths: which texts are valid paths, and the text of errors about files.
//!
//! No shell expands the configuration, so `~`, `$HOME` and URL options would become part of a file name. This crate refuses
//! them with a text that says what to write instead. An error about a file names the absolute path and what to do; if a
//! permission is missing, also the owner and the user of this process.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The absolute form of `path`, without access to the disk. A relative path starts at the working directory.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Names the owner of `path` and the user of this process. If `path` does not exist, names the owner of the nearest existing
/// folder above it.
pub fn ownership(path: &Path) -> String {
    let path = absolute(path);
    let we = rustix::process::geteuid().as_raw();
    let found = path.ancestors().find_map(|path| Some((path, fs::metadata(path).ok()?)));
    let Some((found, there)) = found else { return format!("this process runs as user {we}") };
    let what = if found == path { "it".to_owned() } else { format!("{}", found.display()) };
    let (owner, mode) = (there.uid(), there.mode() & 0o7777);
    format!("{what} belongs to user {owner} (mode {mode:o}), and this process runs as user {we}")
}

/// Formats an error about a file, with what to do; `done` is a participle such as `read`:
/// `/abs/path cannot be read: there is no such file; create it, or correct the path`. Names the owner and the user of this
/// process if a permission is missing; otherwise they do not matter.
pub fn cannot(path: &Path, done: &str, error: &io::Error) -> String {
    let path = absolute(path);
    let why = match error.kind() {
        // Reading text returns this kind only if the bytes are not UTF-8.
        io::ErrorKind::InvalidData => "it is not UTF-8 text; save it as UTF-8".to_owned(),
        io::ErrorKind::NotFound => missing(&path),
        io::ErrorKind::IsADirectory => "it is a folder; name a file in it".to_owned(),
        io::ErrorKind::StorageFull => format!("{error}; free some space on this disk"),
        io::ErrorKind::PermissionDenied => format!("{error}; {}; give this user access", ownership(&path)),
        _ => error.to_string(),
    };
    format!("{} cannot be {done}: {why}", path.display())
}

/// Names the part of `path` that does not exist.
fn missing(path: &Path) -> String {
    let folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    match folders.take_while(|folder| !folder.exists()).last() {
        Some(folder) => {
            format!("the folder {} does not exist; create it, or correct the path", folder.display())
        }
        None => "there is no such file; create it, or correct the path".to_owned(),
    }
}

/// The reason why a text in the configuration is not a valid path. It omits the text, which may be a secret under the wrong
/// key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPath(&'static str);

impl fmt::Display for NotAPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotAPath {}

/// Returns `text` as a path, exactly as written.
///
/// # Errors
/// `text` is empty, or contains characters that only a shell, a URL or quoting gives a meaning. They would become part of
/// the file name.
pub fn literal(text: &str) -> Result<&Path, NotAPath> {
    let refuse = |why| Err(NotAPath(why));
    if text.is_empty() {
        return refuse("must not be empty: write the path of a file");
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return refuse(
            "must not begin or end with a space, and must not contain a line break or control character",
        );
    }
    if text.starts_with(['"', '\'']) {
        return refuse("begins with a quote that is part of the value: remove the inner quotes");
    }
    if text == "~" || text.starts_with("~/") {
        return refuse("`~` is not expanded: write the whole path, like /home/NAME/FILE, or one without `~`");
    }
    if text.split('/').any(names_a_variable) {
        return refuse("variables like `$HOME` are not expanded: write the whole path, like /home/NAME/FILE");
    }
    Ok(Path::new(text))
}

/// Returns the file of `sqlite:PATH` or `sqlite://PATH`. `sqlite:data/x` and `sqlite://data/x` are
/// relative paths; `sqlite:///x` is `/x`.
///
/// # Errors
/// `url` does not name a file. The text says what to write.
pub fn of_sqlite(url: &str) -> Result<PathBuf, NotAPath> {
    let refuse = |why| Err(NotAPath(why));
    let Some(("sqlite", path)) = url.split_once(':') else {
        return refuse("must be `sqlite:` and the path of a file, like \"sqlite:data/bridge.db\"");
    };
    if path.contains(":memory:") || path.contains("mode=memory") {
        return refuse(
            "a store in memory would lose acknowledged requests: write `sqlite:` and the path of a file",
        );
    }
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() {
        return refuse("must be `sqlite:` and the path of a file, like \"sqlite:data/bridge.db\"");
    }
    if path.contains('?') {
        return refuse(
            "options like `?mode=rwc` would become part of the file's name: remove `?` and everything after it; the \
             bridge creates the file and sets the options",
        );
    }
    if path.starts_with("file:") {
        return refuse("`file:` would become part of the file's name: write `sqlite:` and the path alone");
    }
    if path.ends_with('/') {
        return refuse("names a folder: write the path of a file in it, like \"sqlite:data/bridge.db\"");
    }
    literal(path).map(Path::to_owned)
}

/// Whether `part` begins with a variable, such as `$HOME` or `${HOME}`. A `$` elsewhere is part of the name.
fn names_a_variable(part: &str) -> bool {
    part.strip_prefix('$')
        .and_then(|rest| rest.chars().next())
        .is_some_and(|first| first == '{' || first == '_' || first.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn path_is_kept_as_written_or_refused_with_advice() {
        for text in
            ["bridge.db", "/a b/c.db", "./~/x", "a~", "~other", "a/$", "cost$5", "what?", "ключ", "C:x"]
        {
            assert_eq!(literal(text), Ok(Path::new(text)));
        }
        for (text, part) in [
            ("", "must not be empty"),
            (" a", "begin or end with a space"),
            ("a\n", "begin or end with a space"),
            ("a\u{7}b", "control character"),
            ("\"/run/secret\"", "inner quotes"),
            ("'/run/secret'", "inner quotes"),
            ("~", "`~` is not expanded"),
            ("~/bridge.db", "`~` is not expanded"),
            ("$HOME/bridge.db", "`$HOME`"),
            ("/var/${NAME}/x", "`$HOME`"),
            ("a/$_x", "`$HOME`"),
        ] {
            let why = literal(text).unwrap_err().to_string();
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn store_urls_are_parsed_or_refused_with_advice() {
        for (url, path) in [
            ("sqlite:data/bridge.db", "data/bridge.db"),
            ("sqlite://data/bridge.db", "data/bridge.db"),
            ("sqlite:/data/bridge.db", "/data/bridge.db"),
            ("sqlite:///data/bridge.db", "/data/bridge.db"),
            ("sqlite:./a b.db", "./a b.db"),
        ] {
            assert_eq!(of_sqlite(url), Ok(PathBuf::from(path)), "{url}");
        }
        for (url, part) in [
            ("bridge.db", "must be `sqlite:`"),
            ("SQLITE:x", "must be `sqlite:`"),
            ("mysql://x", "must be `sqlite:`"),
            ("sqlite:", "and the path of a file"),
            ("sqlite://", "and the path of a file"),
            ("sqlite::memory:", "in memory"),
            ("sqlite:a?mode=memory", "in memory"),
            ("sqlite:a.db?mode=rwc", "`?mode=rwc`"),
            ("sqlite://a.db?", "`?mode=rwc`"),
            ("sqlite:file:a.db", "`file:`"),
            ("sqlite:data/", "names a folder"),
            ("sqlite:///", "names a folder"),
            ("sqlite:~/bridge.db", "`~` is not expanded"),
            ("sqlite://~/bridge.db", "`~` is not expanded"),
            ("sqlite:$HOME/bridge.db", "`$HOME`"),
            ("sqlite: data/bridge.db", "begin or end with a space"),
        ] {
            let why = of_sqlite(url).unwrap_err().to_string();
            assert!(why.contains(part), "{url}: {why}");
        }
    }

    #[test]
    fn an_error_names_the_absolute_path_the_owner_and_our_user() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let file = folder.path().join("the.secret");
        let we = rustix::process::geteuid().as_raw();
        let owner = fs::metadata(folder.path()).unwrap().uid();
        let error = || io::Error::from(io::ErrorKind::PermissionDenied);
        let place = folder.path().display();
        assert_eq!(
            cannot(&file, "read", &error()),
            format!(
                "{place}/the.secret cannot be read: permission denied; {place} belongs to user {owner} (mode 750), and \
                 this process runs as user {we}; give this user access"
            ),
            "if the file does not exist, its folder counts"
        );
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
        let text = cannot(&file, "opened", &error());
        assert!(text.contains(&format!("; it belongs to user {owner} (mode 604), and")), "{text}");
        let relative = cannot(Path::new("no/such"), "read", &error());
        let here = std::env::current_dir().unwrap();
        assert!(relative.starts_with(&format!("{}/no/such cannot", here.display())), "{relative}");
    }

    #[test]
    fn an_error_that_is_not_about_permissions_names_no_owner_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        let read = |name: &str| {
            let path = folder.path().join(name);
            cannot(&path, "read", &fs::read_to_string(&path).unwrap_err())
        };
        fs::write(folder.path().join("bytes"), b"\xff").unwrap();
        for (name, why) in [
            ("none", "there is no such file; create it, or correct the path".to_owned()),
            ("a/b/none", format!("the folder {place}/a does not exist; create it, or correct the path")),
            ("", "it is a folder; name a file in it".to_owned()),
            ("bytes", "it is not UTF-8 text; save it as UTF-8".to_owned()),
        ] {
            let text = read(name);
            assert!(text.ends_with(&format!(" cannot be read: {why}")), "{name}: {text}");
        }
    }
}
